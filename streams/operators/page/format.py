"""Numbers, moments and ages as people read them."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from streams.domain.local_time import local_time
from streams.operators.page.texts import Translation

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


class Format:
    def __init__(self, say: Translation, zone: ZoneInfo) -> None:
        self._say = say
        self._zone = zone

    def number(self, value: float) -> str:
        text = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
        if self._say.language == "en":
            return text
        return text.translate(str.maketrans(",.", ".,"))

    def age(self, seconds: float) -> str:
        """In its largest unit: nobody needs the seconds of a day."""
        for length, unit in _UNITS:
            if seconds >= length:
                return self._say(unit, count=int(seconds // length))
        return self._say("moment")

    def moment(self, at: datetime | int | None) -> str:
        """Wall clock, or UTC milliseconds."""
        if at is None:
            return "–"
        here = local_time(at, self._zone) if isinstance(at, int) else self._here(at)
        return f"{self.day(here)}{', ' if self._say.language == 'en' else ' '}{here:%H:%M}"

    def day(self, day: date) -> str:
        """With the month's name in English: 3/4 is two days, and which one depends on the reader."""
        if self._say.language == "en":
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        return f"{day:%d/%m/%Y}"

    def clock(self, at: datetime) -> str:
        return self._here(at).strftime("%H:%M")

    def since(self, at: datetime | int, now_ms: int) -> str:
        here = local_time(at, self._zone) if isinstance(at, int) else self._here(at)
        seconds = max(0.0, (local_time(now_ms, self._zone) - here).total_seconds())
        return self._say("since", moment=self.moment(here), age=self.age(seconds))

    def value(self, value: Any) -> str:
        """Of a column. Days and moments are the pharmacy's own; nothing is rounded."""
        if value is None:
            return "–"
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, date):
            return self.day(value)
        return f"{value:f}" if isinstance(value, Decimal) else str(value)

    def _here(self, at: datetime) -> datetime:
        return at if at.tzinfo is None else at.astimezone(self._zone).replace(tzinfo=None)


def pretty(body: str) -> str:
    """JSON in lines; what is none, as it is."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        return body
