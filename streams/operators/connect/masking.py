"""Nothing that Kafka Connect says may carry a password to a terminal, which scrolls into logs of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SECRET_NAME = re.compile(
    r"password|passwd|pwd|passphrase|secret|token|credential|jaas|user\.info|\.key$", re.IGNORECASE
)
# As JDBC and JAAS write it: password=..., PWD={...;...}, password="..."
_ASSIGNED = re.compile(
    r"""((?:password|passwd|pwd|passphrase|secret|token)\b["']?\s*[=:]\s*)("[^"]*"|'[^']*'|\{[^}]*\}|[^\s;,&}]+)""",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^/\s@]+@")
_REASONS = 5
_LONGEST = 400


def is_secret(field: str) -> bool:
    """Whether a connector's field of this name may hold a secret."""
    return bool(_SECRET_NAME.search(field))


def is_reference(value: str) -> bool:
    """``${provider:...}``: resolved inside Kafka Connect, known only there."""
    return "${" in value


def plain_secrets(config: Mapping[str, str]) -> list[str]:
    """The secrets that stand in a connector's configuration themselves."""
    return [value for field, value in config.items() if value and is_secret(field) and not is_reference(value)]


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text in one line, without these secrets, and without any that shows itself by how it is written."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _ASSIGNED.sub(r"\1***", _USER_INFO.sub("://***@", text))
    return " ".join(text.split())


def reasons(trace: str, secrets: Iterable[str] = ()) -> list[str]:
    """What a Java stack trace says: its first line, and what each ``Caused by`` adds. The last is the root."""
    lines = trace.strip().splitlines()
    telling = lines[:1] + [line for line in lines[1:] if line.startswith("Caused by: ")]
    if len(telling) > _REASONS:
        telling = [*telling[: _REASONS - 1], telling[-1]]
    return [shorten(mask(line, secrets)) for line in telling]


def shorten(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
