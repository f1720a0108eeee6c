"""What is done to a line, with an echo at its other end."""

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


def test_it_passes_on_and_is_slow_for_as_long_as_it_is_told(proxy: Proxy) -> None:
    with call(proxy) as line:
        assert echoed(line) == b"xin chao"
        name = proxy.add("latency", "downstream", latency=300)
        began = time.monotonic()
        assert echoed(line) == b"xin chao"
        assert time.monotonic() - began >= 0.3
        proxy.remove(name)
        assert echoed(line) == b"xin chao"


def test_closed_it_cuts_and_refuses_and_opened_it_is_where_it_was(proxy: Proxy) -> None:
    with call(proxy) as line:
        assert echoed(line) == b"xin chao"
        proxy.close()
        assert line.recv(1024) == b""
    with pytest.raises(ConnectionRefusedError):
        call(proxy)
    proxy.open()
    with call(proxy) as line:
        assert echoed(line) == b"xin chao"


def test_half_open_it_swallows_and_does_not_give_it_back(proxy: Proxy) -> None:
    with call(proxy, timeout=0.3) as line:
        assert echoed(line) == b"xin chao"
        name = proxy.add("timeout", "upstream", timeout=0)
        with pytest.raises(TimeoutError):
            echoed(line, b"lost")
        proxy.remove(name)
        assert line.recv(1024) == b"", "a line that has lost something is no line any more"


def test_it_breaks_a_line_on_which_something_is_said(proxy: Proxy) -> None:
    with call(proxy) as line:
        proxy.add("reset_peer", "upstream", timeout=0)
        with suppress(ConnectionResetError):
            assert echoed(line) == b""
