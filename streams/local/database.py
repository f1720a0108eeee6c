"""The sales database of the local stack: one SQLite file, shared by the till's samples, the feed and the workers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_SCHEMA = Path(__file__).with_name("schema.sql")


def open_database(file: Path) -> sqlite3.Connection:
    """A connection to `file`, in autocommit, usable from any one thread at a time; tables are made where missing.

    Raises `sqlite3.OperationalError` where the file cannot be opened.
    """
    connection = sqlite3.connect(file, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL, outlives any death of a process
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
    except BaseException:
        connection.close()
        raise
    return connection
