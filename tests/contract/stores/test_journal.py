"""The journal: append only, a repeat is passed over, personal data leaves after its time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from streams.local.ferretdb import server_binary
from streams.local.processes import free_port
from streams.local.servers import Mongo
from streams.reasons import Code
from streams.stores.ends import Refusal
from streams.stores.journal import Journal, JournalUnavailable
from tests.contract.stores.databases import settings_for
from tests.contract.stores.till import accepted, refused, waits


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Mongo(tmp_path_factory.mktemp("mongo"), server_binary(print))
    server.start()
    yield f"mongodb://{server.address}/"
    server.stop()


@pytest.fixture
async def journal(mongo: str, request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    journal = Journal(settings_for(mongo_url=mongo, mongo_database=name_of(request)))
    await journal.open()
    yield journal
    journal.close()


@pytest.fixture
def stored(mongo: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](mongo) as client:
        yield client[name_of(request)]


def name_of(request: pytest.FixtureRequest) -> str:
    return f"t{abs(hash(request.node.name)) % 10**8}"


def ids(collection: Any) -> set[str]:
    return {document["_id"] for document in collection.find()}


async def test_every_decision_once_however_often_it_is_told(journal: Journal, stored: Any) -> None:
    decisions = [waits(1, 1, 4_000_000_000_000).status, accepted(1, 2).status, refused(2, 1).status]
    await journal.append(decisions, {})
    await journal.append([*decisions, accepted(3, 1).status], {})
    assert ids(stored["task_logs"]) == {*(d.event_id for d in decisions), accepted(3, 1).status.event_id}
    assert ids(stored["sync_failures"]) == {decisions[2].event_id}
    history = list(stored["task_logs"].find({"pharmacy_code": "79-1", "local_invoice_id": "HD-1"}))
    assert [entry["status"] for entry in sorted(history, key=lambda e: e["attempt"])] == [
        "PENDING_SYNC",
        "SYNC_SUCCESS",
    ]


async def test_a_failure_has_what_was_sent_by_its_own_attempt(journal: Journal, stored: Any) -> None:
    refusals = {("sale", 1): Refusal(1, '{"ma_hoa_don":"HD-1"}', "Sai mã"), ("sale", 2): Refusal(7, "{}", "khác")}
    await journal.append([refused(1, 1).status, refused(2, 1, Code.RULES_BROKEN).status], refusals)
    failures = {entry["id"]: entry for entry in stored["sync_failures"].find()}
    assert (failures[1]["payload"], failures[1]["api_words"]) == ('{"ma_hoa_don":"HD-1"}', "Sai mã")
    assert "payload" not in failures[2]
    assert isinstance(failures[1]["decided_at"], datetime), "a date: it expires by it"
    logs = list(stored["task_logs"].find())
    assert not [entry for entry in logs if "payload" in entry], "personal data is in the failures alone"


async def test_what_is_old_is_forgotten(journal: Journal, stored: Any) -> None:
    told = refused(1, 1).status
    await journal.append(
        [told, refused(2, 1).status.model_copy(update={"decided_at": told.decided_at + timedelta(days=2)})], {}
    )
    await journal.forget_old(told.decided_at + timedelta(days=1))
    assert [entry["id"] for entry in stored["sync_failures"].find()] == [2]
    assert len(list(stored["task_logs"].find())) == 2, "decisions hold no personal data and stay"


async def test_a_journal_that_is_away_says_so() -> None:
    url = f"mongodb://u:hunter2@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=200"
    journal = Journal(settings_for(mongo_url=url))
    with pytest.raises(JournalUnavailable) as caught:
        await journal.append([accepted(1, 1).status], {})
    assert "hunter2" not in str(caught.value)
    journal.close()
