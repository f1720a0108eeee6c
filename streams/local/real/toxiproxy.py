"""Toxiproxy: connections that go through it can be made slow, thin, deaf, or cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx

from streams.local.go_build import GoProgram
from streams.local.servers import PortGiven

SOURCES = Path(__file__).with_name("toxiproxy")
Direction: TypeAlias = Literal["upstream", "downstream"]
"""What a toxic is for: what goes to the server, or what comes from it."""


def proxy_binary(tell: Callable[[str], None] = print, cache: Path | None = None) -> Path:
    """Built when the cache has none. Raises `NotReady`."""
    package = "github.com/Shopify/toxiproxy/v2/cmd/server"
    return GoProgram("toxiproxy", "Toxiproxy", 30, SOURCES, package).binary(tell, cache)


class Toxiproxy(PortGiven):
    """Its proxies are forgotten when it dies."""

    name = "toxiproxy"
    keeps = False

    def __init__(self, folder: Path, binary: Path) -> None:
        super().__init__(folder)
        self.environment = {"LOG_LEVEL": "warn"}  # else it logs each connection
        self._binary = binary

    def command(self) -> Sequence[str | Path]:
        host, _, port = self.address.rpartition(":")
        return [self._binary, "-host", host, "-port", port]

    def proxy(self, name: str, upstream: str, listen: str = "127.0.0.1:0") -> Proxy:
        """A new one, on its way to `upstream`. Raises `httpx.HTTPError`."""
        made = self._ask("POST", "proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})
        return Proxy(self._ask, name, str(made["listen"]))

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        # Names that begin with Mozilla are turned away by its API, so that no web page can steer it.
        answer = httpx.request(method, f"http://{self.address}/{path}", json=body, timeout=10, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None


class Proxy:
    """One way to one server. Every method raises `httpx.HTTPError` where Toxiproxy does not do it."""

    def __init__(self, ask: Callable[..., Any], name: str, address: str) -> None:
        self._ask = ask
        self._path = f"proxies/{name}"
        self.address = address
        """``host:port`` for whoever is to go this way."""

    def close(self) -> None:
        """Cuts every connection, and refuses new ones."""
        self._ask("PATCH", self._path, {"enabled": False})

    def open(self) -> None:
        self._ask("PATCH", self._path, {"enabled": True})

    def add(self, toxic: str, direction: Direction, **attributes: int) -> str:
        """Of every connection, those that are open too; gives its name. Times are milliseconds, rates KB/s."""
        name = f"{toxic}_{direction}"
        described = {"name": name, "type": toxic, "stream": direction, "toxicity": 1.0, "attributes": attributes}
        self._ask("POST", f"{self._path}/toxics", described)
        return name

    def remove(self, name: str) -> None:
        self._ask("DELETE", f"{self._path}/toxics/{name}")
