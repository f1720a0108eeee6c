"""``python -m tests.harness.attack``: makes every suite's attempts, and reports what the system withstood."""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

import click
import uvloop

from tests.harness.attack.arena import Arena, Seen, Suite
from tests.harness.attack.suites import SUITES


def play(suite: Suite, seed: int, count: int, folder: Path, seen: Seen) -> Arena:
    """Run the attempts on the worker's own event loop."""
    arena = Arena(suite.name, seed, count, folder, seen)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(suite.run(arena))
    return arena


@click.command()
@click.option("--seed", type=click.IntRange(min=0), help="Of all attempts. Without it, a new one.")
@click.option("--effort", type=click.FloatRange(min=0.001), default=1.0, show_default=True, help="Times the attempts.")
@click.option("--only", multiple=True, type=click.Choice([suite.name for suite in SUITES]), help="Only these suites.")
def main(seed: int | None, effort: float, only: tuple[str, ...]) -> None:
    """Attack what the worker reads, serves and shows, and say how much of it held.

    Exit code 0 only if all of it held.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    click.echo(f"seed {seed}, effort {effort:g}")
    seen, arenas = Seen(), list[tuple[Suite, Arena, float]]()
    for suite in SUITES:
        if only and suite.name not in only:
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="attack-") as folder:
            arena = play(suite, seed, max(1, round(suite.count * effort)), Path(folder), seen)
        arenas.append((suite, arena, time.perf_counter() - began))
        click.echo(f"{suite.name}: {arena.held} of {arena.tried}", err=True)
    broken = [arena for _, arena, _ in arenas if arena.problems]
    for arena in broken:
        click.echo(f"\n{arena.report}")
    if broken:
        click.echo(
            f"\nonce more: python -m tests.harness.attack --seed {seed} --effort {effort:g} --only '{broken[0].suite}'"
        )
    click.echo("\n" + table(arenas))
    sys.exit(1 if broken else 0)


def table(arenas: list[tuple[Suite, Arena, float]]) -> str:
    rows = [("suite", "attacked", "tried", "held", "seconds")]
    rows += [(suite.name, suite.attacked, f"{a.tried:,}", f"{a.held:,}", f"{s:.1f}") for suite, a, s in arenas]
    tried, held = (sum(each) for each in zip(*((a.tried, a.held) for _, a, _ in arenas), strict=True))
    rows.append(("all", "", f"{tried:,}", f"{held:,}", f"{sum(s for _, _, s in arenas):.1f}"))
    wide = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        f"{row[0]:<{wide[0]}}  {row[1]:<{wide[1]}}  {row[2]:>{wide[2]}}  {row[3]:>{wide[3]}}  {row[4]:>{wide[4]}}"
        for row in rows
    )


if __name__ == "__main__":
    main()
