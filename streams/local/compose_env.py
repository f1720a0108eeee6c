"""Passwords for `docker-compose.yml`, made once, where git does not look: ``python3 -m streams.local.compose_env``.

Of the standard library alone: who starts the containers needs no virtual environment.
"""

from __future__ import annotations

import os
import re
import secrets
import string
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
FILE = ROOT / ".local" / "compose.env"

_LENGTH = 24
"""The national system takes 30 characters at most, SQL Server asks for 8 at least."""


def wanted() -> list[str]:
    """Every variable that the file must be given."""
    return sorted(set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8"))))


def password() -> str:
    """Letters and digits, so that no shell and no file has to quote it; of each kind one at least, as SQL Server's
    policy asks."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    while True:
        made = "".join(secrets.choice("".join(kinds)) for _ in range(_LENGTH))
        if all(set(made) & set(kind) for kind in kinds):
            return made


def complete(file: Path = FILE) -> list[str]:
    """Adds what the file lacks, and gives the names of it. What it has stays: databases keep their passwords."""
    file.parent.mkdir(parents=True, exist_ok=True)
    there = re.findall(r"(?m)^(\w+)=.", file.read_text(encoding="utf-8")) if file.exists() else []
    missing = [name for name in wanted() if name not in there]
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as lines:
        lines.writelines(f"{name}={password()}\n" for name in missing)
    return missing


if __name__ == "__main__":
    made = complete()
    print(f"{FILE}: {'made ' + ', '.join(made) if made else 'complete'}")
    print(
        "the page, once the worker is up: http://127.0.0.1:6066/page/, with PAGE_TOKEN of that file as its access code"
    )
