"""Reads and validates the parameters in a URL's query or a form. Nothing in them is trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from urllib.parse import urlencode

from streams.domain.reasons import ACCEPTANCES, FAILURES, Code
from streams.operators.desk.search import DocumentState, Search

PageAction = Literal["again", "now", "changed", "withdraw"]

STATES: Mapping[PageAction, DocumentState] = {
    "again": "SYNC_FAILED",
    "now": "PENDING_SYNC",
    "changed": "CHANGED",
    "withdraw": "SYNC_SUCCESS",
}
"""The status of the documents that each action is offered for first."""
REASONS: Mapping[DocumentState, tuple[Code, ...]] = {
    "SYNC_FAILED": tuple(code for code in Code if code in FAILURES),
    "PENDING_SYNC": tuple(code for code in Code if code not in FAILURES | ACCEPTANCES),
    "CHANGED": (),
}
MAX_LENGTH = 100
"""The longest parameter in characters; the rest is cut off."""
_MAX_IDS = 500


class NotUnderstood(Exception):
    """The address or form cannot come from our page; the message is the key in `texts.TEXTS`, without ``sorry_``."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of a list, as the visitor typed it."""

    code: str = ""
    shop: str = ""
    reason: str = ""
    day: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Filter:
        """Read the filter from the fields of a query or a form; other fields are ignored."""

        def text(name: str) -> str:
            return str(fields.get(name, "")).replace("\0", "").strip()[:MAX_LENGTH]

        return cls(text("code"), text("shop"), text("reason"), text("day"))

    @property
    def search(self) -> Search:
        """The filter as a search. Raises `NotUnderstood`."""
        try:
            reason = Code(self.reason) if self.reason else None
        except ValueError:
            raise NotUnderstood("reason") from None
        return Search(self.code or None, self.shop or None, reason, _day_of(self.day) if self.day else None)

    @property
    def named(self) -> dict[str, str]:
        """The fields that are not empty."""
        values = {"code": self.code, "shop": self.shop, "reason": self.reason, "day": self.day}
        return {name: value for name, value in values.items() if value}

    def address(self, **more: str) -> str:
        """Return the filter and the parameters `more` as the query of a URL."""
        return "?" + urlencode(self.named | {name: value for name, value in more.items() if value})

    def by(self, **changed: str) -> str:
        """Return the filter with some fields changed, as the query of a URL."""
        return Filter(**{**self.named, **changed}).address()


def _day_of(text: str) -> date:
    """Read a date as a date field sends it, from 2000 to 2099.

    Any other year is a typing error, and may be outside the range of a database. Raises `NotUnderstood`.
    """
    if re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise NotUnderstood("day")


def after_of(fields: Mapping[str, object]) -> str | None:
    """Return the cursor after which a page of a list begins; None: the first page. Raises `NotUnderstood`."""
    text = str(fields.get("after", ""))
    if not text:
        return None
    moment, _, id_ = text.rpartition("~")
    try:
        datetime.fromisoformat(moment)
        id_of(id_)
    except (ValueError, NotUnderstood):
        raise NotUnderstood("position") from None
    return text


def action_of(fields: Mapping[str, object]) -> PageAction:
    """Return the requested action. Raises `NotUnderstood`."""
    match fields.get("action"):
        case "again":
            return "again"
        case "now":
            return "now"
        case "changed":
            return "changed"
        case "withdraw" if "all" not in fields:  # only documents that the visitor has seen
            return "withdraw"
    raise NotUnderstood("not_understood")


def ids_of(values: Iterable[object]) -> list[int]:
    """Return the selected primary keys, at most 500. Raises `NotUnderstood`."""
    ids = [id_of(str(value)) for value in values]
    if len(ids) > _MAX_IDS:
        raise NotUnderstood("not_understood")
    return ids


def id_of(text: str) -> int:
    """Return a primary key: a number that fits into SQL Server's BIGINT. Raises `NotUnderstood`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63):
        raise NotUnderstood("not_understood")
    return int(text)
