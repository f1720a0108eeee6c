"""Tests the change feed of the local stack against a real broker: Debezium's form, nothing lost, order kept."""

import json
import os
import signal
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streams.local.database import SqliteDatabase, open_database
from streams.local.feed import CapturedSchema, Change, envelope
from streams.local.processes import Process
from streams.local.samples import Seller

TOPIC = "pharmacy.chain.dbo.SalesInvoices"
CAPTURED = CapturedSchema.of_topic(TOPIC)
PARTITIONS = 4

Event = tuple[Any, Any]
"""Key and value, decoded."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.db"


@pytest.fixture
def database(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(file)) as connection:
        yield connection


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Process]:
    process = Process("broker", [sys.executable, "-m", "streams.local.broker"], log=tmp_path / "broker.log")
    yield process
    process.kill()


class Topic:
    """Reads everything in a topic from its start."""

    def __init__(self, brokers: str) -> None:
        self.events: list[Event] = []
        self._consumer = Consumer(
            {"bootstrap.servers": brokers, "group.id": "test", "enable.auto.commit": False, "log_level": 2}
        )
        self._consumer.assign([TopicPartition(TOPIC, n, OFFSET_BEGINNING) for n in range(PARTITIONS)])

    def read_until(self, enough: Callable[[], bool], within: float = 20) -> None:
        deadline = time.monotonic() + within
        while not enough():
            assert time.monotonic() < deadline, f"{len(self.events)} events so far"
            for message in self._consumer.consume(1000, timeout=0.1):
                if message.error() is None:
                    key, value = message.key(), message.value()
                    self.events.append((json.loads(key or b""), json.loads(value) if value else None))

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def topic(broker: Process) -> Iterator[Topic]:
    with closing(Topic(broker.announced("address"))) as topic:
        yield topic


@contextmanager
def running_feed(file: Path, broker: Process, *switches: str) -> Iterator[Process]:
    arguments = ["--database", file, "--brokers", broker.announced("address"), "--topic", TOPIC, *switches]
    feed = Process("feed", [sys.executable, "-m", "streams.local.feed", *arguments], log=file.with_name("feed.log"))
    try:
        feed.announced("ready")
        yield feed
    finally:
        feed.kill()


def add_sale(database: sqlite3.Connection, code: str = "HD-1") -> int:
    cursor = database.execute(
        "INSERT INTO SalesInvoices (local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, customer_name, "
        "status, created_at, updated_at) VALUES (?, '79-00001', 'SHOP-01', '2026-11-23 08:00:00', 'Nguyễn Thị Ánh', "
        "'PENDING_SYNC', '2026-11-23 08:00:00.000', '2026-11-23 08:00:00.000')",
        [code],
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def waiting(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT COUNT(*) FROM local_changes").fetchone()[0])


def until(condition: Callable[[], bool], within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


SHAPE_OF_DEBEZIUM = {
    "before": dict, "after": dict, "transaction": type(None), "op": str, "ts_ms": int, "ts_us": int, "ts_ns": int,
    "source": {
        "version": str, "connector": str, "name": str, "ts_ms": int, "snapshot": str, "db": str,
        "sequence": type(None), "ts_us": int, "ts_ns": int, "schema": str, "table": str, "change_lsn": str,
        "commit_lsn": str, "event_serial_no": int,
    },
}  # fmt: skip
"""As its SQL Server connector documents a streamed update."""


def test_a_change_event_has_the_form_of_debeziums() -> None:
    row = {"id": 900, "status": "SYNC_FAILED"}
    value = envelope(Change(70_000, "SalesInvoices", "u", 900, row, row, 1795400000005), CAPTURED, 1795400000417)
    assert {name: type(part) for name, part in value["source"].items()} == SHAPE_OF_DEBEZIUM["source"]
    assert {name: type(part) for name, part in value.items()} == SHAPE_OF_DEBEZIUM | {"source": dict}
    assert (value["ts_ms"], value["ts_ns"]) == (1795400000417, 1795400000417_000_000)
    source = value["source"]
    assert (source["ts_ms"], source["ts_us"]) == (1795400000005, 1795400000005_000)
    assert (source["connector"], source["name"], source["db"]) == ("sqlserver", "pharmacy", "chain")
    assert (source["schema"], source["table"], source["snapshot"]) == ("dbo", "SalesInvoices", "false")
    assert source["event_serial_no"] == 2


def test_log_positions_grow_with_the_changes() -> None:
    row = {"id": 1}
    positions = []
    for seq in (1, 2, 40_000, 3_000_000_000, 10**15):
        source = envelope(Change(seq, "SalesInvoices", "c", 1, None, row, 0), CAPTURED, 0)["source"]
        positions += [source["change_lsn"], source["commit_lsn"]]
        assert source["event_serial_no"] == 1
    assert positions == sorted(set(positions))
    assert {tuple(map(len, position.split(":"))) for position in positions} == {(8, 8, 4)}


@pytest.mark.parametrize("name", ["SalesInvoices", "pharmacy..dbo.SalesInvoices", "a.b.c.d.e"])
def test_a_topic_that_names_no_table_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"<prefix>\.<database>\.<schema>\.<table>"):
        CapturedSchema.of_topic(name)


def test_the_changes_of_a_sale_are_published_in_order_with_a_tombstone_last(
    file: Path, broker: Process, topic: Topic, database: sqlite3.Connection
) -> None:
    with running_feed(file, broker) as feed:
        add_sale(database)
        database.execute("UPDATE SalesInvoices SET status = 'SYNC_SUCCESS', national_invoice_id = 'HD_QG_1'")
        database.execute("DELETE FROM SalesInvoices")
        topic.read_until(lambda: len(topic.events) == 4)
        until(lambda: waiting(database) == 0)
        assert feed.terminate() == 0
    keys, values = zip(*topic.events, strict=True)
    assert set(map(str, keys)) == {"{'id': 1}"}
    row = {"id": 1, "local_invoice_id": "HD-1", "pharmacy_code": "79-00001", "shop_pharmacy_code": "SHOP-01"}
    pending, done = row | {"status": "PENDING_SYNC"}, row | {"status": "SYNC_SUCCESS"}
    assert [value and (value["op"], value["before"], value["after"]) for value in values] == [
        ("c", None, pending),
        ("u", pending, done),
        ("d", done, None),
        None,
    ]
    assert abs(values[0]["source"]["ts_ms"] - time.time() * 1000) < 60_000
    assert "Nguyễn" not in str(topic.events)


def test_change_events_can_be_wrapped_with_a_schema(
    file: Path, broker: Process, topic: Topic, database: sqlite3.Connection
) -> None:
    with running_feed(file, broker, "--wrap-with-schema"):
        add_sale(database)
        topic.read_until(lambda: bool(topic.events))
    key, value = topic.events[0]
    assert key["payload"] == {"id": 1}
    assert value["schema"]["name"] == f"{TOPIC}.Envelope"
    assert value["payload"]["after"]["local_invoice_id"] == "HD-1"


def test_a_kill_of_the_change_feed_loses_no_event_and_keeps_their_order(
    file: Path, broker: Process, topic: Topic, database: sqlite3.Connection
) -> None:
    with Seller(SqliteDatabase(file)) as seller:
        ids = [sale.id for sale in seller.sell(4_000)]
    database.execute("UPDATE SalesInvoices SET status = 'SYNC_FAILED'")
    database.execute("UPDATE SalesInvoices SET status = 'PENDING_SYNC'")
    for _ in range(2):
        with running_feed(file, broker) as feed:
            before = waiting(database)
            until(lambda before=before: waiting(database) < before)  # type: ignore[misc]
            assert feed.kill() == -signal.SIGKILL
        assert waiting(database) > 0, "killed too late to prove anything"
    with running_feed(file, broker):
        until(lambda: waiting(database) == 0, within=30)
        topic.read_until(lambda: len(positions(topic.events)) == 12_000)
    seen: dict[int, list[str]] = defaultdict(list)
    for key, value in topic.events:
        if value["source"]["change_lsn"] not in seen[key["id"]]:
            seen[key["id"]].append(value["source"]["change_lsn"])
    assert sorted(seen) == ids
    for id_, life in seen.items():
        assert life == sorted(life), f"sale {id_} was told out of order"
    last = {key["id"]: value["source"]["change_lsn"] for key, value in topic.events}
    assert last == {id_: life[-1] for id_, life in seen.items()}, "an old state came after the newest"


def positions(events: list[Event]) -> set[str]:
    return {value["source"]["change_lsn"] for _, value in events}


def test_changes_that_a_frozen_broker_did_not_confirm_stay_in_the_database(
    file: Path, broker: Process, topic: Topic, database: sqlite3.Connection
) -> None:
    with running_feed(file, broker) as feed:
        add_sale(database, "HD-1")
        topic.read_until(lambda: len(topic.events) == 1)
        until(lambda: waiting(database) == 0)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            add_sale(database, "HD-2")
            watched_until = time.monotonic() + 0.5  # ten polls
            while time.monotonic() < watched_until:
                assert waiting(database) == 1
            assert feed.terminate() == 0, "a broker that is away must not keep the feed from stopping"
            assert waiting(database) == 1
        finally:
            os.kill(broker.pid, signal.SIGCONT)
    with running_feed(file, broker):
        until(lambda: waiting(database) == 0)
        topic.read_until(lambda: {key["id"] for key, _ in topic.events} == {1, 2})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"--topic": "SalesInvoices"}, "is named <prefix>"),
        ({"--database": "/nowhere/chain.db"}, "unable to open database file; is its folder there?"),
        ({"--brokers": "127.0.0.1:1"}, "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_a_problem_at_the_start_of_the_change_feed_is_reported_in_one_line(
    tmp_path: Path, change: dict[str, str], text: str
) -> None:
    options = {"--database": str(tmp_path / "chain.db"), "--brokers": "127.0.0.1:1", "--topic": TOPIC} | change
    arguments = [part for pair in options.items() for part in pair]
    feed = Process("feed", [sys.executable, "-m", "streams.local.feed", *arguments], log=tmp_path / "feed.log")
    assert feed.wait(20) != 0
    assert text in feed.tail()
    assert len(feed.tail().splitlines()) == 1
