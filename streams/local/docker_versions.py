"""Whether the containers can be started here: Docker Engine and Docker Compose, new enough for `docker-compose.yml`.

Run by ``make up`` and ``make down``: ``python3 -m streams.local.docker_versions``. Uses the standard library alone.
"""

from __future__ import annotations

import re
import subprocess
import sys

ENGINE = (25, 0)
"""For `start_interval` of a health check."""
COMPOSE = (2, 23, 1)
"""For the `content` of a config."""

EXIT_CODE = 2


def problem() -> str:
    """Return one line that says what is needed and what was found; empty if both will do."""
    engine_problem = _problem("Docker Engine", ENGINE, "version", "--format", "{{.Server.Version}}")
    if engine_problem is None:
        return f"There is no docker here: {_needed('Docker Engine', ENGINE)} and {_needed('Docker Compose', COMPOSE)}."
    compose_problem = _problem("Docker Compose", COMPOSE, "compose", "version", "--short")
    return " ".join(filter(None, (engine_problem, compose_problem)))


def _problem(name: str, least: tuple[int, ...], *question: str) -> str | None:
    """Return a sentence, empty if the version will do; None if there is no docker to ask."""
    try:
        answer = subprocess.run(["docker", *question], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        return f"{_needed(name, least)}; docker did not answer within a minute."
    found = answer.stdout.strip()
    numbers = re.match(r"v?(\d+(?:\.\d+)*)", found)
    if answer.returncode or not numbers:
        said = " ".join((answer.stderr or found or "nothing").split())[:300]
        return f"{_needed(name, least)}; docker says: {said}"
    if tuple(map(int, numbers[1].split("."))) < least:
        return f"{_needed(name, least)}; this is {found}."
    return ""


def _needed(name: str, least: tuple[int, ...]) -> str:
    return f"{name} {'.'.join(map(str, least))} or later is needed"


if __name__ == "__main__":
    if found := problem():
        print(found, file=sys.stderr)
        sys.exit(EXIT_CODE)
