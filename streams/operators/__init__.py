"""The tools for operators: the commands, the page, and what the two share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[str], None]
"""Takes one line of progress for the person at the terminal."""


class Problem(Exception):
    """A problem that the operator has to know about; the command prints its lines on stderr and exits with code 1.

    Each line names the thing concerned, the rule that it breaks and the action to take. No line contains a secret.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
