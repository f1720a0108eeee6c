"""Tests how the journal treats each error that a MongoDB server reports for one document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, ExecutionTimeout, NotPrimaryError, OperationFailure

from streams.stores.decisions import Refusal
from streams.stores.journal import Journal, JournalUnavailable
from tests.contract.stores.databases import settings_for
from tests.contract.stores.point_of_sale import refused

NAME = "Nguyễn Thị Bí Mật"
Refuses = Callable[[dict[str, Any]], bool]


class Collection:
    def __init__(self, name: str, refuses: Refuses, error: int | Exception, *, takes_others: bool = True) -> None:
        self.name = name
        self._refuses = refuses
        self._error = error
        self._takes_others = takes_others
        self.stored: dict[str, dict[str, Any]] = {}
        self.calls = 0

    async def insert_many(self, documents: Sequence[dict[str, Any]], ordered: bool) -> None:
        self.calls += 1
        bad = [place for place, document in enumerate(documents) if self._refuses(document)]
        if bad and isinstance(self._error, Exception):
            raise self._error
        errors = [{"index": place, "code": self._error, "errmsg": NAME} for place in bad]
        for place, document in enumerate(documents):
            if document["_id"] in self.stored:
                errors.append({"index": place, "code": 11000, "errmsg": NAME})
            elif place not in bad:
                self.stored[document["_id"]] = document
        if errors:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})

    async def replace_one(self, *_: Any, upsert: bool) -> None:
        if not self._takes_others:
            raise OperationFailure(NAME, 14031)

    async def delete_one(self, _: Any) -> None: ...


def journal(failures: Collection, logs: Collection) -> Journal:
    made = Journal(settings_for())
    made.close()
    made._failures, made._logs = failures, logs  # type: ignore[assignment]
    return made


def takes_all(name: str, *, takes_others: bool = True) -> Collection:
    return Collection(name, lambda _: False, 2, takes_others=takes_others)


STATUSES = [refused(id_, 1).status for id_ in range(1, 41)]
REFUSALS = {("sale", id_): Refusal(1, "{}", NAME) for id_ in range(1, 41)}
ODD: list[int | Exception] = [
    *(2, 121, 10334, 17420),
    DocumentTooLarge(NAME),
    InvalidDocument(NAME),
    OverflowError(NAME),
    OperationFailure(NAME, 2),
]


@pytest.mark.parametrize("error", ODD, ids=repr)
async def test_a_document_too_large_for_mongodb_is_stored_without_its_body(error: int | Exception) -> None:
    """Promise 1. Broken by: a decision whose body is too large for MongoDB is in no journal."""
    failures = Collection("sync_failures", lambda document: document["id"] == 17 and "payload" in document, error)
    logs = takes_all("task_logs")
    for _ in range(2):
        assert await journal(failures, logs).append(STATUSES, REFUSALS) == {}
    assert len(failures.stored) == len(logs.stored) == 40
    [smaller] = [document for document in failures.stored.values() if "payload" not in document]
    assert (smaller["id"], smaller["left_out"], smaller["api_words"]) == (17, ["payload"], NAME)


@pytest.mark.parametrize("error", ODD, ids=repr)
async def test_a_permanent_write_error_affects_only_its_document(error: int | Exception) -> None:
    failures = Collection("sync_failures", lambda document: document["id"] == 17, error)
    refused_ones = await journal(failures, takes_all("task_logs")).append(STATUSES, REFUSALS)
    assert list(refused_ones) == [STATUSES[16].event_id]
    assert NAME not in str(refused_ones)
    assert len(failures.stored) == 39
    assert failures.calls < 50


@pytest.mark.parametrize("error", [2, OperationFailure(NAME, 13)], ids=repr)
async def test_the_journal_waits_for_a_server_that_accepts_nothing(error: int | Exception) -> None:
    """A full disk or a missing right is not the fault of a document.

    Promise 1. Broken by: every decision is buried while MongoDB's disk is full.
    """
    failures = Collection("sync_failures", lambda _: True, error)
    with pytest.raises(JournalUnavailable) as caught:
        await journal(failures, takes_all("task_logs", takes_others=False)).append(STATUSES, REFUSALS)
    assert NAME not in str(caught.value)
    assert failures.calls <= 3


@pytest.mark.parametrize("error", [ExecutionTimeout(NAME, 50), NotPrimaryError(NAME)], ids=repr)
async def test_the_journal_waits_out_a_passing_error(error: Exception) -> None:
    failures = Collection("sync_failures", lambda _: True, error)
    with pytest.raises(JournalUnavailable):
        await journal(failures, takes_all("task_logs")).append(STATUSES, REFUSALS)


@pytest.mark.parametrize("error", [2, OperationFailure(NAME, 1)], ids=repr)
@pytest.mark.parametrize("which", ["all", "one"])
async def test_a_server_that_returns_meanwhile_has_refused_no_document(error: int | Exception, which: str) -> None:
    """A document that failed while the server was away becomes no dead letter and keeps its body.

    Promise 1. Broken by: a store that is killed and started again loses a decision that came between.
    """
    failures = Collection("sync_failures", lambda _: failures.calls <= 1, error)
    statuses = STATUSES if which == "all" else STATUSES[:1]
    assert await journal(failures, takes_all("task_logs")).append(statuses, REFUSALS) == {}
    assert len(failures.stored) == len(statuses)
    assert all(document["payload"] == "{}" for document in failures.stored.values())
