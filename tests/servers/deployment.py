"""A connector of a test's own on a real Kafka Connect, and its results."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner

from streams.documents import DOCUMENT_TYPES
from streams.operators.commands.connectors import connectors
from streams.settings import Settings
from tests.support.right_settings import RIGHT

T = TypeVar("T")
FILE_SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"


@dataclass
class Ended:
    code: int
    out: str
    err: str


FAILS_AT_THE_FIRST_LINE = {
    "transforms": "r",
    "transforms__r__type": "org.apache.kafka.connect.transforms.ReplaceField$Value",  # wants more than a line of text
    "transforms__r__exclude": "x",
}


class Deployment:
    """A connector, a change topic and a history of its own, on servers that others use too."""

    def __init__(self, connect_url: str, bootstrap: str, folder: Path) -> None:
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.connect_url = connect_url
        self.bootstrap = bootstrap
        self.file = folder / f"{self.name}.json"
        self.change_topic = f"{self.name}.chain.dbo.SalesInvoices"
        self.history = f"{self.name}-history"
        self.lines = folder / "lines.txt"
        self.lines.write_text("one line\n")
        self.config = {
            "connector.class": FILE_SOURCE,
            "tasks.max": "1",
            "file": str(self.lines),
            "topic": self.change_topic,  # that nobody reads
            "schema.history.internal.kafka.topic": self.history,
        }

    def run(self, verb: str, *arguments: str, **changed: str) -> Ended:
        named = () if verb == "deploy" else ("--name", self.name)
        arguments = ("--file", str(self.file), *arguments) if verb == "deploy" else (*named, *arguments)
        settings = Settings.model_validate({name.lower(): value for name, value in self.settings(**changed).items()})
        result = CliRunner().invoke(connectors(settings, DOCUMENT_TYPES), [verb, *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def settings(self, **changed: str) -> dict[str, str]:
        own = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "CONNECT_URL": self.connect_url,
            "SALES_CHANGE_TOPIC": self.change_topic,
        }
        return RIGHT | own | changed

    def deploy(self, **changed: str) -> Ended:
        """Deploy the configuration with these changes; `__` stands for the dots of a field."""
        self.config |= {field.replace("__", "."): value for field, value in changed.items()}
        self.file.write_text(json.dumps(self.config))
        return self.run("deploy")

    def get(self, path: str = "") -> httpx.Response:
        return httpx.get(f"{self.connect_url}/connectors/{self.name}{path}", timeout=30, trust_env=False)

    def delete(self) -> None:
        httpx.delete(f"{self.connect_url}/connectors/{self.name}", timeout=30, trust_env=False)

    def kafka(self, work: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        async def connected() -> T:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                return await work(admin)
            finally:
                await admin.close()

        return asyncio.run(connected())

    def make_topic(self, name: str, partitions: int, **config: str) -> None:
        dotted = {key.replace("_", "."): value for key, value in config.items()}
        topic = NewTopic(name, partitions, 1, topic_configs=dotted)
        answer: Any = self.kafka(lambda admin: admin.create_topics([topic]))
        assert answer.topic_errors[0][1] == 0
        deadline = time.monotonic() + 10
        while name not in self.topics():  # a broker lists a topic a moment after it has created it
            assert time.monotonic() < deadline, f"{name} is not listed"

    def topic(self, name: str) -> dict[str, str]:
        """Return the topic's configuration, and `partitions`."""

        async def look(admin: AIOKafkaAdminClient) -> dict[str, str]:
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            entries = answer.to_object()["resources"][0]["config_entries"]
            [partitions] = [len(t["partitions"]) for t in await admin.describe_topics() if t["topic"] == name]
            return {entry["config_names"]: entry["config_value"] for entry in entries} | {"partitions": str(partitions)}

        return self.kafka(look)

    def topics(self) -> list[str]:
        return self.kafka(lambda admin: admin.list_topics())

    def end_of(self, topic: str) -> int:
        """Return the offset after the last record of a topic of one partition."""

        async def look() -> int:
            consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
            await consumer.start()
            try:
                partition = TopicPartition(topic, 0)
                return int((await consumer.end_offsets([partition]))[partition])
            finally:
                await consumer.stop()

        return asyncio.run(look())
