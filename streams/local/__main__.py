"""The command line of the local stack: ``python -m streams.local up``, ``demo`` and ``sell``."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
from dotenv import dotenv_values
from rich.console import Console
from rich.table import Table

from streams.local import debian
from streams.local.demo import Plan, run_demo
from streams.local.processes import NotReady
from streams.local.real.stack import RealStack, provide, running_database
from streams.local.real.toxiproxy import proxy_binary
from streams.local.samples import Seller
from streams.local.shops import open_shops
from streams.local.stack import STATE_FOLDER, AlreadyRunning, Capture, LocalStack, Stack

_state = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=STATE_FOLDER,
    help="Folder for the runs' files and stack.env.",
    show_default=".local in the repository",
)
_latency = click.option(
    "--latency-ms", type=click.FloatRange(min=0), default=50, show_default=True, help="Of the national API."
)
_servers = click.option(
    "--servers",
    type=click.Choice(["local", "real"]),
    default="local",
    show_default=True,
    help="real: Apache Kafka, Debezium on PostgreSQL, and FerretDB on PostgreSQL.",
)
_capture = click.option(
    "--capture",
    type=click.Choice(["cdc", "polling"]),
    default="cdc",
    show_default=True,
    help="polling: nothing captures changes, the worker asks the table.",
)
_STACKS: dict[str, type[Stack]] = {"local": LocalStack, "real": RealStack}


@click.group()
def main() -> None:
    """Every server that the pipeline needs, on this machine, without a container engine."""
    # Both take everything down in order; a shell starts its background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@main.command()
def prepare() -> None:
    """Install, fetch and build what both stacks and the tests need, so that later starts take seconds."""
    with _problems_told():
        provide(print)
        debian.Debian.here().provide(debian.browser_packages(), print)
        proxy_binary(print)


@main.command()
@_state
@_latency
@_servers
@_capture
def up(state: Path, latency_ms: float, servers: str, capture: Capture) -> None:
    """Start all servers, without a worker, until Ctrl-C."""
    with (
        _problems_told(),
        _STACKS[servers](state, latency_ms=latency_ms, capture=capture) as stack,
        closing(open_shops(stack.database, stack.simulator_url)),
    ):
        _print_addresses(stack)
        try:
            while not threading.Event().wait(0.5):
                stack.revive()
        except KeyboardInterrupt:
            print("stopping")


@main.command()
@_state
@_latency
@_servers
@_capture
@click.option("--sales", type=click.IntRange(min=1), help="How many to sell; without it, until Ctrl-C.")
@click.option("--rate", type=click.FloatRange(min=0.1), help="Sales a second; 5, or with --sales all at once.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=300, show_default=True, help="Seconds for the last to end."
)
def demo(
    state: Path,
    latency_ms: float,
    servers: str,
    capture: Capture,
    sales: int | None,
    rate: float | None,
    timeout: float,
) -> None:
    """Sell samples, receive and issue goods, and count on both sides; exit code 0 if all of it is right."""
    rate = rate or (None if sales else 5)
    with _problems_told():
        tallies = run_demo(Plan(sales, rate, latency_ms, timeout, state, _STACKS[servers], capture))
    for tally in tallies:
        print(*tally.lines(), sep="\n")
    sys.exit(0 if all(tally.right for tally in tallies) else 1)


@main.command()
@_state
@click.argument("count", type=click.IntRange(min=1), default=100)
def sell(state: Path, count: int) -> None:
    """Sell COUNT samples on the stack that `up` runs in another terminal, with the receipts and issues of so many."""
    environment = dotenv_values(state / "stack.env")
    if not environment:
        sys.exit(f"no local stack is up in {state}. Start one first: python -m streams.local up")
    database = running_database(environment)
    with Seller(database) as seller:
        seller.trade(count)
        others = len(seller.stock)
    print(f"{count} sales and {others} receipts and issues are committed to {database.place}")


@contextmanager
def _problems_told() -> Iterator[None]:
    try:
        yield
    except debian.PackagesMissing as problem:
        print(problem, file=sys.stderr)
        sys.exit(debian.EXIT_CODE)
    except (NotReady, AlreadyRunning) as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _print_addresses(stack: Stack) -> None:
    table = Table("server", "address")
    for name, address in (
        ("Kafka", stack.broker.address),
        ("Redis", stack.environment["REDIS_URL"]),
        ("Mongo", stack.environment["MONGO_URL"]),
        *([("Kafka Connect", url)] if (url := stack.environment.get("CONNECT_URL")) else []),
        ("national API", stack.simulator_url),
        ("sales database", stack.database.place),
        ("logs", str(stack.folder / "logs")),
    ):
        table.add_row(name, address)
    Console(soft_wrap=True).print(table)
    print("Next, in another terminal:")
    print("  STACK=local faust -A streams.app worker -l info")
    print("  python -m streams.local sell 100")
    print("Ctrl-C stops everything.", flush=True)


if __name__ == "__main__":
    main(prog_name="python -m streams.local")
