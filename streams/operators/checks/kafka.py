"""Broker, topics, how far the groups are behind, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from streams.documents.document import DocumentKind
from streams.kafka import change_topics
from streams.lag import WITHIN, BrokerAway, LagMeter
from streams.operators import Trouble
from streams.operators.checks import Finding, error, ok, warning
from streams.operators.reading import broker_trouble
from streams.operators.replay import TOPIC as DEAD_LETTERS
from streams.operators.replayed import group_of, read_done
from streams.operators.topics import Found, Wanted, differences, open_topics, pipeline_topics
from streams.settings import Settings

_REPLAY = "faust -A streams.app replay"


@dataclass(frozen=True, slots=True)
class Broker:
    topics: Mapping[str, Found]
    lag: Mapping[str, int]
    """By group; topics that are missing have none."""
    dead_letters: int
    """That nobody has put back."""


async def ask_broker(settings: Settings, kinds: Sequence[DocumentKind]) -> Broker | Trouble:
    try:
        async with open_topics(settings) as topics:
            there = await topics.find()
    except Trouble as trouble:
        return trouble
    own = [*change_topics(settings, kinds), "sale-retry", "sale-status"]
    groups = {settings.app_id: own, f"{settings.app_id}-journal": ["sale-status"], group_of(settings): [DEAD_LETTERS]}
    meter = LagMeter(settings, {group: [t for t in topics if t in there] for group, topics in groups.items()})
    try:
        measured = await meter.measure()
        async with asyncio.timeout(WITHIN):
            done = await read_done(settings, list(measured[group_of(settings)]))
    except (BrokerAway, KafkaError, OSError, TimeoutError) as away:
        return broker_trouble(settings, away)
    finally:
        await meter.close()
    behind = {
        group: sum(max(0, offsets.end - offsets.committed) for offsets in parts.values())
        for group, parts in measured.items()
    }
    replayed = sum(len(each.beyond) for each in done.values())
    return Broker(there, behind, behind.pop(group_of(settings)) - replayed)


def judge_broker(
    asked: Broker | Trouble, settings: Settings, kinds: Sequence[DocumentKind], *, most_behind: int
) -> list[Finding]:
    if isinstance(asked, Trouble):
        what, _, remedy = asked.lines[0].removeprefix("Kafka: ").partition(". ")
        return [error("Kafka", what, remedy)]
    found = [ok("Kafka", f"answers at {settings.kafka_bootstrap_servers}")]
    found += [_topic(wanted, asked.topics.get(wanted.name), settings) for wanted in pipeline_topics(settings, kinds)]
    for group, behind in asked.lag.items():
        about = f"Kafka group {group}"
        if behind > most_behind:
            remedy = (
                "See whether a worker runs (`status`, /readyz), and what it waits for; more workers if it is the load."
            )
            found.append(warning(about, f"is {behind} events behind", remedy))
        else:
            found.append(ok(about, f"is {behind} events behind"))
    if asked.dead_letters:
        what = f"{asked.dead_letters} messages could not be read and lie there"
        remedy = (
            f"`{_REPLAY}` shows why; mend the cause, then `{_REPLAY} --yes`. Their sales are found by the scheduler."
        )
        found.append(warning(f"Kafka {DEAD_LETTERS}", what, remedy))
    else:
        found.append(ok(f"Kafka {DEAD_LETTERS}", "nothing waits there"))
    return found


def _topic(wanted: Wanted, found: Found | None, settings: Settings) -> Finding:
    about = f"Kafka topic {wanted.name}"
    if found is None:
        return error(about, "is missing", "Make it: `faust -A streams.app connectors deploy`.")
    for text in differences(wanted, found, settings):
        what, _, remedy = text.partition(": ")[2].partition(". ")
        return warning(about, what, remedy or what)
    return ok(about, f"partitions {found.partitions}, copies {found.replication}")
