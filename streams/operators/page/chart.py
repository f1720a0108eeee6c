"""The layout of the chart of the last 24 hours, stacked bars in SVG.

Widths are percentages and heights are pixels, so that the texts keep their size on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.operators.desk.figures import FinalCount

HEIGHT = 168
_TOP, _BOTTOM = 14, 22
_PLOT_HEIGHT = HEIGHT - _TOP - _BOTTOM
_LEFT, _WIDTH = 0.0, 100.0


@dataclass(frozen=True, slots=True)
class Bar:
    counts: FinalCount
    x: float
    """The left edge, in percent."""
    width: float
    """In percent."""
    sent_y: float
    sent_height: float
    failed_y: float
    failed_height: float
    """The failed ones are above the sent ones; a count above 0 is at least 2 pixels high."""


@dataclass(frozen=True, slots=True)
class Line:
    y: float
    count: int


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    starts: datetime


@dataclass(frozen=True, slots=True)
class Chart:
    bars: Sequence[Bar]
    lines: Sequence[Line]
    ticks: Sequence[Tick]
    sent: int
    failed: int
    height: int = HEIGHT
    base: float = _TOP + _PLOT_HEIGHT


def chart(hours: Sequence[FinalCount]) -> Chart:
    """Return the chart for `hours`, which are in order, oldest first."""
    top = _round_up(max((hour.sent + hour.failed for hour in hours), default=0))
    step = _WIDTH / max(1, len(hours))
    bars = [_bar(hour, _LEFT + index * step, step, top) for index, hour in enumerate(hours)]
    lines = [Line(_TOP + _PLOT_HEIGHT * (1 - share), int(top * share)) for share in (0.5, 1)]
    ticks = [Tick(bar.x + step / 2, bar.counts.starts) for bar in bars if bar.counts.starts.hour % 6 == 0]
    return Chart(bars, lines, ticks, sum(h.sent for h in hours), sum(h.failed for h in hours))


def _bar(hour: FinalCount, x: float, step: float, top: int) -> Bar:
    sent, failed = (_height(count, top) for count in (hour.sent, hour.failed))
    base = _TOP + _PLOT_HEIGHT
    return Bar(
        hour,
        x=round(x + step * 0.14, 3),
        width=round(step * 0.72, 3),
        sent_y=round(base - sent, 1),
        sent_height=round(sent, 1),
        failed_y=round(base - sent - failed, 1),
        failed_height=round(failed, 1),
    )


def _height(count: int, top: int) -> float:
    return max(2.0, _PLOT_HEIGHT * count / top) if count else 0.0


def _round_up(most: int) -> int:
    """Round up to one of 10, 20, 50, 100, 200 ..., which can all be bisect_failures."""
    size = 10
    while True:
        for factor in (1, 2, 5):
            if size * factor >= most:
                return size * factor
        size *= 10
