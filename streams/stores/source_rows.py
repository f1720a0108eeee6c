"""Read documents as the point of sale wrote them: header, lines and sync state of many, in two statements."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import zip_longest

from pydantic import SecretStr

from streams.documents.document import DocumentType, Row
from streams.domain.account import Account
from streams.domain.document_codes import DocumentCodes
from streams.domain.document_status import Operation
from streams.runtime.frozen import frozen
from streams.stores.row_digests import DIGEST, digest_column, document_digest
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql_fragments import OPERATION, one_of
from streams.stores.sync_state import STATE_COLUMNS, SyncState, read_state


@frozen
class FoundDocument:
    """A document as it was read at one moment."""

    header: Row = field(repr=False)
    lines: Sequence[Row] = field(repr=False)
    state: SyncState | None
    """None if the document was never claimed and never enrolled."""
    digest: str | None = None
    """Digest of header and lines, see `streams.stores.row_digests`; None without digests."""
    is_readable: bool = True
    """False if the rows cannot be read; the header then only says what the row asks for."""

    @property
    def operation(self) -> Operation | None:
        """What the row asks for; None if the document is not pending."""
        value = self.header["operation"]
        return None if value < 0 else Operation(value)


class SourceRows:
    """Reads documents and accounts, each method in one transaction."""

    def __init__(self, db: SalesDb) -> None:
        self._db = db

    async def read(self, document_type: DocumentType, ids: Sequence[int]) -> list[FoundDocument | None]:
        """Read documents, in the order of `ids`; None for deleted rows. Raises `StoreError`."""

        def read(tx: Transaction) -> dict[int, FoundDocument]:
            return read_documents(tx, document_type, ids)

        found = await self._db.transaction(read)
        return [found.get(id_) for id_ in ids]

    async def read_state_alone(self, document_type: DocumentType, ids: Sequence[int]) -> list[FoundDocument | None]:
        """Read only the sync state, and what each row asks for, for rows whose other columns cannot be read.

        The result is in the order of `ids`, with None for deleted rows. Raises `StoreError`.
        """
        placeholders, parameters = one_of(ids)
        sql = _states(document_type).format(ids=placeholders)
        rows = await self._db.transaction(lambda tx: tx.dicts(sql, [document_type.name, *parameters]))
        found = {row["id"]: FoundDocument(row, [], read_state(row), is_readable=False) for row in rows}
        return [found.get(id_) for id_ in ids]

    async def has_other(self, document_type: DocumentType, codes: DocumentCodes, id_: int) -> bool:
        """Return whether another row than `id_` has these codes. Raises `StoreError`."""
        sql = _OTHERS.format(table=document_type.table, code=document_type.document_code_column)
        parameters = [codes.document_code, codes.facility_code, id_]
        return bool(await self._db.transaction(lambda tx: tx.rows(tx.dialect.first(sql, 1), parameters)))

    async def is_of_another(self, document_type: DocumentType, codes: DocumentCodes, id_: int) -> bool:
        """Return whether the document of another row than `id_` was accepted under these codes. Raises `StoreError`."""
        sql = _ACCEPTED_UNDER.format(table=document_type.table)
        parameters = [document_type.name, codes.document_code, codes.facility_code, id_]
        return bool(await self._db.transaction(lambda tx: tx.rows(tx.dialect.first(sql, 1), parameters)))

    async def accounts(self, shops: Sequence[str]) -> list[list[Account]]:
        """Return the active accounts of each shop, which should be exactly one. Raises `StoreError`."""
        found = await self._db.transaction(lambda tx: _accounts(tx, shops))
        return [found[shop] for shop in shops]

    async def accounts_without_locked(self, shops: Sequence[str]) -> list[list[Account]]:
        """Return the same as `accounts`, without waiting for those that others keep locked, which are left out."""
        found = await self._db.transaction(lambda tx: _accounts(tx, shops, tx.dialect.skip_locked))
        return [found[shop] for shop in shops]

    async def read_with_accounts(
        self, document_type: DocumentType, wanted: Sequence[tuple[int, str]]
    ) -> list[tuple[FoundDocument | None, list[Account]]]:
        """Read documents together with the active accounts of their shops. `wanted`: pairs of id and shop code.

        Raises `StoreError`.
        """
        ids, shops = [id_ for id_, _ in wanted], [shop for _, shop in wanted]

        def read(tx: Transaction) -> tuple[dict[int, FoundDocument], Mapping[str, list[Account]]]:
            return read_documents(tx, document_type, ids), _accounts(tx, shops)

        found, accounts = await self._db.transaction(read)
        return [(found.get(id_), accounts[shop]) for id_, shop in wanted]


def read_documents(tx: Transaction, document_type: DocumentType, ids: Sequence[int]) -> dict[int, FoundDocument]:
    """Read documents by id; deleted rows are left out."""
    placeholders, parameters = one_of(ids)
    headers = tx.dicts(_headers(document_type, tx.digest).format(ids=placeholders), [document_type.name, *parameters])
    lines = _lines_of(tx, document_type, ids, _lines(document_type, tx.digest))
    return {row["id"]: _found(row, lines[row["id"]]) for row in headers}


def _found(header: Row, lines: Sequence[Row]) -> FoundDocument:
    digest = document_digest(header[DIGEST], [line[DIGEST] for line in lines]) if DIGEST in header else None
    return FoundDocument(header, lines, read_state(header), digest)


def read_versions(
    tx: Transaction, document_type: DocumentType, ids: Sequence[int]
) -> dict[int, tuple[Row, Sequence[Row]]]:
    """Read only what is sent to the national system, header and lines, by id."""
    placeholders, parameters = one_of(ids)
    headers = tx.dicts(_versions(document_type).format(ids=placeholders), parameters)
    lines = _lines_of(tx, document_type, ids, _lines(document_type))
    return {row["id"]: (row, lines[row["id"]]) for row in headers}


def _lines_of(tx: Transaction, document_type: DocumentType, ids: Sequence[int], sql: str) -> Mapping[int, list[Row]]:
    placeholders, parameters = one_of(ids)
    lines: dict[int, list[Row]] = defaultdict(list)
    for line in tx.dicts(sql.format(ids=placeholders), parameters):
        lines[line["parent"]].append(line)
    return lines


def _accounts(tx: Transaction, shops: Sequence[str], hint: str = "") -> Mapping[str, list[Account]]:
    accounts: dict[str, list[Account]] = defaultdict(list)
    for codes in _without_equal_codes(shops):
        placeholders, parameters = one_of(codes)
        which = " ".join(f"WHEN ? THEN {index}" for index in range(len(parameters)))
        rows = tx.rows(_ACCOUNTS.format(which=which, shops=placeholders, hint=hint), [*parameters, *parameters])
        for index, shop, username, password in rows:
            # The columns may be NULL; a log-in with an empty text is refused like any wrong one.
            accounts[codes[index]].append(Account(shop, username or "", SecretStr(password or "")))
    return accounts


def _without_equal_codes(codes: Sequence[str]) -> list[list[str]]:
    """Distribute the codes over lists, each code once, so that no list has two that a collation may consider equal.

    Only the server knows which codes are equal: its collation may ignore case, and blanks at the end. It answers with
    the index of the code that it matched, which is unambiguous only without equal codes in the list.
    """
    similar: dict[str, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        similar[_simplified(code)].append(code)
    return [[code for code in column if code is not None] for column in zip_longest(*similar.values())]


def _simplified(code: str) -> str:
    """Return the code without case, accents, character width and blanks at the end."""
    decomposed = unicodedata.normalize("NFKD", code.casefold()).replace("đ", "d")
    return "".join(char for char in decomposed if not unicodedata.combining(char)).rstrip()


def _versions(document_type: DocumentType) -> str:
    # name: read the header columns that are sent
    return (
        f"SELECT d.id, {', '.join(f'd.{c}' for c in document_type.sent_columns)} "  # noqa: S608
        f"FROM dbo.{document_type.table} d WHERE d.id IN ({{ids}})"
    )


def _headers(document_type: DocumentType, digest: str | None) -> str:
    columns = (*document_type.sent_columns, "shop_pharmacy_code", "status", *_history_columns(document_type))
    # name: read headers and sync states
    return (
        f"SELECT d.id, {', '.join(f'd.{c}' for c in columns)}, {', '.join(f's.{c}' for c in STATE_COLUMNS)}, "  # noqa: S608
        f"{OPERATION} AS operation"
        f"{digest_column(digest, 'd', document_type.sent_columns)} "
        f"FROM dbo.{document_type.table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
        "WHERE d.id IN ({ids})"
    )


def _history_columns(document_type: DocumentType) -> tuple[str, ...]:
    """Return the columns by which a row tells whether it is as it was inserted."""
    return (document_type.national_id_column, "created_at", "updated_at")


def _states(document_type: DocumentType) -> str:
    # name: read sync states, and what rows ask for
    return (
        f"SELECT d.id, {', '.join(f's.{c}' for c in STATE_COLUMNS)}, "  # noqa: S608
        f"{OPERATION} AS operation "
        f"FROM dbo.{document_type.table} d LEFT JOIN dbo.SaleSync s ON s.document_type = ? AND s.id = d.id "
        "WHERE d.id IN ({ids})"
    )


def _lines(document_type: DocumentType, digest: str | None = None) -> str:
    # name: read lines
    return (
        f"SELECT l.{document_type.lines_parent_column} AS parent, "  # noqa: S608
        f"{', '.join(f'l.{c}' for c in document_type.line_columns)}"
        f"{digest_column(digest, 'l', document_type.line_columns)} "
        f"FROM dbo.{document_type.lines_table} l WHERE l.{document_type.lines_parent_column} IN ({{ids}}) "
        f"ORDER BY l.{document_type.lines_parent_column}, l.id"
    )


# name: other rows with the codes of a document
_OTHERS = "SELECT d.id FROM dbo.{table} d WHERE d.{code} = ? AND d.pharmacy_code = ? AND d.id <> ? ORDER BY d.id"
# name: other documents that were accepted under some codes; those of deleted rows have no row that they belong to
_ACCEPTED_UNDER = (
    "SELECT s.id FROM dbo.SaleSync s JOIN dbo.{table} d ON d.id = s.id WHERE s.document_type = ? "
    "AND s.stored_document_code = ? AND s.stored_facility_code = ? AND s.id <> ? ORDER BY s.id"
)
# name: read active accounts
_ACCOUNTS = (
    "SELECT CASE a.shop_pharmacy_code {which} END, a.shop_pharmacy_code, a.account, a.password FROM dbo.AccountShop a"
    "{hint} WHERE a.status = 1 AND a.shop_pharmacy_code IN ({shops})"
)
