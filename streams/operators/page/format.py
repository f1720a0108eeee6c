"""Formats numbers, times and durations for the page, in the visitor's language and the pharmacy's local time."""

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
    def __init__(self, translation: Translation, zone: ZoneInfo) -> None:
        self._translation = translation
        self._zone = zone

    def number(self, value: float) -> str:
        """Return the number with separators, and one decimal place unless it is an integer."""
        text = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
        if self._translation.language == "en":
            return text
        return text.translate(str.maketrans(",.", ".,"))

    def age(self, seconds: float) -> str:
        """Return a duration in its largest unit only."""
        for length, unit in _UNITS:
            if seconds >= length:
                return self._translation(unit, count=int(seconds // length))
        return self._translation("moment")

    def moment(self, at: datetime | int | None) -> str:
        """Return date and time of `at`: a local time without a zone, a time with one, or UTC milliseconds."""
        if at is None:
            return "–"
        local = local_time(at, self._zone) if isinstance(at, int) else self._to_local(at)
        return f"{self.day(local)}{', ' if self._translation.language == 'en' else ' '}{local:%H:%M}"

    def day(self, day: date) -> str:
        """Return the date; in English with the month's name, since 3/4 is ambiguous."""
        if self._translation.language == "en":
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        return f"{day:%d/%m/%Y}"

    def clock(self, at: datetime) -> str:
        """Return the time of day, without the date."""
        return self._to_local(at).strftime("%H:%M")

    def since(self, at: datetime | int, now_ms: int) -> str:
        """Return when something began and how long ago that was; `now_ms` is in UTC milliseconds."""
        local = local_time(at, self._zone) if isinstance(at, int) else self._to_local(at)
        seconds = max(0.0, (local_time(now_ms, self._zone) - local).total_seconds())
        return self._translation("since", moment=self.moment(local), age=self.age(seconds))

    def value(self, value: Any) -> str:
        """Return the value of a column; dates and times are local ones, and nothing is rounded."""
        if value is None:
            return "–"
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, date):
            return self.day(value)
        return f"{value:f}" if isinstance(value, Decimal) else str(value)

    def _to_local(self, at: datetime) -> datetime:
        return at if at.tzinfo is None else at.astimezone(self._zone).replace(tzinfo=None)


def pretty(body: str) -> str:
    """Return JSON with indentation; a text that is not JSON is returned unchanged."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        return body
