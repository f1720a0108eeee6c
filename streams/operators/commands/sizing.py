"""``make sizing``: how many workers, partitions and places a chain needs, from what was measured (docs/sizing.md).

Rules of thumb with their reasons, no promise: measure on your own machine before you rely on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import click

CPU_S = 0.0014
"""Of one core for a sale, its write-back included: what a worker process uses, all its threads together. Measured from
0.0010 to 0.0016, as busy as the machine's other tenants were."""
MOST_OF_A_CORE = 0.75
"""A worker process is one event loop; above this share of a core its sales wait for it."""
OWN_S = 0.35
"""Seconds that a sale is in flight beside the API's answer, when the worker is busy: reads, claim, confirmation."""
MEMORY_MB = 250
"""Of a worker process."""
_FEWEST_PARTITIONS = 8
_PARTITIONS_PER_WORKER = 4
_FEWEST_PLACES = 50
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class SizingPlan:
    peak_per_s: float
    """Sales a second in the busiest hour."""
    worker_per_s: float
    """That one worker carries at most."""
    workers: int
    partitions: int
    max_in_flight: int
    """Of each worker."""
    shop_per_s: float
    """That one shop can have carried, by its share of the places."""
    catch_up_s: float
    """From the end of an outage until its backlog is gone, while new sales go on."""

    def settings(self) -> dict[str, int]:
        return {"TOPIC_PARTITIONS": self.partitions, "MAX_IN_FLIGHT": self.max_in_flight}


def plan(
    sales_per_day: int, latency_s: float, *, peak: float, outage_h: float, per_shop: int, spare: int
) -> SizingPlan:
    """`peak`: the busiest hour against the average one. `spare`: workers that may be away at the peak."""
    average = sales_per_day / 86_400
    worker_per_s = MOST_OF_A_CORE / CPU_S
    workers = math.ceil(average * peak / worker_per_s) + spare
    each = average * peak / max(1, workers - spare)
    # Twice what the peak needs, so that the API may become twice as slow before sales wait; a backlog uses them, too.
    places = max(_FEWEST_PLACES, math.ceil(2 * each * (latency_s + OWN_S) / 50) * 50)
    together = workers * min(worker_per_s, places / (latency_s + OWN_S))
    return SizingPlan(
        peak_per_s=average * peak,
        worker_per_s=worker_per_s,
        workers=workers,
        partitions=max(_FEWEST_PARTITIONS, 2 ** math.ceil(math.log2(_PARTITIONS_PER_WORKER * workers))),
        max_in_flight=places,
        shop_per_s=min(per_shop, places) / (latency_s + OWN_S),
        catch_up_s=average * outage_h * 3600 / (together - average),
    )


@click.command()
@click.option("--sales-per-day", type=click.IntRange(min=1), required=True, help="Of the whole chain.")
@click.option("--latency-ms", type=click.FloatRange(min=1), default=200, show_default=True, help="Of the national API.")
@click.option("--peak", type=click.FloatRange(min=1), default=4, show_default=True, help="Busiest hour / average hour.")
@click.option("--outage-hours", type=click.FloatRange(min=0), default=8, show_default=True, help="To catch up with.")
@click.option("--per-shop", type=click.IntRange(min=1), default=16, show_default=True, help="MAX_IN_FLIGHT_PER_SHOP.")
@click.option("--spare", type=click.IntRange(min=0), default=1, show_default=True, help="Workers that may be away.")
def main(sales_per_day: int, latency_ms: float, peak: float, outage_hours: float, per_shop: int, spare: int) -> None:
    """What a chain of this size needs. The reasons stand in docs/sizing.md."""
    found = plan(sales_per_day, latency_ms / 1000, peak=peak, outage_h=outage_hours, per_shop=per_shop, spare=spare)
    click.echo(f"busiest hour: {found.peak_per_s:.1f} sales/s; a worker carries up to {found.worker_per_s:.0f}")
    click.echo(f"workers: {found.workers}, of which {spare} may be away; a core and {MEMORY_MB} MB for each")
    for name, value in found.settings().items():
        click.echo(f"{name}={value}")
    click.echo(
        f"connections to the sales database: {_CONNECTIONS * found.workers} (SALES_DB_CONNECTIONS={_CONNECTIONS} each)"
    )
    click.echo(f"one shop: up to {found.shop_per_s:.0f} sales/s (MAX_IN_FLIGHT_PER_SHOP={per_shop})")
    click.echo(f"after {outage_hours:g} hours away: caught up in {_words(found.catch_up_s)}, if the API takes it")


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    main(prog_name="python -m streams.operators.commands.sizing")
