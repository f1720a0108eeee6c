"""What cannot be read, and which rule it breaks: field names and rules, never a value."""

from __future__ import annotations

from pydantic import ValidationError


class Undecodable(ValueError):
    """The bytes are no change event. The text names fields and rules, never a value."""


def broken_rules(error: ValidationError, *, whole: str, where: str = "") -> str:
    """Fields and rules, never a value. `whole`: the name of what is wrong where no field of it is."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{where}{'.'.join(map(str, p['loc'])) or whole}: {p['msg']}" for p in problems)
