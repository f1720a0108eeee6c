"""What `dbo.SaleSync.sent_rows` keeps of the version that was last sent: a digest of its rows and one of its codes.

The codes tell whether a changed document would replace the accepted one. Under another code it would be a second one.
"""

from __future__ import annotations

import hashlib

_ROWS, _CODES = 40, 23
"""Hex digits of each digest. The column has 64 characters."""


def sent_rows(digest: str | None, pharmacy_code: str, document_code: str) -> str:
    """Return the value of the column. `digest`: of the rows, see `streams.stores.row_digests`; None without digests."""
    return f"{(digest or '')[:_ROWS]}/{_digest_of_codes(pharmacy_code, document_code)}"


def has_digest(kept: str | None) -> bool:
    """Whether the digest of the rows is known."""
    return bool(kept) and not str(kept).startswith("/")


def is_of_rows(kept: str | None, digest: str | None) -> bool:
    """Whether rows with this digest are the version that was sent."""
    return digest is not None and kept is not None and kept.partition("/")[0] == digest[:_ROWS]


def is_of_codes(kept: str | None, pharmacy_code: str, document_code: str) -> bool:
    """Whether a document with these codes is the one that was sent. False if that is not known."""
    return kept is not None and kept.partition("/")[2] == _digest_of_codes(pharmacy_code, document_code)


def _digest_of_codes(pharmacy_code: str, document_code: str) -> str:
    return hashlib.sha256(f"{pharmacy_code}/{document_code}".encode()).hexdigest()[:_CODES]
