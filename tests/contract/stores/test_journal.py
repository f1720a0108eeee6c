"""Tests the journal on real servers of MongoDB's protocol: append only, without repeats, personal data only for a
time.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import pymongo
import pytest
from pymongo.database import Database
from structlog.testing import capture_logs

from streams.domain.reasons import Code
from streams.domain.sale_status import SaleStatus
from streams.local.ferretdb import server_binary
from streams.local.processes import free_port
from streams.local.servers import Mongo
from streams.stores.decisions import Refusal
from streams.stores.journal import Journal, JournalUnavailable
from tests.contract.stores.databases import settings_for
from tests.contract.stores.point_of_sale import accepted, decided, pending, refused

Documents: TypeAlias = Database[dict[str, Any]]
NAME = "Nguyễn Thị Bí Mật"
BODY = f'{{"ho_ten_khach_hang":"{NAME}"}}'


@pytest.fixture(scope="module")
def mongo_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    with Mongo(tmp_path_factory.mktemp("mongo"), server_binary()) as server:
        yield server


@pytest.fixture(params=["mongo_on_sqlite", "mongo_on_postgres"])
def server(request: pytest.FixtureRequest) -> Mongo:
    chosen: Mongo = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def mongo(server: Mongo) -> str:
    """Return the URL of the server."""
    return f"mongodb://{server.address}/"


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
def documents(mongo: str, name: str) -> Iterator[Documents]:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(mongo, tz_aware=True) as client:
        yield client[name]


@asynccontextmanager
async def opened(url: str, name: str) -> AsyncIterator[Journal]:
    journal = Journal(settings_for(mongo_url=url, mongo_database=name))
    try:
        yield journal
    finally:
        journal.close()


@pytest.fixture
async def journal(mongo: str, name: str) -> AsyncIterator[Journal]:
    async with opened(mongo, name) as journal:
        yield journal


def count(documents: Documents) -> dict[str, int]:
    return {c: documents[c].count_documents({}) for c in ("task_logs", "sync_failures")}


def only(documents: Documents, collection: str) -> dict[str, Any]:
    (document,) = documents[collection].find()
    return document


async def test_every_decision_becomes_one_document_of_the_journal(journal: Journal, documents: Documents) -> None:
    statuses = [pending(1, 1, 1_800_000_060_000).status, accepted(1, 2, "QG-1").status, refused(2, 1).status]
    await journal.append(statuses, {})
    assert count(documents) == {"task_logs": 3, "sync_failures": 1}
    document = documents["task_logs"].find_one({"attempt": 1, "id": 1})
    assert document is not None
    assert document.pop("_id") == statuses[0].event_id
    assert SaleStatus(event_id=statuses[0].event_id, **document) == statuses[0]
    # Moments are moments, not texts: the index by which personal data leaves wants them.
    assert document["decided_at"] == statuses[0].decided_at
    assert document["next_attempt_at"] == statuses[0].next_attempt_at
    history = documents["task_logs"].find({"pharmacy_code": "79-1", "local_invoice_id": "HD-1"}).sort("attempt")
    assert [found["status"] for found in history] == ["PENDING_SYNC", "SYNC_SUCCESS"]


async def test_a_receipt_with_the_codes_of_a_sale_has_a_history_of_its_own(journal: Journal) -> None:
    """Promise 2. Broken by: a sale's history has the decisions about a receipt with the same code."""
    receipt = decided(1, 2, "SYNC_SUCCESS", document_type="purchase_receipt").status
    await journal.append([accepted(1, 1).status, receipt], {})
    for document, attempts in (("sale", [1]), ("purchase_receipt", [2]), ("goods_issue", [])):
        assert [found["attempt"] for found in await journal.history(document, "79-1", "HD-1", 9)] == attempts


async def test_the_history_of_a_sale_lists_its_decisions_latest_first(journal: Journal) -> None:
    statuses = [pending(1, attempt, 1_800_000_060_000 + attempt).status for attempt in (1, 2, 3)]
    moments = [status.decided_at + timedelta(seconds=status.attempt) for status in statuses]
    later = [s.model_copy(update={"decided_at": at}) for s, at in zip(statuses, moments, strict=True)]
    await journal.append([later[1], later[2], later[0], accepted(2, 1).status], {})
    assert [decision["attempt"] for decision in await journal.history("sale", "79-1", "HD-1", 9)] == [3, 2, 1]
    [latest] = await journal.history("sale", "79-1", "HD-1", 1)
    assert (latest["event_id"], latest["decided_at"]) == (later[2].event_id, moments[2])
    assert await journal.history("sale", "79-2", "HD-1", 9) == []


async def test_reading_the_history_fails_when_the_journal_is_away(name: str) -> None:
    async with opened(f"mongodb://127.0.0.1:{free_port()}/", name) as journal:
        with pytest.raises(JournalUnavailable):
            await journal.history("sale", "79-1", "HD-1", 9)


async def test_repeated_decisions_are_skipped_and_new_ones_in_the_same_batch_are_stored(
    journal: Journal, documents: Documents
) -> None:
    first, second, third = (refused(id_, 1).status for id_ in (1, 2, 3))
    await journal.append([first], {("sale", 1): Refusal(1, BODY, None)})
    await journal.append([first, second, first, third, second], {})
    await journal.append([first, second], {})
    assert count(documents) == {"task_logs": 3, "sync_failures": 3}
    kept = documents["sync_failures"].find_one({"_id": first.event_id})
    assert kept is not None
    assert kept["payload"] == BODY  # append only: what was written stays


async def test_a_failure_is_stored_with_the_sent_body_and_the_apis_text(journal: Journal, documents: Documents) -> None:
    await journal.append([refused(1, 2).status], {("sale", 1): Refusal(2, BODY, f"Sai tên {NAME}")})
    failure = only(documents, "sync_failures")
    assert (failure["payload"], failure["api_words"]) == (BODY, f"Sai tên {NAME}")
    assert (failure["local_invoice_id"], failure["shop_pharmacy_code"]) == ("HD-1", "SHOP-1")
    assert failure["reason"]["code"] == "api_refused"
    assert NAME not in str(only(documents, "task_logs"))


@pytest.mark.parametrize(
    "refusals",
    [{}, {("sale", 1): Refusal(1, BODY, "x")}, {("sale", 2): Refusal(2, BODY, "x")}, {("o", 1): Refusal(2, BODY, "x")}],
)
async def test_a_failure_is_stored_without_the_body_of_another_attempt(
    journal: Journal, documents: Documents, refusals: dict[tuple[str, int], Refusal]
) -> None:
    await journal.append([refused(1, 2).status], refusals)
    assert not {"payload", "api_words"} & set(only(documents, "sync_failures"))


async def test_only_final_failures_are_stored_as_failures(journal: Journal, documents: Documents) -> None:
    kept = {("sale", 1): Refusal(1, BODY, "x")}
    await journal.append([pending(1, 1, 5).status, accepted(1, 1).status], kept)
    assert count(documents) == {"task_logs": 2, "sync_failures": 0}
    await journal.append([], {})


async def test_a_batch_of_five_hundred_decisions_is_stored_once(journal: Journal, documents: Documents) -> None:
    statuses = [(refused if id_ % 2 else accepted)(id_, 1).status for id_ in range(500)]
    await journal.append(statuses, {})
    await journal.append(statuses[::-1], {})
    assert count(documents) == {"task_logs": 500, "sync_failures": 250}


async def test_the_indexes_of_the_journal_can_be_created_again(
    journal: Journal, documents: Documents, mongo: str, name: str
) -> None:
    await journal.open()
    with capture_logs() as logs:
        async with opened(mongo, name) as another:
            await another.open()
    for collection in ("task_logs", "sync_failures"):
        keys = [list(index["key"]) for index in documents[collection].index_information().values()]
        assert [("pharmacy_code", 1), ("local_invoice_id", 1)] in keys
    expires = [i for i in documents["sync_failures"].index_information().values() if "expireAfterSeconds" in i]
    # Where the server offers no such index it is said, and the daily delete does it.
    assert bool(expires) != ("journal.no_expiry_index" in [line["event"] for line in logs])


async def test_a_server_that_dies_during_index_creation_counts_as_away(mongo: str, name: str) -> None:
    """It dies at the last index, where a refusal alone would be accepted."""
    host, _, port = mongo.removeprefix("mongodb://").rstrip("/").partition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while (data := await source.read(65_536)) and b"expireAfterSeconds" not in data:
            target.write(data)
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        tasks.update({asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))})

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
        port_of_proxy = proxy.sockets[0].getsockname()[1]
        async with opened(f"mongodb://127.0.0.1:{port_of_proxy}/", name) as journal:
            with pytest.raises(JournalUnavailable):
                await journal.open()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_personal_data_is_deleted_after_its_time_and_the_history_stays(
    journal: Journal, documents: Documents
) -> None:
    old, young = refused(1, 1).status, refused(2, 1).status
    old = old.model_copy(update={"decided_at": young.decided_at - timedelta(days=91)})
    await journal.append([old, young], {("sale", 1): Refusal(1, BODY, None)})
    await journal.forget_old(young.decided_at - timedelta(days=90))
    assert only(documents, "sync_failures")["id"] == 2
    assert count(documents)["task_logs"] == 2
    await journal.forget_old(young.decided_at + timedelta(milliseconds=1))
    assert count(documents) == {"task_logs": 2, "sync_failures": 0}


async def test_an_absent_journal_is_reported_within_seconds_without_personal_data(name: str) -> None:
    async with opened(f"mongodb://127.0.0.1:{free_port()}/", name) as journal:
        status: SaleStatus = refused(1, 1, Code.API_REFUSED).status
        tries: list[Callable[[], Any]] = [
            journal.open,
            lambda: journal.forget_old(status.decided_at),
            lambda: journal.append([status], {("sale", 1): Refusal(1, BODY, NAME)}),
        ]
        began = time.monotonic()
        results = await asyncio.gather(*(work() for work in tries), return_exceptions=True)
        assert time.monotonic() - began < 10
    assert [type(result) for result in results] == [JournalUnavailable] * 3
    assert not any(NAME in repr(result) or BODY in repr(result) for result in results)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_a_decision_that_the_server_refuses_is_not_taken_for_stored(
    journal: Journal, documents: Documents
) -> None:
    unfit = accepted(1, 1).status.model_copy(update={"event_id": [NAME]})  # no server takes a list as a key
    refused_ones = await journal.append([unfit, accepted(2, 1).status], {})
    assert len(refused_ones) == 1
    assert NAME not in str(list(refused_ones.values()))
    assert only(documents, "task_logs")["id"] == 2


@pytest.mark.parametrize("size", [16_777_216 - 1000, 16_800_000], ids="{:,}".format)
async def test_a_body_that_is_too_large_is_left_out_and_everything_else_is_stored(
    journal: Journal, documents: Documents, size: int
) -> None:
    """Broken by: a refused sale of 16.8 MB stops the journal of all shops forever."""
    statuses = [refused(1, 1).status, refused(2, 1).status, accepted(3, 1).status]
    refusals = {("sale", 1): Refusal(1, "x" * size, NAME), ("sale", 2): Refusal(1, BODY, NAME)}
    with capture_logs() as logs:
        assert await journal.append(statuses, refusals) == {}
        assert await journal.append(statuses, refusals) == {}, "and again"
    assert count(documents) == {"task_logs": 3, "sync_failures": 2}
    large, small = documents["sync_failures"].find().sort("id")
    assert (large["api_words"], small["payload"], small["api_words"]) == (NAME, BODY, NAME)
    assert large.get("left_out") == ["payload"]
    assert "payload" not in large
    assert "left_out" not in small
    assert NAME not in str(logs)


async def test_a_text_of_the_api_that_is_too_large_is_left_out_with_the_body(
    journal: Journal, documents: Documents
) -> None:
    assert await journal.append([refused(1, 1).status], {("sale", 1): Refusal(1, BODY, "x" * 16_800_000)}) == {}
    assert only(documents, "sync_failures")["left_out"] == ["payload", "api_words"]


async def test_an_integer_beyond_mongodbs_range_affects_only_its_decision(
    journal: Journal, documents: Documents
) -> None:
    unfit = accepted(1, 1).status.model_copy(update={"attempt": 2**70})
    assert list(await journal.append([unfit, *(accepted(i, 1).status for i in range(2, 40))], {})) == [unfit.event_id]
    assert count(documents)["task_logs"] == 38


def expiry(documents: Documents) -> list[int]:
    indexes = documents["sync_failures"].index_information().values()
    return [index["expireAfterSeconds"] for index in indexes if "expireAfterSeconds" in index]


@pytest.mark.parametrize(("before", "after"), [(30, 365), (365, 30)])
async def test_a_changed_journal_keep_days_takes_effect(
    mongo: str, name: str, documents: Documents, before: int, after: int
) -> None:
    """Broken by: what was raised to a year is still deleted after 30 days, as the index said when it was made."""
    for days in (before, after):
        journal = Journal(settings_for(mongo_url=mongo, mongo_database=name, journal_keep_days=days))
        with capture_logs() as logs:
            await journal.open()
        journal.close()
        there = expiry(documents)
        assert there in ([], [days * 86_400])
        # Where the server offers no such index it is said, and the daily delete does it.
        assert (there == []) == ("journal.no_expiry_index" in [line["event"] for line in logs])


async def test_the_journal_writes_again_when_its_server_is_back(
    journal: Journal, documents: Documents, server: Mongo
) -> None:
    await journal.append([accepted(1, 1).status], {})
    server.kill()
    server.start()
    async with asyncio.timeout(15):
        while True:
            try:
                await journal.append([accepted(1, 1).status, accepted(2, 1).status], {})
                break
            except JournalUnavailable:
                await asyncio.sleep(0.05)
    assert count(documents)["task_logs"] == 2
