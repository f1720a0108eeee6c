"""``make catch-up``: many sales are pending that no change event announces (a cut-over, an outage of the
connector).

The scheduler finds and enqueues them. Measured is how fast, how fair between the shops, and what becomes of the
sales that points of sale make meanwhile.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

import click

from streams.local.processes import NotReady
from streams.local.stack import CHANGE_TOPIC
from tests.harness.bench.peers import Worker
from tests.harness.bench.rig import STOP_WITHIN_S, rig
from tests.harness.bench.servers import Servers, Sold, all_accepted, steady_per_s

_LARGE_SHARE = 0.5
"""Of the backlog that is one shop's: the others must not wait behind it."""


@click.command()
@click.option("--sales", type=click.IntRange(min=1000), default=50_000, show_default=True, help="That are pending.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=10, show_default=True, help="New sales a second.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API.")
def main(sales: int, rate: float, latency_ms: float) -> None:
    """Work a backlog off that only the database knows of, while points of sale go on selling."""
    with rig("catch-up", latency_ms=latency_ms) as servers:
        _catch_up(servers, sales, rate)


def _catch_up(servers: Servers, sales: int, rate: float) -> None:
    peer = Worker()
    with ExitStack() as cleanup:
        pending = servers.sell(sales)
        large = _to_one_shop(servers, pending)
        servers.captured(pending).inserted()
        # The group's place is behind them: their events are never read.
        servers.kafka.begin_at(peer.group, CHANGE_TOPIC, servers.kafka.ends(CHANGE_TOPIC))
        began = time.time()
        worker = peer.start(servers, SWEEP_AFTER="1", MAX_IN_FLIGHT="200", MAX_IN_FLIGHT_PER_SHOP="16")  # the defaults
        cleanup.callback(worker.terminate, STOP_WITHIN_S)
        servers.until_accepted(pending.codes, 1, within_s=60)  # its start is no part of what a new sale takes
        new: list[Sold] = []
        while len(servers.accepted(pending.codes)) < sales:
            if time.time() - began > 60 + sales / 20:
                raise NotReady(f"{len(servers.accepted(pending.codes))} of {sales} accepted")
            new.append(servers.sell_steadily(int(rate * 5), rate, lambda _: None))
        moments = servers.accepted(pending.codes)
        codes = [code for sold in new for code in sold.codes]
        if not all(servers.until_decided(sold, 60) for sold in [pending, *new]):
            raise NotReady("not every row got its end")
        latencies = _latencies(servers, new)
    if problem := all_accepted(servers.accepted(codes), len(codes)):
        raise NotReady(problem)
    click.echo(
        f"{sales} pending sales accepted {moments[-1] - began:.0f} s after the worker's start; "
        f"{steady_per_s(moments):.0f} a second"
    )
    click.echo(_fairness(servers, pending, large))
    cut = statistics.quantiles(latencies, n=100)
    click.echo(
        f"{len(codes)} new sales meanwhile: from commit to accepted median {cut[49]:.0f} ms, "
        f"99th percentile {cut[98]:.0f}"
    )


def _to_one_shop(servers: Servers, pending: Sold) -> frozenset[str]:
    """Give half of them, the oldest, to one shop, as after its computer was away for days, and return the codes of
    all its sales.
    """
    shop = next(shop for shop in servers.seller.shops if not shop.trouble)
    count = int(len(pending.ids) * _LARGE_SHARE)
    servers.execute(
        "UPDATE SalesInvoices SET shop_pharmacy_code = ?, pharmacy_code = ? WHERE id BETWEEN ? AND ?",
        (shop.code, shop.pharmacy_code, pending.ids[0], pending.ids[count - 1]),
    )
    return frozenset(servers.codes_of_shop(shop.code))


def _fairness(servers: Servers, pending: Sold, large: frozenset[str]) -> str:
    order = servers.acceptances(pending.codes)
    began = order[0][0]
    others = [at for at, code in order if code not in large]
    first = order[: len(order) // 10]
    share = sum(code in large for _, code in first) / len(first)
    middle = statistics.median(others) - began
    return (
        f"the shop with most had {share:.0%} of the first tenth; half of the other shops' were through after "
        f"{middle:.0f} s, all of them after {others[-1] - began:.0f} s, its last after {order[-1][0] - began:.0f} s"
    )


def _latencies(servers: Servers, new: list[Sold]) -> list[float]:
    """Return milliseconds from commit to acceptance."""
    accepted = {code: at for at, code in servers.acceptances(code for sold in new for code in sold.codes)}
    found = []
    for sold in new:
        captured = servers.captured(sold)
        captured.inserted()
        committed = captured.committed_ms()
        found += [accepted[code] * 1000 - committed[id_] for id_, code in zip(sold.ids, sold.codes, strict=True)]
    return found


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.catch_up")
