"""Tests that the watchdog leaves a worker alone on days with few or no sales, and still finds what hangs.

Faust's own consumer keeps the offsets here, as after a start and as it delivers records; the broker is played.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.kafka.consumer_position import ConsumerPosition, position_of_app
from streams.kafka.faust_overrides.transport import ResilientTransport
from streams.kafka.lag import Measured, Offsets
from streams.monitoring.progress_watch import Flow, ProgressWatch
from streams.monitoring.stall_detector import Stall, StallDetector
from streams.runtime.outages import Outages
from tests.unit.virtual_time import in_virtual_time, running_loop

AFTER, EVERY = 300.0, 15.0
HOUR, DAY = 3600.0, 86_400.0
PARTITIONS = [TP("sales", number) for number in range(4)]


class Worker:
    """Plays a topic, its group and its consumer, which starts again at what the group has committed."""

    is_open = True
    is_draining = False

    def __init__(self) -> None:
        self.end_offsets = dict.fromkeys(PARTITIONS, 0)
        self.committed: dict[TP, int | None] = dict.fromkeys(PARTITIONS)
        self.done = 0
        self._rounds = count()
        self._app: Any = None

    @property
    def rounds(self) -> int:
        return next(self._rounds)

    async def start(self) -> None:
        app: Any = faust.App("quiet", broker="kafka://127.0.0.1:9", store="memory://", topic_disable_leader=True)
        app.transport = ResilientTransport(app.conf.broker_consumer, app)
        app.consumer._thread.thread_loop.close()
        app.consumer._thread = self
        self.fetched = {tp: self.committed[tp] or 0 for tp in PARTITIONS}
        self._app = app
        await app.consumer.perform_seek()

    # What the consumer asks its thread.

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(_coordinator=SimpleNamespace(generation=1))

    def assignment(self) -> set[TP]:
        return set(PARTITIONS)

    async def seek_to_committed(self) -> dict[TP, int | None]:
        return dict(self.committed)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.end_offsets[tp] for tp in partitions}

    async def position(self, tp: TP) -> int:
        return self.fetched[tp]

    # What happens.

    def hand_on(self, tp: TP) -> None:
        """Add a record and deliver it as Faust does."""
        offset = self.end_offsets[tp]
        self.end_offsets[tp] = self.fetched[tp] = offset + 1
        self._app.consumer._read_offset[tp] = offset

    def commit(self, tp: TP) -> None:
        self.committed[tp] = self.end_offsets[tp]
        self.done += 1

    def sale(self, tp: TP) -> None:
        self.hand_on(tp)
        self.commit(tp)

    async def measure(self) -> Measured:
        return {
            "workers": {
                TopicPartition(*tp): Offsets(self.committed[tp] or 0, self.end_offsets[tp]) for tp in PARTITIONS
            }
        }

    async def close(self) -> None:
        pass

    async def consumer_position(self) -> ConsumerPosition:
        return await position_of_app(self._app)


@pytest.fixture
def worker() -> Worker:
    return Worker()


async def watched(worker: Worker, *, then: Callable[[], Any]) -> list[Stall]:
    """Return the stalls that are found until `then` has ended."""
    stalled: list[Stall] = []
    loop = running_loop()
    flow = Flow("sending", "workers", ["sales"], worker.consumer_position, lambda: worker.done, ["gate"])
    watch = ProgressWatch(
        StallDetector(AFTER, 2 * EVERY, clock=loop.time),
        [flow],
        worker,
        Outages(loop.time),
        interval=EVERY,
        worker=worker,
        stalled=stalled.extend,
    )
    watching = asyncio.create_task(watch.run())
    await then()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return stalled


@in_virtual_time
async def test_a_quiet_night_after_a_restart_is_no_stall(worker: Worker) -> None:
    """Promise 4. Broken by: a quiet night after a restart ends the worker."""
    await worker.start()
    for tp in PARTITIONS:
        worker.sale(tp)
    await worker.start()
    assert await watched(worker, then=lambda: asyncio.sleep(DAY)) == []


@in_virtual_time
async def test_hourly_sales_with_a_restart_after_each_and_a_weekend_are_no_stall(worker: Worker) -> None:
    async def days() -> None:
        sales = iter(PARTITIONS * 5)
        for _ in range(2):
            for _ in range(10):
                await asyncio.sleep(HOUR)
                worker.sale(next(sales))
                await worker.start()
            await asyncio.sleep(DAY - 10 * HOUR)
        await asyncio.sleep(2 * DAY)

    await worker.start()
    assert await watched(worker, then=days) == []


@in_virtual_time
async def test_a_weekend_without_a_sale_is_no_stall_whatever_was_committed_before(worker: Worker) -> None:
    worker.committed |= {PARTITIONS[0]: 0, PARTITIONS[1]: 7}
    worker.end_offsets[PARTITIONS[1]] = 7
    await worker.start()
    assert await watched(worker, then=lambda: asyncio.sleep(2 * DAY)) == []


@in_virtual_time
async def test_a_commit_beyond_what_was_delivered_since_the_start_is_no_stall(worker: Worker) -> None:
    """Another worker may have handled the records before it, or they do not exist.

    Promise 4. Broken by: a commit beyond what a worker has delivered counts as a stall.
    """
    tp = PARTITIONS[0]
    await worker.start()
    worker.sale(tp)
    worker.committed[tp] = worker.end_offsets[tp] = worker.fetched[tp] = 9
    assert await watched(worker, then=lambda: asyncio.sleep(DAY)) == []


@in_virtual_time
async def test_the_one_record_after_a_restart_that_is_never_finished_is_a_stall(worker: Worker) -> None:
    """The record has the very offset that was committed as the next to read.

    Promise 1. Broken by: the one record after a restart that is never finished is not found.
    """
    tp = PARTITIONS[3]
    await worker.start()
    worker.sale(tp)
    await worker.start()

    async def night() -> None:
        await asyncio.sleep(DAY)
        worker.hand_on(tp)
        await asyncio.sleep(2 * AFTER)

    [stall] = await watched(worker, then=night)
    assert stall.details["lag"] == {"sales": 1}
