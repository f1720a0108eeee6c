"""``make bench``: our worker, the design that it replaced, bare clients and plain Faust, side by side in one run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console

from tests.harness.bench.measure import Effort, measure, simulator_limit, warm_up
from tests.harness.bench.peers import CONCURRENCY, PEERS, HttpxRoofline, Peer
from tests.harness.bench.results import ALONE, OURS, Machine, Results, say, table
from tests.harness.bench.rig import rig, tell
from tests.harness.bench.servers import Servers

_WIDTH = 150
_IN_EVERY_ROUND = {OURS, ALONE, HttpxRoofline.name}
"""Their ratio is near to what is wanted of it, and a machine's speed may change from minute to minute."""


def _milliseconds(_: click.Context, __: click.Parameter, text: str) -> list[float]:
    try:
        latencies = [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter("milliseconds with commas between them") from None
    if min(latencies) < 0:
        raise click.BadParameter("no latency is below 0")
    return latencies


@click.command()
@click.option(
    "--sales",
    type=click.IntRange(min=20),
    help="Of each run at capacity. Without it, as many as take about 25 seconds.",
)
@click.option(
    "--latencies",
    default="50,200",
    show_default=True,
    callback=_milliseconds,
    help="Of the national API, in milliseconds; every peer is measured at each.",
)
@click.option(
    "--only", multiple=True, type=click.Choice([peer.name for peer in PEERS]), help="Only this peer; may be repeated."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often the worker and the httpx roofline are measured, one after the other; the others once.",
)
@click.option("--quick", is_flag=True, help="Very few sales: shows that it all works, its figures mean nothing.")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the results there, after every row. `python -m tests.harness.bench.report` makes docs/benchmarks.",
)
def main(
    sales: int | None, latencies: list[float], only: tuple[str, ...], rounds: int, quick: bool, file: Path | None
) -> None:
    """Measure the worker side by side with what it replaced and with what bounds it.

    Each peer carries sales of its own on the same real servers: from a backlog, for sales a second, CPU and memory;
    then at half of that, for the time from commit to status. Takes about half an hour, and a machine that does
    nothing else. Exit code 1 where a peer did not get all of its sales accepted.
    """
    effort = Effort(sales=sales or 40, least=40) if quick else Effort(sales=sales)
    results = Results(machine=Machine.here(), concurrency=CONCURRENCY, quick=quick)
    with rig("bench", lasting=not quick) as servers:
        if not quick:
            warm_up(servers)
        _run(servers, results, latencies, [*_turns(only, rounds)], effort, file)
    _show(results)
    sys.exit(1 if any(row.problem for row in results.rows) else 0)


def _turns(only: tuple[str, ...], rounds: int) -> Iterator[tuple[int, Peer]]:
    for round_number in range(rounds):
        for peer in PEERS:
            if (not only or peer.name in only) and (round_number == 0 or peer.name in _IN_EVERY_ROUND):
                yield round_number, peer


def _run(
    servers: Servers,
    results: Results,
    latencies: list[float],
    turns: Sequence[tuple[int, Peer]],
    effort: Effort,
    file: Path | None,
) -> None:
    results.simulator_per_s = simulator_limit(servers, effort)
    click.echo(f"the API simulator alone takes {results.simulator_per_s:.0f} sales/s from a bare client")
    for latency_ms in latencies:
        for round_number, peer in turns:
            tell(f"{peer.name} at {latency_ms:g} ms" + (f", round {round_number + 1}" if round_number else ""))
            effort.with_latency = round_number == 0
            results.rows.append(measure(servers, peer, latency_ms, effort))
            if file is not None:
                file.write_text(results.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _show(results: Results) -> None:
    Console(width=_WIDTH).print(table(results))
    for published_by, peers in results.published_by().items():
        click.echo(f"latency from commit to {published_by}: {', '.join(peers)}")
    for ratio in [*results.ratios(), *results.cpu_ratios()]:
        click.echo(say(ratio))
    for doubt in results.doubts:
        click.echo(f"not to be relied upon: {doubt}")


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench")
