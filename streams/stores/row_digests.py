"""Digests of rows, computed by the server, that tell whether rows have changed since they were read.

They replace the hundred cells of a sale, which the driver reads one by one, with a few short ones.

Rows with the same digest make the same body: digests are used only with types whose text shows all that is sent. How a
server writes a number or a day as text does not matter, as it is the same each time. NULL counts as an empty text, as
it does in a body; the text of a DATETIME may lack the seconds, but only the day is sent. The converse does not hold:
rows with another digest may still make the same body, so they are read in full.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import structlog

from streams.documents.document import DocumentType
from streams.stores.column_rules import digested_columns
from streams.stores.column_types import ColumnTypes, column_of, read_column_types
from streams.stores.sales_db import SalesDb, StoreError, Transaction
from streams.stores.sql_fragments import one_of
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

DIGEST = "digest"
"""The name of the column."""
_SEPARATOR = "\x1f"
"""Separates the texts of two columns; no point of sale writes it."""


def digest_column(digest: str | None, table: str, columns: Sequence[str]) -> str:
    """Return a further column for a SELECT: the digest of these columns. Empty without digests."""
    if digest is None:
        return ""
    texts = f", '{_SEPARATOR}', ".join(f"{table}.{column}" for column in columns)
    return f", {digest.format(columns=texts)} AS {DIGEST}"


def document_digest(header: bytes, lines: Iterable[bytes]) -> str:
    """Return the digest of a document, from those of its header and its lines in their order. 64 hex digits."""
    return hashlib.sha256(b"".join([header, *lines])).hexdigest()


def read_digests(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> dict[int, str]:
    """Return the digests by id, without deleted rows. Empty when digests are not in use."""
    digest = tx.digest
    if digest is None or not ids:
        return {}
    placeholders, parameters = one_of(ids)
    lines: dict[int, list[bytes]] = defaultdict(list)
    headers = tx.rows(_headers(document_type, digest).format(ids=placeholders), parameters)
    for parent, line_digest in tx.rows(_lines(document_type, digest).format(ids=placeholders), parameters):
        lines[parent].append(line_digest)
    return {id_: document_digest(header_digest, lines[id_]) for id_, header_digest in headers}


async def try_digests(
    db: SalesDb, document_types: Collection[DocumentType], columns: ColumnTypes | None = None
) -> None:
    """Use digests from now on, unless the server refuses them, or they would not tell all rows apart. Waits for a
    server that is unavailable.

    A server refuses when it is too old (SQL Server before 2016 hashes at most 8,000 bytes), or when the columns have
    collations that cannot be concatenated. They do not tell all rows apart if the text of a type loses digits.
    `columns`: the types of the columns; they are read if they are not given.
    """
    types = await until_available(lambda: read_column_types(db), "read column types") if columns is None else columns
    whole = await db.transaction(lambda tx: tx.dialect.digests_all_of if tx.dialect.digest else None)
    if whole is not None and (unsafe := _not_among(whole, types, document_types)):
        db.digests = False
        log.warning("digests.not_exact", columns=unsafe, action=_ACTION)
        return

    def read(tx: Transaction) -> None:
        if tx.digest is not None:
            tx.rows(f"SELECT {tx.digest.format(columns=_OVER_8000_BYTES)}")
        for document_type in document_types:
            read_digests(tx, document_type, [0])

    db.digests = True
    try:
        await until_available(lambda: db.transaction(read), "read digests")
    except StoreError as error:
        db.digests = False
        log.warning("digests.refused", error=str(error), action=_ACTION)


def _not_among(whole: Collection[str], types: ColumnTypes, document_types: Iterable[DocumentType]) -> list[str]:
    """Return the columns that are of another type, or of an unknown one."""
    names = dict.fromkeys(pair for document_type in document_types for pair in digested_columns(document_type))
    return [
        f"{table}.{name}: {column or 'unknown'}"
        for table, name in names
        if (column := column_of(types, table, name)) is None or column.type not in whole
    ]


_OVER_8000_BYTES = f"'{'x' * 8_001}', ''"
_ACTION = "none is needed: rows are read in full instead, which costs a worker some throughput"


def _headers(document_type: DocumentType, digest: str) -> str:
    # name: digests of headers
    return (
        f"SELECT d.id{digest_column(digest, 'd', document_type.sent_columns)} "  # noqa: S608
        f"FROM dbo.{document_type.table} d WHERE d.id IN ({{ids}})"
    )


def _lines(document_type: DocumentType, digest: str) -> str:
    # name: digests of lines
    return (
        f"SELECT l.{document_type.lines_parent_column} AS parent"  # noqa: S608
        f"{digest_column(digest, 'l', document_type.line_columns)} "
        f"FROM dbo.{document_type.lines_table} l WHERE l.{document_type.lines_parent_column} IN ({{ids}}) "
        f"ORDER BY l.{document_type.lines_parent_column}, l.id"
    )
