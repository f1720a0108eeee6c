"""Keeps a rehearsal and production apart: a database that is marked as a copy never reaches the national API, and the
simulator's answers are never recorded in a database that is not.

A restored copy has real pending sales. With production's settings a worker would send them to the authority.
"""

from __future__ import annotations

from streams.settings import Settings
from streams.stores.copy_mark import MARK, CopyMark, read_copy_mark
from streams.stores.sales_db import SalesDb
from streams.stores.wait_for_database import until_available

PREFIX = "rehearsal"
"""The TOPIC_PREFIX of a rehearsal is this word, alone or with more after a hyphen."""
_UNMARK = (
    f"if a copy has become the production database, write the shops' accounts into dbo.AccountShop again and then "
    f"DROP TABLE dbo.{MARK}"
)


class NotPermitted(Exception):
    """The settings do not fit the mark of the sales database, or its absence."""

    def __init__(self, problem: str, action: str) -> None:
        super().__init__(problem)
        self.action = action

    @property
    def action_sentence(self) -> str:
        """The action as a sentence of its own."""
        return f"{self.action[0].upper()}{self.action[1:]}."


async def require_fitting_mark(db: SalesDb, settings: Settings) -> None:
    """Wait for a database that is unavailable. Raises `NotPermitted`."""
    mark = await until_available(lambda: read_copy_mark(db), "look whether the database is marked as a copy")
    if problem := mark_problem(mark, settings):
        raise problem


def mark_problem(mark: CopyMark | None, settings: Settings) -> NotPermitted | None:
    """Return why no worker may run with these settings on a database with this mark; None: it may."""
    if mark is None:
        return _unmarked(settings)
    if settings.api_url.lower() not in mark.api_urls:
        allowed = " or ".join(mark.api_urls) or "no address, or the mark cannot be read"
        return NotPermitted(
            f"the sales database is marked as a copy (dbo.{MARK}): its documents may only be sent to {allowed}, and "
            f"NATIONAL_API_URL is {settings.api_url}",
            f"set NATIONAL_API_URL to the simulator's address; {_UNMARK}",
        )
    if settings.national_api_proxy is not None:
        return NotPermitted(
            f"the sales database is marked as a copy (dbo.{MARK}), and NATIONAL_API_PROXY would take its documents to "
            "another machine",
            f"remove NATIONAL_API_PROXY; {_UNMARK}",
        )
    if not is_rehearsal(settings):
        return NotPermitted(
            f"the sales database is marked as a copy (dbo.{MARK}), and without TOPIC_PREFIX={PREFIX} it would share "
            "topics with production",
            f"set TOPIC_PREFIX={PREFIX}; {_UNMARK}",
        )
    return None


def is_rehearsal(settings: Settings) -> bool:
    """Return whether TOPIC_PREFIX says that this is a rehearsal."""
    return settings.topic_prefix.partition("-")[0] == PREFIX


def _unmarked(settings: Settings) -> NotPermitted | None:
    if not is_rehearsal(settings):
        return None
    return NotPermitted(
        f"TOPIC_PREFIX is {settings.topic_prefix}, and the sales database is not marked as a copy: it may be the "
        "production database, in which the simulator's answers must not be recorded",
        "in a copy run connectors/sql/70_mark_copy.sql, again after each restore; for production choose another "
        "TOPIC_PREFIX",
    )
