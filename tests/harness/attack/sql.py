"""Attacks with SQL in everything that the page, the commands and the topics read: nothing is changed by it, and
nothing fails.
"""

from __future__ import annotations

import asyncio
from random import Random
from urllib.parse import urlencode

from click.testing import CliRunner

from streams.documents import DOCUMENT_TYPES
from streams.operators.commands import commands
from streams.stores.decisions import DecisionWriter
from streams.stores.sales_db import Transaction
from tests.contract.stores.point_of_sale import accepted
from tests.harness.attack.arena import Arena, Suite, listening
from tests.harness.attack.payloads import SQL, sql
from tests.harness.attack.site import House, served, visited
from tests.page.visitor import Visitor

_COLUMNS = (
    "failures?code",
    "failures?shop",
    "failures?reason",
    "failures?day",
    "failures?after",
    "waiting?code",
    "waiting?shop",
    "shops?q",
    "shops?after",
    "sale?code",
    "sale/",
)
_COMMANDS = (
    ("failures", "--invoice"),
    ("failures", "--shop"),
    ("failures", "--after"),
    ("failures", "--waiting", "--invoice"),
    ("resend", "--yes", "--invoice"),
    ("resend", "--yes", "--shop"),
    ("resend", "--yes", "--invoice", "HD-1", "--pharmacy"),
    ("send-now", "--yes", "--invoice"),
    ("send-now", "--yes", "--shop"),
    ("failures", "--day"),
    ("failures", "--since"),
)


async def run(arena: Arena) -> None:
    with listening(arena.seen) as lines:
        async with served(arena.folder, arena.seen) as house:
            await house.point_of_sale.sell(1, 3, 5, status="SYNC_FAILED")
            await house.point_of_sale.sell(2, 4)
            await house.point_of_sale.open_account("SHOP-1", "usr", "pwd")
            await house.point_of_sale.sync(1, attempt=1, published_attempt=1, reason_code="api_refused")
            async with visited(house) as visitor:
                before = house.contents()
                for number in arena.numbers:
                    rng = arena.random(number)
                    text = sql(rng, arena.choose(number, SQL))
                    problem, where = await _attempt(rng, house, visitor, text)
                    after = house.contents()
                    if problem is None and after != before and where != "write-back":  # which judges that itself
                        problem = "the database is changed"
                    before = after
                    errors = [line for line in lines.take() if '"level":"error"' in line]
                    arena.judge(number, problem or (errors[0] if errors else None), (where, text))


async def _attempt(rng: Random, house: House, visitor: Visitor, text: str) -> tuple[str | None, object]:
    match rng.randrange(8):
        case 0 | 1 | 2:
            where = rng.choice(_COLUMNS)
            path = (
                f"{where}{urlencode({'': text}, errors='replace')[1:]}"
                if where.endswith("/")
                else _address(where, text)
            )
            answer, shown = await visitor.get(path)
            return _of_a_page(answer.status, shown, text), path
        case 3 | 4:
            fields = {"form": await visitor.form("failures"), "action": rng.choice(("again", "now"))}
            fields |= {rng.choice(("id", "code", "shop", "reason")): text, "id": text}
            if rng.random() < 0.5:
                fields = {name: value for name, value in fields.items() if name != "id"} | {
                    "all": "1",
                    "shop": f"x{text}",
                }
            fields = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
            path = rng.choice(("confirm", "send"))
            answer, shown = await visitor.post(path, fields)
            return _of_a_page(answer.status, shown, text), (path, fields)
        case 5:
            return await _write_back(house, rng, text), "write-back"
        case _:
            arguments = (*rng.choice(_COMMANDS), text.replace("\0", ""))
            return await _command(house, arguments), arguments


def _address(where: str, text: str) -> str:
    path, _, name = where.partition("?")
    return f"{path}?{urlencode({name: text}, errors='replace')}"


def _of_a_page(status: int, shown: str, text: str) -> str | None:
    if status not in (200, 303, 400, 404):
        return f"it is answered {status}"
    finds_all = text.strip() and status == 200 and any(f">HD-{id_}<" in shown for id_ in range(1, 6))
    return "it finds sales that it does not name" if finds_all and text.strip() not in ("-1", "0") else None


async def _command(house: House, arguments: tuple[str, ...]) -> str | None:
    command = next(each for each in commands(house.settings, DOCUMENT_TYPES) if each.name == arguments[0])
    ended = await asyncio.to_thread(CliRunner().invoke, command, [*arguments[1:]])
    house.seen.look("command", ended.output)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        return f"the command raises {type(ended.exception).__name__}"
    if "refuses what was asked" in ended.output:
        return "the database refuses the statement"
    return "it finds sales that it does not name" if "HD-3" in ended.stdout and "HD-3" not in arguments[-1] else None


async def _write_back(house: House, rng: Random, text: str) -> str | None:
    """Write a decision about sale 2 whose every text is hostile: only this sale may get it, unchanged, and then it
    is restored.
    """
    decision = accepted(2, 1, text.encode("utf-8", "replace").decode()[:100] or "x")
    status = decision.status.model_copy(update={"local_invoice_id": text[:50], "shop_pharmacy_code": text[:50]})
    others = await house.point_of_sale.rows("SELECT * FROM dbo.SalesInvoices WHERE id <> 2")
    await house.point_of_sale.sync(2, attempt=1, owner="w", lease_until=1)
    try:
        await DecisionWriter(
            house.db, {document_type.name: document_type for document_type in DOCUMENT_TYPES}, house.settings.zone
        ).apply("sale", [type(decision)(status)])
        row = await house.point_of_sale.row(2)
        if row["status"] != "SYNC_SUCCESS" or row["national_invoice_id"] != status.national_invoice_id:
            return f"it is written back as {row['status']}, {row['national_invoice_id']!r}"
        if await house.point_of_sale.rows("SELECT * FROM dbo.SalesInvoices WHERE id <> 2") != others:
            return "other sales are changed"
    finally:
        await _as_before(house)
    return None


async def _as_before(house: House) -> None:
    def work(tx: Transaction) -> None:
        tx.execute("DELETE FROM dbo.SaleSync WHERE id = 2", [])
        tx.execute("DELETE FROM dbo.SalesInvoices WHERE id = 2", [])

    await house.db.transaction(work)
    await house.point_of_sale.sell(2)


SUITE = Suite("SQL", "page, commands and write-back, by SQL in all that they take", 611, run, 0.15)
