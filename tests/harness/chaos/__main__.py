"""``python -m tests.harness.chaos``: sells while everything breaks, lets it heal, and judges every single sale."""

from __future__ import annotations

import logging
import secrets
import signal
import sys
from pathlib import Path

import click

from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.processes import NotReady
from streams.local.stack import STATE_FOLDER, AlreadyRunning, Capture
from tests.harness.chaos.judge import LARGEST_MB
from tests.harness.chaos.play import Plan, Report, play
from tests.harness.chaos.schedule import KINDS, kinds_with, plan

_SHOWN = 5


@click.command()
@click.option("--seed", type=click.IntRange(min=0), help="Of sales, edits, junk and faults. Without it, a new one.")
@click.option("--sales", type=click.IntRange(min=1), default=2000, show_default=True, help="How many are sold.")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=3, show_default=True, help="In which that happens.")
@click.option(
    "--only", multiple=True, type=click.Choice([kind.name for kind in KINDS]), help="Only faults of this kind."
)
@click.option(
    "--capture",
    type=click.Choice(["cdc", "polling"]),
    default="cdc",
    show_default=True,
    help="polling: without Kafka Connect, and without its faults.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=STATE_FOLDER / "chaos",
    help="Folder for the runs' files.",
    show_default=".local/chaos in the repository",
)
def main(seed: int | None, sales: int, minutes: float, only: tuple[str, ...], capture: Capture, state: Path) -> None:
    """Real servers, workers that come and go, points of sale that sell and edit; kills, cuts and lies all the while.

    Exit code 0 only if every document has its right end, once, and nothing else that is promised was broken.
    """
    # Everything is taken down in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is away now and then, and that is meant
    seed = secrets.randbelow(10**6) if seed is None else seed
    faults = plan(seed, minutes * 60, [kind for kind in kinds_with(capture) if not only or kind.name in only])
    click.echo(f"seed {seed}: {sales} sales and {len(faults)} faults in {minutes:g} minutes")
    try:
        report = play(Plan(seed, sales, minutes * 60, faults, state, capture), click.echo)
    except PackagesMissing as problem:
        click.echo(problem, err=True)
        sys.exit(EXIT_CODE)
    except (NotReady, AlreadyRunning) as problem:
        click.echo(problem, err=True)
        sys.exit(2)
    show(report)
    sys.exit(0 if report.right else 1)


def show(report: Report) -> None:
    """Show, on failure, first what is wrong, with all that is known of it."""
    if report.histories:
        file = report.folder / "offences.txt"
        file.write_text("\n\n".join(report.histories), encoding="utf-8")
        for history in report.histories[:_SHOWN]:
            click.echo(f"\n{history}")
        click.echo(f"\nall of them: {file}")
    for other in report.others[:20]:
        click.echo(f"not as promised: {other}")
    if not report.right:
        click.echo(
            f"play it again: python -m tests.harness.chaos --seed {report.plan.seed} --sales {report.plan.sales} "
            f"--minutes {report.plan.seconds / 60:g} --capture {report.plan.capture}; the run's folder: {report.folder}"
        )
    for fact in report.facts:
        click.echo(fact)
    click.echo(f"memory bound {LARGEST_MB} MB")
    click.echo(report.line)


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.chaos")
