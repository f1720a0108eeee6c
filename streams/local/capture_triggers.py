"""Triggers that stand in for SQL Server's CDC on the SQLite file: of each document's header, five columns that name
nobody, as the rows stood before and after.

An update that changes none of them makes no event (skip.messages.without.change=true). The id is an IDENTITY, which SQL
Server lets nobody update.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.documents.document import DocumentType

_NOW_MS = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


def captured_columns(document_type: DocumentType) -> tuple[str, ...]:
    return ("id", document_type.document_code_column, "pharmacy_code", "shop_pharmacy_code", "status")


def capture_triggers(document_type: DocumentType) -> str:
    """SQL that may be run again."""
    table, columns = document_type.table, captured_columns(document_type)
    old, new = _image("OLD", columns), _image("NEW", columns)
    changed = " OR ".join(f"OLD.{column} <> NEW.{column}" for column in columns[1:])
    return "\n".join(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{op} AFTER {event} BEGIN "  # noqa: S608
        "INSERT INTO local_changes (changed_table, op, id, before, after, ts_ms) "
        f"VALUES ('{table}', '{op}', {row}.id, {before}, {after}, {_NOW_MS}); END;"
        for op, event, row, before, after in (
            ("c", f"INSERT ON {table}", "NEW", "NULL", new),
            ("u", f"UPDATE ON {table} WHEN {changed}", "NEW", old, new),
            ("d", f"DELETE ON {table}", "OLD", old, "NULL"),
        )
    )


def _image(row: str, columns: Sequence[str]) -> str:
    return "json_object(" + ", ".join(f"'{column}', {row}.{column}" for column in columns) + ")"
