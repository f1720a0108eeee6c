"""Whether rows are still those that were read, told by digests that their server makes: a few short cells in place of
the hundred of a sale, which the driver reads one by one.

Rows with the same digest make the same body. Which text a server makes of a number or a day is its own, and the same
each time, so nothing depends on it. NULL is taken for an empty text, as a body takes it; of a DATETIME the seconds may
be left out, and what is sent is the day. The other way round nothing follows: other rows may make the same body, too,
and are read whole.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import structlog

from streams.documents.document import DocumentType
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql_fragments import one_of
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

DIGEST = "digest"
"""Name of the column."""
_BETWEEN = "\x1f"
"""Two columns: no till writes it."""


def beside(digest: str | None, table: str, columns: Sequence[str]) -> str:
    """A column more for a SELECT of these columns; empty without digests."""
    if digest is None:
        return ""
    texts = f", '{_BETWEEN}', ".join(f"{table}.{column}" for column in columns)
    return f", {digest.format(columns=texts)} AS {DIGEST}"


def whole(header: bytes, lines: Iterable[bytes]) -> str:
    """A document's digest, of its header's and its lines', in their order. 64 hex digits."""
    return hashlib.sha256(b"".join([header, *lines])).hexdigest()


def read_digests(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> dict[int, str]:
    """By id; those are missing whose row has vanished, and all where the server's digests are not used."""
    digest = tx.digest
    if digest is None or not ids:
        return {}
    marks, parameters = one_of(ids)
    lines: dict[int, list[bytes]] = defaultdict(list)
    headers = tx.rows(_headers(document_type, digest).format(ids=marks), parameters)
    for parent, of_line in tx.rows(_lines(document_type, digest).format(ids=marks), parameters):
        lines[parent].append(of_line)
    return {id_: whole(of_header, lines[id_]) for id_, of_header in headers}


async def try_digests(db: SalesDb, document_types: Iterable[DocumentType]) -> None:
    """Has them used from now on, unless the server refuses: it is too old (SQL Server before 2016 takes 8,000 bytes at
    most), or the columns have collations that it will not put together. Waits for a server that is away."""

    def read(tx: Transaction) -> None:
        if tx.digest is not None:
            tx.rows(f"SELECT {tx.digest.format(columns=_LONG)}")
        for document_type in document_types:
            read_digests(tx, document_type, [0])

    db.digests = True
    try:
        await until_available(lambda: db.transaction(read), "read digests")
    except StoreError as error:
        db.digests = False
        log.warning("digests.refused", error=str(error), action=_REMEDY)


_LONG = f"'{'x' * 8_001}', ''"
_REMEDY = "none is needed: rows are read whole instead, and a worker carries a little less"


def _headers(document_type: DocumentType, digest: str) -> str:
    # name: digests of headers
    return f"SELECT d.id{beside(digest, 'd', document_type.sent_columns)} FROM dbo.{document_type.table} d WHERE d.id IN ({{ids}})"  # noqa: S608


def _lines(document_type: DocumentType, digest: str) -> str:
    # name: digests of lines
    return (
        f"SELECT l.{document_type.lines_parent_column} AS parent{beside(digest, 'l', document_type.line_columns)} "  # noqa: S608
        f"FROM dbo.{document_type.lines_table} l WHERE l.{document_type.lines_parent_column} IN ({{ids}}) "
        f"ORDER BY l.{document_type.lines_parent_column}, l.id"
    )
