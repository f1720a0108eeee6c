"""Makes untrusted text safe to print: it can neither send control sequences to a terminal nor flood a log."""

from __future__ import annotations

import re

LONGEST = 2_000
"""Characters of one value in a log line."""

# Control characters (C0 except tab and line feed, DEL, C1), characters that change the writing direction, line
# separators that some programs honour, invisible marks, and lone surrogates.
_CONTROL_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def escaped(text: str) -> str:
    r"""Return `text` with control characters written as JSON escapes, like ``\u001b``. Text that was valid JSON stays
    valid JSON.
    """
    return _CONTROL_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_one_line(text: str) -> str:
    """Return `text` escaped and with its tabs and line feeds written out."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return `text`, cut to `longest` characters; a cut text says how long it was."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
