"""One change of the code that breaks a promise of the README."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    promise: int
    """Its number in the README."""
    breaks: str
    file: str
    old: str
    """Stands once in the file."""
    new: str
    test: str
