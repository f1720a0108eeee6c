"""What all actions share: bounded batches, one transaction for each, and a report of what was passed over and why.

If a point of sale keeps a row locked, or a trigger of its software rejects a row, only that row is passed over.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, TypeAlias

import structlog

from streams.documents.document import DocumentType
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.search import DocumentState, Search
from streams.operators.person_name import MAX_NAME_LENGTH, cleaned_name
from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction
from streams.stores.sql_fragments import MAX_ROWS, chunks, one_of

log = structlog.get_logger(__name__)

MAX_SALES = 10_000
"""The largest number of sales that one request may act on."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is called after each batch with the number of sales processed so far and the total."""
Stop: TypeAlias = Callable[[], bool]
"""Returns whether to stop before the next batch."""


def _never() -> bool:
    return False


class Why(StrEnum):
    """The reason why an action passed over a sale."""

    VANISHED = "vanished"
    ACCEPTED = "accepted"
    AS_ACCEPTED = "as_accepted"
    WAITS_ALREADY = "waits_already"
    FAILED = "failed"
    FAILED_TO_BE_SENT = "failed_to_be_sent"
    NOT_WITHDRAWN = "not_withdrawn"
    WITHDRAWN = "withdrawn"
    WITHDRAWN_ALREADY = "withdrawn_already"
    BEING_WITHDRAWN = "being_withdrawn"
    NOT_SENT_YET = "not_sent_yet"
    NOT_OURS = "not_ours"
    NOT_SEEN_YET = "not_seen_yet"
    BEING_SENT = "being_sent"
    IN_DOUBT = "in_doubt"
    DUE_ALREADY = "due_already"
    LOCKED = "locked"
    REFUSED_BY_DATABASE = "refused_by_database"


WHY_TEXTS: dict[Why, tuple[str, str]] = {
    Why.VANISHED: ("Không còn hóa đơn này.", "This sale no longer exists."),
    Why.ACCEPTED: (
        "Hệ thống quốc gia đã nhận; không gửi lại.",
        "The national system has accepted it; it is not sent again.",
    ),
    Why.AS_ACCEPTED: (
        "Không thấy khác bản hệ thống quốc gia đã nhận; không gửi lại.",
        "It is not known to differ from what the national system has; it is not sent again.",
    ),
    Why.WAITS_ALREADY: ("Đang chờ gửi rồi.", "It is already waiting to be sent."),
    Why.FAILED: (
        "Đã bị từ chối, không còn chờ; hãy dùng “gửi lại”.",
        "It has failed and is not waiting: use “send again”.",
    ),
    Why.FAILED_TO_BE_SENT: (
        "Gửi thất bại, chưa bị hủy; hãy dùng “gửi lại”.",
        "It failed to be sent and was not withdrawn: use “send again”.",
    ),
    Why.NOT_WITHDRAWN: (
        "Hủy không được, nên hệ thống quốc gia vẫn còn; không gửi lại.",
        "It could not be withdrawn, so the national system still has it; it is not sent again.",
    ),
    Why.WITHDRAWN: (
        "Đã hủy; chỉ gửi lại khi yêu cầu riêng cho hóa đơn đã hủy.",
        "It was withdrawn, and is sent again only if that is requested for withdrawn sales.",
    ),
    Why.WITHDRAWN_ALREADY: ("Đã hủy rồi.", "It was withdrawn already."),
    Why.BEING_WITHDRAWN: ("Đang chờ hủy.", "It is waiting to be withdrawn."),
    Why.NOT_SENT_YET: (
        "Đang chờ gửi; chỉ hủy được khi đã gửi xong hoặc đã thất bại.",
        "It is waiting to be sent: withdraw it once it has been sent or has failed.",
    ),
    Why.NOT_OURS: (
        "Trạng thái do phần mềm bán hàng đặt; không đụng đến.",
        "The sales software has set a status of its own, which is left unchanged.",
    ),
    Why.NOT_SEEN_YET: (
        "Vừa được bán hoặc gửi lại, sắp được gửi.",
        "It was just sold or requested again, and is about to be sent.",
    ),
    Why.BEING_SENT: ("Đang được gửi.", "It is being sent."),
    Why.IN_DOUBT: (
        "Chưa rõ lần gửi trước đã được nhận chưa; phải đợi hết hạn rồi mới tra.",
        "It is not known whether the last attempt was accepted; it can be looked up only later.",
    ),
    Why.DUE_ALREADY: ("Đã đến lượt gửi.", "It is already due."),
    Why.LOCKED: (
        "Phần mềm bán hàng đang giữ hóa đơn; thử lại sau ít phút.",
        "The sales software keeps it locked; try again in a few minutes.",
    ),
    Why.REFUSED_BY_DATABASE: (
        "Cơ sở dữ liệu từ chối thay đổi; báo người quản trị.",
        "The database rejects the change; tell the administrator.",
    ),
}
"""The text for each reason in Vietnamese and in English."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    id: int
    why: Why
    until_ms: int | None = None
    """UTC milliseconds, for `IN_DOUBT` and `BEING_SENT`: when the lease ends and the action can be requested again."""


@dataclass(frozen=True, slots=True)
class ActionReport:
    request: str
    """The value of `request` in the rows of `dbo.SaleAction`."""
    done: Sequence[int]
    """Ids of the sales that were changed."""
    passed_over: Sequence[PassedOver]
    is_cut: bool
    """True if there were more sales than one request may act on: another request has to do the rest."""
    next: str | None = None
    """Of `apply_to_search`: the cursor to continue from. None: no sale is left."""


BatchResult: TypeAlias = Mapping[int, PassedOver | None]
"""For each id, why the sale was passed over; None if it was changed."""


class BulkAction(ABC):
    """One of the actions.

    A subclass implements `_batch`, which acts on up to `MAX_ROWS` sales in one transaction.
    """

    name: ClassVar[str]
    """The value of `action` in `dbo.SaleAction`."""
    required_status: DocumentState
    """The status of the sales that a search finds."""

    @property
    def from_statuses(self) -> Collection[DocumentState]:
        """The statuses of the sales that the action may change."""
        return (self.required_status,)

    def __init__(self, db: SalesDb, document_type: DocumentType) -> None:
        self._db = db
        self.document_type = document_type
        self._sales = Sales(db, document_type)

    async def count(self, search: Search) -> dict[str | None, int]:
        """Return how many sales `apply_to_search` would find, by reason code, for a person to confirm.

        Raises `StoreError`.
        """
        return await self._sales.count(self.required_status, search)

    async def apply_to_search(
        self,
        search: Search,
        *,
        actor: str,
        most: int = MAX_SALES,
        after: str | None = None,
        progress: Progress | None = None,
        stop: Stop = _never,
    ) -> ActionReport:
        """Act on the oldest `most` sales that `search` finds, beginning after the cursor `after`.

        Raises `ValueError` if `actor` is not the name of a person or `after` is not a cursor, and `StoreError` if the
        database is unreachable or rejects all rows of a batch. The batches before that stay done and recorded.
        """
        actor = _cleaned_actor(actor)
        found = await self._sales.ids(self.required_status, search, most=most, after=after)
        report = await self._in_batches(found.ids, actor, progress, stop)
        return replace(report, is_cut=found.next is not None, next=found.next)

    async def apply_to_ids(
        self, ids: Sequence[int], *, actor: str, progress: Progress | None = None, stop: Stop = _never
    ) -> ActionReport:
        """Act on the sales with these ids, up to `MAX_SALES` of them. Raises the same errors as `apply_to_search`."""
        distinct = list(dict.fromkeys(ids))
        report = await self._in_batches(distinct[:MAX_SALES], _cleaned_actor(actor), progress, stop)
        return replace(report, is_cut=len(distinct) > MAX_SALES)

    @abstractmethod
    async def _batch(self, ids: Sequence[int], request: str, actor: str) -> BatchResult: ...

    async def _in_batches(self, ids: Sequence[int], actor: str, progress: Progress | None, stop: Stop) -> ActionReport:
        request = uuid.uuid4().hex
        results: dict[int, PassedOver | None] = {}
        for batch in chunks(ids, MAX_ROWS):
            if stop():
                break
            rejections: list[StoreError] = []
            results |= await _isolate_failures(lambda part: self._batch(part, request, actor), batch, rejections)
            if len(rejections) == len(batch) > 1:
                raise rejections[0]
            if progress:
                progress(len(results), len(ids))
        done = [id_ for id_, passed in results.items() if passed is None]
        log.info(
            "desk.acted",
            action=self.name,
            document=self.document_type.name,
            request=request,
            done=len(done),
            of=len(ids),
        )
        return ActionReport(request, done, [passed for passed in results.values() if passed], is_cut=False)


def recorded_ids(tx: Transaction, document_type: DocumentType, request: str, ids: Sequence[int]) -> set[int]:
    """Return those of `ids` that `dbo.SaleAction` has a row of this request for."""
    placeholders, parameters = one_of(ids)
    return {row[0] for row in tx.rows(_RECORDED.format(ids=placeholders), [document_type.name, request, *parameters])}


def _cleaned_actor(actor: str) -> str:
    name = cleaned_name(actor)
    if name is None:
        raise ValueError(f"the name recorded with the sale must have 1 to {MAX_NAME_LENGTH} characters; name a person")
    return name


async def _isolate_failures(
    act: Callable[[Sequence[int]], Awaitable[BatchResult]], ids: Sequence[int], rejections: list[StoreError]
) -> BatchResult:
    """Act on all `ids` at once; if a row makes that fail, halve the batch until the failing row is alone.

    Appends the error of each row that the database rejects to `rejections`. Raises `StoreUnavailable` if the database
    is unreachable.
    """
    try:
        return await act(ids)
    except StoreError as error:
        if isinstance(error, StoreUnavailable) and not error.is_lock:
            raise
        if len(ids) > 1:
            middle = len(ids) // 2
            first = await _isolate_failures(act, ids[:middle], rejections)
            return {**first, **await _isolate_failures(act, ids[middle:], rejections)}
        log.warning("desk.row_refused", id=ids[0], error=str(error))
        if error.is_lock:
            return {ids[0]: PassedOver(ids[0], Why.LOCKED)}
        rejections.append(error)
        return {ids[0]: PassedOver(ids[0], Why.REFUSED_BY_DATABASE)}


# name: which were recorded
_RECORDED = "SELECT a.id FROM dbo.SaleAction a WHERE a.document_type = ? AND a.request = ? AND a.id IN ({ids})"
