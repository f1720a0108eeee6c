"""What happened to one sale: its attempts, and what people asked for, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streams.domain.sale_status import at_ms
from streams.operators.desk.sale_card import OneSale, RecordedAction


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    status: str
    reason: str | None
    words: dict[str, str] = field(repr=False)
    """By language, with every broken rule named; empty where there is no reason."""
    national_id: str | None


@dataclass(frozen=True, slots=True)
class Moment:
    at: datetime
    """UTC."""
    what: Attempt | RecordedAction


def timeline(sale: OneSale) -> Sequence[Moment]:
    """The latest first."""
    moments = [Moment(at_ms(action.at_ms), action) for action in sale.actions]
    moments += [Moment(told["decided_at"], _attempt(told)) for told in sale.history or ()]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _attempt(told: Any) -> Attempt:
    """`told`: as `sale-status` has it."""
    reason = told["reason"] or {}
    words = reason.get("message") or {}
    return Attempt(told["attempt"], told["status"], reason.get("code"), words, told["national_invoice_id"])
