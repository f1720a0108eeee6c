"""Real proxies that require a log-in: tinyproxy speaks HTTP, microsocks SOCKS 5."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from streams.local.processes import Process, connect, free_port
from tests.debian_binary import debian_binary

USER, PASSWORD = "proxyuser", "proxy-secret"


@contextmanager
def http_proxy(folder: Path) -> Iterator[str]:
    """Where it listens, host:port. Raises `PackagesMissing`, `NotReady`."""
    binary, port = debian_binary("tinyproxy-bin", "usr/bin/tinyproxy"), free_port()
    settings = folder / "tinyproxy.conf"
    settings.write_text(f"Listen 127.0.0.1\nPort {port}\nBasicAuth {USER} {PASSWORD}\nTimeout 60\nMaxClients 200\n")
    with _running("tinyproxy", [binary, "-d", "-c", settings], folder, port) as address:
        yield address


@contextmanager
def socks_proxy(folder: Path) -> Iterator[str]:
    """Where it listens, host:port. Raises `PackagesMissing`, `NotReady`."""
    binary, port = debian_binary("microsocks", "usr/bin/microsocks"), free_port()
    listen = ["-i", "127.0.0.1", "-p", str(port), "-u", USER, "-P", PASSWORD]
    with _running("microsocks", [binary, *listen], folder, port) as address:
        yield address


@contextmanager
def _running(name: str, arguments: list[str | Path], folder: Path, port: int) -> Iterator[str]:
    address = f"127.0.0.1:{port}"
    process = Process(name, arguments, log=folder / f"{name}.log")
    try:
        process.ready(partial(_connected, address))
        yield address
    finally:
        process.kill()


def _connected(address: str) -> str:
    connect(address)
    return address
