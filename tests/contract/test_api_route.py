"""Tests, over real sockets, that `doctor` names where the way to the national API ends, and what to do about it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TypeAlias

import pytest

from streams.operators.checks import Finding, Level
from streams.operators.checks.api_route import Route, Step, judge_route, probe_route
from tests.certificates import Authority
from tests.contract.scripted_server import ScriptedServer, hang, respond, serving
from tests.unit.played_connect import settings

Speak: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PASSWORD = "hunter2"


@asynccontextmanager
async def listening(speak: Speak) -> AsyncIterator[str]:
    """Yield the address, ``host:port``, of a server that speaks with everybody who connects."""
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def says(data: bytes) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(data)
        writer.close()

    return speak


async def socks_that_refuses_the_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"\x05\x02")  # a user and a password are required
    await reader.read(4096)
    writer.write(b"\x01\x01")  # they are wrong
    writer.close()


async def socks_that_does_not_reach_the_api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"\x05\x02")
    await reader.read(4096)
    writer.write(b"\x01\x00")
    await reader.read(4096)
    writer.write(b"\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00")  # host unreachable
    writer.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other side hangs up
    writer.close()


async def examined(api: str, proxy: str | None = None, timeout_s: float = 5.0) -> list[Finding]:
    changed = {} if proxy is None else {"NATIONAL_API_PROXY": proxy}
    return judge_route(await probe_route(settings(NATIONAL_API_URL=api, **changed), "/x", timeout_s))


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


async def test_a_name_without_an_address_is_named() -> None:
    [found] = await examined("https://no-such-host.invalid")
    assert found.level is Level.ERROR
    assert found.what.startswith("the name no-such-host.invalid has no address: ")
    assert "Check the name in NATIONAL_API_URL, and the DNS servers" in found.action


async def test_a_proxys_name_without_an_address_is_named_as_the_proxys() -> None:
    [found] = await examined("https://127.0.0.1", "http://user:hunter2@no-such-proxy.invalid:3128")
    assert found.what.startswith("the name no-such-proxy.invalid has no address: ")
    assert "Check the name in NATIONAL_API_PROXY" in found.action


async def test_a_port_where_nobody_listens_is_named_with_its_address() -> None:
    [found] = await examined(f"https://localhost:{(port := free_port())}")
    assert found.what.startswith(f"no connection to localhost:{port} (")
    assert "127.0.0.1" in found.what
    assert "refused" in found.what
    assert "If this network has an HTTP or SOCKS proxy, set NATIONAL_API_PROXY." in found.action


BROKEN_PROXIES: list[tuple[str, str, Speak, str, str]] = [
    (
        "it wants a log-in",
        "http",
        says(b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"),
        "407 Proxy Authentication Required",
        "Correct the user and the password in NATIONAL_API_PROXY",
    ),
    (
        "its rules forbid it",
        "http",
        says(b"HTTP/1.1 403 Filtered\r\ncontent-length: 0\r\n\r\n"),
        "403 Filtered",
        "rules have to allow CONNECT to 127.0.0.1:",
    ),
    (
        "it cannot reach the API",
        "http",
        says(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"),
        "502 Bad Gateway",
        "See the proxy's log",
    ),
    (
        "SOCKS refuses the password",
        "socks5",
        socks_that_refuses_the_password,
        "Invalid username/password",
        "Correct the user and the password in NATIONAL_API_PROXY",
    ),
    (
        "SOCKS cannot reach the API",
        "socks5h",
        socks_that_does_not_reach_the_api,
        "unreachable",
        "See the proxy's log",
    ),
]


@pytest.mark.parametrize(
    ("scheme", "speak", "what", "action"),
    [broken[1:] for broken in BROKEN_PROXIES],
    ids=[broken[0] for broken in BROKEN_PROXIES],
)
async def test_a_proxy_that_lets_nothing_through_is_named_without_its_password(
    scheme: str, speak: Speak, what: str, action: str
) -> None:
    async with listening(speak) as proxy:
        [found] = await examined(f"https://127.0.0.1:{free_port()}", f"{scheme}://user:{PASSWORD}@{proxy}")
    assert found.level is Level.ERROR
    assert f"the proxy {scheme}://{proxy} does not let the worker through" in found.what
    assert what.lower() in found.what.lower()
    assert action in found.action
    assert PASSWORD not in found.what + found.action


async def test_a_proxy_where_nobody_listens_is_named() -> None:
    proxy = f"127.0.0.1:{free_port()}"
    [found] = await examined("https://127.0.0.1", f"http://user:{PASSWORD}@{proxy}")
    assert found.what.startswith(f"no connection to the proxy http://{proxy} (127.0.0.1): ")
    assert found.action.startswith("Check NATIONAL_API_PROXY, ")
    assert PASSWORD not in found.what + found.action


async def test_a_port_without_tls_is_named() -> None:
    async with listening(says(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")) as api:
        [found] = await examined(f"https://{api}")
    assert found.what.startswith(f"no encryption with {api}: ")
    assert "Check the host and the port in NATIONAL_API_URL" in found.action


async def test_a_server_that_never_answers_is_named() -> None:
    async with serving(ScriptedServer(other=hang)) as server:
        [found] = await examined(server.url, timeout_s=0.5)
    assert "is reached (127.0.0.1), but gives no answer: no answer in time" in found.what


# httpcore leaves a connection whose handshake is cancelled to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_never_greets_is_named() -> None:
    async with listening(silence) as api:
        [found] = await examined(f"https://{api}", timeout_s=0.5)
    assert found.level is Level.ERROR
    assert "no answer" in found.what


def date(offset: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + offset, usegmt=True)


@pytest.mark.parametrize(
    ("offset", "level", "what"),
    [
        (timedelta(minutes=10), Level.WARNING, "ahead of this machine's"),
        (timedelta(minutes=-10), Level.WARNING, "behind this machine's"),
        (timedelta(seconds=20), Level.OK, "differs from this machine's by less than a minute"),
    ],
)
async def test_a_clock_that_differs_is_named(offset: timedelta, level: Level, what: str) -> None:
    async with serving(ScriptedServer(other=respond(401, {"code": 401}, date=date(offset)))) as server:
        [_, clock] = await examined(server.url)
    assert (clock.level, clock.about) == (level, "national API: clock")
    assert what in clock.what


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days, minutes=1)).strftime("%Y%m%d%H%M%SZ")


@pytest.mark.parametrize(
    ("days", "level", "what"),
    [(5, Level.WARNING, "has only 5 days left"), (90, Level.OK, "has 90 days left")],
)
async def test_a_certificate_is_named_with_its_days(tmp_path: Path, days: int, level: Level, what: str) -> None:
    tls = Authority.root(tmp_path, "root").server("api.example", ends=in_days(days))
    async with serving(ScriptedServer(tls=True), tls) as server:
        [way, certificate] = await examined(server.url)
    assert way.level is Level.OK
    assert f"leads to {server.url.removeprefix('https://')} (127.0.0.1), TLSv1.3 TLS_" in way.what
    assert certificate.level is level
    assert certificate.what.startswith("of api.example, issued by root")
    assert what in certificate.what


async def test_an_intermediate_certificate_that_ends_sooner_is_named(tmp_path: Path) -> None:
    middle = Authority.root(tmp_path, "root").intermediate("middle", ends=in_days(3))
    async with serving(ScriptedServer(tls=True), middle.server("server", middle)) as server:
        [_, certificate] = await examined(server.url)
    assert "that of middle has only 3 days left" in certificate.what


async def test_tls_with_an_old_key_exchange_is_shown_as_it_is(tmp_path: Path) -> None:
    tls = Authority.root(tmp_path, "root").server("server")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-SHA:@SECLEVEL=0")  # RSA key exchange
    async with serving(ScriptedServer(tls=True), tls) as server:
        [way, _] = await examined(server.url)
    assert way.what.endswith("TLSv1.2 AES128-SHA")


def test_every_step_has_an_action_of_its_own() -> None:
    route = Route(host="api:443", proxy=None, first_host="api", cause="x")
    actions = {judge_route(replace(route, failed_at=step))[0].action for step in Step}
    assert len(actions) == len(Step)
