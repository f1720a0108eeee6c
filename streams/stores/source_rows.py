"""Reads of documents as the till wrote them: header, lines, sync state in two statements for many documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from streams.documents.document import DocumentKind, Row
from streams.national_api.account import Account
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.sql import one_of
from streams.stores.sync_state import STATE_COLUMNS, SyncState, read_state


@dataclass(frozen=True, slots=True)
class Found:
    """One document at one moment."""

    header: Row
    lines: Sequence[Row]
    state: SyncState | None
    """None: never claimed and never enrolled."""

    @property
    def pending(self) -> bool:
        return bool(self.header["status"] == "PENDING_SYNC")


class SourceRows:
    def __init__(self, db: SalesDb) -> None:
        self._db = db

    async def read(self, kind: DocumentKind, ids: Sequence[int]) -> list[Found | None]:
        """In the order of `ids`; None where the row has vanished. Raises `StoreError`."""

        async def both(tx: Transaction) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
            marks, parameters = one_of(ids)
            headers = await tx.dicts(_headers(kind).format(ids=marks), [kind.name, *parameters])
            lines = await tx.dicts(_lines(kind).format(ids=marks), parameters)
            return headers, lines

        headers, lines = await self._db.transaction(both)
        lines_of: dict[int, list[Row]] = defaultdict(list)
        for line in lines:
            lines_of[line["parent"]].append(line)
        found = {row["id"]: Found(row, lines_of[row["id"]], read_state(row)) for row in headers}
        return [found.get(id_) for id_ in ids]

    async def accounts(self, shops: Sequence[str]) -> list[list[Account]]:
        """The active accounts of each shop: one, if all is well. Raises `StoreError`."""

        async def ask(tx: Transaction) -> list[tuple[Any, ...]]:
            marks, parameters = one_of(shops)
            return await tx.rows(_ACCOUNTS.format(shops=marks), parameters)

        accounts: dict[str, list[Account]] = defaultdict(list)
        for shop, username, password in await self._db.transaction(ask):
            # The columns may be null; such a log-in is refused, as any wrong one.
            accounts[shop].append(Account(shop, username or "", SecretStr(password or "")))
        return [accounts[shop] for shop in shops]


def _headers(kind: DocumentKind) -> str:
    columns = (kind.own_code_column, "pharmacy_code", "shop_pharmacy_code", "status", *kind.header_columns)
    # name: read headers and what is known of them
    return (
        f"SELECT d.id, {', '.join(f'd.{c}' for c in columns)}, {', '.join(f's.{c}' for c in STATE_COLUMNS)} "  # noqa: S608
        f"FROM dbo.{kind.table} d LEFT JOIN dbo.SaleSync s ON s.kind = ? AND s.id = d.id WHERE d.id IN ({{ids}})"
    )


def _lines(kind: DocumentKind) -> str:
    # name: read lines
    return (
        f"SELECT l.{kind.lines_parent_column} AS parent, {', '.join(f'l.{c}' for c in kind.line_columns)} "  # noqa: S608
        f"FROM dbo.{kind.lines_table} l WHERE l.{kind.lines_parent_column} IN ({{ids}}) "
        f"ORDER BY l.{kind.lines_parent_column}, l.id"
    )


# name: read active accounts
_ACCOUNTS = (
    "SELECT a.shop_pharmacy_code, a.account, a.password FROM dbo.AccountShop a "
    "WHERE a.status = 1 AND a.shop_pharmacy_code IN ({shops})"
)
