"""Checks of Kafka: the broker, the topics, the lag of the consumer groups, the newest change, and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from streams.documents.document import DocumentType
from streams.domain.change_event import captured_at_ms
from streams.kafka.lag import MEASUREMENT_TIMEOUT, BrokerAway, LagMeter, Measured
from streams.kafka.topics import change_topics, deploy_command, own_topics
from streams.operators import Problem
from streams.operators.checks import Finding, error, ok, warning
from streams.operators.connect.topic_setup import ExistingTopic, WantedTopic, differences, open_topics, pipeline_topics
from streams.operators.replay_ledger import read_replayed, replay_group
from streams.operators.topic_reader import broker_problem, open_reader
from streams.runtime.retrying import Backoff, retry
from streams.settings import Settings

_REPLAY = "faust -A streams.app replay"
_LATEST_RECORDS = 3
"""Records read from the end of each partition: the last one may be the tombstone that follows a deletion."""
_LONG_DELAY_S = 60.0
_BACKOFF = Backoff(0.5, 2)
_NEW_BROKER_S = 8.0
"""How long a broker may take to create the topic of the groups' offsets."""


@dataclass(frozen=True, slots=True)
class NewestChange:
    """The newest change event of a topic."""

    at_ms: int
    """UTC milliseconds: when it was written to Kafka."""
    delay_s: float
    """Seconds from its commit in the database until then."""


@dataclass(frozen=True, slots=True)
class Broker:
    topics: Mapping[str, ExistingTopic]
    lag: Mapping[str, int]
    """Events that each consumer group is behind; missing topics are not counted."""
    dead_letters: int
    """The number of dead letters that were not replayed."""
    newest: Mapping[str, NewestChange]
    """By change topic; an empty topic has no entry."""


async def probe_broker(settings: Settings, document_types: Sequence[DocumentType]) -> Broker | Problem:
    """Read the state of the topics and of the consumer groups."""
    try:
        async with open_topics(settings) as admin:
            existing = await admin.find()
    except Problem as problem:
        return problem
    own = own_topics(settings)
    groups = {
        settings.deployment: [*change_topics(settings, document_types), own.retries, own.statuses],
        f"{settings.deployment}-journal": [own.statuses],
        replay_group(settings): [own.dead_letters],
    }
    meter = LagMeter(settings, {group: [t for t in topics if t in existing] for group, topics in groups.items()})
    try:
        measured = await _measured(meter)
        async with asyncio.timeout(MEASUREMENT_TIMEOUT):
            replayed = await read_replayed(settings, list(measured[replay_group(settings)]))
            newest = await _newest_changes(
                settings, [topic for topic in change_topics(settings, document_types) if topic in existing]
            )
    except (BrokerAway, KafkaError, OSError, TimeoutError) as kafka_error:
        return broker_problem(settings, kafka_error)
    except Problem as problem:
        return problem
    finally:
        await meter.close()
    behind = {
        group: sum(max(0, offsets.end - offsets.committed) for offsets in parts.values())
        for group, parts in measured.items()
    }
    scattered = sum(len(each.beyond) for each in replayed.values())
    return Broker(existing, behind, behind.pop(replay_group(settings)) - scattered, newest)


async def _measured(meter: LagMeter) -> Measured:
    """Measure the lag, again after a moment on a broker that no consumer group has used before: it creates the topic of
    the groups' offsets only now. Raises `BrokerAway`.
    """
    return await retry(
        meter.measure,
        BrokerAway,
        _BACKOFF,
        lambda _, __: None,  # the last failure is what doctor shows
        retry_if=lambda away: str(away) == GroupCoordinatorNotAvailableError.__name__,
        seconds=_NEW_BROKER_S,
    )


async def _newest_changes(settings: Settings, topics: Sequence[str]) -> dict[str, NewestChange]:
    """Return the newest change of each topic. Raises `Problem` and `KafkaError`."""
    newest: dict[str, NewestChange] = {}
    for topic in topics:
        async with open_reader(settings, topic) as reader:
            bounds = await reader.bounds()
            reader.seek({partition: max(begin, end - _LATEST_RECORDS) for partition, (begin, end) in bounds.items()})
            async for records in reader.read_until({partition: end for partition, (_, end) in bounds.items()}):
                for record in records:
                    committed_ms = captured_at_ms(record.value)
                    if committed_ms is not None and (topic not in newest or record.timestamp >= newest[topic].at_ms):
                        delay_s = max(0.0, (record.timestamp - committed_ms) / 1000)
                        newest[topic] = NewestChange(record.timestamp, delay_s)
    return newest


def judge_broker(
    probed: Broker | Problem, settings: Settings, document_types: Sequence[DocumentType], *, max_lag: int
) -> list[Finding]:
    """Return the findings; a consumer group more than `max_lag` events behind is a warning."""
    if isinstance(probed, Problem):
        what, _, action = probed.lines[0].removeprefix("Kafka: ").partition(". ")
        return [error("Kafka", what, action)]
    findings = [ok("Kafka", f"answers at {settings.kafka_bootstrap_servers}")]
    findings += [
        _topic(wanted, probed.topics.get(wanted.name), settings) for wanted in pipeline_topics(settings, document_types)
    ]
    if not settings.polls:
        findings += [_capture(topic, newest) for topic, newest in probed.newest.items()]
    for group, behind in probed.lag.items():
        about = f"Kafka group {group}"
        if behind > max_lag:
            action = (
                "See whether a worker is running (`status`, /readyz) and what it is waiting for; add workers if "
                "it is the load."
            )
            findings.append(warning(about, f"is {behind} events behind", action))
        else:
            findings.append(ok(about, f"is {behind} events behind"))
    if probed.dead_letters:
        what = f"{probed.dead_letters} messages could not be read and are stored there"
        action = (
            f"`{_REPLAY}` shows why; fix the cause, then `{_REPLAY} --yes`. The scheduler finds their sales meanwhile."
        )
        findings.append(warning(f"Kafka {own_topics(settings).dead_letters}", what, action))
    else:
        findings.append(ok(f"Kafka {own_topics(settings).dead_letters}", "is empty, or everything was replayed"))
    return findings


def _capture(topic: str, newest: NewestChange) -> Finding:
    about = f"capture into {topic}"
    what = f"the newest change took {newest.delay_s:.1f} s from its commit to Kafka"
    if newest.delay_s <= _LONG_DELAY_S:
        return ok(about, what)
    action = (
        "See Kafka Connect's load and SQL Server's capture job (connectors/sql/10_capture_on.sql), and the clocks of "
        "both. After an outage of either this is normal: the change was part of the backlog."
    )
    return warning(about, what, action)


def _topic(wanted: WantedTopic, found: ExistingTopic | None, settings: Settings) -> Finding:
    about = f"Kafka topic {wanted.name}"
    if found is None:
        return error(about, "is missing", f"Create it: `{deploy_command(settings)}`.")
    for text in differences(wanted, found, settings):
        what, _, action = text.partition(": ")[2].partition(". ")
        return warning(about, what, action or what)
    return ok(about, f"partitions {found.partitions}, copies {found.replication}")
