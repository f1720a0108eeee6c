"""One peer at one latency: how much it carries from a backlog, and how long a sale takes at half of that."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from streams.local.processes import NotReady
from tests.harness.bench.peers import AiohttpRoofline, Carrier, Peer, Roofline, Worker
from tests.harness.bench.process_tree import ProcessTree
from tests.harness.bench.results import Row
from tests.harness.bench.rig import STOP_WITHIN_S, tell
from tests.harness.bench.roofline import write_sales
from tests.harness.bench.servers import Servers, Sold, all_accepted, steady_per_s

_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_BARE_FROM = 100_000_000
"""Numbers of the bare clients' sales: none that a point of sale ever uses here."""
_LEFT_OUT = 0.1
"""The first part of the latencies: connections are opened that lay idle."""
_LIMIT_SEED = 1
_WARM_UP_SALES = 40_000
"""Until Kafka and Debezium have compiled what they do all day: at first they use three times as much CPU for a sale."""


@dataclass(slots=True)
class Effort:
    """How much is sold."""

    seconds: float = 25
    """A run at capacity is to last."""
    sales: int | None = None
    """Instead: so many, whoever carries them."""
    latency_seconds: float = 15
    with_latency: bool = True
    """Measure the time from commit to status, too."""
    least: int = 100
    _bare: int = _BARE_FROM

    def at_capacity(self, peer: Peer, latency_ms: float) -> int:
        return self.sales or max(self.least, int(peer.guess(latency_ms) * self.seconds))

    def at_half(self, per_s: float) -> int:
        return min(self.sales or 3000, max(self.least, int(per_s * self.latency_seconds)))

    def bare_numbers(self, count: int) -> int:
        """The first of so many that no run had before."""
        self._bare += count
        return self._bare - count


def measure(servers: Servers, peer: Peer, latency_ms: float, effort: Effort) -> Row:
    """Raises `NotReady` where it does not run at all."""
    servers.answer_after(latency_ms)
    if isinstance(peer, Carrier):
        return _carrier(servers, peer, latency_ms, effort)
    if isinstance(peer, Roofline):
        return _roofline(servers, peer, latency_ms, effort)
    raise TypeError(f"no way to measure {peer.name}")


def warm_up(servers: Servers) -> None:
    """Brings Kafka and Connect, started to last, to the speed that they have in production. Raises `NotReady`."""
    tell("warming up Kafka and Debezium")
    servers.answer_after(0)
    row = _carrier(servers, Worker(), 0, Effort(sales=_WARM_UP_SALES, with_latency=False))
    if row.problem:
        raise NotReady(row.problem)


def simulator_limit(servers: Servers, effort: Effort) -> float:
    """Sales a second that the API simulator itself takes: nobody can be faster on this machine."""
    servers.answer_after(0)
    return _roofline(servers, AiohttpRoofline(), 0, effort, concurrency=64).sales_per_s


def _roofline(servers: Servers, peer: Roofline, latency_ms: float, effort: Effort, **options: int) -> Row:
    count = effort.at_capacity(peer, latency_ms)
    file = Path(servers.stack.folder, "bare-sales.jsonl")
    first = effort.bare_numbers(count)
    now = datetime.now(_ZONE)
    codes = write_sales(file, servers.seller.shops, seed=_LIMIT_SEED, first=first, count=count, now=now)
    with ExitStack() as cleanup:
        process = peer.start(servers, file, **options)
        cleanup.callback(process.terminate, STOP_WITHIN_S)
        tree = cleanup.enter_context(ProcessTree(process.pid))
        process.announced("done", timeout=_timeout_s(peer, latency_ms, count))
        ended = tree.settled()
        moments = servers.accepted(codes)
        return Row(
            peer=peer.name,
            latency_ms=latency_ms,
            sales=count,
            sales_per_s=steady_per_s(moments),
            cpu_us_per_sale=_per_sale_us(tree, moments, ended),
            peak_rss_mb=tree.peak_rss_mb,
            problem=all_accepted(moments, count),
        )


def _carrier(servers: Servers, peer: Carrier, latency_ms: float, effort: Effort) -> Row:
    count = effort.at_capacity(peer, latency_ms)
    with ExitStack() as cleanup:
        cleanup.enter_context(peer.at_work(servers))
        backlog = servers.sell(count)
        peer.hand_over(servers, backlog)
        process = peer.start(servers)
        cleanup.callback(process.terminate, STOP_WITHIN_S)
        tree = cleanup.enter_context(ProcessTree(process.pid))
        decided = servers.until_decided(backlog, _timeout_s(peer, latency_ms, count))
        decided_at = time.time()
        ended = tree.settled()
        moments = servers.accepted(backlog.codes)
        row = Row(
            peer=peer.name,
            latency_ms=latency_ms,
            sales=count,
            sales_per_s=steady_per_s(moments),
            cpu_us_per_sale=_per_sale_us(tree, moments, ended),
            peak_rss_mb=tree.peak_rss_mb,
            ends_after_s=max(0.0, decided_at - moments[-1]) if moments else None,
            published_by=peer.published_by,
            problem=all_accepted(moments, count) or ("" if decided else "not every row got its end"),
        )
        if row.problem or not (effort.with_latency and peer.sells_on):
            return row
        statuses_since = peer.statuses(servers)
        half = row.sales_per_s / 2
        steady = servers.sell_steadily(effort.at_half(half), half, peer.sold_one)
        decided = servers.until_decided(steady, 60)
    published = peer.published_ms(servers, steady, statuses_since)
    accepted = servers.accepted(steady.codes)
    row.problem = all_accepted(accepted, len(steady.ids)) or ("" if decided else "not every row got its end")
    return _with_latency(row, servers, peer, steady, published)


def _with_latency(row: Row, servers: Servers, peer: Carrier, sold: Sold, published: Mapping[int, int]) -> Row:
    captured = servers.captured(sold)
    captured.inserted()
    committed = captured.committed_ms()
    in_order = sorted(committed, key=lambda id_: committed[id_])
    steady = in_order[int(len(in_order) * _LEFT_OUT) :]
    took = [published[id_] - committed[id_] for id_ in steady if id_ in published]
    if len(took) < max(len(steady), 2):
        return row.model_copy(update={"problem": row.problem or f"{len(steady) - len(took)} sales were never told"})
    cut = statistics.quantiles(took, n=100)
    capture_ms = statistics.median(captured.capture_took_ms()) if peer.waits_for_capture else None
    return row.model_copy(
        update={"offered_per_s": sold.per_s, "median_ms": cut[49], "p99_ms": cut[98], "capture_ms": capture_ms}
    )


def _per_sale_us(tree: ProcessTree, moments: list[float], ended: float) -> float:
    return tree.cpu_between(moments[0], ended) / len(moments) * 1e6


def _timeout_s(peer: Peer, latency_ms: float, count: int) -> float:
    return 60 + 6 * count / peer.guess(latency_ms)
