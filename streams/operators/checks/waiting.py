"""Checks of the documents themselves: those that wait, by reason and age, and those that have failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streams.documents.document import DocumentType
from streams.domain.reasons import ACCOUNT_PROBLEMS
from streams.operators.checks import Finding, ok, warning
from streams.operators.desk.figures import CurrentFigures
from streams.operators.terminal import age
from streams.stores.pending_ages import PendingAges

_LONG_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Waiting:
    now: CurrentFigures
    ages: PendingAges


def judge_waiting(waiting: Waiting, document_type: DocumentType) -> Iterator[Finding]:
    many, now = document_type.nouns.many, waiting.now
    of_shops = {code: now.waiting[code] for code in sorted(ACCOUNT_PROBLEMS) if now.waiting.get(code)}
    if of_shops:
        counts = ", ".join(f"{count} {code}" for code, count in of_shops.items())
        action = "`failures --waiting` shows which shops; correct AccountShop, then they are sent automatically."
        yield warning(f"{many}: log-ins", f"some are waiting for their shop's account: {counts}", action)
    waited_s = (now.at_ms - now.oldest.since_ms) / 1000 if now.oldest else 0.0
    if waited_s > _LONG_WAIT_S:
        action = "`failures --waiting` says why; if there was no attempt yet, check that a worker is running."
        yield warning(f"{many}: waiting", f"{now.waiting_total} are waiting, the oldest for {age(waited_s)}", action)
    else:
        oldest = f", the oldest for {age(waited_s)}" if waited_s else ""
        yield ok(f"{many}: waiting", f"{now.waiting_total} are waiting{oldest}")
    yield _ages(waiting.ages, many)
    if now.failed_total:
        action = "`failures` says why and what to do; then `resend`."
        yield warning(f"{many}: failed", f"{now.failed_total} have failed", action)
    else:
        yield ok(f"{many}: failed", "none")


def _ages(ages: PendingAges, many: str) -> Finding:
    about = f"{many}: pending by age"
    what = describe_ages(ages)
    if not ages.older:
        return ok(about, what)
    action = (
        "Before the first worker starts: all of them will be sent, so change the status of those that must not be "
        "(docs/cut-over.md). Later: `failures --waiting` says why they wait."
    )
    return warning(about, what, action)


def describe_ages(ages: PendingAges) -> str:
    return (
        f"{ages.under_an_hour} created within an hour, {ages.under_a_day} within a day, "
        f"{ages.under_3_days} within 3 days, {ages.older} longer ago"
    )
