"""The scheduler: enqueues what is due onto `sale-retry`. Retries, the sweep for lost events and the backlog are this
one mechanism, and so is polling where nothing captures the changes (`streams.pipeline.polling`).

One worker at a time runs it, protected by a lock in Redis. Two at once would do no harm: claims detect repeats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import structlog

from streams.domain.account import Account
from streams.domain.reasons import ACCOUNT_PROBLEMS
from streams.domain.retry_message import RetryMessage
from streams.domain.sale_status import message_key
from streams.pipeline.guard import Guard
from streams.pipeline.polling import Polling
from streams.pipeline.status_publisher import Publish
from streams.runtime.outages import OUTAGES
from streams.settings import Settings
from streams.stores.isolation import Failed, bisect_failures
from streams.stores.schedule import DueDocument, Schedule

log = structlog.get_logger(__name__)

_SWEEP_EVERY = 15.0
"""Seconds between two sweeps for pending rows that nothing waits for."""
_CHECK_ACCOUNTS_EVERY = 3.0
"""Seconds between two checks of accounts that were refused."""
_ROUNDS_PER_INTERVAL = 5
"""Rounds within one interval while something is due or enqueued, so that a backlog is enqueued as fast as it is
processed.
"""
_REENQUEUE_AFTER_MS = 45_000
"""Milliseconds after which a document that was enqueued and not claimed is enqueued again: its row was locked, or a
worker died. Claims detect repeats.
"""
_DELETE_EVERY = 3_600.0
"""Seconds between two deletions of old refusals."""
_MAX_SHOPS = 100
_RELEASE_TIMEOUT = 10.0
"""Seconds that a check of accounts may take: where others keep the accounts locked, each shop waits for a lock."""
_SHOWN_FOR = 2.0 * _REENQUEUE_AFTER_MS / 1000
"""Seconds for which documents that are out of reach are reported: until after they are tried again."""
_LOCKED_ACTION = "find out which session keeps these rows locked; they are tried again by themselves"
_POLL_ACTION = "find out what the sales database refuses; meanwhile new sales are not sent, and none is lost"
_ACTION = "find out what the sales database refuses or keeps locked; if it lasts, keep the log"


class Lock(Protocol):
    """The lock that lets one worker at a time schedule."""

    async def acquire_or_renew(self) -> bool:
        """Acquire or renew the lock; return whether this worker holds it. True also where that is unknown because Redis
        is unavailable.
        """
        ...


class AcceptsWork(Protocol):
    """Says whether enqueued work can start."""

    @property
    def accepts_work(self) -> bool:
        """Whether a document that is enqueued now could be sent."""
        ...


class Progress(Protocol):
    """Says how far the change events are processed."""

    async def finished_before_ms(self) -> int | None:
        """Return the database time (UTC milliseconds) before which every change event is finished; None: all are."""
        ...


def _untraced(_document_type: str, _database: str, _id: int) -> Mapping[str, bytes]:
    return {}


class Scheduler:
    """Schedules the documents of one type."""

    def __init__(
        self,
        schedule: Schedule,
        settings: Settings,
        *,
        document_type: str,
        database: str,
        lock: Lock,
        gate: AcceptsWork,
        unfinished: Progress,
        publish: Publish,
        accounts: Callable[[Sequence[str]], Awaitable[list[list[Account]]]],
        still_refused: Callable[[Account], Awaitable[bool]],
        trace: Callable[[str, str, int], Mapping[str, bytes]] = _untraced,
        polling: Polling | None = None,
    ) -> None:
        """`publish`: sends to `sale-retry`. `accounts`: returns the active accounts of each shop. `still_refused`:
        whether the API is known to refuse an account. `trace`: returns the headers that link a document (type,
        database, id) to its trace. `polling`: finds new documents; None where change events announce them.
        """
        self._schedule = schedule
        self._settings = settings
        self._document_type = document_type
        self._database = database
        self._lock = lock
        self._gate = gate
        self._unfinished = unfinished
        self._publish = publish
        self._accounts = accounts
        self._still_refused = still_refused
        self._trace = trace
        self.polling = polling
        self._polling = Guard("asking for new sales", "polling", _POLL_ACTION, holds_up_sales=True)
        self._locking = Guard("the scheduler's lock", "due", _ACTION)
        self._sweeping = Guard("finding pending rows that nothing waits for", "due", _ACTION)
        self._measuring_progress = Guard("measuring the progress of the change events", "due", _ACTION)
        self._releasing = Guard("releasing shops whose account was corrected", "due", _ACTION)
        self._enqueuing = Guard("enqueuing what is due", "due", _ACTION)
        self._deleting = Guard("deleting old refusals", "due", _ACTION)
        self._out_of_reach = OUTAGES.reporter("due", _LOCKED_ACTION, holds_up_sales=False)
        self._guards = (
            *(self._polling, self._locking, self._sweeping, self._measuring_progress),
            *(self._releasing, self._enqueuing, self._deleting),
        )
        self._out_of_reach_until = float("-inf")
        self._enqueue_at = float("-inf")
        self._deleted_at = float("-inf")
        self._swept_at = float("-inf")
        self._checked_accounts_at = float("-inf")
        self._unseen_before = 0
        self.enqueued_total = 0
        self.enrolled_total = 0

    async def run(self) -> None:
        """Run rounds until cancelled. Whatever one step of a round raises, the other steps run."""
        try:
            while True:
                backlog = await self._locking(self._lock.acquire_or_renew) and await self.run_round()
                pause = self._pause(bool(backlog))
                await asyncio.sleep(min(pause, self.polling.pause) if self.polling else pause)
        finally:
            for guard in self._guards:
                guard.end()
            self._out_of_reach.end()

    async def run_round(self) -> bool:
        """Run one round; return whether the next one should follow soon."""
        is_time_to_sweep = time.monotonic() - self._swept_at >= min(_SWEEP_EVERY, self._settings.sweep_after)
        # First new documents are announced: the sweep would let them wait behind the backlog.
        left = await self._poll(at_once=is_time_to_sweep)
        if left or is_time_to_sweep:
            more = await self._sweeping(self._sweep)
            # A row first seen at T was committed before T. While a change event from before T is unfinished, it may be
            # the event of that row; once all of those are finished, the event was lost or never existed.
            unseen_before = await self._measuring_progress(self._events_gone_before_ms)
            self._unseen_before = 0 if unseen_before is None else unseen_before
            self._swept_at = float("-inf") if more else time.monotonic()
        if time.monotonic() - self._checked_accounts_at >= _CHECK_ACCOUNTS_EVERY:
            await self._releasing(self._release_corrected_shops)
            self._checked_accounts_at = time.monotonic()
        if time.monotonic() - self._deleted_at >= _DELETE_EVERY:
            more = await self._deleting(self._delete_old_refusals)
            self._deleted_at = float("-inf") if more else time.monotonic()
        if not self._gate.accepts_work or (self.polling and not left and time.monotonic() < self._enqueue_at):
            return False
        backlog = bool(await self._enqueuing(self._enqueue))
        self._enqueue_at = time.monotonic() + self._pause(backlog)
        return backlog

    def _pause(self, backlog: bool) -> float:
        return self._settings.due_interval / (_ROUNDS_PER_INTERVAL if backlog else 1)

    async def _poll(self, *, at_once: bool) -> bool:
        """Announce new documents, if it is time to or `at_once`; return whether pending ones are left that nothing
        waits for.
        """
        polling = self.polling
        if polling is None or not (at_once or polling.is_due) or not self._gate.accepts_work:
            return False
        return bool(await self._polling(partial(polling.poll, _REENQUEUE_AFTER_MS)))

    async def _enqueue(self) -> bool:
        """Enqueue a batch of due documents, unless more than a batch is still to be claimed. Return whether there is a
        backlog: documents that were due, or that were enqueued before and are not claimed yet.
        """
        # Finding even a few due documents takes a scan of all of them, so none are looked for until there is room for a
        # whole batch.
        limit = self._settings.due_batch
        unclaimed = await self._schedule.enqueued_and_unclaimed()
        if unclaimed > limit:
            return True
        # A shop gets at most half a batch: its places in the window process no more until the next round, and the rest
        # would only time out in its queue.
        out_of_reach_before = self._schedule.out_of_reach_total
        due = await self._schedule.due(limit, self._unseen_before, max(1, limit // 2))
        self._show_out_of_reach(self._schedule.out_of_reach_total - out_of_reach_before)
        if due:
            # The next attempt is deferred before the messages are sent: if this process dies in between, the documents
            # are only late.
            deferred = await self._schedule.defer({item.id: item.attempt for item in due}, _REENQUEUE_AFTER_MS)
            enqueued = await bisect_failures(self._publish_all, [item for item in due if item.id in deferred])
            failed = [result.error for result in enqueued if isinstance(result, Failed)]
            self.enqueued_total += len(enqueued) - len(failed)
            log.info("due.enqueued", document=self._document_type, documents=len(enqueued) - len(failed))
            if failed:
                raise failed[0]
        return bool(due or unclaimed)

    def _show_out_of_reach(self, documents: int) -> None:
        if documents:
            self._out_of_reach_until = time.monotonic() + _SHOWN_FOR
            what = f"{documents} documents that are due are locked by others, or cannot be read"
            self._out_of_reach.report(what, valid_for=_SHOWN_FOR)
        elif time.monotonic() >= self._out_of_reach_until:
            self._out_of_reach.end()

    async def _publish_all(self, due: Sequence[DueDocument]) -> Sequence[None]:
        return await asyncio.gather(*(self._publish_one(item) for item in due))

    async def _publish_one(self, due: DueDocument) -> None:
        if self.polling is not None and self.polling.is_new(due):
            await self.polling.publish(due)
            return
        message = RetryMessage(
            document=self._document_type,
            source_database=self._database,
            id=due.id,
            attempt=due.attempt,
            local_invoice_id=due.document_code,
            pharmacy_code=due.pharmacy_code,
            shop_pharmacy_code=due.shop,
            since_ms=due.since,
        )
        await self._publish(
            message_key(due.pharmacy_code, due.document_code),
            message.model_dump_json().encode(),
            self._trace(self._document_type, self._database, due.id),
        )

    async def _sweep(self) -> bool:
        """Enroll pending rows that nothing waits for; return whether another sweep may find more at once."""
        # Where no change event will come, there is none to be waited for.
        after_ms, limit = 0 if self.polling else int(self._settings.sweep_after * 1000), self._settings.due_batch * 10
        # What is new is left to the polls, but while the gate is closed: there are none then.
        mark = self.polling.mark if self.polling and self._gate.accepts_work else None
        if enrolled := await self._schedule.enroll(after_ms, limit, 2**62 if mark is None else mark):
            self.enrolled_total += 0 if self.polling else enrolled
            log.info("due.enrolled", document=self._document_type, documents=enrolled)
        return enrolled == limit

    async def _events_gone_before_ms(self) -> int:
        """Return the time (UTC milliseconds of the database) before which a pending row that was never claimed can only
        be due because its change event is gone: every event that is old enough has been processed.
        """
        if self.polling is not None:
            return 2**62
        finished = await self._unfinished.finished_before_ms()
        return 2**62 if finished is None else finished + int(self._settings.sweep_after * 1000)

    async def _delete_old_refusals(self) -> bool:
        """Delete old refusals; return whether more can be deleted at once."""
        limit = self._settings.due_batch
        return await self._schedule.forget_old_refusals(self._settings.journal_keep_days * 86_400_000, limit) == limit

    async def _release_corrected_shops(self) -> None:
        """Let the documents of shops whose account works again be sent at once."""
        reasons = sorted(code.value for code in ACCOUNT_PROBLEMS)
        async with asyncio.timeout(_RELEASE_TIMEOUT):
            shops = await self._schedule.shops_waiting_for_accounts(reasons, _MAX_SHOPS)
            if not shops:
                return
            released = await bisect_failures(partial(self._release, reasons), shops)
        failed = [result.error for result in released if isinstance(result, Failed)]
        if failed:
            raise failed[0]

    async def _release(self, reasons: Sequence[str], shops: Sequence[str]) -> Sequence[None]:
        for shop, accounts in zip(shops, await self._accounts(shops), strict=True):
            if len(accounts) == 1 and not await self._still_refused(accounts[0]):
                await self._schedule.release(shop, reasons)
                log.info("due.shop_released", shop=shop)
        return [None] * len(shops)
