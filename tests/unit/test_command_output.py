"""L: tests that data of others in a command's output neither steers a terminal nor starts a new line."""

from __future__ import annotations

import json

import pytest

from streams.operators import Problem
from streams.operators.command_line import run
from streams.operators.terminal import show, show_json

STEERING = "\x1b[2J\x07\x7f\x9b31m\u202e\u2066\u2028\u2029\r\x00"


def steers(result: str) -> bool:
    return bool(set(result) & {letter for letter in STEERING if not letter.isascii() or not letter.isprintable()})


def test_l_json_output_does_not_steer_a_terminal_and_stays_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Promise 7. Broken by: what a command shows as JSON steers the terminal."""
    show_json({"what": STEERING, "name": "Nguyễn Thị Ánh"})
    said = capsys.readouterr().out
    assert not steers(said)
    assert json.loads(said) == {"what": STEERING, "name": "Nguyễn Thị Ánh"}
    assert "Nguyễn Thị Ánh" in said


def test_l_text_and_errors_of_a_command_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Promise 7. Broken by: what a command shows as text steers the terminal."""

    async def work() -> None:
        raise Problem(f"a{STEERING}b")

    show(f"a{STEERING}b")
    with pytest.raises(SystemExit):
        run(work())
    said = capsys.readouterr()
    assert not steers(said.out + said.err)
    assert len((said.out + said.err).splitlines()) == 2
