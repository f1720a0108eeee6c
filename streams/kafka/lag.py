"""The lag of consumer groups, measured at the broker without joining a group."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.kafka.connection import aiokafka_options
from streams.kafka.stop_consumer import stop_consumer
from streams.kafka.topics import partitions_of
from streams.settings import Settings

MEASUREMENT_TIMEOUT = 10.0
"""Seconds for one measurement. A broker that does not answer within them counts as unavailable."""


class BrokerAway(Exception):
    """The broker is unavailable. The text of the exception is the class of the original error."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """The offsets of a group in one partition."""

    committed: int
    """The next offset to read, as committed by the group, but not before the first record that still exists. That one,
    if the group committed an offset beyond the end: it did so for an earlier topic of this name.
    """
    end: int
    """The offset that the next record of the partition will get."""


Measured = Mapping[str, Mapping[TopicPartition, Offsets]]
"""The offsets of each group, by partition."""


class LagMeter:
    """Measures the lag of several groups with clients that it keeps open between measurements."""

    def __init__(self, settings: Settings, groups: Mapping[str, Sequence[str]]) -> None:
        """`groups`: the topics that each group reads."""
        self._options = aiokafka_options(settings)
        self.groups = groups
        self._clients: tuple[AIOKafkaConsumer, AIOKafkaAdminClient] | None = None

    async def measure(self) -> Measured:
        """Return the offsets of each group. Raises `BrokerAway` when the broker does not answer in time."""
        try:
            async with asyncio.timeout(MEASUREMENT_TIMEOUT):
                return await self._measure()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise BrokerAway(type(error).__name__) from None
        except Exception:
            await self.close()  # whatever it was: the next measurement starts with new clients
            raise

    async def close(self) -> None:
        """Close the clients. The next measurement opens new ones."""
        clients, self._clients = self._clients, None
        if clients is None:
            return
        consumer, admin = clients
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(MEASUREMENT_TIMEOUT):
                await stop_consumer(consumer)
                await admin.close()

    async def _measure(self) -> Measured:
        consumer, admin = await self._started_clients()
        partitions = await partitions_of(consumer, chain.from_iterable(self.groups.values()))
        ends = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        measured = {}
        for group, topics in self.groups.items():
            wanted = [partition for partition in partitions if partition.topic in topics]
            stored = await admin.list_consumer_group_offsets(group, partitions=wanted) if wanted else {}
            if missing := set(wanted) - stored.keys():  # aiokafka does not raise the error of a whole group
                raise KafkaError(f"no offsets of {len(missing)} partitions of {group}")
            # Records that were deleted from the topic do not count as lag.
            committed = {partition: max(stored[partition].offset, beginnings[partition]) for partition in wanted}
            if beyond := [partition for partition in wanted if committed[partition] > ends[partition]]:
                latest = await consumer.end_offsets(beyond)  # records may have arrived in the meantime
                committed |= {p: beginnings[p] for p in beyond if committed[p] > latest[p]}
            measured[group] = {partition: Offsets(committed[partition], ends[partition]) for partition in wanted}
        return measured

    async def _started_clients(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._clients is None:
            consumer = AIOKafkaConsumer(enable_auto_commit=False, **self._options)
            admin = AIOKafkaAdminClient(**self._options)
            self._clients = consumer, admin  # before they start: `close` also closes clients that cannot start
            await consumer.start()
            await admin.start()
        return self._clients
