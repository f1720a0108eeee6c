"""Points of sale that sell, receive and issue all the while, an office that edits, requests again and withdraws, and
somebody who writes junk into topics.

They do not give up when the database is away, and know which decision each sale must get.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyodbc
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, PURCHASE_RECEIPT, SALE
from streams.documents.document import DocumentType
from streams.domain.document_status import Status
from streams.local.database import SALES, PointOfSale, Rows
from streams.local.samples import REFUSED_DRUG_CODE, Fault, Seller
from streams.local.samples.sales import make_sale
from streams.local.samples.seller import STOCK_SHARE
from streams.local.samples.stock import STOCK_TYPES
from streams.local.shops import mend_accounts
from streams.local.stack import CHANGE_TOPIC
from tests.harness.chaos.judge import Expected, Junk
from tests.harness.chaos.withdrawals import Withdrawals
from tests.harness.chaos.world import ChaosStack

FAULT_SHARE = 0.12
EDIT_SHARE = 0.15
PENDING_EDIT_SHARE = 0.05
_MEND_AT = 0.5
"""Of the sales: the office puts wrong accounts right then, and what waited for them goes out amid the faults."""
ODD = "ODD-"
"""How the codes of sales begin that somebody else plants: the office leaves them alone."""
_JUNK = (b"\xff no event", b"{", b'{"op": "c"}', b"[]", b'"text"', b'{"schema_version": 1}')

_MENDED = {
    Fault.MISSING_LOT: "UPDATE SalesInvoiceDetails SET lot_number = 'L0901' WHERE lot_number = '' ",
    Fault.EMPTY_DOSAGE: "UPDATE SalesInvoiceDetails SET dosage = 'Ngày 2 viên' WHERE dosage = '' ",
    Fault.NEGATIVE_AMOUNT: "UPDATE SalesInvoiceDetails SET quantity = -quantity, line_total = -line_total "
    "WHERE quantity < 0 ",
    Fault.REFUSED_DRUG: "UPDATE SalesInvoiceDetails SET drug_code = 'DQG00000001' "  # noqa: S608
    f"WHERE drug_code = '{REFUSED_DRUG_CODE}' ",
}
_TYPE = {PURCHASE_RECEIPT.name: "receipt_type", GOODS_ISSUE.name: "issue_type"}


class PersistentPointOfSale:
    """A connection of a point of sale that is opened again after it broke; what was on its way is the caller's to
    repeat.
    """

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        self._point_of_sale: PointOfSale | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        with self._kept() as point_of_sale:
            return point_of_sale.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        with self._kept() as point_of_sale:
            return point_of_sale.executemany(sql, rows)

    @contextmanager
    def selling(self, table: str = SALES) -> Iterator[int]:
        with self._kept() as point_of_sale, point_of_sale.selling(table) as last_id:
            yield last_id

    def used(self, last_id: int, table: str = SALES) -> None:
        with self._kept() as point_of_sale:
            point_of_sale.used(last_id, table)

    def close(self) -> None:
        point_of_sale, self._point_of_sale = self._point_of_sale, None
        if point_of_sale is not None:
            with suppress(pyodbc.Error):
                point_of_sale.close()

    @contextmanager
    def _kept(self) -> Iterator[PointOfSale]:
        try:
            self._point_of_sale = self._point_of_sale or self._stack.database.connect()
            yield self._point_of_sale
        except pyodbc.Error:
            self.close()
            raise


class _PersistentDatabase:
    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        self.settings = stack.database.settings
        self.place = stack.database.place

    def connect(self) -> PersistentPointOfSale:
        return PersistentPointOfSale(self._stack)


class PointsOfSale:
    """Sells with `run` until all is sold."""

    def __init__(self, stack: ChaosStack, seed: int, sales: int, seconds: float) -> None:
        self._stack = stack
        self._seed = seed
        self._sales = sales
        self._seconds = seconds
        self._database = _PersistentDatabase(stack)
        self.seller = Seller(self._database, seed=seed, fault_share=FAULT_SHARE)
        self._office = self._database.connect()
        self._looked_at: set[tuple[int, bool]] = set()
        self._edited: dict[int, Expected] = {}
        self._unsure: set[int] = set()
        self._stock_looked_at: set[tuple[str, int]] = set()
        self._stock_expected: dict[tuple[str, int], Expected] = {}
        """Of the receipts and issues that were edited or withdrawn."""
        self._withdrawals = Withdrawals(seed)
        self._if_sent: dict[tuple[str, int], Expected] = {}
        """Of the documents that were withdrawn: the decision that each gets if it is sent again."""
        self.withdrawn = 0
        self.mended = False
        self.edits = 0
        self.junk: dict[str, Junk] = {}
        """By key."""

    async def run(self) -> None:
        began = time.monotonic()
        rng = random.Random(f"junk {self._seed}")
        next_junk = 1.0
        while (sold := await self._sold()) < self._sales or self.seller.late:
            elapsed = time.monotonic() - began
            due = min(self._sales, int(elapsed * self._sales / self._seconds) + 1) - sold
            with suppress(pyodbc.Error):
                await asyncio.to_thread(self.seller.pump)
                if due > 0:
                    await asyncio.to_thread(self.seller.sell, min(due, 50), per_commit=5)
                await asyncio.to_thread(self._trade, sold)
                await asyncio.to_thread(self._edit)
                for document_type in STOCK_TYPES:
                    await asyncio.to_thread(self._edit_stock, document_type)
                for document_type in DOCUMENT_TYPES:
                    await asyncio.to_thread(self._withdraw, document_type)
                if not self.mended and sold >= self._sales * _MEND_AT:
                    await asyncio.to_thread(self.mend)
            if elapsed >= next_junk:
                next_junk += rng.uniform(2, 6)
                await self._write_junk(rng)
            await asyncio.sleep(0.2)

    def mend(self) -> None:
        mend_accounts(self.seller, self._stack.simulator_url)
        self.mended = True

    def expected(self, ids: Iterable[int]) -> dict[int, Expected]:
        """Return the expected decision of each sale in the database that was not planted."""
        known = {sale.id for sale in self.seller.sales}
        return {
            id_: Expected(None)
            if id_ in self._unsure or id_ not in known
            else self._edited.get(id_) or _as_sold(self._fault(id_))
            for id_ in ids
        }

    def expected_stock(self, document_type: DocumentType, ids: Iterable[int]) -> dict[int, Expected]:
        """Of each receipt, or each issue, in the database."""
        faults = {each.id: each.fault for each in self.seller.stock if each.document_type is document_type}
        return {
            id_: self._stock_expected.get((document_type.name, id_)) or _as_sold(faults[id_])
            if id_ in faults
            else Expected(None)
            for id_ in ids
        }

    def close(self) -> None:
        self._office.close()
        with suppress(pyodbc.Error):
            self.seller.close()

    async def _sold(self) -> int:
        """Read the sales from the database, because a point of sale does not know whether a commit without an
        answer succeeded.
        """
        while True:
            with suppress(pyodbc.Error):
                found = await asyncio.to_thread(
                    lambda: self._office.execute("SELECT COUNT(*) FROM SalesInvoices").fetchone()
                )
                return int(found[0])
            await asyncio.sleep(0.2)

    def _fault(self, id_: int) -> Fault | None:
        header, _ = make_sale(self._seed, id_, self.seller.shops, datetime.now(UTC), FAULT_SHARE, tuple(Fault))
        return header.sale.fault

    def _trade(self, sold: int) -> None:
        """Receipts and issues come with the sales."""
        for document_type in STOCK_TYPES:
            found = self._office.execute(f"SELECT COUNT(*) FROM {document_type.table}").fetchone()  # noqa: S608
            due = sold * STOCK_SHARE[document_type.name] // 100 - int(found[0])
            self.seller.commit(document_type, min(due, 5))

    def _edit_stock(self, kind: DocumentType) -> None:
        """Some that were accepted are corrected and asked for again; those of a wrong type get a right one."""
        faults = {each.id: each.fault for each in self.seller.stock if each.document_type is kind}
        ended = f"SELECT id, status FROM {kind.table} WHERE status <> 'PENDING_SYNC'"  # noqa: S608
        for id_, status in self._office.execute(ended).fetchall():
            key = (kind.name, id_)
            if key in self._stock_looked_at or id_ not in faults:
                continue
            self._stock_looked_at.add(key)
            if status == "SYNC_SUCCESS" and random.Random(f"edit {self._seed} {key}").random() < EDIT_SHARE:
                change = f"UPDATE {kind.lines_table} SET quantity = quantity + 1 WHERE {kind.lines_parent_column} = ?"  # noqa: S608
            elif faults[id_] is Fault.WRONG_TYPE:
                change = f"UPDATE {kind.table} SET {_TYPE[kind.name]} = 2 WHERE id = ?"  # noqa: S608
            else:
                continue
            self._stock_expected[key] = Expected(None)  # until it is known to be committed
            with self._office.selling():
                self._office.execute(change, (id_,))
                self._office.execute(f"UPDATE {kind.table} SET status = 'PENDING_SYNC' WHERE id = ?", (id_,))  # noqa: S608
            self._stock_expected[key] = Expected("SYNC_SUCCESS")
            self.edits += 1

    def correct_what_nobody_can_look_up(self) -> None:
        """Where the API has no look-up, a document in doubt that is refused now waits for a person, who looks into the
        national portal: it is not there, so it is corrected."""
        for kind in STOCK_TYPES:
            unclear = self._office.execute(
                f"SELECT d.id FROM {kind.table} d JOIN SaleSync s ON s.document_type = ? AND s.id = d.id "  # noqa: S608
                "WHERE d.status = 'PENDING_SYNC' AND s.reason_code = 'replace_refused'",
                (kind.name,),
            ).fetchall()
            for (id_,) in unclear:
                self._office.execute(
                    f"UPDATE {kind.lines_table} SET drug_code = 'DQG00000001' "  # noqa: S608
                    f"WHERE {kind.lines_parent_column} = ? AND drug_code = ?",
                    (id_, REFUSED_DRUG_CODE),
                )
                self._stock_expected[kind.name, id_] = Expected("SYNC_SUCCESS")

    def _withdraw(self, kind: DocumentType) -> None:
        """Withdraw some documents, in whatever state they are, and send some of them after all: what was requested last
        is done."""
        for id_, status in self._withdrawals.chosen(self._office, kind, except_like=f"{ODD}%"):
            before = self._expectation(kind, id_)
            self._expect(kind, id_, Expected(None))  # until it is known to be committed
            self._request(kind, id_, status)
            if status == "PENDING_CANCEL":
                self._if_sent[kind.name, id_] = before
                self._expect(kind, id_, Expected("CANCELLED"))
                self.withdrawn += 1
            else:
                kept = self._if_sent.get((kind.name, id_), Expected(None))
                self._expect(kind, id_, replace(kept, stored=False))

    def _request(self, kind: DocumentType, id_: int, status: Status) -> None:
        with self._office.selling():
            self._office.execute(f"UPDATE {kind.table} SET status = ? WHERE id = ?", (status, id_))  # noqa: S608

    def _expectation(self, kind: DocumentType, id_: int) -> Expected:
        found = self.expected([id_]) if kind is SALE else self.expected_stock(kind, [id_])
        return found[id_]

    def _expect(self, kind: DocumentType, id_: int, expected: Expected) -> None:
        if kind is SALE:
            self._edited[id_] = expected
        else:
            self._stock_expected[kind.name, id_] = expected

    def _edit(self) -> None:
        """Edit some of the sales and request them again, while they are pending or after their final decision."""
        sold = "SELECT id, status FROM SalesInvoices WHERE local_invoice_id NOT LIKE ?"
        for id_, status in self._office.execute(sold, (f"{ODD}%",)).fetchall():
            pending = status == "PENDING_SYNC"
            if (id_, pending) in self._looked_at:
                continue
            self._looked_at.add((id_, pending))
            rng = random.Random(f"edit {self._seed} {id_} {pending}")
            if rng.random() < (PENDING_EDIT_SHARE if pending else EDIT_SHARE):
                self._edit_one(id_, status, rng)

    def _edit_one(self, id_: int, status: str, rng: random.Random) -> None:
        fault = self._fault(id_)
        expected: Expected | None = None
        if status == "SYNC_SUCCESS":
            changes, expected = rng.choice(_CHANGES)
        elif fault is None and status == "PENDING_SYNC":
            changes = [_CHANGED]
        elif fault in _MENDED:
            changes, expected = [f"{_MENDED[fault]} AND sales_invoice_id = ?"], Expected("SYNC_SUCCESS")
        elif fault is not None and fault.expected == "SYNC_FAILED":
            changes, expected = [], Expected("SYNC_FAILED")
        else:
            return  # whoever fails without a fault is the judge's to find
        try:
            with self._office.selling():
                for change in changes:
                    self._office.execute(change, (id_,))
                self._office.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC' WHERE id = ?", (id_,))
        except pyodbc.Error:
            self._unsure.add(id_)
            raise
        self.edits += 1
        if expected:
            self._edited[id_] = expected

    async def _write_junk(self, rng: random.Random) -> None:
        topic = rng.choice((CHANGE_TOPIC, "sale-retry", "sale-status"))
        key = f"junk-{len(self.junk)}-{rng.randrange(10**6)}"
        self.junk[key] = Junk(topic, None)
        producer = AIOKafkaProducer(bootstrap_servers=self._stack.kafka.address, request_timeout_ms=3000)
        try:
            async with asyncio.timeout(4):
                await producer.start()
                await producer.send_and_wait(topic, rng.choice(_JUNK), key=key.encode())
            self.junk[key] = Junk(topic, True)
        except (KafkaError, OSError, TimeoutError):
            return  # the broker is away; it may have it all the same
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(4):
                    await producer.stop()


def _as_sold(fault: Fault | None) -> Expected:
    if fault is Fault.LATE_LINES:
        return Expected(
            None
        )  # the point of sale may have been kept from its lines for longer than these are waited for
    if fault is None or fault.expected != "SYNC_FAILED":
        return Expected("SYNC_SUCCESS")
    return Expected("SYNC_FAILED")


_CHANGED = "UPDATE SalesInvoiceDetails SET dosage = 'Uống theo chỉ dẫn' WHERE sales_invoice_id = ?"
_SPOILT = "UPDATE SalesInvoiceDetails SET lot_number = '' WHERE sales_invoice_id = ?"
_CHANGES: Sequence[tuple[Sequence[str], Expected]] = (
    ([], Expected("SYNC_SUCCESS")),
    ([_CHANGED], Expected("SYNC_SUCCESS")),
    ([_CHANGED], Expected("SYNC_SUCCESS")),
    ([_SPOILT], Expected("SYNC_FAILED", stored=True)),
)
