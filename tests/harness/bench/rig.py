"""What every measurement stands on: the real servers, brought up for it, and a plain end where they do not come up."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.processes import NotReady
from streams.local.real.stack import RealStack
from tests.harness.bench.servers import Servers

STOP_WITHIN_S = 40
"""A worker has that long to finish what is in flight."""


@contextmanager
def rig(name: str, *, latency_ms: float = 50, partitions: int = 8, lasting: bool = False) -> Iterator[Servers]:
    """`lasting`: Kafka and Connect come to their full speed, see `warm_up`.

    Ends the process with exit code 1, or that of missing packages, and what is wrong. SIGTERM takes it all down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"streams-{name}-") as folder,
            RealStack(Path(folder), tell=tell, latency_ms=latency_ms, partitions=partitions, lasting=lasting) as stack,
            Servers(stack) as servers,
        ):
            yield servers
    except PackagesMissing as problem:
        tell(problem)
        sys.exit(EXIT_CODE)
    except NotReady as problem:
        tell(problem)
        sys.exit(1)


def tell(what: object) -> None:
    """How far it is; results go to stdout."""
    click.echo(what, err=True)
