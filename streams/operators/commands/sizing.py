"""``make sizing``: estimates the workers, partitions and concurrency limits that a chain needs (docs/sizing.md).

The figures are rules of thumb from measurements, not promises: measure on your own machine before you rely on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import click

CPU_S = 0.0014
"""Seconds of CPU time for one sale, including its write-back, over all threads of a worker process. Measurements gave
0.0010 to 0.0016, depending on the load of the machine's other tenants."""
MAX_CORE_SHARE = 0.75
"""A worker process is one event loop; above this share of a core, sales wait for it."""
OWN_LATENCY_S = 0.35
"""Seconds that a sale is in flight in a busy worker in addition to the API's latency: reads, claim, confirmation."""
MEMORY_MB = 250
"""Memory of a worker process."""
_MIN_PARTITIONS = 8
_PARTITIONS_PER_WORKER = 4
_MIN_IN_FLIGHT = 50
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class SizingPlan:
    peak_per_s: float
    """Sales per second in the busiest hour."""
    worker_per_s: float
    """Sales per second that one worker can process."""
    workers: int
    partitions: int
    max_in_flight: int
    """MAX_IN_FLIGHT of each worker."""
    shop_per_s: float
    """Sales per second that one shop can send within its concurrency limit."""
    catch_up_s: float
    """Seconds from the end of an outage until its backlog is sent, while new sales arrive."""

    def settings(self) -> dict[str, int]:
        """Return the values by the name of the setting."""
        return {"TOPIC_PARTITIONS": self.partitions, "MAX_IN_FLIGHT": self.max_in_flight}


def plan(
    sales_per_day: int, latency_s: float, *, peak: float, outage_h: float, per_shop: int, spare: int
) -> SizingPlan:
    """Return the estimate for a chain.

    `peak` is the ratio of the busiest hour to the average one; `spare` workers may be down at the peak.
    """
    average = sales_per_day / 86_400
    worker_per_s = MAX_CORE_SHARE / CPU_S
    workers = math.ceil(average * peak / worker_per_s) + spare
    each = average * peak / max(1, workers - spare)
    # Twice what the peak needs: the API may become twice as slow before sales wait, and a backlog is sent faster.
    in_flight = max(_MIN_IN_FLIGHT, math.ceil(2 * each * (latency_s + OWN_LATENCY_S) / 50) * 50)
    together = workers * min(worker_per_s, in_flight / (latency_s + OWN_LATENCY_S))
    return SizingPlan(
        peak_per_s=average * peak,
        worker_per_s=worker_per_s,
        workers=workers,
        partitions=max(_MIN_PARTITIONS, 2 ** math.ceil(math.log2(_PARTITIONS_PER_WORKER * workers))),
        max_in_flight=in_flight,
        shop_per_s=min(per_shop, in_flight) / (latency_s + OWN_LATENCY_S),
        catch_up_s=average * outage_h * 3600 / (together - average),
    )


@click.command()
@click.option("--sales-per-day", type=click.IntRange(min=1), required=True, help="Sales of the whole chain.")
@click.option(
    "--latency-ms", type=click.FloatRange(min=1), default=200, show_default=True, help="Latency of the national API."
)
@click.option("--peak", type=click.FloatRange(min=1), default=4, show_default=True, help="Busiest hour / average hour.")
@click.option(
    "--outage-hours", type=click.FloatRange(min=0), default=8, show_default=True, help="Outage to catch up with."
)
@click.option("--per-shop", type=click.IntRange(min=1), default=16, show_default=True, help="MAX_IN_FLIGHT_PER_SHOP.")
@click.option("--spare", type=click.IntRange(min=0), default=1, show_default=True, help="Workers that may be down.")
def main(sales_per_day: int, latency_ms: float, peak: float, outage_hours: float, per_shop: int, spare: int) -> None:
    """Estimate what a chain of this size needs. docs/sizing.md explains the reasons."""
    found = plan(sales_per_day, latency_ms / 1000, peak=peak, outage_h=outage_hours, per_shop=per_shop, spare=spare)
    click.echo(f"busiest hour: {found.peak_per_s:.1f} sales/s; a worker carries up to {found.worker_per_s:.0f}")
    click.echo(f"workers: {found.workers}, of which {spare} may be down; a core and {MEMORY_MB} MB for each")
    for name, value in found.settings().items():
        click.echo(f"{name}={value}")
    click.echo(
        f"connections to the sales database: {_CONNECTIONS * found.workers} (SALES_DB_CONNECTIONS={_CONNECTIONS} each)"
    )
    click.echo(f"one shop: up to {found.shop_per_s:.0f} sales/s (MAX_IN_FLIGHT_PER_SHOP={per_shop})")
    click.echo(
        f"after {outage_hours:g} hours away: caught up in {_duration(found.catch_up_s)}, if the API can take the load"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    main(prog_name="python -m streams.operators.commands.sizing")
