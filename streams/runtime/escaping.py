"""Text from anywhere, made so that it neither steers a terminal nor fills a log."""

from __future__ import annotations

import re

LONGEST = 2_000
"""Letters of one value in a log line."""

# C0 but for tab and line feed, DEL, C1, what turns the direction of writing, what ends a line for some programs, a mark
# that is not seen, and halves of letters.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def escaped(text: str) -> str:
    r"""What steers stands there as JSON writes it, like ``\u001b``; so what was JSON stays it."""
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_one_line(text: str) -> str:
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def bounded(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} letters)"
