"""``faust -A streams.app lookup``: one invoice everywhere: till, `dbo.SaleSync`, journal, national system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import click

from streams.documents.document import DocumentType
from streams.domain.outcome import TryLater
from streams.national_api.answers import LookUp, NoAnswer, NotStored, Stored
from streams.national_api.client import NationalApi
from streams.national_api.token_cache import TokenCache
from streams.operators import Problem
from streams.operators.command_line import JSON, LANGUAGE, asked, document, document_type_named, open_sales_db, run
from streams.operators.desk.sale_card import OneSale, SaleCard
from streams.operators.terminal import moment, plain, reason_text, show, show_json, show_pairs, show_table
from streams.settings import Settings
from streams.stores.journal import Journal
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import SourceRows

_NAMES_NOBODY = {"sale_date", "created_at", "updated_at"}
"""Columns of the header; all others are shown only with --personal, those of kinds to come too."""
_HISTORY_COLUMNS = ("decided", "attempt", "status", "reason", "national id", "next attempt")


def lookup(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("lookup")
    @document(document_types)
    @click.argument("invoice")
    @click.option("--pharmacy", help="pharmacy_code, where several have the same invoice code.")
    @click.option(
        "--national/--no-national",
        default=True,
        show_default=True,
        help="Ask the national system too, with the shop's account. It may have to log in, once.",
    )
    @click.option("--personal", is_flag=True, help="Show names, the body that was refused, and the API's own words.")
    @LANGUAGE
    @JSON
    def command(
        document: str, invoice: str, pharmacy: str | None, national: bool, personal: bool, language: str, as_json: bool
    ) -> None:
        """Show all that is known of one INVOICE: the till's row and lines, what dbo.SaleSync has, who asked for what,
        its decisions in the journal, when it is tried again, and whether the national system holds it.

        Exit codes: 0 found; 1 there is no such invoice, or trouble, said on stderr; 2 wrong usage or settings.
        """
        document_type = document_type_named(document_types, document)

        async def work() -> None:
            journal = Journal(settings)
            try:
                async with open_sales_db(settings) as db:
                    card = SaleCard(db, document_type, journal, patience=6)
                    ids = await asked(partial(card.find, invoice, pharmacy))
                    sales = [sale for id_ in ids if (sale := await asked(partial(card.read, id_)))]
                    if not sales:
                        raise Problem(f"{plain(invoice)}: there is no such invoice. Codes are taken whole: `failures`.")
                    held = [await _held(settings, db, document_type, sale) if national else None for sale in sales]
            finally:
                journal.close()
            found = [as_shown(sale, there, personal=personal) for sale, there in zip(sales, held, strict=True)]
            if as_json:
                show_json(found if len(found) > 1 else found[0])
            else:
                for each in found:
                    _show(each, language)

        run(work())

    return command


async def _held(settings: Settings, db: SalesDb, document_type: DocumentType, sale: OneSale) -> dict[str, object]:
    """What the national system says. The log-in is the workers' own, shared through Redis: it locks no account."""
    [accounts] = await asked(partial(SourceRows(db).accounts, [sale.shop]))
    if len(accounts) != 1:
        return {"answer": "not asked", "why": f"the shop has {len(accounts)} active accounts, it needs one"}
    api = NationalApi(settings, TokenCache(settings.redis_url, settings.app_id, refused_for=settings.login_retry_delay))
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
            return {"answer": "held", "national_id": national_id}
        case NotStored():
            return {"answer": "not held"}
        case NoAnswer():
            return _no_answer(found)
        case _:
            return {"answer": "not asked", "why": "this API offers no look-up"}


def _no_answer(why: NoAnswer | TryLater) -> dict[str, object]:
    return {"answer": "no answer", "why": why.reason.code.value, "http_status": why.reason.http_status}


def as_shown(sale: OneSale, national: Mapping[str, object] | None, *, personal: bool) -> dict[str, Any]:
    """What may be shown. `national`: None where it was not asked."""
    known = sale.known
    hidden = set() if personal else sale.header.keys() - _NAMES_NOBODY
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
        if known is None
        else {
            "attempt": known.attempt,
            "published_attempt": known.published_attempt,
            "tries": known.tries,
            "reason": known.reason,
            "ever_accepted": known.ever_accepted,
            "may_be_held": known.may_be_stored,
            "lease_until": moment(known.lease_until or None),
            "next_attempt_at": moment(known.next_attempt_at),
            "asked_since": moment(known.attempts_since),
        },
        "actions": [
            {"action": each.action, "actor": each.actor, "at": moment(each.at_ms), "reason": each.reason}
            for each in sale.actions
        ],
        "history": None if sale.history is None else [_decision(each) for each in sale.history],
        "national": national,
        "hidden": sorted(hidden),
    }
    if personal:
        shown["message"] = sale.message
        shown["refused_body"] = known.refused_body if known else None
        shown["refused_text"] = known.refused_text if known else None
    return shown


def _decision(told: Mapping[str, Any]) -> dict[str, Any]:
    reason = told.get("reason") or {}
    names = ("decided_at", "attempt", "status", "national_invoice_id", "next_attempt_at")
    return {name: told.get(name) for name in names} | {
        "reason": reason.get("code"),
        "details": reason.get("details", []),
    }


def _show(found: Mapping[str, Any], language: str) -> None:
    show(f"{found['invoice']} of pharmacy {found['pharmacy']}, shop {found['shop']}: {found['status']}", "bold")
    pairs = [(name, found[name]) for name in ("id", "national_id")] + list(found["header"].items())
    pairs += [(name, found[name]) for name in ("message", "refused_text", "refused_body") if found.get(name)]
    sync = found["sync"]
    pairs += (
        [(f"sync: {name}", value) for name, value in sync.items()] if sync else [("sync", "nobody has seen it yet")]
    )
    if sync and sync["reason"]:
        words, action = reason_text(sync["reason"], language)
        pairs += [("meaning", words), ("action", action)]
    if national := found["national"]:
        pairs.append(("national system", ", ".join(f"{value}" for value in national.values() if value is not None)))
    show_pairs(pair for pair in pairs if pair[1] is not None)
    lines = found["lines"]
    names = [*list(lines[0])[:3], "quantity"] if lines else []
    show_table(f"Lines: {len(lines)}", names, [[line.get(name) for name in names] for line in lines])
    for action in found["actions"]:
        show(f"{action['at']}  {action['action']} by {action['actor']}, reason then: {action['reason']}")
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
        show(f"Not shown without --personal: {', '.join(found['hidden'])}, and the API's own words.", "dim")


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
