"""Tests that the passwords of the containers are generated once, are strong enough, and are readable by their owner
alone.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from streams.local.compose_env import COMPOSE, complete, password, wanted


def test_every_password_that_compose_requires_is_generated(tmp_path: Path) -> None:
    file = tmp_path / "new" / "compose.env"
    assert complete(file) == wanted()
    text = file.read_text()
    for name in re.findall(r"\$\{(\w+)", COMPOSE.read_text()):
        assert re.search(rf"(?m)^{name}=[A-Za-z0-9]{{24}}$", text), name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_existing_passwords_are_kept_and_missing_ones_are_added(tmp_path: Path) -> None:
    file = tmp_path / "compose.env"
    first, *others = wanted()
    file.write_text(f"{first}=Mine1\n{others[0]}=\n")
    assert complete(file) == others
    assert f"{first}=Mine1\n" in file.read_text()
    assert complete(file) == []


def test_a_generated_password_meets_sql_servers_policy() -> None:
    for made in (password() for _ in range(200)):
        assert re.search("[a-z]", made)
        assert re.search("[A-Z]", made)
        assert re.search("[0-9]", made)
    assert len({password() for _ in range(50)}) == 50
