"""``faust -A streams.app failures``: lists the failed or the pending sales, and the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from streams.documents.document import DocumentType
from streams.domain.stored_particulars import MOST_PARTICULARS, particulars_texts
from streams.operators import Problem
from streams.operators.command_line import (
    JSON,
    LANGUAGE,
    date_of,
    document_option,
    document_type_by_name,
    filter_options,
    open_sales_db,
    run,
)
from streams.operators.desk.sale_lists import Sale, SalePage, Sales
from streams.operators.desk.search import DocumentState, Search
from streams.operators.retry_on_lock import retry_on_lock
from streams.operators.terminal import largest_first, reason_text, rfc3339, show, show_json, show_table
from streams.settings import Settings

COLUMNS = ("id", "invoice", "pharmacy", "shop", "changed", "reason", "attempts", "next attempt")


def failures(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""

    @click.command("failures")
    @document_option(document_types)
    @click.option("--invoice", help="Part of the invoice's code, in upper or lower case.")
    @filter_options
    @click.option("--waiting", is_flag=True, help="List the pending sales instead of the failed ones.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Sales on one page.")
    @click.option("--after", help="The position that the previous page ended with.")
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

        A sale must match all given filters. No personal data is shown; see `lookup` for one sale.

        Exit codes: 0 listed, even if there are none; 1 a problem, which is printed on stderr; 2 wrong usage or
        settings.
        """
        search = Search(invoice, shop, reason, date_of(day), since)
        status: DocumentState = "PENDING_SYNC" if waiting else "SYNC_FAILED"
        document_type = document_type_by_name(document_types, document)

        async def work() -> None:
            async with open_sales_db(settings) as db:
                sales = Sales(db, document_type)
                try:
                    page = await retry_on_lock(lambda: sales.page(status, search, after=after, most=limit))
                except ValueError as error:
                    raise Problem(f"--after: {error}") from None
                counts = await retry_on_lock(lambda: sales.count(status, search))
            if as_json:
                counted = largest_first(counts, "none")
                show_json({"status": status, "counts": counted, "sales": page.sales, "next": page.next})
            else:
                _show(page, counts, language, "waiting" if waiting else "failed", document_type)

        run(work())

    return command


def _show(page: SalePage, counts: dict[str | None, int], language: str, what: str, document_type: DocumentType) -> None:
    total, nouns = sum(counts.values()), document_type.nouns
    if not total:
        show(f"No such {nouns.one} {'is waiting' if what == 'waiting' else 'has failed'}.")
        return
    rows = [(*cells(sale), _named(sale, language, document_type)) for sale in page.sales]
    show_table(f"{total} {what}", (*COLUMNS, "what is wrong"), rows)
    show()
    reasons = [
        (count, code, *reason_text(code, language, nouns))
        for code, count in largest_first(counts, "not tried yet").items()
    ]
    show_table("Why", (nouns.many, "reason", "meaning", "action"), reasons)
    if page.next:
        show(f"More: --after '{page.next}'")


def _named(sale: Sale, language: str, document_type: DocumentType) -> str:
    texts = particulars_texts(sale.particulars, document_type.labels)
    shown = [text.vi if language == "vi" else text.en for text in texts[:MOST_PARTICULARS]]
    more = len(texts) > MOST_PARTICULARS or not sale.particulars.are_complete
    return "; ".join(shown) + (" …" if more else "")


def cells(sale: Sale) -> Sequence[object]:
    """Return a row of a table with `COLUMNS`."""
    changed = sale.updated_at.isoformat(" ", "seconds")
    next_attempt = rfc3339(sale.next_attempt_at)
    return (
        sale.id,
        sale.document_code,
        sale.pharmacy_code,
        sale.shop,
        changed,
        sale.reason,
        sale.attempt,
        next_attempt,
    )
