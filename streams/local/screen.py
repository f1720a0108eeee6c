"""What a person sees of a demo: a live table on a terminal, elsewhere a line every two seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams.local.tally import Counts

_LINE_EVERY = 2.0
_SAME_LINE_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    counts: Counts
    accepted: int
    """Documents that the national API holds."""
    twice: int
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Pending documents by reason."""

    def line(self) -> str:
        c = self.counts
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.waiting.items())
        return (
            f"{c.total} committed, {c.success} sent, {c.failed} failed, {c.cancelled} withdrawn, {c.waiting} pending"
            f"{f' ({reasons})' if reasons else ''}; ledger: {self.accepted} accepted, {self.twice} twice"
        )

    def table(self) -> Table:
        c = self.counts
        table = Table(title="Documents on their way to the national API")
        for column in ("committed", "SYNC_SUCCESS", "SYNC_FAILED", "CANCELLED", "pending", "ledger: accepted", "twice"):
            table.add_column(column, justify="right")
        table.add_row(*map(str, (c.total, c.success, c.failed, c.cancelled, c.waiting, self.accepted, self.twice)))
        table.caption = ", ".join(f"{count} wait: {reason}" for reason, count in self.waiting.items()) or None
        return table


class Screen:
    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._last_line = ("", 0.0)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def tell(self, text: str) -> None:
        """A line that stays, above the table."""
        self._console.print(text, markup=False)

    def show(self, progress: Progress) -> None:
        if self._live:
            self._live.update(progress.table())
            return
        line, (before, at) = progress.line(), self._last_line
        if time.monotonic() >= at + (_SAME_LINE_EVERY if line == before else _LINE_EVERY):
            self._last_line = (line, time.monotonic())
            self.tell(line)
