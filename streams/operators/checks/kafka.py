"""Broker, topics, how far the groups are behind, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from streams.documents.document import DocumentType
from streams.domain.change_event import captured_at_ms
from streams.kafka.lag import WITHIN, BrokerAway, LagMeter
from streams.kafka.topics import change_topics
from streams.operators import Problem
from streams.operators.checks import Finding, error, ok, warning
from streams.operators.connect.topic_setup import ExistingTopic, WantedTopic, differences, open_topics, pipeline_topics
from streams.operators.replay_ledger import TOPIC as DEAD_LETTERS
from streams.operators.replay_ledger import group_of, read_done
from streams.operators.topic_reader import broker_problem, open_reader
from streams.settings import Settings

_REPLAY = "faust -A streams.app replay"
_LATEST = 3
"""Records of each partition: a deletion is followed by one that says nothing."""
_LONG_S = 60.0


@dataclass(frozen=True, slots=True)
class Captured:
    """The newest change that came through."""

    at_ms: int
    """UTC milliseconds: in Kafka since then."""
    delay_s: float
    """From its commit in the database to Kafka."""


@dataclass(frozen=True, slots=True)
class Broker:
    topics: Mapping[str, ExistingTopic]
    lag: Mapping[str, int]
    """By group; topics that are missing have none."""
    dead_letters: int
    """That nobody has put back."""
    captured: Mapping[str, Captured]
    """By change topic; those in which there is nothing have none."""


async def ask_broker(settings: Settings, document_types: Sequence[DocumentType]) -> Broker | Problem:
    try:
        async with open_topics(settings) as topics:
            there = await topics.find()
    except Problem as trouble:
        return trouble
    own = [*change_topics(settings, document_types), "sale-retry", "sale-status"]
    groups = {settings.app_id: own, f"{settings.app_id}-journal": ["sale-status"], group_of(settings): [DEAD_LETTERS]}
    meter = LagMeter(settings, {group: [t for t in topics if t in there] for group, topics in groups.items()})
    try:
        measured = await meter.measure()
        async with asyncio.timeout(WITHIN):
            done = await read_done(settings, list(measured[group_of(settings)]))
            captured = await _captured(
                settings, [topic for topic in change_topics(settings, document_types) if topic in there]
            )
    except (BrokerAway, KafkaError, OSError, TimeoutError) as away:
        return broker_problem(settings, away)
    except Problem as trouble:
        return trouble
    finally:
        await meter.close()
    behind = {
        group: sum(max(0, offsets.end - offsets.committed) for offsets in parts.values())
        for group, parts in measured.items()
    }
    replayed = sum(len(each.beyond) for each in done.values())
    return Broker(there, behind, behind.pop(group_of(settings)) - replayed, captured)


async def _captured(settings: Settings, topics: Sequence[str]) -> dict[str, Captured]:
    """Raises `Problem`, `KafkaError`."""
    newest: dict[str, Captured] = {}
    for topic in topics:
        async with open_reader(settings, topic) as reader:
            bounds = await reader.bounds()
            reader.seek({place: max(begin, end - _LATEST) for place, (begin, end) in bounds.items()})
            async for records in reader.until({place: end for place, (_, end) in bounds.items()}):
                for record in records:
                    committed_ms = captured_at_ms(record.value)
                    if committed_ms is not None and (topic not in newest or record.timestamp >= newest[topic].at_ms):
                        delay_s = max(0.0, (record.timestamp - committed_ms) / 1000)
                        newest[topic] = Captured(record.timestamp, delay_s)
    return newest


def judge_broker(
    asked: Broker | Problem, settings: Settings, document_types: Sequence[DocumentType], *, most_behind: int
) -> list[Finding]:
    if isinstance(asked, Problem):
        what, _, action = asked.lines[0].removeprefix("Kafka: ").partition(". ")
        return [error("Kafka", what, action)]
    found = [ok("Kafka", f"answers at {settings.kafka_bootstrap_servers}")]
    found += [
        _topic(wanted, asked.topics.get(wanted.name), settings) for wanted in pipeline_topics(settings, document_types)
    ]
    found += [_capture(topic, captured) for topic, captured in asked.captured.items()]
    for group, behind in asked.lag.items():
        about = f"Kafka group {group}"
        if behind > most_behind:
            action = (
                "See whether a worker runs (`status`, /readyz), and what it waits for; more workers if it is the load."
            )
            found.append(warning(about, f"is {behind} events behind", action))
        else:
            found.append(ok(about, f"is {behind} events behind"))
    if asked.dead_letters:
        what = f"{asked.dead_letters} messages could not be read and lie there"
        action = (
            f"`{_REPLAY}` shows why; mend the cause, then `{_REPLAY} --yes`. Their sales are found by the scheduler."
        )
        found.append(warning(f"Kafka {DEAD_LETTERS}", what, action))
    else:
        found.append(ok(f"Kafka {DEAD_LETTERS}", "nothing waits there"))
    return found


def _capture(topic: str, captured: Captured) -> Finding:
    about = f"capture into {topic}"
    what = f"the newest change took {captured.delay_s:.1f} s from its commit to Kafka"
    if captured.delay_s <= _LONG_S:
        return ok(about, what)
    action = (
        "See Kafka Connect's load and SQL Server's capture job (connectors/sql/10_capture_on.sql), and the clocks of "
        "both. After an outage of either it is what was caught up with."
    )
    return warning(about, what, action)


def _topic(wanted: WantedTopic, found: ExistingTopic | None, settings: Settings) -> Finding:
    about = f"Kafka topic {wanted.name}"
    if found is None:
        return error(about, "is missing", "Make it: `faust -A streams.app connectors deploy`.")
    for text in differences(wanted, found, settings):
        what, _, action = text.partition(": ")[2].partition(". ")
        return warning(about, what, action or what)
    return ok(about, f"partitions {found.partitions}, copies {found.replication}")
