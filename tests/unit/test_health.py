"""What is told to those who ask the web server how the worker is."""

from __future__ import annotations

import json

from streams.gate import Doorway, Gate
from streams.health import alive, obstacle, ready
from streams.outcome import InDoubt, Reason
from streams.reasons import Code
from streams.waits import Waits
from streams.watchdog import Still


def test_well() -> None:
    assert json.dumps(alive([], watched=True).as_json()) == '{"status": "ok", "reasons": []}'
    health = ready(Waits(), [])
    assert (health.status, health.http_status) == ("ok", 200)


def test_what_stands_still_is_told() -> None:
    health = alive([Still("journal", 400, {"lag": {"sale-status": 3}})], watched=True)
    assert (health.status, health.http_status) == ("stalled", 503)
    [reason] = health.reasons
    assert reason.part == "journal"
    assert "'sale-status': 3" in reason.what
    assert reason.since.endswith("Z")


def test_a_watchdog_that_does_not_look_is_told() -> None:
    assert alive([], watched=False).http_status == 503


def test_what_holds_up_sales_is_told_as_such_and_what_does_not_too() -> None:
    now = 1000.0
    waits = Waits(lambda: now)
    waits.waiting("redis", "start Redis", holds_up_sales=False).say("away: tokens are kept in memory only")
    health = ready(waits, [])
    assert (health.status, health.http_status, [r.part for r in health.reasons]) == ("degraded", 200, ["redis"])
    door = Doorway(Gate(2, 60), clock=lambda: now)
    waits.ask(door.declared)
    for n in range(2):
        door.gate.ended(now, f"SHOP-{n}", InDoubt(Reason(Code.API_ERROR, 503)))
    health = ready(waits, [])
    assert (health.status, health.http_status, [r.part for r in health.reasons]) == (
        "not_ready",
        503,
        ["redis", "gate"],
    )
    assert "api_error" in health.reasons[1].what


def test_its_own_obstacles_stand_first() -> None:
    waits = Waits()
    waits.waiting("sales_database", "start it").say("connect: SQLSTATE 08001")
    health = ready(waits, [obstacle("worker", "starts", "none", 5)])
    assert (health.status, [r.part for r in health.reasons]) == ("not_ready", ["worker", "sales_database"])
