"""What `dbo.SaleSync.sent_rows` keeps of the accepted version: digests of its rows, its codes and its body.

The codes tell whether a changed document would replace the accepted one. Under another code it would be a second one.
The body tells whether all of it belongs to `sent_hash`: a later claim has set that alone, or a worker of an earlier
version.
"""

from __future__ import annotations

import hashlib

_ROWS, _CODES, _BODY = 32, 15, 15
"""Hex digits of each digest. The column has 64 characters."""


def sent_rows(body_hash: str, digest: str | None, pharmacy_code: str, document_code: str) -> str:
    """Return the value of the column. `digest`: of the rows, see `streams.stores.row_digests`; None without digests."""
    return f"{(digest or '')[:_ROWS]}/{_digest_of(pharmacy_code, document_code)}/{body_hash[:_BODY]}"


def has_digest(kept: str | None, sent_hash: str) -> bool:
    """Whether the digest of the rows of the version `sent_hash` is known."""
    return _part(kept, sent_hash, 0) != ""


def is_of_rows(kept: str | None, sent_hash: str, digest: str | None) -> bool:
    """Whether rows with this digest are the version `sent_hash`. False if that is not known."""
    return bool(digest) and _part(kept, sent_hash, 0) == str(digest)[:_ROWS]


def is_of_codes(kept: str | None, sent_hash: str, pharmacy_code: str, document_code: str) -> bool:
    """Whether the version `sent_hash` had these codes. False if that is not known."""
    return _part(kept, sent_hash, 1) == _digest_of(pharmacy_code, document_code)


def _part(kept: str | None, sent_hash: str, index: int) -> str:
    parts = (kept or "").split("/")
    return parts[index] if len(parts) == 3 and parts[2] == sent_hash[:_BODY] else ""


def _digest_of(pharmacy_code: str, document_code: str) -> str:
    return hashlib.sha256(f"{pharmacy_code}/{document_code}".encode()).hexdigest()[:_CODES]
