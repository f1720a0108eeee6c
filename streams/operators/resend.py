"""``resend`` and ``send-now``: failed sales once more, waiting ones at once. Without ``--yes`` they only count."""

from __future__ import annotations

import getpass
import os
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from functools import partial

import click

from streams.desk.acting import WHY_WORDS, Acting, PassedOver, Report, Why
from streams.desk.one_sale import SaleCard
from streams.desk.sales import Sales
from streams.desk.search import Search
from streams.desk.send_again import SendAgain
from streams.desk.send_now import SendNow
from streams.documents.document import DocumentKind
from streams.operators import Trouble
from streams.operators.failures import COLUMNS, cells
from streams.operators.opening import (
    JSON,
    NoJournal,
    asked,
    day_of,
    document,
    filters,
    kind_named,
    open_sales_db,
    run,
)
from streams.operators.showing import by_reason, plain, progress, reason_words, show, show_json, show_table
from streams.settings import Settings
from streams.stores.sales_db import SalesDb

_SHOWN = 10
_TO_BE_TRIED_AGAIN = {Why.LOCKED, Why.REFUSED_BY_DATABASE}


def resend(settings: Settings, kinds: Sequence[DocumentKind]) -> click.Command:
    """The command, for Faust's command line."""
    return _command(
        "resend",
        """Send failed sales again, once their cause is mended.

        Each becomes PENDING_SYNC and takes the way of every sale: what the national system may hold is looked up
        first, and nothing is sent twice. Who asked is kept in dbo.SaleAction.
        """,
        settings,
        kinds,
    )


def send_now(settings: Settings, kinds: Sequence[DocumentKind]) -> click.Command:
    """The command, for Faust's command line."""
    return _command(
        "send-now",
        """Do not let waiting sales wait any longer: their turn is now.

        A sale that is being sent, or of which it is not known yet whether it arrived, is passed over and said.
        """,
        settings,
        kinds,
    )


def _command(name: str, about: str, settings: Settings, kinds: Sequence[DocumentKind]) -> click.Command:
    @click.command(name, help=f"{about}\n{_REST}")
    @document(kinds)
    @click.option("--invoice", "invoices", multiple=True, help="The invoice's code, whole; may be given again.")
    @click.option("--pharmacy", help="pharmacy_code, where several have the same invoice code.")
    @filters
    @click.option("--all", "everything", is_flag=True, help="All there are, without a filter.")
    @click.option("--yes", is_flag=True, help="Do it. Without it nothing is changed.")
    @click.option("--as", "actor", help="Who asks, kept with each sale.  [default: the account of the system]")
    @JSON
    def command(
        document: str,
        invoices: tuple[str, ...],
        pharmacy: str | None,
        shop: str | None,
        reason: str | None,
        day: datetime | None,
        since: datetime | None,
        everything: bool,
        yes: bool,
        actor: str | None,
        as_json: bool,
    ) -> None:
        search = Search(None, shop, reason, day_of(day), since)
        filtered = search != Search()
        if (bool(invoices) + filtered + everything) != 1:
            raise click.UsageError("say which: --invoice, or filters (--shop, --reason, --day, --since), or --all")
        if pharmacy and not invoices:
            raise click.UsageError("--pharmacy goes with --invoice")
        who = actor or os.environ.get("SUDO_USER") or getpass.getuser()
        kind = kind_named(kinds, document)

        async def work() -> int:
            async with open_sales_db(settings) as db:
                acting: Acting = SendAgain(db, kind, settings.zone) if name == "resend" else SendNow(db, kind)
                if invoices:
                    ids = await _ids(db, kind, invoices, pharmacy)
                    return await _these(acting, ids, who, yes=yes, as_json=as_json)
                return await _all_that(acting, Sales(db, kind), search, who, yes=yes, as_json=as_json)

        run(work())

    return command


_REST = """
Without --yes it only counts and shows what it would do.

Exit codes: 0 done, or shown; 1 trouble, said on stderr, or a sale that a till keeps locked or the database refuses;
2 wrong usage or settings.
"""


async def _ids(db: SalesDb, kind: DocumentKind, invoices: Sequence[str], pharmacy: str | None) -> list[int]:
    card = SaleCard(db, kind, NoJournal())
    found = {}
    for code in dict.fromkeys(invoices):
        found[code] = await asked(partial(card.find, code, pharmacy))
    unclear = [
        f"{plain(code)}: {'there is no such invoice' if not ids else f'{len(ids)} pharmacies have it: say --pharmacy'}."
        for code, ids in found.items()
        if len(ids) != 1
    ]
    if unclear:
        raise Trouble(*unclear)
    return [id_ for ids in found.values() for id_ in ids]


async def _these(acting: Acting, ids: Sequence[int], who: str, *, yes: bool, as_json: bool) -> int:
    if not yes:
        _dry(acting, {None: len(ids)}, [], as_json=as_json)
        return 0
    report = await _acted(acting.these(ids, actor=who))
    return _told(acting, report.done, report.passed_over, is_cut=report.is_cut, as_json=as_json)


async def _all_that(acting: Acting, sales: Sales, search: Search, who: str, *, yes: bool, as_json: bool) -> int:
    counts = await asked(lambda: acting.count(search))
    if not yes:
        page = await asked(lambda: sales.page(acting.standing, search, most=_SHOWN))
        _dry(acting, counts, [cells(sale) for sale in page.sales], as_json=as_json)
        return 0
    done: list[int] = []
    passed: dict[int, PassedOver] = {}
    total = sum(counts.values())
    with progress() as bar:
        task = bar.add_task(acting.name.replace("_", " "), total=total)
        while True:
            so_far = len(done) + len(passed)

            def tell(at: int, _: int, before: int = so_far) -> None:
                bar.update(task, completed=before + at)

            report = await _acted(acting.all_that(search, actor=who, progress=tell))
            done += report.done
            passed |= {each.id: each for each in report.passed_over}
            # What was sent again is not found again; what was moved to now is.
            if not report.is_cut or not report.done or acting.standing == "PENDING_SYNC":
                break
    return _told(acting, done, list(passed.values()), is_cut=report.is_cut, as_json=as_json)


async def _acted(acting: Awaitable[Report]) -> Report:
    try:
        return await acting
    except ValueError as error:
        raise Trouble(f"--as: {error}.") from None


def _dry(acting: Acting, counts: Mapping[str | None, int], shown: Sequence[Sequence[object]], *, as_json: bool) -> None:
    total = sum(counts.values())
    if as_json:
        show_json({"action": acting.name, "dry_run": True, "would": total, "by_reason": by_reason(counts, "none")})
        return
    if shown:
        show_table(f"The newest {len(shown)} of {total}" if total > len(shown) else "These", COLUMNS, shown)
        show()
        rows = [(count, code, *reason_words(code, "en")) for code, count in by_reason(counts, "none").items()]
        show_table("Why", ("sales", "reason", "meaning", "remedy"), rows)
    verb = "be sent again" if acting.name == "send_again" else "be sent now"
    show(f"{total} would {verb}. Nothing was changed: say --yes to do it." if total else "There is no such sale.")


def _told(
    acting: Acting, done: Sequence[int], passed_over: Sequence[PassedOver], *, is_cut: bool, as_json: bool
) -> int:
    """Gives the exit code."""
    whys = Counter(each.why for each in passed_over)
    if as_json:
        passed = [{"id": each.id, "why": each.why, "until_ms": each.until_ms} for each in passed_over]
        show_json({"action": acting.name, "dry_run": False, "done": done, "passed_over": passed, "is_cut": is_cut})
    else:
        verb = "asked for again" if acting.name == "send_again" else "moved to now"
        show(f"{len(done)} {verb}. `lookup` and `tail` show what becomes of them." if done else f"None {verb}.")
        for why, count in whys.most_common():
            show(f"{count} passed over: {WHY_WORDS[why][1]}")
        if is_cut:
            show("There are more: do it again, with filters that leave these out.")
    return 1 if _TO_BE_TRIED_AGAIN & whys.keys() else 0
