"""One Apache Kafka broker, KRaft: what it is told stays on disk, over a kill and a new start."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streams.local.processes import Process, connect, free_port
from streams.local.real.java import Jars
from streams.local.servers import PortGiven

_HEAP_MB = 512
_LOG4J = Path(__file__).with_name("log4j2.properties")


@dataclass(frozen=True, slots=True)
class Security:
    """SASL over TLS: one user, who may log in with PLAIN and with SCRAM-SHA-512; others with PLAIN alone."""

    user: str
    password: str
    keystore: Path
    """PEM: the private key (PKCS 8) and the certificate of ``localhost``."""
    others: Mapping[str, str] = field(default_factory=dict)
    """User -> password."""

    def settings(self) -> Mapping[str, str]:
        module = "org.apache.kafka.common.security"
        prefix = "listener.name.secured"
        passwords = {self.user: self.password, **self.others}
        users = " ".join(f'user_{user}="{password}"' for user, password in passwords.items())
        return {
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"{prefix}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {users};",
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": str(self.keystore),
        }

    @property
    def format_options(self) -> list[str]:
        return ["--add-scram", f"SCRAM-SHA-512=[name={self.user},password={self.password}]"]


@dataclass(frozen=True, slots=True)
class Way:
    """A listener more, whose clients are told to come to another address: that of a proxy in front of it."""

    name: str
    """Letters alone."""
    listens: str
    advertised: str


class Kafka(PortGiven):
    name = "kafka"
    patience = 60

    def __init__(
        self,
        folder: Path,
        jars: Jars,
        security: Security | None = None,
        settings: Mapping[str, str] | None = None,
        ways: Sequence[Way] = (),
    ) -> None:
        """`security`: of a second listener, at `secured_address`. `settings`: the broker's own, before ours."""
        super().__init__(folder)
        self._jars = jars
        self._security = security
        self._settings = dict(settings or {})
        self._ways = ways
        self.secured_address = ""
        self._home = folder / "kafka"

    def prepare(self) -> None:
        if self._security:
            self.secured_address = self.secured_address or f"localhost:{free_port()}"
        if not self._home.exists():
            self._format()

    def command(self) -> Sequence[str | Path]:
        return self._jars.command("kafka.Kafka", self._home / "server.properties", heap_mb=_HEAP_MB, log4j=_LOG4J)

    def answers(self) -> bool | None:
        connect(self.address)
        return "Kafka Server started" in self.process.output() or None

    def _format(self) -> None:
        self._home.mkdir(parents=True)
        controller = f"127.0.0.1:{free_port()}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": controller,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAIN://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAIN://{self.address}",
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAIN",
            "log.dirs": str(self._home / "data"),
            # One broker keeps the one copy of everything.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # Topics are made by the deploy command, as in production.
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # As long as the tests' shortest.
            "group.min.session.timeout.ms": "1000",
        }
        if self._security:
            settings["listeners"] += f",SECURED://{self.secured_address}"
            settings["advertised.listeners"] += f",SECURED://{self.secured_address}"
            settings["listener.security.protocol.map"] += ",SECURED:SASL_SSL"
            settings |= self._security.settings()
        for way in self._ways:
            settings["listeners"] += f",{way.name}://{way.listens}"
            settings["advertised.listeners"] += f",{way.name}://{way.advertised}"
            settings["listener.security.protocol.map"] += f",{way.name}:PLAINTEXT"
        settings |= self._settings
        file = self._home / "server.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # With "=": one id in sixty-four begins with "-", and would be read as an option.
        options: list[str | Path] = ["--standalone", f"--cluster-id={cluster}", "-c", file]
        if self._security:
            options += self._security.format_options
        tool = self._jars.command("kafka.tools.StorageTool", "format", *options, heap_mb=64, log4j=_LOG4J)
        Process("formatting Kafka's folder", tool, log=self._home / "format.log").succeed(30)
