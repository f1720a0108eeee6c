"""What stands in an address or a form, read. Nothing in them is trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from urllib.parse import urlencode

from streams.domain.reasons import FAILURES, Code
from streams.operators.desk.search import DocumentState, Search

PageAction = Literal["again", "now"]

STATES: Mapping[PageAction, DocumentState] = {"again": "SYNC_FAILED", "now": "PENDING_SYNC"}
REASONS: Mapping[DocumentState, tuple[Code, ...]] = {
    "SYNC_FAILED": tuple(code for code in Code if code in FAILURES),
    "PENDING_SYNC": tuple(code for code in Code if code not in FAILURES | {Code.ID_UNKNOWN}),
}
_LONGEST = 100
_MOST = 500


class NotUnderstood(Exception):
    """An address or a form that no page of ours makes. The text is that of `words.TEXTS` behind ``sorry_``."""


@dataclass(frozen=True, slots=True)
class Filter:
    """As typed."""

    code: str = ""
    shop: str = ""
    reason: str = ""
    day: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Filter:
        def text(name: str) -> str:
            return str(fields.get(name, "")).replace("\0", "").strip()[:_LONGEST]

        return cls(text("code"), text("shop"), text("reason"), text("day"))

    @property
    def search(self) -> Search:
        """Raises `NotUnderstood`."""
        try:
            reason = Code(self.reason) if self.reason else None
        except ValueError:
            raise NotUnderstood("reason") from None
        return Search(self.code or None, self.shop or None, reason, _day_of(self.day) if self.day else None)

    @property
    def named(self) -> dict[str, str]:
        values = {"code": self.code, "shop": self.shop, "reason": self.reason, "day": self.day}
        return {name: value for name, value in values.items() if value}

    def address(self, **more: str) -> str:
        """As the query of an address."""
        return "?" + urlencode(self.named | {name: value for name, value in more.items() if value})

    def by(self, **changed: str) -> str:
        return Filter(**{**self.named, **changed}).address()


def _day_of(text: str) -> date:
    """As a date field sends it. What lies far off is a slip of the keys, and beyond some servers' calendars."""
    if re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise NotUnderstood("day")


def after_of(fields: Mapping[str, object]) -> str | None:
    """The place in a list behind which a page of it begins. Raises `NotUnderstood`."""
    text = str(fields.get("after", ""))
    if not text:
        return None
    moment, _, id_ = text.rpartition("~")
    try:
        datetime.fromisoformat(moment)
        id_of(id_)
    except (ValueError, NotUnderstood):
        raise NotUnderstood("place") from None
    return text


def action_of(fields: Mapping[str, object]) -> PageAction:
    """Raises `NotUnderstood`."""
    match fields.get("action"):
        case "again":
            return "again"
        case "now":
            return "now"
    raise NotUnderstood("asked")


def ids_of(values: Iterable[object]) -> list[int]:
    """Raises `NotUnderstood`."""
    ids = [id_of(str(value)) for value in values]
    if len(ids) > _MOST:
        raise NotUnderstood("asked")
    return ids


def id_of(text: str) -> int:
    """A primary key: what fits into SQL Server's INT. Raises `NotUnderstood`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise NotUnderstood("asked")
    return int(text)
