"""Tests what /livez and /readyz report about a worker."""

from __future__ import annotations

import json

from streams.domain.outcome import BrokenRule, InDoubt, Reason, TryLater
from streams.domain.reasons import REASON_TEXTS, Code
from streams.monitoring.health import alive, obstacle, ready
from streams.monitoring.stall_detector import Stall
from streams.pipeline.outage_gate import Admission, OutageGate
from streams.runtime.outages import Outages


def test_a_worker_without_problems_is_alive_and_ready() -> None:
    assert json.dumps(alive([], watched=True).as_json()) == '{"status": "ok", "reasons": []}'
    health = ready(Outages(), [])
    assert (health.status, health.http_status) == ("ok", 200)


def test_a_stall_is_reported_with_its_details() -> None:
    health = alive([Stall("journal", 400, {"lag": {"sale-status": 3}})], watched=True)
    assert (health.status, health.http_status) == ("stalled", 503)
    [reason] = health.reasons
    assert reason.part == "journal"
    assert "'sale-status': 3" in reason.what
    assert reason.since.endswith("Z")


def test_a_watchdog_that_does_not_run_is_reported() -> None:
    assert alive([], watched=False).http_status == 503


def test_only_an_outage_that_holds_up_sales_makes_the_worker_not_ready() -> None:
    now = 1000.0
    outages = Outages(lambda: now)
    outages.reporter("redis", "start Redis", holds_up_sales=False).report("away: tokens are kept in memory only")
    health = ready(outages, [])
    assert (health.status, health.http_status, [r.part for r in health.reasons]) == ("degraded", 200, ["redis"])
    admission = Admission(OutageGate(2, 60), clock=lambda: now)
    outages.add_source(admission.current_outage)
    for n in range(2):
        admission.gate.ended(now, f"SHOP-{n}", InDoubt(Reason(Code.API_ERROR, 503)))
    health = ready(outages, [])
    assert (health.status, health.http_status, [r.part for r in health.reasons]) == (
        "not_ready",
        503,
        ["redis", "gate"],
    )
    assert "api_error" in health.reasons[1].what


def test_a_gate_closed_by_a_certificate_reports_the_problem_and_the_action() -> None:
    """Promise 6. Broken by: a certificate that nobody renews is no outage, and every sale is tried in vain."""
    outages = Outages(lambda: 1000.0)
    admission = Admission(OutageGate(2, 60), clock=lambda: 1000.0)
    outages.add_source(admission.current_outage)
    missing = TryLater(Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", "unknown_issuer"),)))
    for shop in ("A", "B"):
        admission.gate.ended(1000.0, shop, missing)
    health = ready(outages, [])
    [reason] = health.reasons
    assert (health.status, reason.part) == ("not_ready", "gate")
    assert reason.what.startswith(
        "closed: certificate: The certificate of the national system's server is not accepted"
    )
    assert "does not send the intermediate certificate that signed it; probes are sent" in reason.what
    assert reason.action == REASON_TEXTS[Code.CERTIFICATE].action_en


def test_a_closed_gate_reports_the_problem_of_the_latest_probe() -> None:
    outages = Outages(lambda: 1000.0)
    admission = Admission(OutageGate(2, 60), clock=lambda: 1000.0)
    outages.add_source(admission.current_outage)

    def reported() -> str:
        [reason] = ready(outages, []).reasons
        return reason.what

    for shop in ("A", "B"):
        admission.gate.ended(1000.0, shop, TryLater(Reason(Code.UNREACHABLE)))
    assert reported().startswith("closed: unreachable;")
    expired = TryLater(Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", "expired"),)))
    admission.gate.ended(1001.0, "A", expired, probe=True)
    assert reported().startswith("closed: certificate: ")
    admission.gate.ended(1002.0, "A", TryLater(Reason(Code.UNREACHABLE)), probe=True)
    assert reported().startswith("closed: unreachable;")


def test_the_workers_own_obstacles_are_listed_first() -> None:
    outages = Outages()
    outages.reporter("sales_database", "start it").report("connect: SQLSTATE 08001")
    health = ready(outages, [obstacle("worker", "starts", "none", 5)])
    assert (health.status, [r.part for r in health.reasons]) == ("not_ready", ["worker", "sales_database"])
