"""How far groups are behind what the broker holds, asked of the broker itself, without joining a group."""

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

WITHIN = 10.0
"""Seconds for one measurement; a broker that does not answer within them is away."""


class BrokerAway(Exception):
    """The text is the kind of error."""


@dataclass(frozen=True, slots=True)
class Offsets:
    committed: int
    """The next to read, as the group has committed it."""
    end: int


Measured = Mapping[str, Mapping[TopicPartition, Offsets]]
"""By group."""


class LagMeter:
    def __init__(self, settings: Settings, groups: Mapping[str, Sequence[str]]) -> None:
        """`groups`: the topics of each."""
        self._options = aiokafka_options(settings)
        self.groups = groups
        self._clients: tuple[AIOKafkaConsumer, AIOKafkaAdminClient] | None = None

    async def measure(self) -> Measured:
        """Raises `BrokerAway`."""
        try:
            async with asyncio.timeout(WITHIN):
                return await self._ask()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise BrokerAway(type(error).__name__) from None
        except Exception:
            await self.close()  # whatever it was: the next measurement has clients of its own
            raise

    async def close(self) -> None:
        clients, self._clients = self._clients, None
        if clients is None:
            return
        consumer, admin = clients
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(WITHIN):
                await stop_consumer(consumer)
                await admin.close()

    async def _ask(self) -> Measured:
        consumer, admin = await self._started()
        partitions = await partitions_of(consumer, chain.from_iterable(self.groups.values()))
        ends = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        measured = {}
        for group, topics in self.groups.items():
            wanted = [partition for partition in partitions if partition.topic in topics]
            kept = await admin.list_consumer_group_offsets(group, partitions=wanted) if wanted else {}
            measured[group] = {
                # Records that have left the topic are behind nobody.
                partition: Offsets(max(kept[partition].offset, beginnings[partition]), ends[partition])
                for partition in wanted
            }
        return measured

    async def _started(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._clients is None:
            consumer = AIOKafkaConsumer(enable_auto_commit=False, **self._options)
            admin = AIOKafkaAdminClient(**self._options)
            self._clients = consumer, admin
            await consumer.start()
            await admin.start()
        return self._clients
