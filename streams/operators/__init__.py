"""What operators use: commands, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[str], None]
"""Takes one line for the person at the terminal."""


class Problem(Exception):
    """What an operator must know, in lines: thing, rule, remedy. Never a secret. The command ends with exit code 1."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
