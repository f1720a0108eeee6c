"""Filters out messages about other databases: two companies may share a broker, or somebody may be up to no good."""

from __future__ import annotations

import re
from collections import Counter

import structlog

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


def _folded(database: str) -> str:
    """Return the name as Debezium sanitises it for Kafka, in lower case: none of our servers has two databases that
    differ only in case.
    """
    return re.sub(r"[^\w.\-]", "_", database, flags=re.ASCII).casefold()
