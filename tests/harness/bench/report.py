"""``python -m tests.harness.bench.report FILE``: docs/benchmarks.md and its plot, from what ``make bench`` measured."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import click

from tests.harness.bench.results import ALONE, COLUMNS, OURS, Results, cells, say

_DOCS = Path(__file__).parents[3] / "docs"
_NAME_WIDTH, _BAR_WIDTH, _VALUE_WIDTH, _LINE, _BAR, _TITLE = 130, 420, 90, 26, 18, 34
_FONT = 'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328"'


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=_DOCS,
    show_default="docs",
    help="Where benchmarks.md, .svg and .json are written.",
)
@click.option("--anyway", is_flag=True, help="Figures that are not to be relied upon, too; the page says so.")
def main(file: Path, folder: Path, anyway: bool) -> None:
    """Write benchmarks.md and benchmarks.svg from the results in FILE, and keep the results next to them."""
    results = Results.model_validate_json(file.read_bytes())
    for doubt in results.doubts:
        click.echo(f"not to be relied upon: {doubt}", err=True)
    if results.doubts and not anyway:
        click.echo("nothing is written; measure again, or give --anyway", err=True)
        sys.exit(1)
    (folder / "benchmarks.json").write_text(results.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / "benchmarks.md").write_text(page(results), encoding="utf-8")
    (folder / "benchmarks.svg").write_text(plot(results), encoding="utf-8")


def page(results: Results) -> str:
    return "\n".join(_page(results)) + "\n"


def _page(results: Results) -> Iterator[str]:
    machine = results.machine
    yield "# Benchmarks"
    yield ""
    yield from _WHAT.splitlines()
    yield ""
    for doubt in results.doubts:
        yield f"**Not to be relied upon:** {doubt}."
        yield ""
    yield "![Sales a second of each peer](benchmarks.svg)"
    yield ""
    yield _table_row(COLUMNS)
    yield _table_row(["---", *("---:" for _ in COLUMNS[1:])])
    for latency_ms in results.latencies:
        yield from (_table_row(cells(row)) for row in results.rows if row.latency_ms == latency_ms)
    yield ""
    if results.simulator_per_s is not None:
        yield f"The simulator alone takes {results.simulator_per_s:.0f} sales/s from a bare client, without latency."
        yield ""
    if ratios := [*results.ratios(), *results.cpu_ratios()]:
        yield "Where there were several rounds, the median of what each had; what each had stands behind it."
        yield ""
        yield "```"
        yield from map(say, ratios)
        yield "```"
        yield ""
    yield from _MEANING.format(concurrency=results.concurrency).splitlines()
    for published_by, peers in results.published_by().items():
        yield f"  To {published_by}: {', '.join(peers)}."
    yield "- **capture**: the median of the part until Debezium had the change in Kafka, for those that wait for it."
    yield "- **peak RSS**: of the peer's process and its children, summed; pages that they share count in each."
    yield ""
    yield "## The machine"
    yield ""
    yield f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:g} GB; {machine.kernel}; Python {machine.python};"
    yield f"load {machine.load_before:g} before the run; measured on {machine.measured_on}."
    yield f"{', '.join(f'{name} {version}' for name, version in machine.packages.items())}."


_WHAT = """\
Made by `make bench` and `python -m tests.harness.bench.report`: all peers in one run, on the same real servers (Kafka,
Debezium, PostgreSQL, Valkey, FerretDB), against the simulator of the national API. One machine carries them all,
servers and simulator included, so the figures are for comparing peers; [sizing](sizing.md) says what they mean for a
machine of your own, and who uses the processors. The worker and the httpx roofline are measured in several rounds, one
after the other, since a machine's speed may change from minute to minute. Where it changes much, three rounds are few:
the median of another three may differ by a tenth, and [sizing](sizing.md) has the ratio over more of them. Kafka and
Debezium carry 40,000 sales before: until then their Java is still being compiled. `make test` runs a short form and
fails when the worker's ratio to the httpx roofline is less than half of the one below.
"""

_MEANING = """\
## The peers

- **worker**: ours, one process that keeps to one processor, `MAX_IN_FLIGHT={concurrency}`, with every promise kept. A
  sale keeps its place while it is read, claimed and told, too, so fewer are at the API at once.
- **worker, stand-ins out**: the same without FerretDB, which stands in for MongoDB, and without Debezium, which here
  captures what is written back on the very processors that are measured; both have machines of their own in earnest.
  The API's simulator and the database stay. Its sales are captured beforehand.
- **celery**, **celery x10**: the design that was replaced, as many processes as cores, and ten times as many; one sale
  at a time a process, a database connection and an HTTP connection kept open, tokens shared in Redis. Debezium, which
  it does not need, is stopped meanwhile.
- **httpx roofline**, **aiohttp roofline**, **pyreqwest roofline**: a bare loop that posts the same kind of bodies,
  {concurrency} at once: no database, no Kafka, while the servers idle. httpx runs on aiohttp's transport; pyreqwest is
  the worker's own client. The last two are as fast as the simulator lets them be, so look at their CPU.
- **plain faust**: a Faust agent with `concurrency=200` that reads and writes each sale by itself. It keeps no promise.

Worker, bare loops and plain Faust keep to one processor each; that is best for all of them.

## The columns

- **sales/s**: from a backlog, between the 10th and the 90th percentile of the moments at which the API accepted.
- **ends after**: seconds from the last acceptance until the last row had its end. A peer that put its write-back off
  until all was sent would be faster by that, for as long as its backlog lasts.
- **CPU**: user and system time of the peer's processes for each sale, from the first acceptance until they are at rest.
- **median, 99th**: milliseconds from the sale's commit, while sales come at half of what the peer carries
  (*at sales/s*). The tills share the machine, which then has more to do than its backlog run had.
"""


def _table_row(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def plot(results: Results) -> str:
    """Bars of sales a second, the median of all rounds, all latencies on one scale."""
    bars = [
        (latency_ms, peer, statistics.median(row.sales_per_s for row in runs))
        for latency_ms in results.latencies
        for peer in results.peers
        if (runs := results.runs(peer, latency_ms))
    ]
    longest = max((per_s for _, _, per_s in bars), default=1)
    parts: list[str] = []
    y = 0
    for latency_ms in results.latencies:
        parts.append(
            f'<text x="8" y="{y + 22}" {_FONT} font-weight="600">API latency {latency_ms:g} ms: sales/s</text>'
        )
        y += _TITLE
        for _, peer, per_s in (bar for bar in bars if bar[0] == latency_ms):
            width = max(1.0, per_s / longest * _BAR_WIDTH)
            colour = "#0969da" if peer in {OURS, ALONE} else "#8c959f"
            text = y + 14
            parts.append(f'<text x="{_NAME_WIDTH}" y="{text}" {_FONT} text-anchor="end">{escape(peer)}</text>')
            parts.append(
                f'<rect x="{_NAME_WIDTH + 8}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
            )
            parts.append(f'<text x="{_NAME_WIDTH + 14 + width:.1f}" y="{text}" {_FONT}>{per_s:.0f}</text>')
            y += _LINE
    width_, height = _NAME_WIDTH + 8 + _BAR_WIDTH + _VALUE_WIDTH, y + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_} {height}" width="{width_}" height="{height}">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.report")
