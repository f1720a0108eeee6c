"""Tests that a kill -9 between any two steps of a sale's path leaves it decided rightly and stored once.

Each journey has a sale of its own, in whose path the worker kills itself; the next worker goes on. After a death
Kafka waits for the dead worker, so the journeys run in parallel, on a few stacks.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import redis

from streams.local.processes import Process, free_port
from streams.local.samples import Sale
from streams.local.simulator import presets
from streams.local.simulator.faults import Fault
from streams.local.stack import CHANGE_TOPIC, LocalStack
from tests.pipeline.pipeline import QUICK, Pipeline

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

_LANES = 5
_SETTINGS = QUICK | {"ATTEMPT_DEADLINE": "1.5", "API_CALL_DEADLINE": "1", "LEASE_GRACE": "1", "SWEEP_AFTER": "1"}


@dataclass
class Lane:
    """A stack, and workers on it one after the other, each of which dies at a given step."""

    pipeline: Pipeline
    file: Path
    worker: Process | None = None
    started: int = 0

    def start(self) -> Process:
        stack, port = self.pipeline.stack, str(free_port())
        self.started += 1
        self.worker = Process(
            f"mortal-{self.started}",
            [sys.executable, "-m", "faust", "-A", "tests.pipeline.app_that_dies", "worker", "--web-port", port],
            log=stack.folder / "logs" / f"mortal-{self.started}.log",
            environment={**stack.environment, **_SETTINGS, "WEB_PORT": port, "KILL_FILE": str(self.file)},
            folder=Path(__file__).parents[2],
        )
        self.pipeline.workers.append(self.worker)
        return self.worker

    async def sell(self, step: str, *, late: bool = False) -> Sale:
        """Sell one sale in whose path the worker dies at this step, and start another worker. With `late`, the time
        of its attempt is over before it is sent.
        """
        self.file.write_text(f"{step} {len(self.pipeline.seller.sales) + 1}{' late' if late else ''}")
        [sale] = self.pipeline.seller.sell(1)
        victim = self.worker or self.start()
        await self.pipeline.until(lambda: not victim.running, f"it dies at {step}")
        assert victim.exit_code == -signal.SIGKILL, victim.tail()
        self.replace_the_dead()
        return sale

    async def withdraw(self, sale: Sale, step: str) -> None:
        """Request the withdrawal of a sale, in whose path the worker dies at this step, and start another worker."""
        victim = self.worker or self.start()
        self.file.write_text(f"{step} {sale.id}")
        self.pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_CANCEL' WHERE id = ?", sale.id)
        await self.pipeline.until(lambda: not victim.running, f"it dies at {step}")
        assert victim.exit_code == -signal.SIGKILL, victim.tail()
        self.replace_the_dead()

    def replace_the_dead(self) -> None:
        """Delete the dead worker's keys in Redis, which would otherwise expire by themselves."""
        with redis.Redis.from_url(self.pipeline.stack.environment["REDIS_URL"]) as client:
            client.flushall()
        self.start()

    async def until_ended(self, sale: Sale, status: str) -> None:
        await self.pipeline.until(lambda: self.pipeline.rows()[sale.id].status == status, f"sale {sale.id}: {status}")

    async def was_sent_once(self, sale: Sale) -> None:
        entries = await self.pipeline.control.ledger(sale.local_invoice_id)
        assert [entry.call for entry in entries].count("create") == 1, entries


async def accepted(lane: Lane, step: str) -> None:
    sale = await lane.sell(step)
    await lane.until_ended(sale, "SYNC_SUCCESS")
    await lane.was_sent_once(sale)


async def refused(lane: Lane, step: str) -> None:
    rule = await lane.pipeline.control.add_rule(presets.refusal("không hợp lệ"), "create")
    sale = await lane.sell(step)
    await lane.until_ended(sale, "SYNC_FAILED")
    await lane.pipeline.control.clear_rules(rule)
    assert await lane.pipeline.control.standing(sale.local_invoice_id) == []

    def both() -> bool:
        failures = [e for e in lane.pipeline.journal("sync_failures") if e["id"] == sale.id]
        logs = [e for e in lane.pipeline.journal("task_logs") if e["id"] == sale.id]
        ended = {entry["_id"] for entry in logs if entry["status"] == "SYNC_FAILED"}
        return bool(failures) and {entry["_id"] for entry in failures} == ended and bool(failures[-1]["payload"])

    await lane.pipeline.until(both, "the journal has the failure with what was sent, and the decision")


async def unsent(lane: Lane, step: str) -> None:
    """Play a sale that is at first proved unsent."""
    sale = await lane.sell(step, late=True)
    await lane.until_ended(sale, "SYNC_SUCCESS")
    await lane.was_sent_once(sale)


async def again(lane: Lane, step: str) -> None:
    """Play a sale that fails at first and is tried again by the scheduler."""
    await lane.pipeline.control.add_rule(Fault(accept=False, status=401), "create", times=2)
    sale = await lane.sell(step)
    # The scheduler may have put it off for two minutes, should nobody be there to claim it.
    lane.pipeline.execute("UPDATE SaleSync SET next_attempt_at = 1 WHERE id = ? AND owner = 'due'", sale.id)
    await lane.until_ended(sale, "SYNC_SUCCESS")
    await lane.pipeline.control.clear_rules()
    await lane.was_sent_once(sale)


async def redelivered(lane: Lane, _: str) -> None:
    """Play a sale that is acknowledged but not committed: the worker dies before the next commit."""
    worker = lane.worker or lane.start()
    [first] = lane.pipeline.seller.sell(1)
    await lane.until_ended(first, "SYNC_SUCCESS")  # it works, so that what follows is quicker than a commit

    async def uncommitted() -> bool:
        return bool((await lane.pipeline.unfinished_offsets())[CHANGE_TOPIC])

    sales: list[Sale] = []
    while not sales or not await uncommitted():
        sales = lane.pipeline.seller.sell(3)
        await asyncio.gather(*(lane.until_ended(sale, "SYNC_SUCCESS") for sale in sales))
        if await uncommitted():
            worker.kill()
    lane.replace_the_dead()

    async def all_committed() -> bool:
        return not any((await lane.pipeline.unfinished_offsets()).values())

    await lane.pipeline.until(all_committed, "all are worked through again")
    for sale in sales:
        await lane.was_sent_once(sale)


async def sent(lane: Lane) -> Sale:
    if lane.worker is None:
        lane.start()
    [sale] = lane.pipeline.seller.sell(1)
    await lane.until_ended(sale, "SYNC_SUCCESS")
    return sale


async def withdrawn(lane: Lane, step: str) -> None:
    sale = await sent(lane)
    await lane.withdraw(sale, step)
    await lane.until_ended(sale, "CANCELLED")
    entries = await lane.pipeline.control.ledger(sale.local_invoice_id)
    assert [entry.call for entry in entries] == ["create", "withdraw"]


async def not_withdrawn(lane: Lane, step: str) -> None:
    """Play a withdrawal that the national system refuses."""
    sale = await sent(lane)
    rule = await lane.pipeline.control.add_rule(presets.refusal("quá hạn hủy"), "withdraw")
    await lane.withdraw(sale, step)
    await lane.until_ended(sale, "CANCEL_FAILED")
    await lane.pipeline.control.clear_rules(rule)
    message = lane.pipeline.rows()[sale.id].message
    assert message is not None
    assert message.endswith("API: quá hạn hủy")

    def in_the_journal() -> bool:
        failures = [entry for entry in lane.pipeline.journal("sync_failures") if entry["id"] == sale.id]
        return bool(failures) and failures[-1]["api_words"] == "quá hạn hủy"

    await lane.pipeline.until(in_the_journal, "the journal has the failure with the text of the system")
    lane.pipeline.execute("UPDATE SalesInvoices SET status = 'PENDING_CANCEL' WHERE id = ?", sale.id)
    await lane.until_ended(sale, "CANCELLED")


Journey = Callable[[Lane, str], Awaitable[None]]
JOURNEYS: dict[tuple[str, str], Journey] = {
    ("read", "claimed"): accepted,
    ("claimed", "sent"): accepted,
    ("about to send", "sent"): accepted,
    ("taken by the API", "answer read"): accepted,
    ("answered", "told"): accepted,
    ("told", "acknowledged"): accepted,
    ("acknowledged", "committed"): redelivered,
    ("status read", "written"): accepted,
    ("written", "committed"): accepted,
    ("end committed", "acknowledged"): accepted,
    ("refused", "refusal kept"): refused,
    ("refusal kept", "kept for sure"): refused,
    ("refusal kept for sure", "told"): refused,
    ("failure in the journal", "decision in the journal"): refused,
    ("proved unsent", "kept"): unsent,
    ("kept as unsent", "told"): unsent,
    ("put off", "fed"): again,
    ("about to be fed", "fed"): again,
    ("fed", "the scheduler goes on"): again,
    ("withdrawal claimed", "called"): withdrawn,
    ("withdrawn by the API", "answer read"): withdrawn,
    ("withdrawal answered", "recorded"): withdrawn,
    ("withdrawal recorded", "recorded for sure"): withdrawn,
    ("withdrawal recorded for sure", "told"): withdrawn,
    ("withdrawal told", "acknowledged"): withdrawn,
    ("withdrawal read", "written"): withdrawn,
    ("withdrawal written", "committed"): withdrawn,
    ("end of the withdrawal committed", "acknowledged"): withdrawn,
    ("withdrawal refused", "refusal kept"): not_withdrawn,
}
STEPS = {
    "read": "after_read",
    "claimed": "after_claim",
    "about to send": "before_create",
    "taken by the API": "in_create",
    "answered": "before_told",
    "told": "after_told",
    "acknowledged": "",
    "status read": "before_note",
    "written": "uncommitted_end",
    "end committed": "after_end",
    "refused": "before_keep",
    "refusal kept": "uncommitted_keep",
    "refusal kept for sure": "after_keep",
    "failure in the journal": "after_sync_failures",
    "proved unsent": "before_keep",
    "kept as unsent": "after_keep",
    "put off": "after_put_off",
    "about to be fed": "before_fed",
    "fed": "after_fed",
    "withdrawal claimed": "before_withdraw",
    "withdrawn by the API": "in_withdraw",
    "withdrawal answered": "before_keep",
    "withdrawal recorded": "uncommitted_keep",
    "withdrawal recorded for sure": "after_keep",
    "withdrawal told": "after_told",
    "withdrawal read": "before_note",
    "withdrawal written": "uncommitted_end",
    "end of the withdrawal committed": "after_end",
    "withdrawal refused": "before_keep",
}


@dataclass
class Journeys:
    lanes: list[Lane]
    results: dict[tuple[str, str], asyncio.Future[None]]

    async def travel(self, number: int) -> None:
        """Play the journeys of one lane, one after the other."""
        for between, journey in list(JOURNEYS.items())[number :: len(self.lanes)]:
            try:
                await journey(self.lanes[number], STEPS[between[0]])
            except Exception as error:
                self.results[between].set_exception(error)
            else:
                self.results[between].set_result(None)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def journeys(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Journeys]:
    async with AsyncExitStack() as opened:
        lanes = []
        for _ in range(_LANES):
            stack = opened.enter_context(LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=5))
            pipeline = await opened.enter_async_context(Pipeline(stack))
            lanes.append(Lane(pipeline, tmp_path_factory.mktemp("kill") / "step"))
        loop = asyncio.get_running_loop()
        made = Journeys(lanes, {between: loop.create_future() for between in JOURNEYS})
        travelling = [asyncio.create_task(made.travel(number)) for number in range(_LANES)]
        yield made
        await asyncio.gather(*travelling)


@pytest.mark.parametrize("between", JOURNEYS, ids=" | ".join)
async def test_a_kill_between_any_two_steps_leaves_the_sale_stored_once(
    journeys: Journeys, between: tuple[str, str]
) -> None:
    await journeys.results[between]


async def test_the_database_and_the_national_system_agree_on_every_sale(journeys: Journeys) -> None:
    await asyncio.wait(journeys.results.values())
    for lane in journeys.lanes:
        pipeline = lane.pipeline
        await pipeline.until_decided()
        await pipeline.assert_both_sides_agree()
        published = {status.event_id for status in await pipeline.statuses()}

        def journaled(pipeline: Pipeline = pipeline, published: set[str] = published) -> bool:
            return {entry["_id"] for entry in pipeline.journal("task_logs")} == published

        await pipeline.until(journaled, "the journal has every decision")
