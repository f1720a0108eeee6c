"""Tests what doctor reports about brokers that let everybody in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from streams.local.processes import free_port
from streams.local.real.java import Jars
from streams.local.real.kafka import Kafka, Way
from streams.operators.checks import Finding, Level
from streams.operators.checks.kafka_access import judge_access, probe_access
from tests.contract.stores.databases import settings_for

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
TOPICS = ["sale-retry", "sale-status"]


async def said(address: str) -> list[Finding]:
    return judge_access(await probe_access(settings_for(kafka_bootstrap_servers=address)), TOPICS)


def warnings(found: list[Finding]) -> list[str]:
    return [finding.what for finding in found if finding.level is Level.WARNING]


def on_every_address() -> Way:
    port = free_port()
    return Way("OPEN", f"0.0.0.0:{port}", f"127.0.0.1:{port}")


async def test_doctor_only_mentions_an_open_broker_on_its_own_machine(kafka: Kafka) -> None:
    [found] = await said(kafka.address)
    assert (found.level, found.about) == (Level.OK, "Kafka access")
    assert "no authorizer" in found.what


async def test_doctor_warns_of_a_reachable_broker_without_an_authorizer(fetched: Jars, tmp_path: Path) -> None:
    with Kafka(tmp_path, fetched, ways=[on_every_address()]) as broker:
        first, second = warnings(await said(broker.address))
    assert "no authorizer" in first
    assert "listener OPEN (PLAINTEXT) on 0.0.0.0 asks nobody" in second


async def everybody_may_write(address: str, name: str, pattern: ResourcePatternType) -> None:
    binding = AclBinding(ResourceType.TOPIC, name, pattern, "User:*", "*", AclOperation.WRITE, AclPermissionType.ALLOW)
    admin = AdminClient({"bootstrap.servers": address})  # it ends what it was asked for once nobody has it
    [done] = admin.create_acls([binding]).values()
    await asyncio.to_thread(done.result, 20)


@pytest.mark.parametrize("everyone", ["true", "false"])
async def test_doctor_warns_of_an_authorizer_that_lets_everybody_in(
    fetched: Jars, tmp_path: Path, everyone: str
) -> None:
    """The brokers show that the setting exists but not its value, so doctor mentions `false` too."""
    settings = AUTHORIZER | {"allow.everyone.if.no.acl.found": everyone}
    with Kafka(tmp_path, fetched, settings=settings, ways=[on_every_address()]) as broker:
        await everybody_may_write(broker.address, "sale-", ResourcePatternType.PREFIXED)
        await everybody_may_write(broker.address, "others", ResourcePatternType.LITERAL)
        first, second, third = warnings(await said(broker.address))
    assert "allow.everyone.if.no.acl.found" in first
    assert "an ACL of topic sale-… lets User:* write sale-retry, sale-status" in second
    assert "listener OPEN" in third
