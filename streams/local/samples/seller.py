"""A chain's shops: they commit sales, purchase receipts and goods issues into the local database, and its office mends
what is wrong with accounts."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from streams.documents.document import DocumentType
from streams.local.database import SALES, SalesDatabase
from streams.local.samples.sales import HEADER_COLUMNS, LINE_COLUMNS, Fault, Header, Line, Sale, make_sale
from streams.local.samples.shops import Account, Shop, Trouble, make_shops
from streams.local.samples.stock import STOCK_TYPES, StockDocument, make_stock_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_LATE_AFTER = (0.5, 2.0)
_ACTIVE, _CLOSED = 1, 0
STOCK_SHARE = {"purchase_receipt": 8, "goods_issue": 3}
"""Of a hundred sales: so many receipts and issues come with them."""


@dataclass(frozen=True, slots=True)
class Mended:
    accounts: list[Account]
    """What the national system has to know from now on."""
    words: list[str]
    """What was done, for a person."""


@dataclass(frozen=True, slots=True)
class _LateLines:
    due: float
    commit: Callable[[], None]


class Seller:
    """Shops, their accounts and their documents in one database. May be used from several threads.

    Documents are a function of `seed` and their number, which is their id: the same database and seed go on where they
    stopped. Close it, or its late lines are lost and those documents end as documents without lines.
    """

    def __init__(
        self,
        database: SalesDatabase,
        *,
        seed: int = 1,
        shops: int = 12,
        fault_share: float = 0.06,
        fault_kinds: Sequence[Fault] = tuple(Fault),
        now: Callable[[], datetime] = lambda: datetime.now(_ZONE),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` is the pharmacies' wall clock. Raises `ValueError` where it holds another seed's shops."""
        if shops < 1 or not 0 <= fault_share <= 1 or (fault_share and not fault_kinds):
            raise ValueError("a seller has at least one shop, and a share of faults from 0 to 1 of some kinds")
        self.shops: Sequence[Shop] = make_shops(seed, shops)
        """The last ones are those with a `Trouble`."""
        self.sales: list[Sale] = []
        """All that this seller has committed, in order."""
        self.stock: list[StockDocument] = []
        """The receipts and issues that it has committed, in order."""
        self._seed = seed
        self._faults = (fault_share, tuple(fault_kinds))
        self._now = now
        self._monotonic = monotonic
        self._late: list[_LateLines] = []
        self._lock = RLock()
        self._point_of_sale = database.connect()
        try:
            self._move_in(database)
        except BaseException:
            self._point_of_sale.close()
            raise

    @property
    def accounts(self) -> list[Account]:
        """What the national system has to know: the right password of every shop that has an account."""
        with self._lock:
            rows = self._point_of_sale.execute("SELECT DISTINCT shop_pharmacy_code FROM AccountShop").fetchall()
        known = {code for (code,) in rows}
        return [shop.as_account() for shop in self.shops if shop.code in known]

    @property
    def pharmacy_codes(self) -> list[str]:
        """Every ma_co_so that sales carry."""
        return [shop.pharmacy_code for shop in self.shops]

    @property
    def late(self) -> int:
        """Documents whose lines are not committed yet."""
        return len(self._late)

    def sell(self, count: int, *, per_commit: int = 250) -> list[Sale]:
        """Commits `count` sales, at most `per_commit` in a transaction. Late lines are left to `pump`."""
        sold: list[Sale] = []
        while len(sold) < count:
            sold += self._sell_in_one_commit(min(per_commit, count - len(sold)))
        return sold

    def trade(self, count: int) -> list[Sale]:
        """Commits `count` sales, and of receipts and issues as many as a shop has with all its sales so far."""
        sold = self.sell(count)
        for document_type in STOCK_TYPES:
            due = len(self.sales) * STOCK_SHARE[document_type.name] // 100
            there = sum(document.document_type is document_type for document in self.stock)
            self.commit(document_type, due - there)
        return sold

    def commit(self, document_type: DocumentType, count: int) -> list[StockDocument]:
        """Commits `count` receipts or issues in one transaction. Late lines are left to `pump`."""
        if count <= 0:
            return []
        with self._selling(document_type.table) as last_id:
            made = [
                make_stock_document(document_type, self._seed, number, self.shops, self._now(), *self._faults)
                for number in range(last_id + 1, last_id + count + 1)
            ]
            self._insert(document_type.table, [each.header for each in made])
            at_once = [each for each in made if each.document.fault is not Fault.LATE_LINES]
            self._insert(document_type.lines_table, [line for each in at_once for line in each.lines])
            self._point_of_sale.used(last_id + count, document_type.table)
        with self._lock:
            self._late += [
                _LateLines(
                    self._monotonic() + self._delay(each.document.id),
                    partial(self._insert, document_type.lines_table, each.lines),
                )
                for each in made
                if each.document.fault is Fault.LATE_LINES
            ]
            documents = [each.document for each in made]
            self.stock += documents
        return documents

    def pump(self) -> int:
        """Commits the late lines whose time has come; of how many documents."""
        return self._commit_late(self._monotonic())

    def finish(self) -> int:
        """Commits all late lines at once; of how many documents."""
        return self._commit_late(math.inf)

    def mend(self) -> Mended:
        """Puts the accounts right, so that the sales that wait for them go out. May be called again."""
        troubled = [shop for shop in self.shops if shop.trouble]
        with self._selling():
            words = [self._mend(shop) for shop in troubled]
        return Mended([shop.as_account() for shop in troubled], words)

    def close(self) -> None:
        with self._lock:
            self.finish()
            self._point_of_sale.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sell_in_one_commit(self, count: int) -> list[Sale]:
        with self._selling() as last_id:
            first = 1 + last_id
            made = [
                make_sale(self._seed, number, self.shops, self._now(), *self._faults)
                for number in range(first, first + count)
            ]
            self._insert_headers([header for header, _ in made])
            self._insert_lines(
                [(header.sale.id, lines) for header, lines in made if header.sale.fault is not Fault.LATE_LINES]
            )
            self._point_of_sale.used(last_id + count)
        with self._lock:
            self._late += [
                _LateLines(
                    self._monotonic() + self._delay(header.sale.id),
                    partial(self._insert_lines, [(header.sale.id, lines)]),
                )
                for header, lines in made
                if header.sale.fault is Fault.LATE_LINES
            ]
            sold = [header.sale for header, _ in made]
            self.sales += sold
        return sold

    def _delay(self, id_: int) -> float:
        return random.Random(f"late {self._seed} {id_}").uniform(*_LATE_AFTER)

    def _insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """All rows with the columns of the first."""
        if rows:
            columns = ", ".join(rows[0])
            sql = f"INSERT INTO {table} ({columns}) VALUES ({_marks(columns)})"  # noqa: S608
            self._point_of_sale.executemany(sql, [tuple(row.values()) for row in rows])

    def _insert_headers(self, headers: Sequence[Header]) -> None:
        rows = [header.row() for header in headers]
        self._point_of_sale.executemany(_INSERT_HEADER, rows)

    def _insert_lines(self, sales: Sequence[tuple[int, list[Line]]]) -> None:
        rows = [line.row(sale_id) for sale_id, lines in sales for line in lines]
        self._point_of_sale.executemany(_INSERT_LINE, rows)

    def _commit_late(self, until: float) -> int:
        with self._lock:
            now = [late for late in self._late if late.due <= until]
            if now:
                with self._selling():
                    for late in now:
                        late.commit()
                self._late = [late for late in self._late if late.due > until]
        return len(now)

    def _move_in(self, database: SalesDatabase) -> None:
        """Writes the shops' accounts where there are none."""
        with self._selling():
            found = self._point_of_sale.execute("SELECT account, password FROM AccountShop WHERE status = 1").fetchall()
            rows = {tuple(row) for row in found}
            if not rows:
                for shop in self.shops:
                    self._open_accounts(shop)
            elif not rows >= {(shop.account, shop.password) for shop in self.shops if not shop.trouble}:
                raise ValueError(f"{database.place} holds shops of another seed or number: use that, or a new one")

    def _open_accounts(self, shop: Shop) -> None:
        match shop.trouble:
            case Trouble.UNKNOWN:
                return
            case Trouble.WRONG_PASSWORD:
                self._add_account(shop, shop.account, f"sai-{shop.password[4:]}", _ACTIVE)
                return
            case Trouble.TWO_ACCOUNTS:
                self._add_account(shop, _old_account(shop), "mat-khau-cu", _ACTIVE)
            case None:  # most have moved to a new account once, and the old one stays in the table
                self._add_account(shop, _old_account(shop), "mat-khau-cu", _CLOSED)
        self._add_account(shop, shop.account, shop.password, _ACTIVE)

    def _add_account(self, shop: Shop, account: str, password: str, status: int) -> None:
        self._point_of_sale.execute(
            "INSERT INTO AccountShop (shop_pharmacy_code, pharmacy_code, account, password, shop_name, status) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (shop.code, shop.pharmacy_code, account, password, shop.name, status),
        )

    def _mend(self, shop: Shop) -> str:
        match shop.trouble:
            case Trouble.UNKNOWN:
                if shop.as_account() not in self.accounts:
                    self._add_account(shop, shop.account, shop.password, _ACTIVE)
                return f"{shop.code} ({shop.name}) has an account now"
            case Trouble.WRONG_PASSWORD:
                self._point_of_sale.execute(
                    "UPDATE AccountShop SET password = ? WHERE shop_pharmacy_code = ?", (shop.password, shop.code)
                )
                return f"{shop.code} ({shop.name}) has the right password now"
            case _:
                self._point_of_sale.execute(
                    "UPDATE AccountShop SET status = ? WHERE shop_pharmacy_code = ? AND account <> ?",
                    (_CLOSED, shop.code, shop.account),
                )
                return f"{shop.code} ({shop.name}) has one active account now, the old one is closed"

    @contextmanager
    def _selling(self, table: str = SALES) -> Iterator[int]:
        with self._lock, self._point_of_sale.selling(table) as last_id:
            yield last_id


def _old_account(shop: Shop) -> str:
    return f"{shop.account}.cu"


def _marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(","))


_INSERT_HEADER = f"INSERT INTO SalesInvoices ({HEADER_COLUMNS}) VALUES ({_marks(HEADER_COLUMNS)})"  # noqa: S608
_INSERT_LINE = f"INSERT INTO SalesInvoiceDetails ({LINE_COLUMNS}) VALUES ({_marks(LINE_COLUMNS)})"  # noqa: S608
