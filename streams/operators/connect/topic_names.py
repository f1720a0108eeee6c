"""Compares the topics that the connector writes with those that the workers read, before anything is applied.

If they differed, sales would wait without any error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from streams.operators import Problem
from streams.operators.connect.masking import is_reference


@dataclass(frozen=True, slots=True)
class _NamePart:
    """A topic name, or a part of one."""

    written: str
    """The part as it is written in the configuration."""
    pattern: str
    """A regular expression for everything that the part can become."""


def check_topic_names(config: Mapping[str, str], wanted: Sequence[str], optional: Sequence[str] = ()) -> list[str]:
    """Return warnings for the operator: names that could not be compared, topics that no worker reads, and `optional`
    ones that are not written.

    A part of a name that is a reference (``${env:...}``) may become anything. Raises `Problem` if Debezium, with this
    configuration, cannot write one of the `wanted` topics.
    """
    if not config["connector.class"].startswith("io.debezium.") or "topic.prefix" not in config:
        return ["topic names are not compared with SALES_CHANGE_TOPIC: that is done only for Debezium's connectors."]
    if _renames(config):
        return [
            "topic names are not compared with SALES_CHANGE_TOPIC: the configuration renames them. Compare by hand."
        ]
    written = _written(config)

    def is_written(name: str) -> bool:
        return any(re.fullmatch(topic.pattern, name) for topic in written)

    read = [*wanted, *optional]
    unread = {topic.written for topic in written if not any(re.fullmatch(topic.pattern, name) for name in read)}
    missing = [name for name in wanted if not is_written(name)]
    if missing:
        raise Problem(
            *(
                f"topic: the workers read {name} (SALES_CHANGE_TOPIC), but the connector writes "
                f"{', '.join(topic.written for topic in written)} "
                "(topic.prefix, database.names, table.include.list). Make the two the same."
                for name in missing
            )
        )
    return [
        f"{name} would be written, but no document type reads it. Remove it from the file, or add the document type."
        for name in sorted(unread)
    ] + [
        f"{name} would not be written. If this database has the table, add it and its columns to the file, as "
        "connectors/pharmacy-sales.json has them: else its documents are found by the scheduler alone, later."
        for name in optional
        if not is_written(name)
    ]


def _renames(config: Mapping[str, str]) -> bool:
    routed = any(field.startswith("transforms.") and "Router" in value for field, value in config.items())
    return routed or "topic.naming.strategy" in config or "topic.delimiter" in config


def _written(config: Mapping[str, str]) -> list[_NamePart]:
    """Return the topics that Debezium writes.

    For SQL Server they are ``<prefix>.<database>.<schema>.<table>``; those for PostgreSQL have no database.
    """
    parts = [[_literal(config["topic.prefix"])]]
    if "sqlserver" in config["connector.class"].lower():
        parts.append([_literal(name, "[^.]+") for name in _list(config.get("database.names"))])
    parts.append([_table(element) for element in _list(config.get("table.include.list"))])
    return [
        _NamePart(".".join(part.written for part in topic), r"\.".join(part.pattern for part in topic))
        for topic in product(*parts)
    ]


def _list(value: str | None) -> list[str]:
    return [element.strip() for element in (value or "").split(",") if element.strip()] or ["*"]


def _literal(text: str, anything: str = ".+") -> _NamePart:
    if text == "*" or is_reference(text):
        return _NamePart(text, anything)
    return _NamePart(
        text, re.escape(re.sub(r"[^\w.\-]", "_", text, flags=re.ASCII))
    )  # as Debezium replaces characters for Kafka


def _table(element: str) -> _NamePart:
    """Return the part for an element of table.include.list, which is a case-insensitive regular expression."""
    shown = element.replace("\\.", ".")
    if element == "*" or is_reference(element):
        return _NamePart(shown, ".+")
    try:
        re.compile(element)
    except re.error:
        return _NamePart(shown, ".+")  # Java's regular expressions have syntax that Python's lack
    return _NamePart(shown, f"(?i:{element})")
