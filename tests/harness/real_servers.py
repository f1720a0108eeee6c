"""The real servers for one of the programs, and a plain end where they do not come up."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from streams.local.debian import EXIT_CODE, PackagesMissing
from streams.local.processes import NotReady
from streams.local.real.stack import RealStack


@contextmanager
def real_servers(name: str, *, not_ready: int = 1, **options: Any) -> Iterator[RealStack]:
    """Yield the stack, in a folder of its own that goes with it. `name`: of the program. `options`: of `RealStack`.

    Ends the process with what is wrong: with the exit code of missing packages, or with `not_ready`.
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"streams-{name}-") as folder,
            RealStack(Path(folder), **options) as stack,
        ):
            yield stack
    except PackagesMissing as problem:
        click.echo(problem, err=True)
        sys.exit(EXIT_CODE)
    except NotReady as problem:
        click.echo(problem, err=True)
        sys.exit(not_ready)
