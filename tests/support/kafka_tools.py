"""Runs commands of the documentation with Kafka's own tools, on a broker at another address than the page names."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from streams.local.real.java import Jars

_TOOLS = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}
_SCRIPT = """#!/bin/bash
arguments=("$@")
exec {java} "${{arguments[@]/{documented}/{address}}}"
"""


class KafkaTools:
    """A folder with the tools, each a script that starts Java as Kafka's own scripts do."""

    def __init__(self, folder: Path, fetched: Jars, address: str, documented: str = "127.0.0.1:9092") -> None:
        self._folder = folder
        for name, main in _TOOLS.items():
            java = shlex.join(map(str, fetched.command(main, heap_mb=64)))
            script = folder / name
            script.write_text(_SCRIPT.format(java=java, documented=documented, address=address))
            script.chmod(0o700)

    def run(self, commands: str) -> str:
        """Run lines of a page, where Kafka is in /opt/kafka; return what they print. An error fails the test."""
        done = subprocess.run(
            ["bash", "-euc", commands.replace("/opt/kafka/bin", str(self._folder))],
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout
