"""The error raised for messages that cannot be decoded. Its text names fields and rules, never a value."""

from __future__ import annotations

from pydantic import ValidationError


class Undecodable(ValueError):
    """The bytes are not a message of their topic. The text names fields and rules, never a value."""


def broken_rules(error: ValidationError, *, whole: str, where: str = "") -> str:
    """Return the broken rules as text: fields and rules, never a value.

    `whole` stands for the message itself, where no single field is wrong; `where` is put before each field's path.
    """
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{where}{'.'.join(map(str, p['loc'])) or whole}: {p['msg']}" for p in problems)
