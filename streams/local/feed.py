"""Stands in for Debezium in the local stack: what changed in the SQLite file goes to Kafka in the very same shape.

Sent in the order of the changes, and forgotten only when the broker has confirmed: at least once, whatever dies.

    python -m streams.local.feed --database FILE --brokers HOST:PORT --topic pharmacy.chain.dbo.SalesInvoices
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from confluent_kafka import KafkaException, Producer

from streams.documents import DOCUMENT_TYPES
from streams.local.broker import make_topics
from streams.local.database import open_database

_BATCH = 1000
"""Changes in flight at most: what is not confirmed waits in the database, not in memory."""
_POLL = 0.05
_CONFIRM_WITHIN = 30.0
_CONFIRM_WITHIN_AT_STOP = 2.0
_PAUSE_AFTER_FAILURE = 0.5


@dataclass(frozen=True, slots=True)
class CapturedSchema:
    """Where the tables are, as the topic of each says: ``<prefix>.<database>.<schema>.<table>``."""

    prefix: str
    database: str
    schema: str

    @classmethod
    def of_topic(cls, topic: str) -> Self:
        """Raises `ValueError` where the topic is not named so."""
        parts = topic.split(".")
        if len(parts) != 4 or not all(parts):
            raise ValueError(f"topic {topic!r}: is named <prefix>.<database>.<schema>.<table>")
        return cls(*parts[:3])

    def topic(self, table: str) -> str:
        return f"{self.prefix}.{self.database}.{self.schema}.{table}"


@dataclass(frozen=True, slots=True)
class Change:
    """A row of `local_changes`."""

    seq: int
    table: str
    op: Literal["c", "u", "d"]
    id: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    ts_ms: int
    """When it was written, UTC milliseconds."""


def envelope(change: Change, captured: CapturedSchema, now_ms: int) -> dict[str, Any]:
    """The value of Debezium's SQL Server connector, JSON converter without schemas (its documentation, 3.6)."""
    return {
        "before": change.before,
        "after": change.after,
        "source": {
            "version": "3.6.1.Final",
            "connector": "sqlserver",
            "name": captured.prefix,
            **_times(change.ts_ms),
            "snapshot": "false",
            "db": captured.database,
            "sequence": None,
            "schema": captured.schema,
            "table": change.table,
            "change_lsn": _lsn(change.seq * 2),
            "commit_lsn": _lsn(change.seq * 2 + 1),
            "event_serial_no": 2 if change.op == "u" else 1,  # SQL Server logs an update as two rows
        },
        "transaction": None,
        "op": change.op,
        **_times(now_ms),
    }


def with_schema(name: str, field: tuple[str, str], payload: Any) -> dict[str, Any]:
    """As a JSON converter with ``schemas.enable=true`` wraps it; of the schema only one field, nobody reads it."""
    fields = [{"field": field[0], "type": field[1], "optional": False}]
    return {"schema": {"type": "struct", "name": name, "optional": False, "fields": fields}, "payload": payload}


def _times(ms: int) -> dict[str, int]:
    return {"ts_ms": ms, "ts_us": ms * 1000, "ts_ns": ms * 1_000_000}


def _lsn(position: int) -> str:
    """A log position that grows with `position`, so that a change told again stands where it stood."""
    return f"{0x2A + (position >> 48):08x}:{position >> 16 & 0xFFFFFFFF:08x}:{position & 0xFFFF:04x}"


class NotConfirmed(Exception):
    """The broker did not confirm a batch; it stays in the database and is sent again."""


class Feed:
    def __init__(
        self, database: sqlite3.Connection, brokers: str, captured: CapturedSchema, *, wrap: bool, stop: threading.Event
    ) -> None:
        self._database = database
        self._brokers = brokers
        self._captured = captured
        self._wrap = wrap
        self._stop = stop
        self._producer = self._connect()

    def check_broker(self) -> None:
        """Make the topics. Raises `KafkaException` when the broker does not answer within some seconds."""
        make_topics(self._producer, (self._captured.topic(document_type.table) for document_type in DOCUMENT_TYPES))

    def run(self) -> None:
        """Until `stop` is set. A broker that is away is waited for."""
        while not self._stop.is_set():
            try:
                sent = self.send_batch()
            except (NotConfirmed, KafkaException, sqlite3.OperationalError) as error:
                _say({"warning": f"changes wait in the database and are sent again: {error}"})
                # An idempotent producer that has failed once may stay stuck: a new one never is.
                self._producer = self._connect()
                self._stop.wait(_PAUSE_AFTER_FAILURE)
                continue
            if sent < _BATCH:
                self._stop.wait(_POLL)

    def send_batch(self) -> int:
        """Sends the oldest changes and forgets them; how many. Raises `NotConfirmed`, `KafkaException`."""
        changes = self._oldest()
        if not changes:
            return 0
        failures: list[str] = []
        for change in changes:
            for key, value in self._messages(change):
                self._producer.produce(
                    self._captured.topic(change.table),
                    key=key,
                    value=value,
                    on_delivery=lambda error, _: failures.append(str(error)) if error else None,
                )
        self._await_confirmation()
        if failures:
            raise NotConfirmed(failures[0])
        self._database.execute("DELETE FROM local_changes WHERE seq <= ?", [changes[-1].seq])
        return len(changes)

    def _await_confirmation(self) -> None:
        deadline = time.monotonic() + _CONFIRM_WITHIN
        while unconfirmed := self._producer.flush(0.2):
            if self._stop.is_set():
                deadline = min(deadline, time.monotonic() + _CONFIRM_WITHIN_AT_STOP)
            if time.monotonic() > deadline:
                raise NotConfirmed(f"{unconfirmed} messages without an answer of the broker")

    def _oldest(self) -> list[Change]:
        rows = self._database.execute(
            "SELECT seq, changed_table, op, id, before, after, ts_ms FROM local_changes ORDER BY seq LIMIT ?", [_BATCH]
        )
        return [
            Change(seq, table, op, id_, before and json.loads(before), after and json.loads(after), ts_ms)
            for seq, table, op, id_, before, after, ts_ms in rows.fetchall()
        ]

    def _messages(self, change: Change) -> list[tuple[bytes, bytes | None]]:
        key: Any = {"id": change.id}
        value: Any = envelope(change, self._captured, time.time_ns() // 1_000_000)
        if self._wrap:
            topic = self._captured.topic(change.table)
            key = with_schema(f"{topic}.Key", ("id", "int32"), key)
            value = with_schema(f"{topic}.Envelope", ("op", "string"), value)
        messages: list[tuple[bytes, bytes | None]] = [(_json(key), _json(value))]
        if change.op == "d":
            messages.append((_json(key), None))  # the tombstone
        return messages

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._brokers,
                "client.id": "local-feed",
                "acks": "all",
                "enable.idempotence": True,  # keeps the order through the client's own retries
                "partitioner": "murmur2_random",  # Kafka Connect's
                "linger.ms": 5,
                "message.timeout.ms": int(_CONFIRM_WITHIN * 1000),
                "log_level": 2,  # a broker that goes away is told below, once, in our words
            }
        )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="streams.local.feed", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file")
    parser.add_argument("--brokers", required=True, help="host:port,host:port")
    parser.add_argument("--topic", required=True, help="<prefix>.<database>.<schema>.<table>, of any table")
    parser.add_argument("--wrap-with-schema", action="store_true", help="as converters with schemas.enable=true")
    options = parser.parse_args(arguments)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        captured = CapturedSchema.of_topic(options.topic)
        database = open_database(options.database)
        feed = Feed(database, options.brokers, captured, wrap=options.wrap_with_schema, stop=stop)
        feed.check_broker()
    except ValueError as error:
        print(f"feed: {error}", file=sys.stderr)
        return 2
    except sqlite3.Error as error:
        print(f"feed: database {options.database}: {error}; is its folder there?", file=sys.stderr)
        return 1
    except KafkaException:
        print(f"feed: no Kafka broker answers at {options.brokers}; start it first", file=sys.stderr)
        return 1
    _say({"ready": True})
    try:
        feed.run()
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
