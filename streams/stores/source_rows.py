"""Reads of documents as the till wrote them: header, lines, sync state in two statements for many documents."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import zip_longest

from pydantic import SecretStr

from streams.documents.document import DocumentType, Row
from streams.domain.account import Account
from streams.runtime.frozen import frozen
from streams.stores.row_digests import DIGEST, beside, whole
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import one_of
from streams.stores.sync_state import STATE_COLUMNS, SyncState, read_state


@frozen
class FoundDocument:
    """One document at one moment."""

    header: Row = field(repr=False)
    lines: Sequence[Row] = field(repr=False)
    state: SyncState | None
    """None: never claimed and never enrolled."""
    digest: str | None = None
    """`streams.stores.row_digests` of header and lines."""
    is_readable: bool = True
    """False: what is in the row cannot be read; the header has nothing but whether it is pending."""

    @property
    def pending(self) -> bool:
        return bool(self.header["pending"])


class SourceRows:
    def __init__(self, db: SalesDb) -> None:
        self._db = db

    async def read(self, document_type: DocumentType, ids: Sequence[int]) -> list[FoundDocument | None]:
        """In the order of `ids`; None where the row has vanished. Raises `StoreError`."""

        def ask(tx: Transaction) -> dict[int, FoundDocument]:
            return read_documents(tx, document_type, ids)

        found = await self._db.transaction(ask)
        return [found.get(id_) for id_ in ids]

    async def read_state_alone(self, document_type: DocumentType, ids: Sequence[int]) -> list[FoundDocument | None]:
        """As `read`, of rows that cannot be read: nothing of what a till wrote is looked into."""
        marks, parameters = one_of(ids)
        sql = _states(document_type).format(ids=marks)
        rows = await self._db.transaction(lambda tx: tx.dicts(sql, [document_type.name, *parameters]))
        found = {row["id"]: FoundDocument(row, [], read_state(row), is_readable=False) for row in rows}
        return [found.get(id_) for id_ in ids]

    async def accounts(self, shops: Sequence[str]) -> list[list[Account]]:
        """The active accounts of each shop: one, if all is well. Raises `StoreError`."""
        found = await self._db.transaction(lambda tx: _accounts(tx, shops))
        return [found[shop] for shop in shops]

    async def read_with_accounts(
        self, document_type: DocumentType, wanted: Sequence[tuple[int, str]]
    ) -> list[tuple[FoundDocument | None, list[Account]]]:
        """Both at once, for ids and the shops that are to send them. Raises `StoreError`."""
        ids, shops = [id_ for id_, _ in wanted], [shop for _, shop in wanted]

        def ask(tx: Transaction) -> tuple[dict[int, FoundDocument], Mapping[str, list[Account]]]:
            return read_documents(tx, document_type, ids), _accounts(tx, shops)

        found, accounts = await self._db.transaction(ask)
        return [(found.get(id_), accounts[shop]) for id_, shop in wanted]


def read_documents(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> dict[int, FoundDocument]:
    """By id; those are missing whose row has vanished."""
    marks, parameters = one_of(ids)
    headers = tx.dicts(_headers(document_type, tx.digest).format(ids=marks), [document_type.name, *parameters])
    lines = _lines_of(tx, document_type, ids, _lines(document_type, tx.digest))
    return {row["id"]: _found(row, lines[row["id"]]) for row in headers}


def _found(header: Row, lines: Sequence[Row]) -> FoundDocument:
    digest = whole(header[DIGEST], [line[DIGEST] for line in lines]) if DIGEST in header else None
    return FoundDocument(header, lines, read_state(header), digest)


def read_versions(
    tx: Transaction, document_type: DocumentType, ids: Sequence[int]
) -> dict[int, tuple[Row, Sequence[Row]]]:
    """What goes to the national system alone: header and lines."""
    marks, parameters = one_of(ids)
    headers = tx.dicts(_versions(document_type).format(ids=marks), parameters)
    lines = _lines_of(tx, document_type, ids, _lines(document_type))
    return {row["id"]: (row, lines[row["id"]]) for row in headers}


def _lines_of(tx: Transaction, document_type: DocumentType, ids: Sequence[int], sql: str) -> Mapping[int, list[Row]]:
    marks, parameters = one_of(ids)
    lines: dict[int, list[Row]] = defaultdict(list)
    for line in tx.dicts(sql.format(ids=marks), parameters):
        lines[line["parent"]].append(line)
    return lines


def _accounts(tx: Transaction, shops: Sequence[str]) -> Mapping[str, list[Account]]:
    accounts: dict[str, list[Account]] = defaultdict(list)
    for codes in _apart(shops):
        marks, parameters = one_of(codes)
        which = " ".join(f"WHEN ? THEN {place}" for place in range(len(parameters)))
        rows = tx.rows(_ACCOUNTS.format(which=which, shops=marks), [*parameters, *parameters])
        for place, shop, username, password in rows:
            # The columns may be null; such a log-in is refused, as any wrong one.
            accounts[codes[place]].append(Account(shop, username or "", SecretStr(password or "")))
    return accounts


def _apart(codes: Sequence[str]) -> list[list[str]]:
    """All of them, each once; no list has two that a collation may take for the same.

    Whether two are the same is the server's to say: by its collation, letters may be alike in either case, and
    blanks at the end are nothing. It says so by the place in the list of the one that it found.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        alike[_coarse(code)].append(code)
    return [[code for code in turn if code is not None] for turn in zip_longest(*alike.values())]


def _coarse(code: str) -> str:
    """Without case, accents, width and blanks at the end."""
    plain = unicodedata.normalize("NFKD", code.casefold()).replace("đ", "d")
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).rstrip()


def _versions(document_type: DocumentType) -> str:
    # name: read headers as they are sent
    return f"SELECT d.id, {', '.join(f'd.{c}' for c in document_type.sent_columns)} FROM dbo.{document_type.table} d WHERE d.id IN ({{ids}})"  # noqa: S608


def _headers(document_type: DocumentType, digest: str | None) -> str:
    columns = (*document_type.sent_columns, "shop_pharmacy_code", "status")
    # name: read headers and what is known of them; whether one is pending is for the server's collation to say
    return (
        f"SELECT d.id, {', '.join(f'd.{c}' for c in columns)}, {', '.join(f's.{c}' for c in STATE_COLUMNS)}, "  # noqa: S608
        f"CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending{beside(digest, 'd', document_type.sent_columns)} "
        f"FROM dbo.{document_type.table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id WHERE d.id IN ({{ids}})"
    )


def _states(document_type: DocumentType) -> str:
    # name: whether rows are pending, and what is known of them
    return (
        f"SELECT d.id, {', '.join(f's.{c}' for c in STATE_COLUMNS)}, "  # noqa: S608
        "CASE WHEN d.status = 'PENDING_SYNC' THEN 1 ELSE 0 END AS pending "
        f"FROM dbo.{document_type.table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id WHERE d.id IN ({{ids}})"
    )


def _lines(document_type: DocumentType, digest: str | None = None) -> str:
    # name: read lines
    return (
        f"SELECT l.{document_type.lines_parent_column} AS parent, {', '.join(f'l.{c}' for c in document_type.line_columns)}"  # noqa: S608
        f"{beside(digest, 'l', document_type.line_columns)} "
        f"FROM dbo.{document_type.lines_table} l WHERE l.{document_type.lines_parent_column} IN ({{ids}}) "
        f"ORDER BY l.{document_type.lines_parent_column}, l.id"
    )


# name: read active accounts
_ACCOUNTS = (
    "SELECT CASE a.shop_pharmacy_code {which} END, a.shop_pharmacy_code, a.account, a.password FROM dbo.AccountShop a "
    "WHERE a.status = 1 AND a.shop_pharmacy_code IN ({shops})"
)
