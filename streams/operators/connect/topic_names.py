"""Does the connector write where the workers read? Compared before anything is applied: else sales wait in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from streams.operators import Problem
from streams.operators.connect.masking import is_reference


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a topic's name: as the configuration writes it, and as what it can become."""

    written: str
    pattern: str


def check_topic_names(config: Mapping[str, str], wanted: Sequence[str]) -> list[str]:
    """Raises `Problem` where Debezium, with this configuration, cannot write a topic that is wanted.

    Returns what an operator should know: what could not be compared, what is written but read by nobody. A part that
    is a reference (``${env:...}``) may become anything.
    """
    if not config["connector.class"].startswith("io.debezium.") or "topic.prefix" not in config:
        return ["topic names are not compared with SALES_CHANGE_TOPIC: that is done for Debezium's connectors alone."]
    if _renames(config):
        return [
            "topic names are not compared with SALES_CHANGE_TOPIC: the configuration renames them. Compare by hand."
        ]
    written = _written(config)
    unread = {topic.written for topic in written if not any(re.fullmatch(topic.pattern, name) for name in wanted)}
    missing = [name for name in wanted if not any(re.fullmatch(topic.pattern, name) for topic in written)]
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
        f"{name} would be written, but no kind of document reads it. Take it out of the file, or add the kind."
        for name in sorted(unread)
    ]


def _renames(config: Mapping[str, str]) -> bool:
    routed = any(field.startswith("transforms.") and "Router" in value for field, value in config.items())
    return routed or "topic.naming.strategy" in config or "topic.delimiter" in config


def _written(config: Mapping[str, str]) -> list[_Part]:
    """SQL Server: ``<prefix>.<database>.<schema>.<table>``; PostgreSQL's names carry no database."""
    parts = [[_literal(config["topic.prefix"])]]
    if "sqlserver" in config["connector.class"].lower():
        parts.append([_literal(name, "[^.]+") for name in _list(config.get("database.names"))])
    parts.append([_table(element) for element in _list(config.get("table.include.list"))])
    return [
        _Part(".".join(part.written for part in topic), r"\.".join(part.pattern for part in topic))
        for topic in product(*parts)
    ]


def _list(value: str | None) -> list[str]:
    return [element.strip() for element in (value or "").split(",") if element.strip()] or ["*"]


def _literal(text: str, anything: str = ".+") -> _Part:
    if text == "*" or is_reference(text):
        return _Part(text, anything)
    return _Part(text, re.escape(re.sub(r"[^\w.\-]", "_", text, flags=re.ASCII)))  # as Debezium cleans it for Kafka


def _table(element: str) -> _Part:
    """An element of table.include.list: a regular expression, whatever its case."""
    shown = element.replace("\\.", ".")
    if element == "*" or is_reference(element):
        return _Part(shown, ".+")
    try:
        re.compile(element)
    except re.error:
        return _Part(shown, ".+")  # Java's expressions know more than ours
    return _Part(shown, f"(?i:{element})")
