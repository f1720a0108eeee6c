"""Filters out messages about other databases: two companies may share a broker, or somebody may be up to no good. What
polling announces is about the database that the settings name, so that it has to be the one that is connected to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog

from streams.settings import Settings
from streams.stores.sales_db import SalesDb, Transaction
from streams.stores.wait_for_database import until_available

log = structlog.get_logger(__name__)

_MAX_LOGGED_NAMES = 20


class SourceDatabaseFilter:
    """Recognises and counts messages of other databases, and logs each topic and database name once."""

    def __init__(self, database: str) -> None:
        """`database`: our database as it appears in topic names, where Debezium replaces unusual characters."""
        self._database = _folded(database)
        self._known = database
        self.passed_over: Counter[str] = Counter()
        """Messages of other databases, by topic."""
        self._logged: set[tuple[str, str]] = set()

    def takes(self, topic: str, database: str) -> bool:
        """Return whether a message of `topic` is about our database; if not, count it."""
        if database == self._known or _folded(database) == self._database:
            return True
        self.passed_over[topic] += 1
        name = _folded(database[:128])
        if (topic, name) not in self._logged and len(self._logged) < _MAX_LOGGED_NAMES:
            self._logged.add((topic, name))
            log.error(
                "message.of_another_database",
                topic=topic,
                database=name,
                ours=self._known,
                action="give each company its own topics; if the database is ours, SALES_CHANGE_TOPIC must name it",
            )
        return False


class AnotherDatabase(Exception):
    """The sales database is not the one that SALES_CHANGE_TOPIC names."""


async def require_named_database(db: SalesDb, settings: Settings) -> None:
    """Check with polling that the sales database is the one that SALES_CHANGE_TOPIC names. Waits for a database that is
    unavailable. Raises `AnotherDatabase`.

    With settings that were copied for a second database, the two would share topics, and take each other's sales for
    their own. With change data capture the events name their database themselves.
    """
    if not settings.polls:
        return
    for (name,) in await until_available(lambda: db.transaction(_name), "read the database's name"):
        # A name with a dot: what is after the last one is all that the settings know.
        if _folded(str(name)).rpartition(".")[2] != _folded(settings.source_database):
            raise AnotherDatabase(
                f"the sales database is {name[:128]!r}, and SALES_CHANGE_TOPIC names {settings.source_database!r}"
            )


def _name(tx: Transaction) -> Sequence[Sequence[Any]]:
    return tx.rows(tx.dialect.database) if tx.dialect.database else []


def _folded(database: str) -> str:
    """Return the name as Debezium sanitises it for Kafka, in lower case: none of our servers has two databases that
    differ only in case.
    """
    return re.sub(r"[^\w.\-]", "_", database, flags=re.ASCII).casefold()
