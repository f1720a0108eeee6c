"""Does the broker let everybody in? Its authorizer, what ACLs give to everybody, and who may reach which listener."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, SecurityDisabled, for_code
from aiokafka.protocol.admin import DescribeAclsRequest

from streams.kafka.connection import aiokafka_options
from streams.operators.checks import Finding, ok, warning
from streams.settings import Settings

_ABOUT = "Kafka access"
_ACTION = "docs/kafka-access.md says how each gets a login and ACLs of its own."
_CALL_MS = 5_000
_WHOLE = 8.0
_EVERYONE = "allow.everyone.if.no.acl.found"
# As Kafka numbers them.
_TOPIC, _ANY_PATTERN, _ANY, _ALLOW = 2, 1, 1, 3
_PREFIXED = 4
_TO_WRITE = {2: "All", 4: "Write"}


@dataclass(frozen=True, slots=True)
class Listener:
    name: str
    host: str
    """Empty: every address of the broker's machine."""
    protocol: str

    @property
    def is_here_alone(self) -> bool:
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class Access:
    authorizer: bool
    to_everybody: Sequence[tuple[str, bool]] = ()
    """Topics that an ACL lets everybody write, and whether each name is a prefix."""
    configs: Mapping[str, str | None] | None = None
    """The configuration of a broker. None: this login may not see it."""


async def probe_access(settings: Settings) -> Access | None:
    """Return what the broker tells about access. None: it gave no answer, which the other checks report."""
    admin = AIOKafkaAdminClient(**aiokafka_options(settings), request_timeout_ms=_CALL_MS)
    try:
        async with asyncio.timeout(_WHOLE):
            return await _read_access(admin)
    except (KafkaError, OSError, TimeoutError):
        return None
    finally:
        await admin.close()


async def _read_access(admin: AIOKafkaAdminClient) -> Access:
    await admin.start()
    acls = await admin._send_request(DescribeAclsRequest(_TOPIC, None, _ANY_PATTERN, "User:*", None, _ANY, _ALLOW))
    brokers = (await admin.describe_cluster())["brokers"]
    return Access(
        for_code(acls.error_code) is not SecurityDisabled,
        [*_everybodys(acls.to_object())],
        await _configs(admin, str(brokers[0]["node_id"])),
    )


def _everybodys(answer: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    for resource in answer["resources"]:
        if any(acl["operation"] in _TO_WRITE for acl in resource["acls"]):
            yield resource["resource_name"], resource["resource_pattern_type"] == _PREFIXED


async def _configs(admin: AIOKafkaAdminClient, broker: str) -> dict[str, str | None] | None:
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, broker)])
    resource = answer.to_object()["resources"][0]
    if resource["error_code"]:
        return None
    return {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}


def judge_access(access: Access | None, topics: Sequence[str]) -> list[Finding]:
    """`topics`: that nobody else is to write."""
    if access is None:
        return []
    strangers = [listener for listener in _without_log_in(access.configs or {}) if not listener.is_here_alone]
    found = [*_lets_everybody(access, topics, strangers), *(_open(listener) for listener in strangers)]
    return found or [ok(_ABOUT, "an authorizer decides who may do what" if access.authorizer else _HERE_ALONE)]


_HERE_ALONE = "no authorizer: whoever reaches the broker may do everything; it listens on its own machine alone"


def _lets_everybody(access: Access, topics: Sequence[str], strangers: Sequence[Listener]) -> Iterator[Finding]:
    if not access.authorizer:
        listeners = _listeners(access.configs or {})
        if strangers or not listeners or not all(listener.is_here_alone for listener in listeners):
            what = "the broker has no authorizer: whoever reaches it may write every topic, and read them all"
            yield warning(_ABOUT, what, f"Set authorizer.class.name on every broker and controller; {_ACTION}")
        return
    if _EVERYONE in (access.configs or {}):  # Kafka shows the names of an authorizer's settings, and never their values
        what = f"the brokers set {_EVERYONE}: where it is true, a topic without ACLs is everybody's"
        yield warning(_ABOUT, what, f"Take it out of server.properties: without it nobody may. {_ACTION}")
    for name, prefixed in access.to_everybody:
        hit = [topic for topic in topics if name in ("*", topic) or (prefixed and topic.startswith(name))]
        if hit:
            what = f"an ACL of topic {name}{'…' if prefixed else ''} lets User:* write {', '.join(hit)}"
            action = f"Remove it (kafka-acls.sh --remove --allow-principal 'User:*' --topic '{name}'); {_ACTION}"
            yield warning(_ABOUT, what, action)


def _open(listener: Listener) -> Finding:
    where = listener.host or "every address of the broker's machine"
    what = f"listener {listener.name} ({listener.protocol}) on {where} asks nobody for a log-in"
    return warning(_ABOUT, what, f"Make it SASL_SSL, or bind it to 127.0.0.1; {_ACTION}")


def _without_log_in(configs: Mapping[str, str | None]) -> Iterator[Listener]:
    for listener in _listeners(configs):
        own = f"listener.name.{listener.name.lower()}.ssl.client.auth"
        asks = "required" if own in configs else configs.get("ssl.client.auth")
        if listener.protocol == "PLAINTEXT" or (listener.protocol == "SSL" and asks != "required"):
            yield listener


def _listeners(configs: Mapping[str, str | None]) -> list[Listener]:
    """``NAME://host:port,…``; a name that is not in the map is its protocol's."""
    pairs = (part.strip().partition(":") for part in (configs.get("listener.security.protocol.map") or "").split(","))
    protocols = {name: protocol for name, _, protocol in pairs}
    found = []
    for each in (configs.get("listeners") or "").split(","):
        name, _, place = each.strip().partition("://")
        if name:
            found.append(Listener(name, place.rpartition(":")[0], protocols.get(name, name)))
    return found
