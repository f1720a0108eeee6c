"""Removes passwords from the texts of Kafka Connect, since the output of a terminal may end up in a log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SECRET_NAME = re.compile(
    r"password|passwd|pwd|passphrase|secret|token|credential|jaas|user\.info|\.key$", re.IGNORECASE
)
# The forms of JDBC and JAAS: password=..., PWD={...;...}, password="..."
_ASSIGNED = re.compile(
    r"""((?:password|passwd|pwd|passphrase|secret|token)\b["']?\s*[=:]\s*)("[^"]*"|'[^']*'|\{[^}]*\}|[^\s;,&}]+)""",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^/\s@]+@")
_MAX_REASONS = 5
_MAX_LENGTH = 400


def is_secret(field: str) -> bool:
    """Return whether the field of this name in a connector's configuration may contain a secret."""
    return bool(_SECRET_NAME.search(field))


def is_reference(value: str) -> bool:
    """Return whether the value is a reference, ``${provider:...}``, which only Kafka Connect can resolve."""
    return "${" in value


def plain_secrets(config: Mapping[str, str]) -> list[str]:
    """Return the secrets that a connector's configuration contains in plain text."""
    return [value for field, value in config.items() if value and is_secret(field) and not is_reference(value)]


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text in one line, without `secrets` and without what looks like a password or credentials in a URL."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _ASSIGNED.sub(r"\1***", _USER_INFO.sub("://***@", text))
    return " ".join(text.split())


def reasons(trace: str, secrets: Iterable[str] = ()) -> list[str]:
    """Return the reasons in a Java stack trace, without secrets.

    They are its first line and each ``Caused by``, at most five lines; the last one is the root cause.
    """
    lines = trace.strip().splitlines()
    causes = lines[:1] + [line for line in lines[1:] if line.startswith("Caused by: ")]
    if len(causes) > _MAX_REASONS:
        causes = [*causes[: _MAX_REASONS - 1], causes[-1]]
    return [shorten(mask(line, secrets)) for line in causes]


def shorten(line: str) -> str:
    """Return at most 400 characters of the line."""
    return line if len(line) <= _MAX_LENGTH else f"{line[:_MAX_LENGTH]}…"
