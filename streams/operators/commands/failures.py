"""``faust -A streams.app failures``: the sales that failed, or wait, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from streams.documents.document import DocumentType
from streams.operators import Problem
from streams.operators.command_line import (
    JSON,
    LANGUAGE,
    asked,
    day_of,
    document,
    document_type_named,
    filters,
    open_sales_db,
    run,
)
from streams.operators.desk.sale_lists import Sale, SalePage, Sales
from streams.operators.desk.search import DocumentState, Search
from streams.operators.terminal import by_reason, moment, reason_text, show, show_json, show_table
from streams.settings import Settings

COLUMNS = ("id", "invoice", "pharmacy", "shop", "changed", "reason", "attempts", "next attempt")


def failures(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("failures")
    @document(document_types)
    @click.option("--invoice", help="Part of the invoice's code, in either case.")
    @filters
    @click.option("--waiting", is_flag=True, help="Those that wait, instead of those that failed.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Sales on one page.")
    @click.option("--after", help="The place that the page before ended with.")
    @LANGUAGE
    @JSON
    def command(
        document: str,
        invoice: str | None,
        shop: str | None,
        reason: str | None,
        day: datetime | None,
        since: datetime | None,
        waiting: bool,
        limit: int,
        after: str | None,
        language: str,
        as_json: bool,
    ) -> None:
        """List the sales that failed, newest first, with what each reason means and what to do.

        All filters that are given must hold. Names nobody: `lookup` shows one sale.

        Exit codes: 0 listed, also where there are none; 1 trouble, said on stderr; 2 wrong usage or settings.
        """
        search = Search(invoice, shop, reason, day_of(day), since)
        standing: DocumentState = "PENDING_SYNC" if waiting else "SYNC_FAILED"
        document_type = document_type_named(document_types, document)

        async def work() -> None:
            async with open_sales_db(settings) as db:
                sales = Sales(db, document_type)
                try:
                    page = await asked(lambda: sales.page(standing, search, after=after, most=limit))
                except ValueError as error:
                    raise Problem(f"--after: {error}") from None
                counts = await asked(lambda: sales.count(standing, search))
            if as_json:
                counted = by_reason(counts, "none")
                show_json({"standing": standing, "counts": counted, "sales": page.sales, "next": page.next})
            else:
                _show(page, counts, language, what="wait" if waiting else "failed")

        run(work())

    return command


def _show(page: SalePage, counts: dict[str | None, int], language: str, what: str) -> None:
    total = sum(counts.values())
    if not total:
        show(f"No sale of these {'waits' if what == 'wait' else 'failed'}.")
        return
    show_table(f"{total} {what}", COLUMNS, [cells(sale) for sale in page.sales])
    show()
    words = [(count, code, *reason_text(code, language)) for code, count in by_reason(counts, "not tried yet").items()]
    show_table("Why", ("sales", "reason", "meaning", "action"), words)
    if page.next:
        show(f"More: --after '{page.next}'")


def cells(sale: Sale) -> Sequence[object]:
    changed = sale.updated_at.isoformat(" ", "seconds")
    due = moment(sale.next_attempt_at)
    return (sale.id, sale.document_code, sale.pharmacy_code, sale.shop, changed, sale.reason, sale.attempt, due)
