"""Read columns of the type REAL. The driver would turn their 32 bits into a number of 64, and 0.1 into
0.10000000149011612."""

from __future__ import annotations

import struct
from decimal import Decimal

_REAL = struct.Struct("<f")
_DIGITS = range(6, 10)
"""How many decimal digits tell a binary number of 32 bits from all others: at least six, at most nine."""


def decimal_of_real(raw: bytes | None) -> Decimal | None:
    """Return the shortest decimal that is stored as this number."""
    if raw is None:
        return None
    (value,) = _REAL.unpack(raw)
    texts = (f"{value:.{digits}g}" for digits in _DIGITS)
    return Decimal(next((text for text in texts if _REAL.pack(float(text)) == raw), str(value)))
