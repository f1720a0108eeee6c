"""The name of a person, as it is recorded with what they do."""

from __future__ import annotations

MAX_NAME_LENGTH = 100


def cleaned_name(name: str) -> str | None:
    """Return the name in one line of printable characters; None if it is empty or longer than `MAX_NAME_LENGTH`."""
    readable = name.encode("utf-8", "replace").decode("utf-8")
    line = " ".join("".join(each if each.isprintable() else " " for each in readable).split())
    return line if 0 < len(line) <= MAX_NAME_LENGTH else None
