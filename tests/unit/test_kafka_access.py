"""Tests what doctor reports about a broker that lets everybody in."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from streams.operators.checks import Level
from streams.operators.checks.kafka_access import Access, judge_access

TOPICS = ["pharmacy.chain.dbo.SalesInvoices", "sale-retry", "sale-status", "sale-dead-letter"]
SECURED = {
    "listeners": "SECURED://:9093,CONTROLLER://10.0.0.1:9094",
    "listener.security.protocol.map": "SECURED:SASL_SSL,CONTROLLER:SASL_SSL",
}
HERE = {"listeners": "PLAIN://127.0.0.1:9092", "listener.security.protocol.map": "PLAIN:PLAINTEXT"}


@dataclass(frozen=True)
class Case:
    name: str
    access: Access | None
    says: list[str] = field(default_factory=list)
    """Of each warning, a part. None of them: all is well."""


def on(where: str, protocol: str = "PLAINTEXT", **more: str) -> dict[str, str | None]:
    dotted = {name.replace("__", "."): value for name, value in more.items()}
    return {"listeners": where, "listener.security.protocol.map": f"OPEN:{protocol}", **dotted}


CASES = [
    Case("secured", Access(True, [], SECURED)),
    Case("secured, and it may not be looked at", Access(True, [], None)),
    Case("no authorizer, on loopback alone", Access(False, [], HERE)),
    Case("the same by name and in IPv6", Access(False, [], on("OPEN://localhost:9092,PLAINTEXT://[::1]:9094"))),
    Case("no authorizer, all log in", Access(False, [], SECURED), ["has no authorizer"]),
    Case("no authorizer, and nothing can be seen", Access(False, [], None), ["has no authorizer"]),
    Case("no authorizer, everywhere", Access(False, [], on("OPEN://:9092")), ["has no authorizer", "on every address"]),
    Case("open, with an authorizer", Access(True, [], on("OPEN://0.0.0.0:9092")), ["OPEN (PLAINTEXT) on 0.0.0.0 asks"]),
    Case("open by name", Access(True, [], on("OPEN://kafka01:9092")), ["on kafka01 asks nobody"]),
    Case("named as its protocol", Access(True, [], on("PLAINTEXT://kafka01:9092")), ["PLAINTEXT (PLAINTEXT)"]),
    Case("TLS without certificates", Access(True, [], on("OPEN://k:9092", "SSL", ssl__client__auth="none")), ["(SSL)"]),
    Case("TLS with", Access(True, [], on("OPEN://k:9092", "SSL", ssl__client__auth="required"))),
    Case(
        "TLS, said for the listener alone",
        Access(True, [], on("OPEN://k:9092", "SSL", listener__name__open__ssl__client__auth="")),
    ),
    Case(
        "whoever has no ACL may",
        Access(True, [], SECURED | {"allow.everyone.if.no.acl.found": None}),
        ["allow.everyone.if.no.acl.found"],
    ),
    Case("an ACL for everybody", Access(True, [("sale-status", False)], SECURED), ["lets User:* write sale-status"]),
    Case("on all topics", Access(True, [("*", False)], SECURED), [f"write {', '.join(TOPICS)}"]),
    Case("on some", Access(True, [("sale-", True)], SECURED), ["sale-… lets User:* write sale-retry, sale-"]),
    Case("on others' topics", Access(True, [("till", False), ("sale-status-2", False), ("t", True)], SECURED)),
    Case("no answer, which is said elsewhere", None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broker_that_lets_everybody_in_causes_a_warning_with_an_action(case: Case) -> None:
    """Promise 7. Broken by: doctor has nothing to say about a broker that lets everybody write and read."""
    found = judge_access(case.access, TOPICS)
    said = [finding for finding in found if finding.level is Level.WARNING]
    assert len(said) == len(case.says)
    for finding, part in zip(said, case.says, strict=True):
        assert part in finding.what
        assert "docs/kafka-access.md" in finding.action
    assert {finding.about for finding in found} <= {"Kafka access"}
    assert {finding.level for finding in found} <= {Level.WARNING, Level.OK}
    assert bool(found) == (case.access is not None)
