"""One Kafka Connect worker, distributed mode, with both Debezium plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from streams.local.real.java import Jars
from streams.local.servers import PortGiven

_HEAP_MB = 512
_LOG4J = Path(__file__).with_name("log4j2.properties")


class Connect(PortGiven):
    name = "connect"
    patience = 90

    def __init__(
        self, folder: Path, jars: Jars, bootstrap: str, secrets: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """`secrets`: a folder whose files are what ``${directory:...}`` refers to; ``${env:...}``: `environment`."""
        super().__init__(folder)
        self.environment = dict(environment or {})
        self._jars = jars
        self._bootstrap = bootstrap
        self._secrets = secrets

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def prepare(self) -> None:
        settings = {
            "bootstrap.servers": self._bootstrap,
            "group.id": "pharmacy-connect",
            "listeners": f"http://{self.address}",
            "plugin.path": str(self._jars.plugins),
            "plugin.discovery": "service_load",  # all plugins here announce themselves; a scan takes seconds
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "config.providers": "env,directory",
            "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            "config.providers.directory.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
            "config.providers.directory.param.allowed.paths": str(self._secrets),
            "offset.flush.interval.ms": "1000",
            "scheduled.rebalance.max.delay.ms": "0",
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "2000",
        }
        for what, partitions in (("config", None), ("offset", 4), ("status", 2)):
            settings[f"{what}.storage.topic"] = f"connect-{what}s"
            settings[f"{what}.storage.replication.factor"] = "1"
            if partitions:
                settings[f"{what}.storage.partitions"] = str(partitions)
        file = self.folder / "connect.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def command(self) -> Sequence[str | Path]:
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return self._jars.command(main, self.folder / "connect.properties", heap_mb=_HEAP_MB, log4j=_LOG4J)

    def answers(self) -> bool | None:
        try:
            # Lists connectors only once it has read all its topics.
            return httpx.get(f"{self.url}/connectors", timeout=5, trust_env=False).status_code == 200 or None
        except httpx.TransportError as error:
            raise OSError(str(error)) from None

    def forget(self, connector: str) -> None:
        """Stops it and drops how far it had come. Raises `NotReady`."""

        def stopped() -> bool | None:
            answer = httpx.get(f"{self.url}/connectors/{connector}/status", timeout=5, trust_env=False).json()
            return (answer["connector"]["state"] == "STOPPED" and not answer["tasks"]) or None

        def dropped() -> bool | None:
            answer = httpx.delete(f"{self.url}/connectors/{connector}/offsets", timeout=5, trust_env=False)
            return answer.status_code == 200 or None

        httpx.put(f"{self.url}/connectors/{connector}/stop", timeout=5, trust_env=False)
        self.process.ready(stopped, timeout=30)
        self.process.ready(dropped, timeout=30)
