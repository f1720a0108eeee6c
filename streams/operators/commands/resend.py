"""``resend`` and ``send-now``: failed sales once more, waiting ones at once. Without ``--yes`` they only count."""

from __future__ import annotations

import getpass
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import click

from streams.documents.document import DocumentType
from streams.operators import Problem
from streams.operators.command_line import (
    JSON,
    STOPPED,
    NoJournal,
    asked,
    day_of,
    document,
    document_type_named,
    explain,
    filters,
    leaving_off,
    open_sales_db,
    run,
)
from streams.operators.commands.failures import COLUMNS, cells
from streams.operators.desk.action import MOST, WHY_TEXTS, BulkAction, PassedOver, Progress, Report, Stop, Why
from streams.operators.desk.sale_card import SaleCard
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.search import Search
from streams.operators.desk.send_again import SendAgain
from streams.operators.desk.send_now import SendNow
from streams.operators.terminal import by_reason, plain, progress, reason_text, show, show_json, show_table
from streams.settings import Settings
from streams.stores.sales_db import StoreError

_SHOWN = 10
_TO_BE_TRIED_AGAIN = {Why.LOCKED, Why.REFUSED_BY_DATABASE}


def resend(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""
    return _command(
        "resend",
        """Send failed sales again, once their cause is mended.

        Each becomes PENDING_SYNC and takes the way of every sale: what the national system may hold is looked up
        first, and nothing is sent twice. Who asked is kept in dbo.SaleAction.
        """,
        settings,
        document_types,
    )


def send_now(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""
    return _command(
        "send-now",
        """Do not let waiting sales wait any longer: their turn is now.

        A sale that is being sent, or of which it is not known yet whether it arrived, is passed over and said.
        """,
        settings,
        document_types,
    )


def _command(name: str, about: str, settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    @click.command(name, help=f"{about}\n{_REST}")
    @document(document_types)
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
        document_type = document_type_named(document_types, document)

        async def work() -> int:
            async with open_sales_db(settings) as db:
                acting: BulkAction = (
                    SendAgain(db, document_type, settings.zone) if name == "resend" else SendNow(db, document_type)
                )
                if invoices:
                    card = SaleCard(db, document_type, NoJournal())
                    ids = await _ids(card, invoices, pharmacy)
                    return await _these(acting, card, ids, who, yes=yes, as_json=as_json)
                return await _all_that(acting, Sales(db, document_type), search, who, yes=yes, as_json=as_json)

        run(work())

    return command


_REST = """
Without --yes it only counts and shows what it would do.

Ctrl-C leaves off after the sales that are being written (128 at most) and says how far it came; done again, it goes on.

Exit codes: 0 done, or shown; 1 trouble, said on stderr, or a sale that a till keeps locked or the database refuses;
2 wrong usage or settings; 130 Ctrl-C.
"""


async def _ids(card: SaleCard, invoices: Sequence[str], pharmacy: str | None) -> list[int]:
    found = {}
    for code in dict.fromkeys(invoices):
        found[code] = await asked(partial(card.find, code, pharmacy))
    unclear = [
        f"{plain(code)}: {'there is no such invoice' if not ids else f'{len(ids)} pharmacies have it: say --pharmacy'}."
        for code, ids in found.items()
        if len(ids) != 1
    ]
    if unclear:
        raise Problem(*unclear)
    return [id_ for ids in found.values() for id_ in ids]


async def _these(acting: BulkAction, card: SaleCard, ids: Sequence[int], who: str, *, yes: bool, as_json: bool) -> int:
    if not yes:
        sales = [sale for id_ in ids if (sale := await asked(partial(card.read, id_)))]
        would = Counter(sale.known.reason if sale.known else None for sale in sales if sale.status == acting.standing)
        _dry(acting, would, [], as_json=as_json)
        return 0

    def next_request(_: str | None, __: int, tell: Progress, stop: Stop) -> Awaitable[Report]:
        return acting.these(ids, actor=who, progress=tell, stop=stop)

    return _told(acting, await _done(acting, next_request, len(ids)), as_json=as_json)


async def _all_that(acting: BulkAction, sales: Sales, search: Search, who: str, *, yes: bool, as_json: bool) -> int:
    counts = await asked(lambda: acting.count(search))
    if not yes:
        page = await asked(lambda: sales.page(acting.standing, search, most=_SHOWN))
        _dry(acting, counts, [cells(sale) for sale in page.sales], as_json=as_json)
        return 0

    def next_request(after: str | None, most: int, tell: Progress, stop: Stop) -> Awaitable[Report]:
        return acting.all_that(search, actor=who, most=most, after=after, progress=tell, stop=stop)

    return _told(acting, await _done(acting, next_request, sum(counts.values())), as_json=as_json)


@dataclass
class _Course:
    """What was done so far, of what was counted at the beginning."""

    total: int
    done: list[int] = field(default_factory=list)
    passed_over: dict[int, PassedOver] = field(default_factory=dict)
    is_stopped: bool = False

    @property
    def looked_at(self) -> int:
        return len(self.done) + len(self.passed_over)

    @property
    def left(self) -> int:
        return max(0, self.total - self.looked_at) if self.is_stopped else 0


async def _done(
    acting: BulkAction, next_request: Callable[[str | None, int, Progress, Stop], Awaitable[Report]], total: int
) -> _Course:
    """Request after request, as many sales as there were: those that fail again meanwhile are not run after."""
    course, after = _Course(total), None
    at = 0
    with leaving_off() as stop, progress() as bar:
        task = bar.add_task(acting.name.replace("_", " "), total=total)
        while course.looked_at < total:

            def tell(looked_at: int, _: int, before: int = course.looked_at) -> None:
                nonlocal at
                at = before + looked_at
                bar.update(task, completed=at)

            try:
                report = await next_request(after, min(MOST, total - course.looked_at), tell, stop)
            except ValueError as error:
                raise Problem(f"--as: {error}.") from None
            except StoreError as error:
                so_far = f"Before that {at} of {total} were looked at: what was done stays done. Again, it goes on."
                raise Problem(explain(error), *([so_far] if at else [])) from None
            course.done += report.done
            course.passed_over |= {each.id: each for each in report.passed_over}
            after = report.next
            course.is_stopped = stop() and course.looked_at < total
            if course.is_stopped or after is None:
                break
    return course


def _dry(
    acting: BulkAction, counts: Mapping[str | None, int], shown: Sequence[Sequence[object]], *, as_json: bool
) -> None:
    total = sum(counts.values())
    if as_json:
        show_json({"action": acting.name, "dry_run": True, "would": total, "by_reason": by_reason(counts, "none")})
        return
    if shown:
        show_table(f"The newest {len(shown)} of {total}" if total > len(shown) else "These", COLUMNS, shown)
        show()
        rows = [(count, code, *reason_text(code, "en")) for code, count in by_reason(counts, "none").items()]
        show_table("Why", ("sales", "reason", "meaning", "action"), rows)
    verb = "be sent again" if acting.name == "send_again" else "be sent now"
    show(f"{total} would {verb}. Nothing was changed: say --yes to do it." if total else "There is no such sale.")


def _told(acting: BulkAction, course: _Course, *, as_json: bool) -> int:
    """Gives the exit code."""
    done, passed_over = course.done, course.passed_over.values()
    whys = Counter(each.why for each in passed_over)
    if as_json:
        passed = [{"id": each.id, "why": each.why, "until_ms": each.until_ms} for each in passed_over]
        shown = {"action": acting.name, "dry_run": False, "done": done, "passed_over": passed}
        show_json(shown | {"stopped": course.is_stopped, "left": course.left})
    else:
        verb = "asked for again" if acting.name == "send_again" else "moved to now"
        show(f"{len(done)} {verb}. `lookup` and `tail` show what becomes of them." if done else f"None {verb}.")
        for why, count in whys.most_common():
            show(f"{count} passed over: {WHY_TEXTS[why][1]}")
        if course.is_stopped:
            show(f"Stopped: what was done stays done, {course.left} were not looked at. Done again, it goes on.")
    if course.is_stopped:
        return STOPPED
    return 1 if _TO_BE_TRIED_AGAIN & whys.keys() else 0
