"""The pharmacy's wall clock: the till's times, and those that the write-back puts beside them, are of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


def local_time(ms: int, zone: ZoneInfo) -> datetime:
    """UTC milliseconds -> wall clock, without a zone, as `updated_at` has it."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).replace(tzinfo=None)


def local_day(ms: int, zone: ZoneInfo) -> date:
    """UTC milliseconds -> the day that it is there."""
    return _day_of_minute(ms // 60_000, zone)


@lru_cache(16)
def _day_of_minute(minute: int, zone: ZoneInfo) -> date:
    """No zone is off by parts of a minute since 1972."""
    return local_time(minute * 60_000, zone).date()


def to_ms(moment: datetime, zone: ZoneInfo) -> int:
    """Wall clock -> UTC milliseconds."""
    return int(moment.replace(tzinfo=zone).timestamp() * 1000)


def day_of(day: date) -> tuple[datetime, datetime]:
    """From its midnight to the next."""
    midnight = datetime.combine(day, time())
    return midnight, midnight + timedelta(days=1)


def edges(now: datetime, step: timedelta, count: int) -> Sequence[datetime]:
    """Of the last `count` whole steps, the one that is running included: one edge more than there are steps."""
    midnight = datetime.combine(now.date(), time())
    last = midnight + (now - midnight) // step * step
    return [last - step * place for place in range(count - 1, -2, -1)]


def read_moment(value: datetime | str) -> datetime:
    """Of a column of the till's, as each driver gives it: SQLite forgets the type of what is computed."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
