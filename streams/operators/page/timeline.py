"""The history of one sale: its attempts and the actions of people, in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streams.domain.sale_status import utc_from_ms
from streams.operators.desk.sale_card import RecordedAction, SaleDetails


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    status: str
    reason: str | None
    message: dict[str, str] = field(repr=False)
    """The reason's text by language, with every broken rule; empty if there is no reason."""
    national_id: str | None


@dataclass(frozen=True, slots=True)
class Moment:
    at: datetime
    """In UTC."""
    what: Attempt | RecordedAction


def timeline(sale: SaleDetails) -> Sequence[Moment]:
    """Return the history of a sale, latest first."""
    moments = [Moment(utc_from_ms(action.at_ms), action) for action in sale.actions]
    moments += [Moment(decision["decided_at"], _attempt(decision)) for decision in sale.history or ()]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _attempt(decision: Any) -> Attempt:
    """Return the attempt of a decision, which has the fields of `sale-status`."""
    reason = decision["reason"] or {}
    message = reason.get("message") or {}
    return Attempt(
        decision["attempt"], decision["status"], reason.get("code"), message, decision["national_invoice_id"]
    )
