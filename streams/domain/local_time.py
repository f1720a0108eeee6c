"""The pharmacy's local time, without a zone, as the point of sale and the write-back store it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


def local_time(ms: int, zone: ZoneInfo) -> datetime:
    """Convert UTC milliseconds to local time without a zone, as stored in `updated_at`."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).replace(tzinfo=None)


def local_date(ms: int, zone: ZoneInfo) -> date:
    """Convert UTC milliseconds to the local date."""
    return _day_of_minute(ms // 60_000, zone)


@lru_cache(16)
def _day_of_minute(minute: int, zone: ZoneInfo) -> date:
    """Cached by minute: since 1972 no zone's offset has had a fraction of a minute."""
    return local_time(minute * 60_000, zone).date()


def to_ms(moment: datetime, zone: ZoneInfo) -> int:
    """Convert local time without a zone to UTC milliseconds."""
    return int(moment.replace(tzinfo=zone).timestamp() * 1000)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the day's midnight and the next one: start inclusive, end exclusive."""
    midnight = datetime.combine(day, time())
    return midnight, midnight + timedelta(days=1)


def bucket_edges(now: datetime, step: timedelta, count: int) -> Sequence[datetime]:
    """Return the edges of the last `count` intervals of length `step`, in ascending order; the last interval is the
    current one. `count + 1` edges, aligned to midnight."""
    midnight = datetime.combine(now.date(), time())
    last = midnight + (now - midnight) // step * step
    return [last - step * offset for offset in range(count - 1, -2, -1)]


def read_timestamp(value: datetime | str) -> datetime:
    """Read a point-of-sale time column as any driver returns it: SQLite returns computed columns as ISO text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
