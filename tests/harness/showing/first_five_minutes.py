"""``make first-five-minutes``: records what a newcomer types and reads, into docs/first-five-minutes.txt and README.md.

There are two terminals: the demo sells in the first one, and the commands are typed in the second one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.harness.showing.running_demo import RunningDemo, running_demo
from tests.support.repository import ROOT

FILE = ROOT / "docs/first-five-minutes.txt"
PAGES = ("README.md", "README.vi.md")
START, END = "<!-- first-five-minutes -->", "<!-- end -->"
"""What a page has before and after the recording."""
_OPTIONS = ("SALES=300", "RATE=4")
_FAUST = "STACK=local .venv/bin/faust -A streams.app"
_PROGRESS = re.compile(r"\d+ committed, ")
_PROGRESS_SHOWN = 4
"""Of this many lines about progress one is kept."""
_STEP_S = 8.0
"""Seconds until the next command is typed."""


@dataclass
class Recording:
    demo: RunningDemo
    started: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    _shown: int = 0
    """How much of the demo's output is in the recording already."""
    _progress: int = 0

    def first_terminal(self) -> None:
        """Add what the demo has written since the last time."""
        text = self.demo.process.output()
        new, self._shown = text[self._shown :], len(text)
        for line in new.splitlines():
            is_progress = bool(_PROGRESS.match(line))
            self._progress += is_progress
            if not is_progress or self._progress % _PROGRESS_SHOWN == 1:
                self.lines.append(line)

    def title(self, terminal: str) -> None:
        seconds = int(time.monotonic() - self.started)
        self.lines += ["", f"# {terminal}, after {seconds // 60}:{seconds % 60:02d}"]

    def type(self, command: str) -> None:
        """Run a command in the second terminal, and add it with its output."""
        self.lines += [f"$ {command}", *run(command).splitlines()]


def run(command: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def record(demo: RunningDemo) -> list[str]:
    recording = Recording(demo)
    recording.lines.append(f"$ make demo {' '.join(_OPTIONS)}")
    time.sleep(_STEP_S * 2)
    recording.first_terminal()
    recording.title("In a second terminal")
    recording.type(f"{_FAUST} status")
    recording.lines.append("")
    recording.type(f"{_FAUST} failures --reason rules_broken --limit 3")
    recording.lines.append("")
    recording.type(f"{_FAUST} lookup {shlex.quote(_failed_sale())}")
    time.sleep(_STEP_S)
    recording.title("Nothing is lost when the worker is killed")
    recording.type(f"kill -9 {demo.worker_pid}")
    demo.process.wait(180)
    recording.title("Back in the first terminal")
    recording.first_terminal()
    return [line.replace(f"{ROOT}/", "").rstrip() for line in recording.lines]


def _failed_sale() -> str:
    listed = json.loads(run(f"{_FAUST} failures --reason rules_broken --limit 1 --json"))
    return str(listed["sales"][0]["document_code"])


def with_recording(page: str, recording: str) -> str:
    """Return a page with the recording in its place; unchanged if it has none."""
    block = f"{START}\n\n```text\n{recording}```\n\n{END}"
    return re.sub(re.escape(START) + ".*?" + re.escape(END), lambda _: block, page, flags=re.DOTALL)


def written(pages: Iterator[Path], recording: str) -> list[Path]:
    found = [page for page in pages if page.exists() and START in page.read_text(encoding="utf-8")]
    for page in found:
        page.write_text(with_recording(page.read_text(encoding="utf-8"), recording), encoding="utf-8")
    return found


@click.command()
def main() -> None:
    """Record the session, and write it into its file and into the pages that show it."""
    with tempfile.TemporaryDirectory() as folder, running_demo(Path(folder) / "demo.log", *_OPTIONS) as demo:
        lines = record(demo)
    text = "\n".join(lines) + "\n"
    FILE.write_text(text, encoding="utf-8")
    for page in written((ROOT / name for name in PAGES), text):
        click.echo(page.relative_to(ROOT))
    click.echo(FILE.relative_to(ROOT))


if __name__ == "__main__":
    main()
