"""Many at once, acknowledged strictly in the order of delivery.

Kafka keeps one number per partition, and Faust moves it past whatever lies below an acknowledgement. So an event
is acknowledged only when it, and everything that its partition delivered before it, is finished:

    admit ─▶ its turn (`streams.kafka.fair_queue`) ─▶ running ─▶ finished ─▶ acknowledged, once it heads its partition

Only the last step keeps the order of delivery; a slow sale holds up no other. One event loop, no threads.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from streams.kafka.fair_queue import DEFAULT_WEIGHTS, FairQueue, Ticket
from streams.runtime.cancellation import is_cancelled
from streams.runtime.frozen import frozen

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 30.0
"""Seconds between two attempts to give up, once they have grown."""
CANCEL_GRACE = 1.0
"""Seconds that cancelled work gets to end."""


@frozen
class Delivery:
    """One event as its partition delivered it."""

    partition: Hashable
    """For example Faust's ``TP(topic, partition)``."""
    offset: int
    """Told in the log, nothing else: the order is that of admission, and offsets have holes."""
    order_key: Hashable | None
    """The sale. One at a time, whatever partition or lane it comes by. None: no order to keep."""
    shop: str | None
    """Whose share of the places is used. Those without a shop share one."""
    lane: str
    """A key of the window's weights."""
    acknowledge: Callable[[], object]
    """Called at most once, after the work; never once the partition is revoked."""
    work: Callable[[bool], Awaitable[None]] | None
    """``work(overdue)``. Overdue: its shop stayed full for `patience` seconds; it must only be put off. None: there
    is nothing to do, so it needs no place and waits for none; it is acknowledged in its turn."""


@frozen
class Running:
    """A delivery in work."""

    where: str
    """Its partition and offset."""
    since: float
    """The window's clock."""


@dataclass(eq=False, slots=True)
class _Assignment:
    """What a partition delivered since it was assigned, up to the first that is not acknowledged."""

    entries: deque[_Entry] = field(default_factory=deque)
    finished: int = 0
    revoked: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class _Entry(Ticket):
    delivery: Delivery
    assignment: _Assignment
    admitted_at: float
    started_at: float | None = None
    finished: bool = False
    failures: int = 0
    error: BaseException | None = None

    def where(self) -> dict[str, object]:
        return {"partition": str(self.delivery.partition), "offset": self.delivery.offset}


class InOrderWindow:
    """Takes deliveries in, works on them, acknowledges them in order. No error of the work can leave it.

    max_running, max_running_per_shop, lend_below, max_waiting, patience, weights: see `FairQueue`.
    max_unacknowledged: finished behind something unfinished; intake stops there (what was taken in before can still
    add to it).
    retry_pauses: seconds before each repetition of work that failed. After the last, give_up(delivery, error) is
    awaited until it succeeds; only then is the delivery finished.
    """

    def __init__(
        self,
        *,
        give_up: Callable[[Delivery, BaseException], Awaitable[None]],
        max_running: int = 200,
        max_running_per_shop: int = 16,
        burst_below: int = 0,
        max_waiting: int = 2_000,
        max_unacknowledged: int = 20_000,
        patience: float = 5.0,
        weights: Mapping[str, int] = DEFAULT_WEIGHTS,
        retry_pauses: Sequence[float] = (0.1, 0.5, 2.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_unacknowledged < 1:
            raise ValueError(f"max_unacknowledged is {max_unacknowledged}: nothing would ever be taken in")
        self._give_up = give_up
        self._max_unacknowledged = max_unacknowledged
        self._retry_pauses = tuple(retry_pauses)
        self._clock = clock
        self._turns = FairQueue[_Entry](
            max_running=max_running,
            max_running_per_shop=max_running_per_shop,
            burst_below=burst_below,
            max_waiting=max_waiting,
            patience=patience,
            weights=weights,
            clock=clock,
        )
        self._blocked: Mapping[str, OrderedDict[asyncio.Future[bool], Delivery]]
        self._blocked = {lane: OrderedDict() for lane in weights}  # what admit holds back
        self._assignments: dict[Hashable, _Assignment] = {}
        self._unfinished: OrderedDict[_Entry, None] = OrderedDict()  # by admission
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self.finished_unacknowledged = 0
        self.finished_total = 0

    @property
    def running(self) -> int:
        return self._turns.running

    @property
    def running_per_shop(self) -> dict[str | None, int]:
        return self._turns.running_per_shop

    @property
    def waiting(self) -> int:
        """Taken in, not started."""
        return self._turns.waiting

    @property
    def oldest_unfinished_age(self) -> float:
        """Seconds since the oldest unfinished delivery was taken in; 0 when there is none."""
        return self._clock() - next(iter(self._unfinished)).admitted_at if self._unfinished else 0.0

    @property
    def oldest_running(self) -> Running | None:
        started = ((entry.started_at, entry) for entry in self._unfinished if entry.started_at is not None)
        since, entry = min(started, key=lambda pair: pair[0], default=(0.0, None))
        return Running(f"{entry.delivery.partition}@{entry.delivery.offset}", since) if entry else None

    async def admit(self, delivery: Delivery) -> bool:
        """Take a delivery in; blocks while too much waits, or is finished and unacknowledged.

        False: not taken in, as its partition was revoked meanwhile or the window is drained; it will be delivered
        again. One partition's deliveries are admitted one after the other. ValueError: no such lane.
        """
        if delivery.lane not in self._blocked:
            raise ValueError(f"lane {delivery.lane!r} has no weight; there are {', '.join(self._blocked)}")
        if self._draining:
            return False
        if delivery.work is None and self._takes_in:
            self._take_in(delivery)
            return True
        admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._blocked[delivery.lane][admitted] = delivery
        self._advance()
        return await admitted

    def revoke(self, partitions: Iterable[Hashable]) -> None:
        """End the assignment: what runs goes on but is never acknowledged, what has not started is forgotten.

        Whatever these partitions deliver from now on belongs to a new assignment. Call it on the event loop.
        """
        revoked = set(partitions)
        for assignment in [self._assignments.pop(p) for p in revoked & self._assignments.keys()]:
            assignment.revoked = True
            self.finished_unacknowledged -= assignment.finished
            self._forget_waiting(assignment.entries)
            assignment.entries.clear()
        self._turn_away(lambda delivery: delivery.partition in revoked)
        self._advance()

    async def drain(self, seconds: float) -> int:
        """Take nothing in any more, forget what has not started, let what runs finish and be acknowledged.

        What still runs after that time is cancelled, unacknowledged; returns how many those were. Final.
        """
        self._draining = True
        self._turn_away(lambda _: True)
        self._forget_waiting(list(self._unfinished))
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=seconds)
        finally:
            for task in self._tasks:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CANCEL_GRACE)
        left = len(self._unfinished)
        for entry in self._unfinished:
            log.warning("window.left_unfinished", **entry.where())
        self.revoke(list(self._assignments))  # from here on nobody would commit an acknowledgement
        self._unfinished.clear()
        return left

    def _advance(self) -> None:
        """Start and take in whatever there is room for; the last step of everything that may have made room."""
        progress = not self._draining
        while progress:
            while (entry := self._turns.next()) is not None:
                self._start(entry)
            progress = False
            if self._takes_in:
                for lane, blocked in self._blocked.items():
                    while blocked and self._turns.has_room(lane):
                        progress = True
                        admitted, delivery = blocked.popitem(last=False)
                        if not admitted.done():  # else its caller was cancelled
                            admitted.set_result(True)
                            self._take_in(delivery)
        self._watch_patience()

    @property
    def _takes_in(self) -> bool:
        return self.finished_unacknowledged < self._max_unacknowledged

    def _take_in(self, delivery: Delivery) -> None:
        assignment = self._assignments.setdefault(delivery.partition, _Assignment())
        entry = _Entry(
            order_key=delivery.order_key,
            shop_name=delivery.shop,
            lane_name=delivery.lane,
            delivery=delivery,
            assignment=assignment,
            admitted_at=self._clock(),
        )
        assignment.entries.append(entry)
        if delivery.work is None:
            self._finish(entry)
            return
        self._unfinished[entry] = None
        self._turns.take_in(entry)

    def _turn_away(self, which: Callable[[Delivery], bool]) -> None:
        for blocked in self._blocked.values():
            for admitted in [future for future, delivery in blocked.items() if which(delivery)]:
                del blocked[admitted]
                if not admitted.done():
                    admitted.set_result(False)

    def _forget_waiting(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            if entry.waiting:
                self._turns.drop(entry)
                del self._unfinished[entry]

    def _watch_patience(self) -> None:
        until = self._turns.times_out_at
        if self._timer is None and until is not None and not self._draining:
            wait = max(0.0, until - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._lose_patience)

    def _lose_patience(self) -> None:
        self._timer = None
        self._turns.time_out()
        self._advance()

    def _start(self, entry: _Entry) -> None:
        entry.started_at = entry.started_at or self._clock()
        task = asyncio.get_running_loop().create_task(self._run(entry))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, entry))

    async def _run(self, entry: _Entry) -> None:
        while True:
            try:
                if entry.error is not None and entry.failures > len(self._retry_pauses):
                    await self._give_up(entry.delivery, entry.error)
                elif entry.delivery.work is not None:
                    await entry.delivery.work(entry.overdue)
            except (Exception, asyncio.CancelledError) as error:
                if is_cancelled():
                    raise
                self._note_failure(entry, error)
            else:
                return
            await asyncio.sleep(self._pause_after(entry.failures))

    def _ended(self, entry: _Entry, task: asyncio.Task[None]) -> None:
        """In a callback, since a task that is cancelled before its first step never runs its own code."""
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        abandoned = self._draining or entry.assignment.revoked
        if error is not None and not abandoned:
            self._note_failure(entry, error)  # somebody cut the task off; the event still needs its end
            self._start(entry)
            return
        self._turns.release(entry)
        if error is None or not self._draining:
            self._unfinished.pop(entry, None)
        if error is None:
            self._finish(entry)
        self._advance()

    def _finish(self, entry: _Entry) -> None:
        self.finished_total += 1
        assignment = entry.assignment
        if assignment.revoked:
            return
        entry.finished = True
        assignment.finished += 1
        self.finished_unacknowledged += 1
        while assignment.entries and assignment.entries[0].finished:
            head = assignment.entries.popleft()
            assignment.finished -= 1
            self.finished_unacknowledged -= 1
            try:
                head.delivery.acknowledge()
            except Exception as error:
                log.error("window.acknowledge_failed", **head.where(), error=type(error).__name__)

    def _note_failure(self, entry: _Entry, error: BaseException) -> None:
        entry.failures += 1
        gave_up = entry.failures > len(self._retry_pauses) + 1
        if not gave_up:
            entry.error = error
        log.warning(
            "window.give_up_failed" if gave_up else "window.work_failed",
            **entry.where(),
            failures=entry.failures,
            error=type(error).__name__,  # its text may hold the payload, the lines of code do not
            trace="".join(traceback.format_tb(error.__traceback__)),
        )

    def _pause_after(self, failures: int) -> float:
        beyond = failures - len(self._retry_pauses)
        if beyond <= 0:
            return self._retry_pauses[failures - 1]
        return 0.0 if beyond == 1 else min(LONGEST_PAUSE, 0.25 * 2.0 ** min(beyond, 16))
