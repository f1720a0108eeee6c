"""``make promises``: breaks each promise in a copy of the code, and checks that its test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click

from tests.harness.promises.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[3]
_COPIED = (
    "streams",
    "connectors",
    "tests",
    "docs",
    "pyproject.toml",
    "README.md",
    "docker-compose.yml",
    ".env.example",
)
_LONGEST = 300
_FAILED = 1
"""pytest's exit code for a test that failed; others are mistakes of the run itself."""


@click.command()
@click.option("--only", type=int, help="The number of one promise.")
@click.option("--match", "part", default="", help="A part of what breaks it, of the file or of the test.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="processors",
    help="At the same time.",
)
def main(only: int | None, part: str, jobs: int) -> None:
    """Break each promise in a copy of the code, and see its test fail. Exit code 1 if one is broken unseen."""
    chosen = [each for each in MUTATIONS if only in (None, each.promise) and part.lower() in _said(each).lower()]
    if not chosen:
        raise click.UsageError("Nothing in the table is like that.")
    unseen = 0
    with ThreadPoolExecutor(jobs) as pool:
        for mutation, code, took_s in pool.map(_try, chosen):
            seen = code == _FAILED
            unseen += not seen
            verdict = "seen" if seen else f"NOT SEEN (pytest ended with {code})"
            click.echo(f"promise {mutation.promise}: {verdict}, {took_s:.0f} s: {mutation.breaks}")
            click.echo(f"    {mutation.test}")
    click.echo(f"{unseen} of {len(chosen)} broken unseen")
    sys.exit(1 if unseen else 0)


def _try(mutation: Mutation) -> tuple[Mutation, int, float]:
    """Return the mutation, the exit code of its test, and the seconds that both took."""
    started_at = time.monotonic()
    with broken(mutation) as folder:
        code = run(mutation.test, folder)
    return mutation, code, time.monotonic() - started_at


def _said(mutation: Mutation) -> str:
    return "\n".join((mutation.breaks, mutation.file, mutation.test))


@contextmanager
def broken(mutation: Mutation) -> Iterator[Path]:
    """Make a copy of what the tests need, with this one change."""
    with tempfile.TemporaryDirectory(prefix="streams-promises-") as name:
        folder = Path(name)
        for part in _COPIED:
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
        file = folder / mutation.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            raise click.ClickException(f"{mutation.file} has this {text.count(mutation.old)} times: {mutation.old!r}")
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        yield folder


def run(test: str, folder: Path) -> int:
    cache = os.environ.get("STREAMS_CACHE", str(ROOT / ".cache"))
    environment = {**os.environ, "PYTHONPATH": str(folder), "STREAMS_CACHE": cache}  # before the installed package
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    return subprocess.run(
        command, cwd=folder, env=environment, timeout=_LONGEST, capture_output=True, check=False
    ).returncode


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.promises")
