"""Messages about another database: two houses that share a broker, or somebody who means no good."""

from __future__ import annotations

import re
from collections import Counter

import structlog

log = structlog.get_logger(__name__)

_MOST_NAMES = 20


class SourceDatabaseFilter:
    """Tells them apart, counts what is passed over, and says of each topic and name once that it is."""

    def __init__(self, database: str) -> None:
        """`database`: as it stands in the names of topics, where Debezium replaces odd letters."""
        self._database = _folded(database)
        self._known = database
        self.passed_over: Counter[str] = Counter()
        """By topic."""
        self._said: set[tuple[str, str]] = set()

    def takes(self, topic: str, database: str) -> bool:
        if database == self._known or _folded(database) == self._database:
            return True
        self.passed_over[topic] += 1
        name = _folded(database[:128])
        if (topic, name) not in self._said and len(self._said) < _MOST_NAMES:
            self._said.add((topic, name))
            log.error(
                "message.of_another_database",
                topic=topic,
                database=name,
                ours=self._known,
                action="let each house have topics of its own; if it is ours, SALES_CHANGE_TOPIC has to name it",
            )
        return False


def _folded(database: str) -> str:
    """As Debezium cleans it for Kafka; no server of ours tells two databases apart by case alone."""
    return re.sub(r"[^\w.\-]", "_", database, flags=re.ASCII).casefold()
