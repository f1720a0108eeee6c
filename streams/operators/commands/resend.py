"""``resend``, ``withdraw`` and ``send-now``: send failed sales again, withdraw sales, or process pending ones now.

Without ``--yes`` they only count.
"""

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
    F,
    NoJournal,
    date_of,
    document_option,
    document_type_by_name,
    explain_store_error,
    filter_options,
    open_sales_db,
    run,
    stop_on_interrupt,
)
from streams.operators.commands.failures import COLUMNS, cells
from streams.operators.desk.action import (
    MAX_SALES,
    WHY_TEXTS,
    ActionReport,
    BulkAction,
    PassedOver,
    Progress,
    Stop,
    Why,
)
from streams.operators.desk.sale_card import SaleCard, SaleDetails
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.search import DocumentState, Search
from streams.operators.desk.send_again import SendAgain
from streams.operators.desk.send_changed import SendChanged
from streams.operators.desk.send_now import SendNow
from streams.operators.desk.withdraw import WITHDRAWABLE, Withdraw
from streams.operators.retry_on_lock import retry_on_lock
from streams.operators.terminal import largest_first, plain, progress, reason_text, show, show_json, show_table
from streams.settings import Settings
from streams.stores.sales_db import StoreError

_SHOWN = 10
_WOULD = {
    "send_again": "be sent again",
    "send_changed": "be sent again",
    "send_now": "be sent now",
    "withdraw": "be withdrawn",
}
_DONE = {
    "send_again": "requested again",
    "send_changed": "requested again",
    "send_now": "due now",
    "withdraw": "requested to be withdrawn",
}
_RETRYABLE = {Why.LOCKED, Why.REFUSED_BY_DATABASE}


def resend(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""
    return _command(
        "resend",
        """Send failed sales again, once the cause is fixed.

        With --changed it sends those that the point of sale has changed since they were accepted.

        Each becomes PENDING_SYNC and is processed like every sale: one that the national system has possibly stored
        is looked up first, and nothing is sent twice. The name of the person is recorded in dbo.SaleAction.

        A withdrawn sale is sent again only with --status CANCELLED, and one whose withdrawal failed, to keep it after
        all, only with --status CANCEL_FAILED.
        """,
        settings,
        document_types,
        ("SYNC_FAILED", "CANCELLED", "CANCEL_FAILED"),
    )


def withdraw(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""
    return _command(
        "withdraw",
        """Withdraw sales from the national system.

        Each becomes PENDING_CANCEL, and then CANCELLED, or CANCEL_FAILED with a reason. It may be a sale that was
        accepted, one that has failed, or one whose withdrawal failed. Filters find accepted sales, unless --status
        names another status. The name of the person is recorded in dbo.SaleAction.
        """,
        settings,
        document_types,
        WITHDRAWABLE,
    )


def send_now(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""
    return _command(
        "send-now",
        """Send pending sales now instead of at their next attempt.

        With --status PENDING_CANCEL, those that wait to be withdrawn are withdrawn now. A sale that is being processed,
        or whose last attempt has an unknown outcome, is passed over and reported.
        """,
        settings,
        document_types,
        ("PENDING_SYNC", "PENDING_CANCEL"),
    )


def _command(
    name: str,
    about: str,
    settings: Settings,
    document_types: Sequence[DocumentType],
    statuses: Sequence[DocumentState],
) -> click.Command:
    """`statuses`: of the sales that can be chosen, the default first."""

    @click.command(name, help=f"{about}\n{_REST}")
    @document_option(document_types)
    @click.option("--invoice", "invoices", multiple=True, help="The complete invoice code; can be given several times.")
    @click.option("--pharmacy", help="pharmacy_code, if several pharmacies have this invoice code.")
    @filter_options
    @click.option("--all", "everything", is_flag=True, help="All of them, without a filter.")
    @_option_of_resend(name, "--changed", "Those changed after they were accepted, instead of the failed ones.")
    @click.option(
        "--status", type=click.Choice(statuses), default=statuses[0], show_default=True, help="The sales' status."
    )
    @click.option("--yes", is_flag=True, help="Do it. Without this option nothing is changed.")
    @click.option("--as", "actor", help="Your name, recorded with each sale.  [default: the system account]")
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
        status: DocumentState,
        yes: bool,
        actor: str | None,
        as_json: bool,
        changed: bool = False,
    ) -> None:
        search = Search(None, shop, reason, date_of(day), since)
        filtered = search != Search()
        everything = everything or (changed and not invoices and not filtered)
        if (bool(invoices) + filtered + everything) != 1:
            raise click.UsageError(
                "choose the sales: --invoice, or filters (--shop, --reason, --day, --since), or --all"
            )
        if changed and status != statuses[0]:
            raise click.UsageError("--changed is about accepted sales: leave out --status")
        if name == "withdraw" and everything:
            raise click.UsageError("--all would withdraw every sale: choose them with --invoice or filters")
        if pharmacy and not invoices:
            raise click.UsageError("--pharmacy needs --invoice")
        who = actor or os.environ.get("SUDO_USER") or getpass.getuser()
        document_type = document_type_by_name(document_types, document)

        async def work() -> int:
            async with open_sales_db(settings) as db:
                bulk_action: BulkAction
                if name == "resend":
                    bulk_action = (
                        SendChanged(db, document_type, settings.zone)
                        if changed
                        else SendAgain(db, document_type, settings.zone, status)
                    )
                elif name == "withdraw":
                    bulk_action = Withdraw(db, document_type, settings.zone, status)
                else:
                    bulk_action = SendNow(db, document_type, status)
                if invoices:
                    card = SaleCard(db, document_type, NoJournal())
                    ids = await _ids(card, invoices, pharmacy)
                    return await _apply_to_ids(bulk_action, card, ids, who, yes=yes, as_json=as_json)
                return await _apply_to_search(
                    bulk_action, Sales(db, document_type), search, who, yes=yes, as_json=as_json
                )

        run(work())

    return command


def _option_of_resend(name: str, option: str, about: str) -> Callable[[F], F]:
    def leave(command: F) -> F:
        return command

    return click.option(option, is_flag=True, help=about) if name == "resend" else leave


_REST = """
Without --yes it only counts and shows what it would do.

Ctrl-C stops it after the sales that are being written (128 at most), with a report; run it again to continue.

Exit codes: 0 done, or shown; 1 a problem, which is printed on stderr, or a sale that a point of sale keeps locked or
the database rejects; 2 wrong usage or settings; 130 Ctrl-C.
"""


async def _ids(card: SaleCard, invoices: Sequence[str], pharmacy: str | None) -> list[int]:
    found = {}
    for code in dict.fromkeys(invoices):
        found[code] = await retry_on_lock(partial(card.find, code, pharmacy))
    unclear = [
        f"{plain(code)}: {'there is no such invoice' if not ids else f'{len(ids)} pharmacies have it: use --pharmacy'}."
        for code, ids in found.items()
        if len(ids) != 1
    ]
    if unclear:
        raise Problem(*unclear)
    return [id_ for ids in found.values() for id_ in ids]


async def _apply_to_ids(
    bulk_action: BulkAction, card: SaleCard, ids: Sequence[int], who: str, *, yes: bool, as_json: bool
) -> int:
    if not yes:
        sales = [sale for id_ in ids if (sale := await retry_on_lock(partial(card.read, id_)))]
        would = Counter(sale.sync.reason if sale.sync else None for sale in sales if _is_in(sale, bulk_action))
        _show_dry_run(bulk_action, would, [], as_json=as_json)
        return 0

    def next_request(_: str | None, __: int, progressed: Progress, stop: Stop) -> Awaitable[ActionReport]:
        return bulk_action.apply_to_ids(ids, actor=who, progress=progressed, stop=stop)

    return _show_result(bulk_action, await _run_requests(bulk_action, next_request, len(ids)), as_json=as_json)


def _is_in(sale: SaleDetails, bulk_action: BulkAction) -> bool:
    """Return whether a sale has the status that the action requires."""
    if bulk_action.required_status == "CHANGED":
        return sale.status == "SYNC_SUCCESS" and sale.sync is not None and sale.sync.changed_at is not None
    return sale.status in bulk_action.from_statuses


async def _apply_to_search(
    bulk_action: BulkAction, sales: Sales, search: Search, who: str, *, yes: bool, as_json: bool
) -> int:
    counts = await retry_on_lock(lambda: bulk_action.count(search))
    if not yes:
        page = await retry_on_lock(lambda: sales.page(bulk_action.required_status, search, most=_SHOWN))
        _show_dry_run(bulk_action, counts, [cells(sale) for sale in page.sales], as_json=as_json)
        return 0

    def next_request(after: str | None, most: int, progressed: Progress, stop: Stop) -> Awaitable[ActionReport]:
        return bulk_action.apply_to_search(search, actor=who, most=most, after=after, progress=progressed, stop=stop)

    return _show_result(
        bulk_action, await _run_requests(bulk_action, next_request, sum(counts.values())), as_json=as_json
    )


@dataclass
class _Run:
    """What was done so far, of the sales that were counted at the beginning."""

    total: int
    done: list[int] = field(default_factory=list)
    passed_over: dict[int, PassedOver] = field(default_factory=dict)
    is_stopped: bool = False

    @property
    def processed(self) -> int:
        return len(self.done) + len(self.passed_over)

    @property
    def left(self) -> int:
        return max(0, self.total - self.processed) if self.is_stopped else 0


async def _run_requests(
    bulk_action: BulkAction,
    next_request: Callable[[str | None, int, Progress, Stop], Awaitable[ActionReport]],
    total: int,
) -> _Run:
    """Send requests until as many sales were processed as there were at the beginning.

    So sales that fail again meanwhile are not resent forever.
    """
    result, after = _Run(total), None
    completed = 0
    with stop_on_interrupt() as stop, progress() as bar:
        task = bar.add_task(bulk_action.name.replace("_", " "), total=total)
        while result.processed < total:

            def progressed(processed: int, _: int, before: int = result.processed) -> None:
                nonlocal completed
                completed = before + processed
                bar.update(task, completed=completed)

            try:
                report = await next_request(after, min(MAX_SALES, total - result.processed), progressed, stop)
            except ValueError as error:
                raise Problem(f"--as: {error}.") from None
            except StoreError as error:
                so_far = f"Before that {completed} of {total} were processed; they stay done. Run it again to continue."
                raise Problem(explain_store_error(error), *([so_far] if completed else [])) from None
            result.done += report.done
            result.passed_over |= {each.id: each for each in report.passed_over}
            after = report.next
            result.is_stopped = stop() and result.processed < total
            if result.is_stopped or after is None:
                break
    return result


def _show_dry_run(
    bulk_action: BulkAction, counts: Mapping[str | None, int], shown: Sequence[Sequence[object]], *, as_json: bool
) -> None:
    total, nouns = sum(counts.values()), bulk_action.document_type.nouns
    if as_json:
        show_json(
            {"action": bulk_action.name, "dry_run": True, "would": total, "by_reason": largest_first(counts, "none")}
        )
        return
    if shown:
        show_table(f"The newest {len(shown)} of {total}" if total > len(shown) else "These", COLUMNS, shown)
        show()
        rows = [(count, code, *reason_text(code, "en", nouns)) for code, count in largest_first(counts, "none").items()]
        if bulk_action.required_status != "CHANGED":
            show_table("Why", (nouns.many, "reason", "meaning", "action"), rows)
    verb = _WOULD[bulk_action.name]
    show(
        f"{total} would {verb}. Nothing was changed: use --yes to do it." if total else f"There is no such {nouns.one}."
    )


def _show_result(bulk_action: BulkAction, result: _Run, *, as_json: bool) -> int:
    """Print the result, and return the exit code."""
    done, passed_over = result.done, result.passed_over.values()
    nouns = bulk_action.document_type.nouns
    reasons = Counter(each.why for each in passed_over)
    if as_json:
        passed = [{"id": each.id, "why": each.why, "until_ms": each.until_ms} for each in passed_over]
        shown = {"action": bulk_action.name, "dry_run": False, "done": done, "passed_over": passed}
        show_json(shown | {"stopped": result.is_stopped, "left": result.left})
    else:
        verb = _DONE[bulk_action.name]
        show(f"{len(done)} {verb}. `lookup` and `tail` show their progress." if done else f"None {verb}.")
        for why, count in reasons.most_common():
            show(f"{count} passed over: {nouns.in_english(WHY_TEXTS[why][1])}")
        if result.is_stopped:
            show(f"Stopped: {result.left} were not processed. Run it again to continue.")
    if result.is_stopped:
        return STOPPED
    return 1 if _RETRYABLE & reasons.keys() else 0
