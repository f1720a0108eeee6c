"""Runs many deliveries at once and acknowledges them strictly in the order of their delivery.

Kafka keeps one offset per partition, and Faust moves it past everything below an acknowledged offset. So an event is
acknowledged only when it, and everything that its partition delivered before it, is finished:

    admit ─▶ queued (`streams.kafka.fair_queue`) ─▶ running ─▶ finished ─▶ acknowledged, once it heads its partition

Only the last step keeps the order of delivery; a slow sale delays no other sale. Everything runs in one event loop,
without threads.
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

CANCEL_GRACE = 1.0
"""Seconds that cancelled work has to end."""


@frozen
class Delivery:
    """One event as its partition delivered it, and the work it causes."""

    partition: Hashable
    """For example Faust's ``TP(topic, partition)``."""
    offset: int
    """For the log only: the order of acknowledgement is that of admission, and offsets have gaps."""
    order_key: Hashable | None
    """Identifies the sale. Deliveries with the same key run one at a time, whatever partition or lane they come from.
    None: there is no order to keep.
    """
    shop: str | None
    """The shop whose share of the slots is used. Deliveries without a shop share one."""
    lane: str
    """The lane of the fair queue: a key of the window's weights."""
    acknowledge: Callable[[], object]
    """Called at most once, after the work; never once the partition is revoked."""
    work: Callable[[bool], Awaitable[None]] | None
    """Called as ``work(overdue)``. Overdue: its shop stayed full for `start_timeout` seconds, so the sale must only be
    deferred. None: there is no work, so the delivery needs no slot and is acknowledged in its turn.
    """


@frozen
class Running:
    """A delivery whose work is running."""

    where: str
    """Its partition and offset, as ``partition@offset``."""
    since: float
    """When the work started, by the window's clock."""


@dataclass(eq=False, slots=True)
class _Assignment:
    """The deliveries of a partition since its assignment, from the first one that is not acknowledged."""

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

    def where(self) -> dict[str, object]:
        return {"partition": str(self.delivery.partition), "offset": self.delivery.offset}


class InOrderWindow:
    """Admits deliveries, runs their work, and acknowledges them in order. No error of the work can escape it.

    max_running, max_running_per_shop, burst_below, max_waiting, start_timeout, weights: see `FairQueue`.

    max_unacknowledged: deliveries that are finished behind an unfinished one; the window stops admitting at this number
    (those admitted before may still exceed it).

    retry_pauses: seconds before each repetition of work that failed, which is a mistake in this program or a fault that
    no sale causes. Work that fails once more is given up: the delivery is finished, and the scheduler brings its
    document back. Without pauses a worker whose every event fails would give up a whole backlog in no time.
    """

    def __init__(
        self,
        *,
        max_running: int = 200,
        max_running_per_shop: int = 16,
        burst_below: int = 0,
        max_waiting: int = 2_000,
        max_unacknowledged: int = 20_000,
        start_timeout: float = 5.0,
        weights: Mapping[str, int] = DEFAULT_WEIGHTS,
        retry_pauses: Sequence[float] = (0.1, 0.5, 2.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_unacknowledged < 1:
            raise ValueError(f"max_unacknowledged is {max_unacknowledged}: nothing would ever be admitted")
        self._max_unacknowledged = max_unacknowledged
        self._retry_pauses = tuple(retry_pauses)
        self._clock = clock
        self._queue = FairQueue[_Entry](
            max_running=max_running,
            max_running_per_shop=max_running_per_shop,
            burst_below=burst_below,
            max_waiting=max_waiting,
            start_timeout=start_timeout,
            weights=weights,
            clock=clock,
        )
        self._blocked: Mapping[str, OrderedDict[asyncio.Future[bool], Delivery]]
        self._blocked = {lane: OrderedDict() for lane in weights}  # deliveries that wait in `admit`
        self._assignments: dict[Hashable, _Assignment] = {}
        self._unfinished: OrderedDict[_Entry, None] = OrderedDict()  # in the order of admission
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop itself keeps only weak references to tasks
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self.finished_unacknowledged = 0
        self.finished_total = 0

    @property
    def running(self) -> int:
        """Deliveries whose work is running, including those that are only being deferred."""
        return self._queue.running

    @property
    def running_per_shop(self) -> dict[str | None, int]:
        """Running deliveries by shop, without those that are only being deferred."""
        return self._queue.running_per_shop

    @property
    def waiting(self) -> int:
        """Deliveries that are admitted and have not started."""
        return self._queue.waiting

    @property
    def oldest_unfinished_age(self) -> float:
        """Seconds since the oldest unfinished delivery was admitted; 0 when there is none."""
        return self._clock() - next(iter(self._unfinished)).admitted_at if self._unfinished else 0.0

    @property
    def oldest_running(self) -> Running | None:
        """The delivery whose work has been running for longest; None when none is running."""
        started = ((entry.started_at, entry) for entry in self._unfinished if entry.started_at is not None)
        since, entry = min(started, key=lambda pair: pair[0], default=(0.0, None))
        return Running(f"{entry.delivery.partition}@{entry.delivery.offset}", since) if entry else None

    async def admit(self, delivery: Delivery) -> bool:
        """Admit a delivery; blocks while too many wait, or are finished and not acknowledged.

        Return False if it was not admitted because its partition was revoked meanwhile or the window is being drained;
        it will be delivered again. The deliveries of one partition must be admitted one after the other. Raises
        `ValueError` when the lane has no weight.
        """
        if delivery.lane not in self._blocked:
            raise ValueError(f"lane {delivery.lane!r} has no weight; there are {', '.join(self._blocked)}")
        if self._draining:
            return False
        if delivery.work is None and self._has_capacity:
            self._accept(delivery)
            return True
        admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._blocked[delivery.lane][admitted] = delivery
        self._advance()
        return await admitted

    def revoke(self, partitions: Iterable[Hashable]) -> None:
        """End the assignment of `partitions`: running work continues but is never acknowledged; what has not started is
        dropped.

        Whatever these partitions deliver from now on belongs to a new assignment. To be called on the event loop.
        """
        revoked = set(partitions)
        for assignment in [self._assignments.pop(p) for p in revoked & self._assignments.keys()]:
            assignment.revoked = True
            self.finished_unacknowledged -= assignment.finished
            self._drop_waiting(assignment.entries)
            assignment.entries.clear()
        self._reject_blocked(lambda delivery: delivery.partition in revoked)
        self._advance()

    async def drain(self, seconds: float) -> int:
        """Stop admitting for good, drop what has not started, and wait for running work to finish and be acknowledged.
        Work that still runs after `seconds` is cancelled, unacknowledged. Return how many deliveries that were.
        """
        self._draining = True
        self._reject_blocked(lambda _: True)
        self._drop_waiting(list(self._unfinished))
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
        self.revoke(list(self._assignments))  # nobody would commit an acknowledgement from here on
        self._unfinished.clear()
        return left

    def _advance(self) -> None:
        """Start and admit whatever there is room for; the last step of everything that may have made room."""
        has_progress = not self._draining
        while has_progress:
            while (entry := self._queue.next()) is not None:
                self._start(entry)
            has_progress = False
            if self._has_capacity:
                for lane, blocked in self._blocked.items():
                    while blocked and self._queue.has_room(lane):
                        has_progress = True
                        admitted, delivery = blocked.popitem(last=False)
                        if not admitted.done():  # otherwise its caller was cancelled
                            admitted.set_result(True)
                            self._accept(delivery)
        self._schedule_timeout()

    @property
    def _has_capacity(self) -> bool:
        return self.finished_unacknowledged < self._max_unacknowledged

    def _accept(self, delivery: Delivery) -> None:
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
        self._queue.enqueue(entry)

    def _reject_blocked(self, matches: Callable[[Delivery], bool]) -> None:
        for blocked in self._blocked.values():
            for admitted in [future for future, delivery in blocked.items() if matches(delivery)]:
                del blocked[admitted]
                if not admitted.done():
                    admitted.set_result(False)

    def _drop_waiting(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            if entry.waiting:
                self._queue.drop(entry)
                del self._unfinished[entry]

    def _schedule_timeout(self) -> None:
        until = self._queue.times_out_at
        if self._timer is None and until is not None and not self._draining:
            wait = max(0.0, until - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._on_timeout)

    def _on_timeout(self) -> None:
        self._timer = None
        self._queue.time_out()
        self._advance()

    def _start(self, entry: _Entry) -> None:
        entry.started_at = entry.started_at or self._clock()
        task = asyncio.get_running_loop().create_task(self._run(entry))
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_ended, entry))

    async def _run(self, entry: _Entry) -> None:
        work = entry.delivery.work
        while work is not None and not self._is_given_up(entry):
            try:
                await work(entry.overdue)
            except (Exception, asyncio.CancelledError) as error:
                if is_cancelled():
                    raise
                self._note_failure(entry, error)
            else:
                return
            if not self._is_given_up(entry):
                await asyncio.sleep(self._retry_pauses[entry.failures - 1])

    def _task_ended(self, entry: _Entry, task: asyncio.Task[None]) -> None:
        """Release the slot of `entry`, whose task has ended. This runs in a callback because a task that is cancelled
        before its first step never runs its own code.
        """
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        abandoned = self._draining or entry.assignment.revoked
        if error is not None and not abandoned:
            self._note_failure(entry, error)  # the task was cancelled from outside; the event still has to be finished
            self._start(entry)
            return
        self._queue.release(entry)
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
        is_given_up = self._is_given_up(entry)
        (log.error if is_given_up else log.warning)(
            "event.given_up" if is_given_up else "window.work_failed",
            **entry.where(),
            failures=entry.failures,
            error=type(error).__name__,  # the text of the error may contain the payload, lines of code do not
            trace="".join(traceback.format_tb(error.__traceback__)),
        )

    def _is_given_up(self, entry: _Entry) -> bool:
        return entry.failures > len(self._retry_pauses)
