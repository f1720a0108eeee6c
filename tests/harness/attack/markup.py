"""Attacks with markup in everything that the page shows: stored, typed, in addresses, headers and cookies.

The page is read as a browser reads it, and must have the elements and attributes of our templates alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from urllib.parse import quote, urlencode

from aiohttp import ClientResponse

from streams.domain.reasons import Code
from streams.operators.page import page
from streams.stores.sales_db import Transaction
from tests.harness.attack.arena import Arena, Suite, listening
from tests.harness.attack.payloads import TAG, markup
from tests.harness.attack.site import House, served, unhurried, visited
from tests.page.visitor import Visitor

_DECIDED = datetime(2026, 11, 24, tzinfo=UTC)
_ADDRESSES = frozenset({"href", "src", "action", "formaction"})
_RENEWED = 40
"""Requests, after which other texts are stored."""
_TEXTS = {
    "SalesInvoices": (
        "pharmacy_code",
        "shop_pharmacy_code",
        "seller_name",
        "customer_name",
        "sync_response_message",
        "national_invoice_id",
        "national_prescription_id",
    ),
    "SalesInvoiceDetails": (
        "drug_code",
        "drug_name",
        "lot_number",
        "unit",
        "concentration",
        "dosage",
        "route_of_administration",
        "registration_number",
    ),
    "SaleSync": ("refused_body", "refused_text"),
    "AccountShop": ("shop_pharmacy_code", "shop_name", "account"),
    "SaleAction": ("actor",),
}
_SCREENS = ("", "failures", "waiting", "shops", "sale/1", "sale/2", "sale?code=HD-1", "failures?shop=SHOP-1")
_LISTS = ("failures", "waiting", "shops", "sale")
_NAMES = ("code", "shop", "reason", "day", "after", "q", "lang", "kind", "selected", TAG)


class Read(HTMLParser):
    """Finds what does not belong into our pages."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.odd: list[str] = []
        self.scripts: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS:
            self.odd.append(f"<{tag}>")
        if tag == "script":
            self.scripts.append(dict(attrs).get("src"))
        for name, value in attrs:
            if name not in _ATTRIBUTES and not name.startswith(("data-", "aria-")):
                self.odd.append(f"{tag} {name}=")
            if name in _ADDRESSES and not self._leads_to_us(value or ""):
                self.odd.append(f"{tag} {name}={value!r}")
            if TAG in name:
                self.odd.append(f"{tag} {name}=")

    def handle_comment(self, data: str) -> None:
        self.odd.append("a comment")

    def unknown_decl(self, data: str) -> None:
        self.odd.append("a declaration")

    def _leads_to_us(self, address: str) -> bool:
        plain = address.strip().replace("\\", "/")
        return not plain or (plain[0] in "/?#" and not plain.startswith("//"))


_SOURCES = "".join(file.read_text(encoding="utf-8") for file in Path(page.__file__).parent.glob("templates/*.html"))
_ELEMENTS = frozenset(re.findall(r"<([a-z][a-z0-9]*)", _SOURCES))
_ATTRIBUTES = frozenset(name.lower() for name in re.findall(r'\s([a-zA-Z0-9-]+)="', _SOURCES)) | {
    "autofocus",
    "hidden",
    "required",
    "selected",
    "open",
}


def problem_of(answer: ClientResponse, text: str) -> str | None:
    if answer.status >= 500:
        return f"it is answered {answer.status}"
    for name, value in answer.headers.items():
        if TAG in name.lower() or (name == "Set-Cookie" and f"<{TAG}" in value):
            return f"a header {name}: {value}"
    location = answer.headers.get("Location", "/page/")
    if not location.startswith("/") or location.startswith(("//", "/\\")):
        return f"it leads elsewhere: {location!r}"
    if answer.content_type != "text/html":
        return None
    read = Read()
    read.feed(text)
    read.close()
    if read.odd:
        return f"the page has {read.odd[:3]}"
    return f"scripts {read.scripts}" if read.scripts != ["/page/static/page.js"] else None


async def run(arena: Arena) -> None:
    with listening(arena.seen):
        async with served(arena.folder, arena.seen, access=unhurried) as house:
            await _sell(house)
            async with visited(house) as visitor:
                for number in arena.numbers:
                    rng = arena.random(number)
                    if number % _RENEWED == 0:
                        await _store(house, rng)
                    answer, text, sent = await _attempt(rng, visitor)
                    arena.seen.look("page", text)
                    arena.judge(number, problem_of(answer, text), sent)


async def _sell(house: House) -> None:
    await house.point_of_sale.sell(1, 3, status="SYNC_FAILED")
    await house.point_of_sale.sell(2, 4)
    await house.point_of_sale.add_lines(1, "VN-1", "VN-2")
    await house.point_of_sale.open_account("SHOP-1", "usr", "pwd")
    for id_ in (1, 2, 3):
        await house.point_of_sale.sync(
            id_, attempt=1, published_attempt=1, reason_code=Code.API_REFUSED.value, refused_attempt=1
        )
    columns = "document_type, id, request, action, actor, acted_at"
    await house.point_of_sale.run(
        f"INSERT INTO dbo.SaleAction ({columns}) VALUES ('sale', 1, 'r', 'send_again', 'x', 1)"  # noqa: S608
    )


async def _store(house: House, rng: Random) -> None:
    """Store other texts in each column and in the history, and odd reasons and statuses."""

    def work(tx: Transaction) -> None:
        for table, columns in _TEXTS.items():
            values = [markup(rng).encode("utf-8", "replace").decode() for _ in columns]
            texts = ", ".join(f"{column} = ?" for column in columns)
            tx.execute(f"UPDATE dbo.{table} SET {texts}", values)  # noqa: S608 - names of this file
        tx.execute("UPDATE dbo.SalesInvoices SET local_invoice_id = ? WHERE id = 3", [markup(rng)])
        tx.execute("UPDATE dbo.SaleSync SET reason_code = ? WHERE id = 3", [markup(rng)])

    await house.db.transaction(work)
    house.place.histories.decisions = [
        {
            "event_id": markup(rng),
            "attempt": 1,
            "status": rng.choice(("SYNC_FAILED", markup(rng))),
            "decided_at": _DECIDED,
            "national_invoice_id": markup(rng),
            "next_attempt_at": None,
            "reason": {"code": markup(rng), "message": {"vi": markup(rng), "en": markup(rng)}, "details": []},
        }
    ]


async def _attempt(rng: Random, visitor: Visitor) -> tuple[ClientResponse, str, object]:
    text = markup(rng)
    match rng.randrange(7):
        case 0:
            path = rng.choice(_SCREENS)
            answer, shown = await visitor.get(path)
            return answer, shown, path
        case 1 | 2:
            sought = {rng.choice(_NAMES): text, rng.choice(_NAMES): markup(rng)}
            path = f"{rng.choice(_LISTS)}?{urlencode(sought, errors='replace')}"
            answer, shown = await visitor.get(path)
            return answer, shown, path
        case 3:
            path = rng.choice(("sale/", "static/", "", "failures/", "documents/")) + quote(text, errors="replace")
            answer, shown = await visitor.get(path)
            return answer, shown, path
        case 4:
            name = rng.choice(("Accept-Language", "Referer", "User-Agent", "X-Forwarded-Host", "X-User", "Cookie"))
            value = quote(text, errors="replace") if rng.random() < 0.3 else "".join(c for c in text if " " <= c <= "~")
            headers = {name: f"sales_language={value}; sales_form={value}"} if name == "Cookie" else {name: value}
            if name == "Cookie":
                headers[name] += "; " + "; ".join(f"{each.key}={each.value}" for each in visitor.session.cookie_jar)
            answer, shown = await visitor.get(rng.choice(_SCREENS), **headers)
            return answer, shown, headers
        case 5:
            fields = await _fields(visitor, text, rng)
            answer, shown = await visitor.post(rng.choice(("confirm", "send")), fields)
            return answer, shown, fields
        case _:
            fields = {"form": await visitor.form("failures"), "name": text, "token": rng.choice(("", text))}
            answer, shown = await visitor.post("sign-in", fields)
            return answer, shown, fields


async def _fields(visitor: Visitor, text: str, rng: Random) -> Mapping[str, str]:
    fields = {
        "form": await visitor.form("failures"),
        "action": rng.choice(("again", "now")),
        "id": rng.choice(("1", "2", text)),
    }
    fields |= {name: markup(rng) for name in rng.sample(("code", "shop", "reason", "day", "all"), 2)}
    return {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}


SUITE = Suite("markup", "the page, by markup in rows, addresses, forms, headers and cookies", 4_846, run, 0.04)
