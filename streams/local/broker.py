"""A Kafka broker: librdkafka's mock cluster, as a process of its own (`python -m streams.local.broker`).

It speaks the real protocol, consumer groups and idempotent producers included, keeps everything in memory, makes
a topic (4 partitions) when it is first used, and chooses its port. Prints one line, ``{"address": "host:port"}``.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable

from confluent_kafka import Producer


def main() -> None:
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # before librdkafka starts its threads, which inherit it
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 3})
    broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
    print(json.dumps({"address": f"{broker.host}:{broker.port}"}), flush=True)
    signal.sigwait(stop)  # the cluster lives as long as `cluster` does


def make_topics(producer: Producer, names: Iterable[str]) -> None:
    """Make the topics, which appear when they are asked for. Raises `KafkaException` when the broker does not answer
    within 4 seconds.
    """
    for name in names:
        producer.list_topics(name, timeout=4)


if __name__ == "__main__":
    main()
