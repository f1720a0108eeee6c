"""What stands in an address or a form, read. Nothing in them is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal
from urllib.parse import urlencode

from streams.desk.search import Search, Standing
from streams.reasons import FAILURES, Code

Action = Literal["again", "now"]

STANDINGS: Mapping[Action, Standing] = {"again": "SYNC_FAILED", "now": "PENDING_SYNC"}
REASONS: Mapping[Standing, tuple[Code, ...]] = {
    "SYNC_FAILED": tuple(code for code in Code if code in FAILURES),
    "PENDING_SYNC": tuple(code for code in Code if code not in FAILURES | {Code.ID_UNKNOWN}),
}
_LONGEST = 100
_MOST = 500


class NotUnderstood(Exception):
    """An address or a form that no page of ours makes."""


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
            day = date.fromisoformat(self.day) if self.day else None
            reason = Code(self.reason) if self.reason else None
        except ValueError:
            raise NotUnderstood from None
        return Search(self.code or None, self.shop or None, reason, day)

    @property
    def named(self) -> dict[str, str]:
        values = {"code": self.code, "shop": self.shop, "reason": self.reason, "day": self.day}
        return {name: value for name, value in values.items() if value}

    def address(self, **more: str) -> str:
        """As the query of an address."""
        return "?" + urlencode(self.named | {name: value for name, value in more.items() if value})

    def by(self, **changed: str) -> str:
        return Filter(**{**self.named, **changed}).address()


def action_of(fields: Mapping[str, object]) -> Action:
    """Raises `NotUnderstood`."""
    match fields.get("action"):
        case "again":
            return "again"
        case "now":
            return "now"
    raise NotUnderstood


def ids_of(values: Iterable[object]) -> list[int]:
    """Raises `NotUnderstood`."""
    ids = [id_of(str(value)) for value in values]
    if len(ids) > _MOST:
        raise NotUnderstood
    return ids


def id_of(text: str) -> int:
    """A primary key: what fits into SQL Server's INT. Raises `NotUnderstood`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**31):
        raise NotUnderstood
    return int(text)
