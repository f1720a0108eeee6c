"""Reading the header `Retry-After`, in every form that servers write it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from streams.national_api.own_form import Answer

MAX_WAIT_S = 24 * 3600.0


def retry_after(answer: Answer) -> float | None:
    """Return the seconds to wait, between 0 and a day. None when the header is absent or unreadable, or names more than
    a day: that is a mistake, which must not keep a sale from being sent.

    Accepts seconds, whole or with a fraction, and dates in the forms of HTTP and ISO 8601; of several values, the
    first.
    """
    value = answer.retry_after.strip()
    for read in (_seconds, _http_date, _iso_date):
        for text in (value, value.partition(",")[0].strip()):
            wait_s = read(text, answer.received_at)
            if wait_s is not None:
                return max(wait_s, 0.0) if wait_s <= MAX_WAIT_S else None
    return None


def _seconds(text: str, _: datetime) -> float | None:
    try:
        seconds = float(text)  # never overflows: a number too large becomes infinite
    except ValueError:
        return None
    if math.isnan(seconds) or "inf" in text.casefold():
        return None
    return seconds


def _http_date(text: str, now: datetime) -> float | None:
    try:
        return _until(parsedate_to_datetime(text), now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _iso_date(text: str, now: datetime) -> float | None:
    try:
        return _until(datetime.fromisoformat(text), now)
    except (ValueError, OverflowError):
        return None


def _until(then: datetime, now: datetime) -> float:
    return (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
