"""Checks whether the sales database is a copy, and whether the settings fit that."""

from __future__ import annotations

from dataclasses import dataclass

from streams.operators.checks import Finding, error, ok, warning
from streams.operators.command_line import open_sales_db
from streams.pipeline.rehearsal import mark_problem
from streams.settings import Settings
from streams.stores.copy_mark import CopyMark, read_copy_mark, real_accounts
from streams.stores.sales_db import StoreError

_ABOUT = "sales database: copy"


@dataclass(frozen=True, slots=True)
class Marked:
    mark: CopyMark | None
    """None: the database is not a copy."""
    real_accounts: int | None
    """None: not counted, since the database is not a copy or the accounts cannot be read."""


async def probe_copy_mark(settings: Settings) -> Marked | None:
    """Return the mark; None: the database cannot be used, which other checks report."""
    try:
        async with open_sales_db(settings) as db:
            mark = await read_copy_mark(db)
            if mark is None:
                return Marked(None, None)
            try:
                return Marked(mark, await real_accounts(db))
            except StoreError:
                return Marked(mark, None)
    except StoreError:
        return None


def judge_copy_mark(found: Marked | None, settings: Settings) -> list[Finding]:
    if found is None:
        return []
    if problem := mark_problem(found.mark, settings):
        return [error(_ABOUT, f"no worker starts: {problem}", problem.action_sentence)]
    if found.mark is not None:
        return _of_copy(found.mark, found.real_accounts)
    return [_of_production(settings)]


def _of_copy(mark: CopyMark, accounts: int | None) -> list[Finding]:
    marked = ok(_ABOUT, f"is marked as a copy: its documents can only be sent to {' or '.join(mark.api_urls)}")
    if not accounts:
        return [marked]
    what = f"{accounts} accounts of shops are not overwritten"
    return [marked, warning(f"{_ABOUT}: accounts", what, "Run connectors/sql/70_mark_copy.sql in it again.")]


def _of_production(settings: Settings) -> Finding:
    if settings.stack == "production" and settings.national_api_url.scheme == "http":
        what = "is not marked as a copy, and NATIONAL_API_URL is an address of this machine"
        action = (
            "If the simulator answers there, sales are recorded as accepted that the authority never receives: set the "
            "authority's address, or see docs/rehearsal.md."
        )
        return warning(_ABOUT, what, action)
    return ok(_ABOUT, "is not marked as a copy: its documents are sent to the national system")
