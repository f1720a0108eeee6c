"""``faust -A streams.app lookup``: shows one invoice in the sales software, `dbo.SaleSync`, the journal and the
national system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import click

from streams.documents.document import DocumentType
from streams.domain.nouns import Nouns
from streams.domain.outcome import TryLater
from streams.national_api.answers import LookUp, NoAnswer, NotStored, Stored
from streams.national_api.client import NationalApi
from streams.national_api.token_cache import TokenCache
from streams.operators import Problem
from streams.operators.command_line import JSON, LANGUAGE, document_option, document_type_by_name, open_sales_db, run
from streams.operators.desk.sale_card import SaleCard, SaleDetails
from streams.operators.retry_on_lock import retry_on_lock
from streams.operators.terminal import plain, reason_text, rfc3339, show, show_json, show_pairs, show_table
from streams.settings import Settings
from streams.stores.journal import Journal
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows

_NOT_PERSONAL = {"sale_date", "created_at", "updated_at"}
"""The columns of the header that are not personal data; all others, also of future document types, need --personal."""
_HISTORY_COLUMNS = ("decided", "attempt", "status", "reason", "national id", "next attempt")


def lookup(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""

    @click.command("lookup")
    @document_option(document_types)
    @click.argument("invoice")
    @click.option("--pharmacy", help="pharmacy_code, if several pharmacies have this invoice code.")
    @click.option(
        "--national/--no-national",
        default=True,
        show_default=True,
        help="Also look it up in the national system, with the shop's account. This may log in once.",
    )
    @click.option("--personal", is_flag=True, help="Show names, the refused body, and the API's own text.")
    @LANGUAGE
    @JSON
    def command(
        document: str, invoice: str, pharmacy: str | None, national: bool, personal: bool, language: str, as_json: bool
    ) -> None:
        """Show all that is known of one INVOICE: its row and lines in the sales software, its row of dbo.SaleSync, the
        actions that people requested, the decisions in the journal, the next attempt, and whether the national system
        has stored it.

        Exit codes: 0 found; 1 there is no such invoice, or a problem, which is printed on stderr; 2 wrong usage or
        settings.
        """
        document_type = document_type_by_name(document_types, document)

        async def work() -> None:
            journal = Journal(settings)
            try:
                async with open_sales_db(settings) as db:
                    card = SaleCard(db, document_type, journal, journal_timeout=6)
                    ids = await retry_on_lock(partial(card.find, invoice, pharmacy))
                    sales = [sale for id_ in ids if (sale := await retry_on_lock(partial(card.read, id_)))]
                    if not sales:
                        raise Problem(f"{plain(invoice)}: there is no such invoice. `failures` finds parts of a code.")
                    stored = [await _look_up(settings, db, document_type, sale) if national else None for sale in sales]
            finally:
                journal.close()
            found = [
                as_shown(sale, national_state, personal=personal)
                for sale, national_state in zip(sales, stored, strict=True)
            ]
            if as_json:
                show_json(found if len(found) > 1 else found[0])
            else:
                for each in found:
                    _show(each, language, document_type.nouns)

        run(work())

    return command


async def _look_up(
    settings: Settings, db: SalesDb, document_type: DocumentType, sale: SaleDetails
) -> dict[str, object]:
    """Look the sale up in the national system.

    The token is shared with the workers through Redis, and a refused log-in is not repeated, so that no account is
    locked.
    """
    [accounts] = await retry_on_lock(partial(SourceRows(db).accounts, [sale.shop]))
    if len(accounts) != 1:
        return {
            "answer": "not looked up",
            "why": f"the shop has {len(accounts)} active accounts; it must have exactly one",
        }
    api = NationalApi(
        settings, TokenCache(settings.redis_url, settings.deployment, refused_for=settings.login_retry_delay)
    )
    try:
        not_ready = await api.token_ready(accounts[0])
        if not_ready is not None:
            return _no_answer(not_ready)
        return _answer(await api.look_up(accounts[0], document_type.endpoint, sale.pharmacy_code, sale.document_code))
    finally:
        await api.aclose()


def _answer(found: LookUp) -> dict[str, object]:
    match found:
        case Stored(national_id):
            return {"answer": "stored", "national_id": national_id}
        case NotStored():
            return {"answer": "not stored"}
        case NoAnswer():
            return _no_answer(found)
        case _:
            return {"answer": "not looked up", "why": "this API offers no look-up"}


def _no_answer(failure: NoAnswer | TryLater) -> dict[str, object]:
    return {"answer": "no answer", "why": failure.reason.code.value, "http_status": failure.reason.http_status}


def as_shown(sale: SaleDetails, national: Mapping[str, object] | None, *, personal: bool) -> dict[str, Any]:
    """Return what may be shown of a sale; `national` is the result of its look-up, None if there was none."""
    sync = sale.sync
    hidden = set() if personal else sale.header.keys() - _NOT_PERSONAL
    shown: dict[str, Any] = {
        "id": sale.id,
        "invoice": sale.document_code,
        "pharmacy": sale.pharmacy_code,
        "shop": sale.shop,
        "status": sale.status,
        "national_id": sale.national_id,
        "header": {name: value for name, value in sale.header.items() if name not in hidden},
        "lines": sale.lines,
        "sync": None
        if sync is None
        else {
            "attempt": sync.attempt,
            "published_attempt": sync.published_attempt,
            "tries": sync.tries,
            "reason": sync.reason,
            "ever_accepted": sync.ever_accepted,
            "possibly_stored": sync.may_be_stored,
            "lease_until": rfc3339(sync.lease_until or None),
            "next_attempt_at": rfc3339(sync.next_attempt_at),
            "requested_since": rfc3339(sync.attempts_since),
        },
        "actions": [
            {"action": each.action, "actor": each.actor, "at": rfc3339(each.at_ms), "reason": each.reason}
            for each in sale.actions
        ],
        "history": None if sale.history is None else [_decision(each) for each in sale.history],
        "national": national,
        "hidden": sorted(hidden),
    }
    if personal:
        shown["message"] = sale.message
        shown["refused_body"] = sync.refused_body if sync else None
        shown["refused_text"] = sync.refused_text if sync else None
    return shown


def _decision(decision: Mapping[str, Any]) -> dict[str, Any]:
    reason = decision.get("reason") or {}
    names = ("decided_at", "attempt", "status", "national_invoice_id", "next_attempt_at")
    return {name: decision.get(name) for name in names} | {
        "reason": reason.get("code"),
        "details": reason.get("details", []),
    }


def _show(found: Mapping[str, Any], language: str, nouns: Nouns) -> None:
    show(f"{found['invoice']} of pharmacy {found['pharmacy']}, shop {found['shop']}: {found['status']}", "bold")
    pairs = [(name, found[name]) for name in ("id", "national_id")] + list(found["header"].items())
    pairs += [(name, found[name]) for name in ("message", "refused_text", "refused_body") if found.get(name)]
    sync = found["sync"]
    pairs += (
        [(f"sync: {name}", value) for name, value in sync.items()] if sync else [("sync", "no worker has seen it yet")]
    )
    if sync and sync["reason"]:
        meaning, action = reason_text(sync["reason"], language, nouns)
        pairs += [("meaning", meaning), ("action", action)]
    if national := found["national"]:
        pairs.append(("national system", ", ".join(f"{value}" for value in national.values() if value is not None)))
    show_pairs(pair for pair in pairs if pair[1] is not None)
    lines = found["lines"]
    names = [*list(lines[0])[:3], "quantity"] if lines else []
    show_table(f"Lines: {len(lines)}", names, [[line.get(name) for name in names] for line in lines])
    for action in found["actions"]:
        show(f"{action['at']}  {action['action']} by {action['actor']}, reason at that time: {action['reason']}")
    if found["history"] is None:
        show("The journal (MongoDB) is not available: no history.")
    else:
        rows = [
            (
                _time(d["decided_at"]),
                d["attempt"],
                d["status"],
                d["reason"],
                d["national_invoice_id"],
                _time(d["next_attempt_at"]),
            )
            for d in found["history"]
        ]
        show_table(f"Decisions: {len(rows)}", _HISTORY_COLUMNS, rows)
    if found["hidden"]:
        show(f"Not shown without --personal: {', '.join(found['hidden'])}, and the API's own text.", "dim")


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
