"""What both actions share: bounded batches, a transaction each, and what was passed over and why.

A till's lock, or a trigger of the till's that refuses one row, holds up that row alone.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, TypeAlias

import structlog

from streams.documents.document import DocumentType
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.search import DocumentState, Search
from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction
from streams.stores.sql_fragments import MOST_ROWS, chunks, one_of

log = structlog.get_logger(__name__)

MOST = 10_000
"""Sales in one request."""
_LONGEST_NAME = 100

Progress: TypeAlias = Callable[[int, int], None]
"""How many were looked at, of how many."""
Stop: TypeAlias = Callable[[], bool]
"""Whether to leave off before the next batch."""


def _never() -> bool:
    return False


class Why(StrEnum):
    """Why a sale was passed over."""

    VANISHED = "vanished"
    ACCEPTED = "accepted"
    WAITS_ALREADY = "waits_already"
    FAILED = "failed"
    NOT_OURS = "not_ours"
    NOT_SEEN_YET = "not_seen_yet"
    BEING_SENT = "being_sent"
    IN_DOUBT = "in_doubt"
    DUE_ALREADY = "due_already"
    LOCKED = "locked"
    REFUSED_BY_DATABASE = "refused_by_database"


WHY_TEXTS: dict[Why, tuple[str, str]] = {
    Why.VANISHED: ("Không còn hóa đơn này.", "There is no such sale any more."),
    Why.ACCEPTED: ("Hệ thống quốc gia đã nhận; không gửi lại.", "The national system has it; it is not sent again."),
    Why.WAITS_ALREADY: ("Đang chờ gửi rồi.", "It waits to be sent already."),
    Why.FAILED: (
        "Đã bị từ chối, không còn chờ; hãy dùng “gửi lại”.",
        "It has failed and does not wait: use send again.",
    ),
    Why.NOT_OURS: (
        "Trạng thái do phần mềm bán hàng đặt; không đụng đến.",
        "The sales software has set a status of its own; it is left alone.",
    ),
    Why.NOT_SEEN_YET: ("Vừa được bán hoặc gửi lại, sắp được gửi.", "Just sold or asked for again; it is on its way."),
    Why.BEING_SENT: ("Đang được gửi.", "It is being sent."),
    Why.IN_DOUBT: (
        "Chưa rõ lần gửi trước đã được nhận chưa; phải đợi hết hạn rồi mới tra.",
        "Whether the last attempt got through is not known; it can be looked up only after a while.",
    ),
    Why.DUE_ALREADY: ("Đã đến lượt gửi.", "Its turn has come already."),
    Why.LOCKED: (
        "Phần mềm bán hàng đang giữ hóa đơn; thử lại sau ít phút.",
        "The sales software keeps it locked; try again in some minutes.",
    ),
    Why.REFUSED_BY_DATABASE: (
        "Cơ sở dữ liệu từ chối thay đổi; báo người quản trị.",
        "The database refuses the change; tell the administrator.",
    ),
}
"""Vietnamese and English."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    id: int
    why: Why
    until_ms: int | None = None
    """In doubt or being sent: it can be asked for again after that. UTC milliseconds."""


@dataclass(frozen=True, slots=True)
class Report:
    request: str
    """Token of the rows in `dbo.SaleAction`."""
    done: Sequence[int]
    passed_over: Sequence[PassedOver]
    is_cut: bool
    """There were more than one request takes: ask again for the rest."""
    next: str | None = None
    """Of `all_that`: what comes after the last one that was found, to go on from."""


Judged: TypeAlias = Mapping[int, PassedOver | None]
"""None: done."""


class BulkAction(ABC):
    """One of the two actions; `_batch` does it in one transaction."""

    name: ClassVar[str]
    """As it stands in `dbo.SaleAction`."""
    standing: ClassVar[DocumentState]
    """Of the sales that it may be done to."""

    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self._document_type = document_type
        self._sales = Sales(db, document_type)

    async def count(self, search: Search) -> dict[str | None, int]:
        """How many `all_that` would find, by reason: for a person to confirm. Raises `StoreError`."""
        return await self._sales.count(self.standing, search)

    async def all_that(
        self,
        search: Search,
        *,
        actor: str,
        most: int = MOST,
        after: str | None = None,
        progress: Progress | None = None,
        stop: Stop = _never,
    ) -> Report:
        """The oldest `most` that are found. Raises `ValueError` for the actor, `StoreError` where the database is away
        or refuses all of a batch; what was done before stays done and is recorded."""
        actor = _named(actor)
        found = await self._sales.ids(self.standing, search, most=most, after=after)
        report = await self._in_batches(found.ids, actor, progress, stop)
        return replace(report, is_cut=found.next is not None, next=found.next)

    async def these(
        self, ids: Sequence[int], *, actor: str, progress: Progress | None = None, stop: Stop = _never
    ) -> Report:
        """As `all_that`."""
        distinct = list(dict.fromkeys(ids))
        report = await self._in_batches(distinct[:MOST], _named(actor), progress, stop)
        return replace(report, is_cut=len(distinct) > MOST)

    @abstractmethod
    async def _batch(self, ids: Sequence[int], request: str, actor: str) -> Judged: ...

    async def _in_batches(self, ids: Sequence[int], actor: str, progress: Progress | None, stop: Stop) -> Report:
        request = uuid.uuid4().hex
        judged: dict[int, PassedOver | None] = {}
        for part in chunks(ids, MOST_ROWS):
            if stop():
                break
            refusals: list[StoreError] = []
            judged |= await _apart(lambda some: self._batch(some, request, actor), part, refusals)
            if len(refusals) == len(part) > 1:
                raise refusals[0]
            if progress:
                progress(len(judged), len(ids))
        done = [id_ for id_, passed in judged.items() if passed is None]
        log.info(
            "desk.acted",
            action=self.name,
            document=self._document_type.name,
            request=request,
            done=len(done),
            of=len(ids),
        )
        return Report(request, done, [passed for passed in judged.values() if passed], is_cut=False)


def recorded(tx: Transaction, document_type: DocumentType, request: str, ids: Sequence[int]) -> set[int]:
    """Those of `ids` that stand in `dbo.SaleAction` with this request."""
    marks, parameters = one_of(ids)
    return {row[0] for row in tx.rows(_RECORDED.format(ids=marks), [document_type.name, request, *parameters])}


def _named(actor: str) -> str:
    name = " ".join(actor.split())
    if not name or len(name) > _LONGEST_NAME:
        raise ValueError(f"who asks: a name of 1 to {_LONGEST_NAME} characters is kept with the sale; name a person")
    return name


async def _apart(
    act: Callable[[Sequence[int]], Awaitable[Judged]], ids: Sequence[int], refusals: list[StoreError]
) -> Judged:
    """All at once; where that fails for a row's sake, halved until the culprit stands alone."""
    try:
        return await act(ids)
    except StoreError as error:
        if isinstance(error, StoreUnavailable) and not error.is_lock:
            raise
        if len(ids) > 1:
            middle = len(ids) // 2
            first = await _apart(act, ids[:middle], refusals)
            return {**first, **await _apart(act, ids[middle:], refusals)}
        log.warning("desk.row_refused", id=ids[0], error=str(error))
        if error.is_lock:
            return {ids[0]: PassedOver(ids[0], Why.LOCKED)}
        refusals.append(error)
        return {ids[0]: PassedOver(ids[0], Why.REFUSED_BY_DATABASE)}


# name: which were recorded
_RECORDED = "SELECT a.id FROM dbo.SaleAction a WHERE a.document_type = ? AND a.request = ? AND a.id IN ({ids})"
