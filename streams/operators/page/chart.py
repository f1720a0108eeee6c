"""The chart of the last 24 hours: two rows of bars as SVG. Widths are shares of the page, heights are pixels, so that
its texts keep their size on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.operators.desk.figures import FinalCount

HEIGHT = 168
_TOP, _BOTTOM = 14, 22
_ROOM = HEIGHT - _TOP - _BOTTOM
_LEFT, _WIDTH = 0.0, 100.0


@dataclass(frozen=True, slots=True)
class Bar:
    ended: FinalCount
    x: float
    """Percent, as the width is."""
    width: float
    sent_y: float
    sent_height: float
    failed_y: float
    failed_height: float
    """Failed stand on top; what is not nought is seen."""


@dataclass(frozen=True, slots=True)
class Line:
    y: float
    count: int


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    begins: datetime


@dataclass(frozen=True, slots=True)
class Chart:
    bars: Sequence[Bar]
    lines: Sequence[Line]
    ticks: Sequence[Tick]
    sent: int
    failed: int
    height: int = HEIGHT
    base: float = _TOP + _ROOM


def chart(hours: Sequence[FinalCount]) -> Chart:
    """`hours`: oldest first."""
    top = _round_up(max((hour.sent + hour.failed for hour in hours), default=0))
    step = _WIDTH / max(1, len(hours))
    bars = [_bar(hour, _LEFT + place * step, step, top) for place, hour in enumerate(hours)]
    lines = [Line(_TOP + _ROOM * (1 - share), int(top * share)) for share in (0.5, 1)]
    ticks = [Tick(bar.x + step / 2, bar.ended.begins) for bar in bars if bar.ended.begins.hour % 6 == 0]
    return Chart(bars, lines, ticks, sum(h.sent for h in hours), sum(h.failed for h in hours))


def _bar(hour: FinalCount, x: float, step: float, top: int) -> Bar:
    sent, failed = (_height(count, top) for count in (hour.sent, hour.failed))
    base = _TOP + _ROOM
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
    return max(2.0, _ROOM * count / top) if count else 0.0


def _round_up(most: int) -> int:
    """To a number whose half is a whole one: 10, 20, 50, 100, 200 ..."""
    size = 10
    while True:
        for factor in (1, 2, 5):
            if size * factor >= most:
                return size * factor
        size *= 10
