"""Tests what the proxy does to a connection, with an echo at its other end."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from streams.local.real.toxiproxy import Proxy, Toxiproxy, proxy_binary


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while said := self.request.recv(1024):
            self.request.sendall(said)


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "{}:{}".format(*server.server_address)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    with Toxiproxy(tmp_path_factory.mktemp("toxiproxy"), proxy_binary()) as server:
        yield server


@pytest.fixture
def proxy(toxiproxy: Toxiproxy, echo: str, request: pytest.FixtureRequest) -> Proxy:
    return toxiproxy.proxy(request.node.name, echo)


def call(proxy: Proxy, timeout: float = 5) -> socket.socket:
    host, _, port = proxy.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


def echoed(line: socket.socket, words: bytes = b"xin chao") -> bytes:
    line.sendall(words)
    return line.recv(1024)


def test_the_proxy_passes_bytes_on_and_delays_them_while_configured(proxy: Proxy) -> None:
    with call(proxy) as line:
        assert echoed(line) == b"xin chao"
        name = proxy.add("latency", "downstream", latency=300)
        began = time.monotonic()
        assert echoed(line) == b"xin chao"
        assert time.monotonic() - began >= 0.3
        proxy.remove(name)
        assert echoed(line) == b"xin chao"


def test_a_closed_proxy_refuses_connections_and_reopens_at_its_address(proxy: Proxy) -> None:
    with call(proxy) as line:
        assert echoed(line) == b"xin chao"
        proxy.close()
        assert line.recv(1024) == b""
    with pytest.raises(ConnectionRefusedError):
        call(proxy)
    proxy.open()
    with call(proxy) as line:
        assert echoed(line) == b"xin chao"


def test_a_half_open_proxy_swallows_bytes_for_good(proxy: Proxy) -> None:
    with call(proxy, timeout=0.3) as line:
        assert echoed(line) == b"xin chao"
        name = proxy.add("timeout", "upstream", timeout=0)
        with pytest.raises(TimeoutError):
            echoed(line, b"lost")
        proxy.remove(name)
        assert line.recv(1024) == b"", "a line that has lost something is no line any more"


def test_the_proxy_resets_a_connection_in_use(proxy: Proxy) -> None:
    with call(proxy) as line:
        proxy.add("reset_peer", "upstream", timeout=0)
        with suppress(ConnectionResetError):
            assert echoed(line) == b""
