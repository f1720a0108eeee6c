"""Tests the counters and gauges of the metrics page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from streams.domain.account import CredentialsRefused, Token
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import InDoubt, Reason, TryLater
from streams.domain.reasons import Code
from streams.monitoring.exposition import ConnectorState, ExternalCollector, WaitingByKind
from streams.national_api.login import PATH
from streams.national_api.own_form import Answer
from streams.pipeline.metrics import Metrics, call_name, call_status
from streams.pipeline.retry_policy import Decision
from streams.stores.backlog import BacklogPart
from streams.stores.sync_state import Claim
from tests.unit.expositions import exposition

REQUEST = SendRequest("sale", "chain", 7, "HD-7", "79-1", "SHOP-1", Origin.INSERTED, 1_000_000)


def answer(status: int) -> Answer:
    return Answer(status, b"", datetime.now(UTC))


async def _published(*_: object) -> None:
    return


async def count(metrics: Metrics, decision: Decision, attempt: int = 1, request: SendRequest = REQUEST) -> None:
    await metrics.counting(_published)(request, Claim(7, attempt, 5), decision, None)


async def test_a_decision_is_counted_by_status_and_reason() -> None:
    metrics = Metrics(["sale"], clock=lambda: 1_002.5)
    await count(metrics, Decision("PENDING_SYNC", None, Reason(Code.TIMED_OUT), 5))
    await count(metrics, Decision("SYNC_SUCCESS", "QG", None, None), attempt=3)
    value = metrics.registry.get_sample_value
    pending = {"document": "sale", "status": "PENDING_SYNC", "reason": "timed_out"}
    assert value("pharmacy_decisions_total", pending) == 1
    assert value("pharmacy_decisions_total", pending | {"status": "SYNC_SUCCESS", "reason": "none"}) == 1
    assert value("pharmacy_attempts_until_decision_sum", {"document": "sale"}) == 3
    assert value("pharmacy_attempts_until_decision_count", {"document": "sale"}) == 1
    assert value("pharmacy_first_decision_delay_seconds_sum", {"document": "sale"}) == 5


async def test_a_decision_that_was_not_published_is_not_counted() -> None:
    async def broken(*_: object) -> None:
        raise ConnectionError

    metrics = Metrics(["sale"])
    with pytest.raises(ConnectionError):
        await metrics.counting(broken)(REQUEST, Claim(7, 1, 5), Decision("SYNC_SUCCESS", "QG", None, None), None)
    labels = {"document": "sale", "status": "SYNC_SUCCESS", "reason": "none"}
    assert metrics.registry.get_sample_value("pharmacy_decisions_total", labels) == 0


def test_the_capture_delay_is_measured_only_for_new_documents() -> None:
    metrics = Metrics(["sale"])
    metrics.captured(REQUEST, 1_000.25)
    metrics.captured(SendRequest("sale", "chain", 7, "HD-7", "79-1", "SHOP-1", Origin.DUE, 0, 3), 5_000)
    value = metrics.registry.get_sample_value
    assert value("pharmacy_capture_delay_seconds_count", {"document": "sale"}) == 1
    assert value("pharmacy_capture_delay_seconds_sum", {"document": "sale"}) == 0.25


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", PATH, "log_in"),
        ("POST", "/api/lien_thong/hoa_don", "create"),
        ("PUT", "/api/lien_thong/hoa_don", "replace"),
        ("GET", "/api/lien_thong/hoa_don/79-1/HD-7", "look_up"),
        ("DELETE", "/api/lien_thong/hoa_don/79-1/HD-7", "withdraw"),
        ("PATCH", "/x", "other"),
    ],
)
def test_every_call_has_one_of_six_names(method: str, path: str, name: str) -> None:
    assert call_name(method, path) == name


def test_the_statuses_of_calls_are_few_for_any_answer() -> None:
    statuses = {call_status(answer(status)) for status in range(100, 1000)}
    assert {"200", "401", "429", "503", "4xx"} <= statuses
    assert len(statuses) < 30
    assert call_status(InDoubt(Reason(Code.CONNECTION_LOST))) == "connection_lost"
    assert call_status(TryLater(Reason(Code.UNREACHABLE))) == "unreachable"


def test_log_ins_are_counted_by_result() -> None:
    metrics = Metrics(["sale"])
    metrics.logged_in(Token(SecretStr("x"), 5))
    metrics.logged_in(CredentialsRefused(5))
    metrics.logged_in(TryLater(Reason(Code.LOGIN_UNAVAILABLE)))
    for result in ("token", "refused", "unavailable"):
        assert metrics.registry.get_sample_value("pharmacy_log_ins_total", {"result": result}) == 1


async def test_two_apps_in_one_process_count_separately() -> None:
    one, other = exposition(), exposition()
    one._worker.metrics.write_given_up()
    assert one.registry.get_sample_value("pharmacy_write_back_given_up_total") == 1
    assert other.registry.get_sample_value("pharmacy_write_back_given_up_total") == 0


async def test_a_worker_that_has_not_started_already_has_its_metrics_page() -> None:
    page = exposition()
    text, content_type = await page.page("")
    assert content_type.startswith("text/plain")
    assert b'pharmacy_dead_letters_total{reader="journal"} 0.0' in text
    assert b"pharmacy_ready 0.0" in text
    assert b"_created" not in text
    await page.close()


WAITING: WaitingByKind = {
    "sale": (
        10_000,
        [
            BacklogPart(None, 2, 1, 1, 9_000),
            BacklogPart("timed_out", 3, 0, 2, 4_000),
            BacklogPart("from_another_version", 1, 1, 1, 2_000),
            BacklogPart("from_a_third", 4, 0, 2, 3_000),
        ],
    )
}


def collected(waiting: WaitingByKind | None, connector: ConnectorState | None) -> Mapping[str, Mapping[str, float]]:
    """Return the samples by metric and reason; one without a reason is under an empty one."""
    registry = CollectorRegistry()
    registry.register(ExternalCollector(lambda: waiting, lambda: connector))
    return {m.name: {s.labels.get("reason", ""): s.value for s in m.samples} for m in registry.collect()}


def test_waiting_documents_are_counted_by_known_reasons() -> None:
    found = collected(WAITING, (True, False))
    assert found["pharmacy_documents_waiting"] == {"none": 2, "timed_out": 3, "other": 5}
    assert found["pharmacy_documents_due"] == {"none": 1, "timed_out": 0, "other": 1}
    assert found["pharmacy_shops_waiting"] == {"none": 1, "timed_out": 2, "other": 3}
    assert found["pharmacy_oldest_waiting_seconds"] == {"none": 1, "timed_out": 6, "other": 8}
    assert (found["pharmacy_connect_up"], found["pharmacy_connector_running"]) == ({"": 1}, {"": 0})


def test_an_unknown_value_is_not_exported() -> None:
    assert {name for name, samples in collected(None, None).items() if samples} == set()
    assert collected(None, (False, None))["pharmacy_connector_running"] == {}
