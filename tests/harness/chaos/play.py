"""One run: the world, its points of sale and the faults of a plan; then everything heals, comes to rest, and is
judged.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyodbc

from streams.documents import DOCUMENT_TYPES, GOODS_ISSUE, SALE
from streams.documents.document import DocumentType
from streams.local.samples import REFUSED_DRUG_CODE
from streams.local.samples.stock import STOCK_TYPES
from streams.local.simulator import accounts as national
from streams.local.simulator.control import Control
from streams.local.stack import Capture
from streams.local.tally import count_all
from tests.harness.chaos import evidence
from tests.harness.chaos.faults import in_force
from tests.harness.chaos.history import history
from tests.harness.chaos.judge import Evidence, Expected, Row, Verdict, judge
from tests.harness.chaos.planted import SAYS
from tests.harness.chaos.points_of_sale import PointsOfSale
from tests.harness.chaos.progress import LONGEST, Progress
from tests.harness.chaos.schedule import KINDS, Fault
from tests.harness.chaos.workers import FEWEST
from tests.harness.chaos.world import ChaosStack, World

START = 60.0
"""Seconds for the first workers to be ready; what happens before is no test of anything."""
SETTLE = 180.0
"""Seconds for the last sales to be decided once everything has healed."""
REST = 60.0
"""And then for journal and offsets."""
_TARGETS = {kind.name: kind.target for kind in KINDS}
_THREADS = 64
"""Many wait at the same time for servers that are away; none may have to wait for another's thread."""
_SLOW = 10.0
_STRUCK = 10.0
"""Seconds for which a fault is a cause after it is over: what was hung up by it has time-outs of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    sales: int
    seconds: float
    """In which they are sold, and the faults happen."""
    faults: Sequence[Fault]
    state: Path
    capture: Capture = "cdc"


@dataclass
class Report:
    plan: Plan
    folder: Path
    verdicts: Sequence[Verdict]
    """One for each document type."""
    played: Mapping[str, int]
    """Faults that were seen to happen, by kind."""
    histories: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return all(verdict.right for verdict in self.verdicts)

    @property
    def others(self) -> list[str]:
        return [other for verdict in self.verdicts for other in verdict.others]

    @property
    def line(self) -> str:
        """One for each document type."""
        return "\n".join(verdict.line(sum(self.played.values()), len(self.played)) for verdict in self.verdicts)


def play(plan: Plan, tell: Callable[[str], None]) -> Report:
    """Raises what the stack raises."""
    with ChaosStack(plan.state, tell, plan.capture) as stack:
        return asyncio.run(_Run(plan, stack, tell).play())


class _Run:
    def __init__(self, plan: Plan, stack: ChaosStack, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._stack = stack
        self._began = time.monotonic()
        self._tell_of = tell
        self._struck: dict[int, float | None] = {}
        """By the fault's place in the plan: until when it was in force; None: it still is."""
        self._targets: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """On a busy machine a fault takes longer to undo than was planned; the next one of its target waits for it."""
        self._played: Counter[str] = Counter()
        """Faults that were seen to happen."""
        self._progress = Progress()
        self._pending = 0

    async def play(self) -> Report:
        plan, stack = self._plan, self._stack
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        points_of_sale = PointsOfSale(stack, plan.seed, plan.sales, plan.seconds)
        async with Control(stack.simulator_url) as control:
            await _prepare(control, points_of_sale)
            world = World(stack, control, plan.seed, self._tell)
            for _ in range(FEWEST + 1):
                world.workers.join()
            watch = asyncio.create_task(self._watch(world))
            try:
                await self._until(_ready(world), START, watch)
                await self._amid_faults(world, points_of_sale)
                await self._heal(world, points_of_sale)
                healed = time.monotonic()
                await self._until(partial(self._all_decided, points_of_sale), SETTLE, watch)
                decided_s = time.monotonic() - healed
                await self._until(self._at_rest, REST, watch)
                rest_s = time.monotonic() - healed
            finally:
                watch.cancel()
                await asyncio.to_thread(world.workers.stop)
            report = await self._judged(world, points_of_sale, control)
            report.facts.append(
                f"waited for after the last fault and sale: decisions {decided_s:.0f} s, rest {rest_s:.0f} s"
            )
            await asyncio.to_thread(points_of_sale.close)
            return report

    def _tell(self, words: str) -> None:
        self._tell_of(f"{time.monotonic() - self._began:6.1f} s  {words}")

    async def _amid_faults(self, world: World, points_of_sale: PointsOfSale) -> None:
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(points_of_sale.run())
            for place, fault in enumerate(self._plan.faults):
                group.create_task(self._strike(world, place, fault))

    async def _strike(self, world: World, place: int, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, self._began + fault.at - time.monotonic()))
        async with self._targets[_TARGETS[fault.kind]]:
            self._tell(str(fault))
            self._struck[place] = None
            began = time.monotonic()
            async with in_force(world, fault):
                await asyncio.sleep(fault.seconds)
            if (why := world.planted.missed.pop(fault.kind, None)) is None:
                self._played[fault.kind] += 1
            else:
                self._tell(f"{fault.kind} did not happen: {why}")
            self._struck[place] = time.monotonic()
            if (took := time.monotonic() - began) > fault.seconds + _SLOW:
                self._tell(f"{fault.kind} took {took:.1f} s until it was undone")

    async def _heal(self, world: World, points_of_sale: PointsOfSale) -> None:
        self._tell("no more faults, nothing is sold any more")
        await world.control.clear_rules()
        if not points_of_sale.mended:
            await asyncio.to_thread(points_of_sale.mend)

    async def _watch(self, world: World) -> None:
        shown = 0.0
        while True:
            world.workers.look(broker_struck=any(_TARGETS[kind] == "kafka" for kind in self._in_force()))
            now = time.monotonic()
            with suppress(pyodbc.Error):
                decided, self._pending, mark = await asyncio.to_thread(self._standing)
                self._progress.look(now, mark=mark, pending=self._pending, causes=self._causes(world))
                if now - shown >= 5:
                    shown = now
                    await asyncio.to_thread(world.note_tokens)
                    waits = "; ".join(world.workers.causes())
                    self._tell(f"  {decided} decided, {self._pending} pending{f' ({waits})' if waits else ''}")
            await asyncio.sleep(0.5)

    def _causes(self, world: World) -> list[str]:
        return [*self._in_force(), *world.workers.causes()]

    def _in_force(self) -> list[str]:
        """Kinds, a while longer than they are."""
        now = time.monotonic()
        return [
            self._plan.faults[place].kind
            for place, until in self._struck.items()
            if until is None or now - until < _STRUCK
        ]

    def _unplayed(self, world: World) -> Iterator[str]:
        yield from sorted({fault.kind for fault in self._plan.faults} - self._played.keys())
        said = " ".join(world.workers.events)
        for becomes in sorted(set(world.planted.becomes.values())):
            if SAYS.get(becomes, "") not in said:
                yield f"no worker said {SAYS[becomes]}"

    def _standing(self) -> tuple[int, int, object]:
        with closing(self._stack.database.connect()) as database:
            counts = count_all(database)
            moved = database.execute("SELECT SUM(attempt), SUM(published_attempt) FROM SaleSync").fetchone()
        decided = counts.total - counts.waiting
        return decided, counts.waiting, (decided, *moved)

    async def _until(self, condition: Callable[[], Awaitable[bool]], seconds: float, watch: asyncio.Task[None]) -> None:
        deadline = time.monotonic() + seconds
        while not await condition() and time.monotonic() < deadline:
            if watch.done():
                watch.result()
            await asyncio.sleep(0.5)

    async def _all_decided(self, points_of_sale: PointsOfSale) -> bool:
        await asyncio.to_thread(points_of_sale.correct_what_nobody_can_look_up)
        _, pending, _ = await asyncio.to_thread(self._standing)
        return pending == 0

    async def _at_rest(self) -> bool:
        for kind in DOCUMENT_TYPES:
            changes = await evidence.records(self._stack, evidence.CHANGES[kind.name])
            if self._uncaptured(changes, await asyncio.to_thread(evidence.rows, self._stack, kind)):
                return False
        if any((await evidence.unacknowledged(self._stack)).values()):
            return False
        published = {
            status.event_id for status in evidence.published(await evidence.records(self._stack, "sale-status"))
        }
        return len(await asyncio.to_thread(evidence.journal, self._stack, "task_logs")) >= len(published)

    def _uncaptured(self, changes: Sequence[Any], rows: Mapping[int, Row]) -> list[int]:
        return [] if self._stack.polls else evidence.uncaptured(changes, rows)

    async def _judged(self, world: World, points_of_sale: PointsOfSale, control: Control) -> Report:
        stack = self._stack
        topics = {topic: await evidence.records(stack, topic) for topic in (*evidence.READ, "sale-dead-letter")}
        rows = evidence.rows(stack)
        texts = {log.name: log.read_bytes() for log in world.workers.logs}
        texts |= {name: b"\n".join(record.value or b"" for record in of_topic) for name, of_topic in topics.items()}
        workers, planted = world.workers, world.planted
        published = evidence.published(topics["sale-status"])
        journals = {name: evidence.journal(stack, name) for name in ("task_logs", "sync_failures")}
        others = {kind.name for kind in STOCK_TYPES}

        async def of_kind(kind: DocumentType, rows: Mapping[int, Row], expected: Mapping[int, Expected]) -> Evidence:
            """Return what is about this document type; a forged decision about none counts with the sales."""

            def is_own(name: str) -> bool:
                return name == kind.name or (kind is SALE and name not in others)

            return Evidence(
                rows=rows,
                expected=expected,
                stored=await evidence.stored(control, kind),
                bodies=await evidence.bodies(stack, kind, sorted(rows)),
                published=[status for status in published if is_own(status.document)],
                task_logs=[entry for entry in journals["task_logs"] if is_own(entry["document"])],
                sync_failures=[entry for entry in journals["sync_failures"] if is_own(entry["document"])],
                forged=planted.forged,
                junk={},
                dead_letters=[],
                uncaptured=self._uncaptured(topics[evidence.CHANGES[kind.name]], rows),
            )

        sales = await of_kind(SALE, rows, points_of_sale.expected(rows) | planted.expected(rows))
        stock: list[tuple[DocumentType, Evidence]] = []
        for kind in STOCK_TYPES:
            found = evidence.rows(stack, kind)
            stock.append((kind, await of_kind(kind, found, points_of_sale.expected_stock(kind, found))))
        verdict = judge(
            replace(
                sales,
                junk=points_of_sale.junk | planted.records,
                planted=list(planted.sales),
                unplayed=[*self._unplayed(world)],
                dead_letters=evidence.letters(topics["sale-dead-letter"]),
                unacknowledged=await evidence.unacknowledged(stack),
                leaks=evidence.leaks(stack, texts, world.tokens),
                stalls=self._progress.stalls,
                mistakes=[*workers.mistakes, *workers.wrong_ends],
                peak_mb=workers.peak_kb / 1024,
            )
        )
        verdicts = [verdict, *(judge(proof, kind.nouns.many) for kind, proof in stock)]
        report = Report(self._plan, stack.folder, verdicts, self._played)
        for kind, proof, judged in zip(DOCUMENT_TYPES, [sales, *(proof for _, proof in stock)], verdicts, strict=True):
            offenders = list(dict.fromkeys(finding.sale for finding in judged.findings))
            for id_ in offenders[:50]:
                words = [f"{kind.nouns.one} {id_}: {f.offence}: {f.words}" for f in judged.findings if f.sale == id_]
                words += await history(stack, control, kind, proof.rows[id_], topics, workers.logs)
                report.histories.append("\n  ".join(words))
        becomes = ", ".join(f"{count} {what}" for what, count in sorted(Counter(planted.becomes.values()).items()))
        said = ", ".join(f"{event} {count}" for event, count in workers.events.most_common(12))
        unsure = sum(each.status is None for each in points_of_sale.expected(rows).values())
        report.facts += [
            f"{unsure} sales whose right decision is unknown to the points of sale; everything else is checked",
            f"{points_of_sale.edits} edits, {points_of_sale.withdrawn} withdrawals, "
            f"{len(points_of_sale.junk)} pieces of junk",
            f"{workers.starts} starts of workers",
            f"{len(planted.sales)} sales planted; of what was planted on topics: {becomes or 'nothing'}",
            f"{len(topics['sale-status'])} decisions, {await _calls(control)}",
            f"the largest worker took {workers.peak_kb / 1024:.0f} MB; longest standstill without a cause "
            f"{self._progress.longest:.0f} s of {LONGEST:.0f} s",
            f"{len(world.tokens)} tokens were seen, and looked for in {sum(map(len, texts.values())) / 1e6:.0f} MB",
            f"said: {said}",
        ]
        return report


async def _prepare(control: Control, points_of_sale: PointsOfSale) -> None:
    known = [
        national.Account.model_validate({"usr": a["usr"], "pwd": a["pwd"]}) for a in points_of_sale.seller.accounts
    ]
    await control.set_accounts(known)
    # The worst of what is not known about the API: a second POST of a sale makes a second document, unseen.
    await control.change_behaviour(
        refused_drugs=[REFUSED_DRUG_CODE],
        second_create="another",
        refusals_name_customer=True,
        without_look_up=[GOODS_ISSUE.name],
    )


def _ready(world: World) -> Callable[[], Awaitable[bool]]:
    async def all_are() -> bool:
        return world.workers.ready

    return all_are


async def _calls(control: Control) -> str:
    return ", ".join(f"{count} {call}" for call, count in sorted((await control.counts()).items()))
