"""What every measurement stands on: the real servers, brought up for it, and a plain end where they do not come up."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tests.harness.bench.servers import Servers
from tests.harness.real_servers import real_servers

STOP_WITHIN_S = 40
"""A worker has that long to finish what is in flight."""


@contextmanager
def rig(name: str, *, latency_ms: float = 50, partitions: int = 8, lasting: bool = False) -> Iterator[Servers]:
    """`lasting`: Kafka and Connect come to their full speed, see `warm_up`.

    Ends the process with exit code 1, or that of missing packages, and what is wrong. SIGTERM takes it all down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with (
        real_servers(name, tell=tell, latency_ms=latency_ms, partitions=partitions, lasting=lasting) as stack,
        Servers(stack) as servers,
    ):
        yield servers


def tell(what: object) -> None:
    """Report progress on stderr, because results go to stdout."""
    click.echo(what, err=True)
