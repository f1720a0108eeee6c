"""The one scheduler: what is due goes to `sale-retry`. Retry, sweep and backlog are this one mechanism.

One worker at a time does it, by a lock in Redis. Two at once would do no harm: claims tell repeats apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import structlog

from streams.domain.account import Account
from streams.domain.reasons import WAITS_FOR_THE_SHOP
from streams.domain.retry_message import RetryMessage
from streams.domain.sale_status import message_key
from streams.pipeline.guard import Guard
from streams.pipeline.status_publisher import Publish
from streams.settings import Settings
from streams.stores.isolation import Failed, halved
from streams.stores.schedule import DueDocument, Schedule

log = structlog.get_logger(__name__)

_SWEEP_EVERY = 15.0
_LOOK_AT_ACCOUNTS_EVERY = 3.0
_PACE_OF_A_BACKLOG = 5
"""Looks in the time of one, while something is due or fed: a backlog goes as fast as it is worked on."""
_REFEED_AFTER_MS = 45_000
"""Fed and not claimed by then (a row was locked, a worker died): fed again. Claims tell repeats apart."""
_FORGET_EVERY = 3_600.0
_SHOPS_AT_ONCE = 100
_REMEDY = "see what the sales database refuses or keeps locked; if it lasts, keep the log"


class Lock(Protocol):
    async def acquire_or_renew(self) -> bool:
        """Takes or renews it. True where nobody can tell (Redis is away)."""
        ...


class AcceptsWork(Protocol):
    @property
    def is_open(self) -> bool:
        """Whether something that is fed now could start."""
        ...


class Progress(Protocol):
    async def finished_before_ms(self) -> int | None:
        """The moment before which every change event is finished; None: all are."""
        ...


def _untraced(_document_type: str, _database: str, _id: int) -> Mapping[str, bytes]:
    return {}


class Scheduler:
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
    ) -> None:
        """`trace`: the headers that tell of which trace a document (kind, database, id) is."""
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
        self._locking = Guard("the scheduler's lock", "due", _REMEDY)
        self._sweeping = Guard("rows that nobody has seen", "due", _REMEDY)
        self._asking = Guard("how far the change events are worked through", "due", _REMEDY)
        self._releasing = Guard("shops whose account was mended", "due", _REMEDY)
        self._feeding = Guard("what is due", "due", _REMEDY)
        self._forgetting = Guard("refusals that are to be forgotten", "due", _REMEDY)
        self._guards = (
            *(self._locking, self._sweeping, self._asking),
            *(self._releasing, self._feeding, self._forgetting),
        )
        self._forgot = float("-inf")
        self._swept = float("-inf")
        self._looked_at_accounts = float("-inf")
        self._unseen_before = 0
        self.enqueued_total = 0
        self.enrolled_total = 0

    async def run(self) -> None:
        """Until cancelled. Whatever a part of a round raises, the others go on."""
        try:
            while True:
                backlog = await self._locking(self._lock.acquire_or_renew) and await self.run_round()
                await asyncio.sleep(self._settings.due_interval / (_PACE_OF_A_BACKLOG if backlog else 1))
        finally:
            for guard in self._guards:
                guard.end()

    async def run_round(self) -> bool:
        """One look at what is due; gives whether to look again soon."""
        if time.monotonic() - self._swept >= min(_SWEEP_EVERY, self._settings.sweep_after):
            more = await self._sweeping(self._sweep)
            # A row first seen at T was committed before T. While a change event from before T is unfinished, it may be
            # the row's own; once all of those are finished, its event was lost or never was.
            seen = await self._asking(self._first_unfinished_ms)
            self._unseen_before = 0 if seen is None else seen
            self._swept = float("-inf") if more else time.monotonic()
        if time.monotonic() - self._looked_at_accounts >= _LOOK_AT_ACCOUNTS_EVERY:
            await self._releasing(self._release_mended_shops)
            self._looked_at_accounts = time.monotonic()
        if time.monotonic() - self._forgot >= _FORGET_EVERY:
            more = await self._forgetting(self._forget)
            self._forgot = float("-inf") if more else time.monotonic()
        if not self._gate.is_open:
            return False
        return bool(await self._feeding(self._feed))

    async def _feed(self) -> bool:
        """Gives whether something is due or fed."""
        # To find the next few, all that is due is looked through: so a batch at a time, once there is room for it.
        most = self._settings.due_batch
        unclaimed = await self._schedule.enqueued_and_unclaimed()
        if unclaimed > most:
            return True
        # Half of a batch is as much as a lone shop is worked on meanwhile; more would wait for it, and be put off.
        due = await self._schedule.due(most, self._unseen_before, max(1, most // 2))
        if due:
            # Put off first: should this process die before it has sent them, they are only late.
            late = await self._schedule.defer({item.id: item.attempt for item in due}, _REFEED_AFTER_MS)
            fed = await halved(self._send_all, [item for item in due if item.id in late])
            failed = [result.error for result in fed if isinstance(result, Failed)]
            self.enqueued_total += len(fed) - len(failed)
            log.info("due.enqueued", document=self._document_type, documents=len(fed) - len(failed))
            if failed:
                raise failed[0]
        return bool(due or unclaimed)

    async def _send_all(self, due: Sequence[DueDocument]) -> Sequence[None]:
        return await asyncio.gather(*(self._send(item) for item in due))

    async def _send(self, due: DueDocument) -> None:
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
        """Gives whether more may be found by another one at once."""
        after_ms, most = int(self._settings.sweep_after * 1000), self._settings.due_batch * 10
        if enrolled := await self._schedule.enroll(after_ms, most):
            self.enrolled_total += enrolled
            log.info("due.enrolled", document=self._document_type, documents=enrolled)
        return enrolled == most

    async def _first_unfinished_ms(self) -> int:
        """Whoever was first seen before this moment, and due by it, has no event any more."""
        finished = await self._unfinished.finished_before_ms()
        return 2**62 if finished is None else finished + int(self._settings.sweep_after * 1000)

    async def _forget(self) -> bool:
        """Gives whether more is to be forgotten at once."""
        most = self._settings.due_batch
        return await self._schedule.forget_old_refusals(self._settings.journal_keep_days * 86_400_000, most) == most

    async def _release_mended_shops(self) -> None:
        reasons = sorted(code.value for code in WAITS_FOR_THE_SHOP)
        shops = await self._schedule.shops_waiting_for_accounts(reasons, _SHOPS_AT_ONCE)
        if not shops:
            return
        released = await halved(partial(self._release, reasons), shops)
        failed = [result.error for result in released if isinstance(result, Failed)]
        if failed:
            raise failed[0]

    async def _release(self, reasons: Sequence[str], shops: Sequence[str]) -> Sequence[None]:
        for shop, accounts in zip(shops, await self._accounts(shops), strict=True):
            if len(accounts) == 1 and not await self._still_refused(accounts[0]):
                await self._schedule.release(shop, reasons)
                log.info("due.shop_released", shop=shop)
        return [None] * len(shops)
