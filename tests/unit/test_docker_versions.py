"""What `make up` and `make down` need of Docker is asked first, and named in one line. The client is a script here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.local.docker_versions import COMPOSE, ENGINE
from tests.support.repository import ROOT

NO_PLUGIN = "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"
NO_ENGINE = "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1"


def make(target: str, folder: Path, engine: str | None, compose: str = "") -> subprocess.CompletedProcess[str]:
    """Run `make TARGET` where docker answers as these lines of shell do. It keeps what else it is asked in `calls`."""
    if engine is not None:
        docker = folder / "docker"
        docker.write_text(
            f'#!/bin/sh\ncase "$1 $2" in "version --format") {engine};; "compose version") {compose};;\n'
            f'*) echo "$@" >> "{folder}/calls";; esac\n'
        )
        docker.chmod(0o755)
    (folder / "python3").symlink_to(sys.executable)
    return subprocess.run(
        ["/usr/bin/make", "--no-print-directory", target],
        cwd=ROOT,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("target", ["up", "down"])
@pytest.mark.parametrize(
    ("engine", "compose", "line"),
    [
        (None, "", "There is no docker here: Docker Engine 25.0 or later is needed and Docker Compose 2.23.1 or later"),
        ("echo 20.10.24", "echo 2.30.0", "Docker Engine 25.0 or later is needed; this is 20.10.24."),
        ("echo 28.2.2", "echo v2.20.3-desktop.1", "Docker Compose 2.23.1 or later is needed; this is v2.20.3-desktop."),
        ("echo 28.2.2", NO_PLUGIN, "Docker Compose 2.23.1 or later is needed; docker says: docker: 'compose' is not a"),
        (NO_ENGINE, "echo 5.0.0", "Docker Engine 25.0 or later is needed; docker says: Cannot connect to the Docker"),
        ("echo 24.0.7", "echo 1.29.2", "this is 24.0.7. Docker Compose 2.23.1 or later is needed; this is 1.29.2."),
    ],
)
def test_what_is_missing_or_too_old_is_named_in_one_line(
    tmp_path: Path, target: str, engine: str | None, compose: str, line: str
) -> None:
    done = make(target, tmp_path, engine, compose)
    assert done.returncode == 2
    ours, makes = done.stderr.splitlines()
    assert line in ours
    assert makes.startswith("make: ***")
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize(
    ("engine", "compose"), [("25.0.0", "2.23.1"), ("26.1.5+dfsg1", "2.26.1-4"), ("29.0", "v5.0.0")]
)
def test_what_is_new_enough_is_used(tmp_path: Path, engine: str, compose: str) -> None:
    done = make("down", tmp_path, f"echo {engine}", f"echo {compose}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "calls").read_text() == "compose --env-file .local/compose.env down\n"


def test_the_least_versions_are_those_of_what_the_compose_file_uses() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert ("start_interval:" in text) == (ENGINE >= (25,))
    assert bool(re.search(r"(?m)^    content: \|", text)) == (COMPOSE >= (2, 23, 1))
    alone = (ROOT / "docs/compose/worker.yml").read_text(encoding="utf-8")
    assert "start_interval:" not in alone
    assert "content:" not in alone
    production = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    assert f"Docker Engine {ENGINE[0]} and Docker Compose {'.'.join(map(str, COMPOSE))}" in production
