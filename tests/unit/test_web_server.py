"""H3, files: tests that clients of the worker's port use places of the web server and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeAlias

import pytest
from aiohttp import web

from streams.kafka.faust_overrides.app import PipelineApp
from streams.operators.checks import Level
from streams.operators.checks.configuration import judge_settings
from streams.runtime.open_files import max_open_files, open_files_needed, raise_limit
from streams.runtime.web_server import MAX_CONNECTIONS, BoundedRunner, BoundedWeb, Bounds
from tests.contract.stores.databases import settings_for

Wire: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n"
SOON = 10.0


@asynccontextmanager
async def serving(
    bounds: Bounds, handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
) -> AsyncIterator[Callable[[], Awaitable[Wire]]]:
    """Serve the handler, and give a function that connects to it."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    app.router.add_route("*", "/", handler or answer)
    runner = BoundedRunner(app, bounds)
    await runner.setup()
    async with AsyncExitStack() as opened:
        opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]

        async def connect() -> Wire:
            reader, writer = await asyncio.open_connection(host, port)
            opened.push_async_callback(close, writer)
            return reader, writer

        yield connect


async def close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def ends(wire: Wire) -> bool:
    """Say whether the connection is closed without an answer."""
    try:
        async with asyncio.timeout(SOON):
            return await wire[0].read() == b""
    except ConnectionError:
        return True


async def answers(wire: Wire) -> bool:
    wire[1].write(REQUEST)
    try:
        async with asyncio.timeout(SOON):
            head = await wire[0].readuntil(b"\r\n\r\n")
            await wire[0].readexactly(4)
    except (ConnectionError, asyncio.IncompleteReadError):
        return False
    return head.startswith(b"HTTP/1.1 200")


async def test_h3_silent_connections_leave_room_for_those_that_send_a_request() -> None:
    """Promise 5. Broken by: connections that say nothing take all the files that the sales need."""
    async with serving(Bounds(connections=20, head=60, grace=0)) as connect:
        silent = [await connect() for _ in range(230)]
        assert await answers(await connect())
        assert all(await asyncio.gather(*(ends(each) for each in silent[: 230 - 20]))), "the oldest gave way"
        assert not any(each[0].at_eof() for each in silent[-18:])


async def test_h3_a_connection_that_sent_a_request_outlives_silent_ones() -> None:
    async with serving(Bounds(connections=20, head=60, grace=0)) as connect:
        browser = await connect()
        assert await answers(browser)
        silent = [await connect() for _ in range(100)]
        assert await ends(silent[0])
        assert await answers(browser)


async def test_h3_each_accepted_connection_of_a_crowd_gets_the_time_to_send_a_request() -> None:
    """Promise 5. Broken by: a connection in a crowd is closed before it could send a request."""
    async with serving(Bounds(connections=20, head=60, grace=60)) as connect:
        first = [await connect() for _ in range(20)]
        assert all([await ends(await connect()) for _ in range(10)])
        assert all([await answers(each) for each in first])


async def test_h3_a_connection_beyond_the_limit_is_closed_and_no_request_is_cut() -> None:
    """Promise 5. Broken by: there is no end to the connections that are served at once."""
    began, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        began.release()
        await go_on.wait()
        return web.Response(text="here")

    async with serving(Bounds(connections=5, grace=0), slow) as connect:
        served = [asyncio.create_task(answers(await connect())) for _ in range(5)]
        for _ in served:
            await began.acquire()
        assert all([await ends(await connect()) for _ in range(10)])
        go_on.set()
        assert all(await asyncio.gather(*served))
        assert await answers(await connect()), "there is room again"


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_h3_a_connection_without_a_complete_head_is_closed(said: bytes) -> None:
    """Promise 5. Broken by: a head that never comes keeps its connection forever."""
    async with serving(Bounds(head=0.05)) as connect:
        wire = await connect()
        wire[1].write(said)
        assert await ends(wire)


async def test_h3_an_idle_connection_and_a_hanging_request_are_closed() -> None:
    """Promise 5. Broken by: a request that hangs keeps its connection forever."""

    async def never(_: web.Request) -> web.Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with serving(Bounds(idle=0.05)) as connect:
        wire = await connect()
        assert await answers(wire)
        assert await ends(wire)
    async with serving(Bounds(request=0.05), never) as connect:
        wire = await connect()
        wire[1].write(REQUEST)
        assert await ends(wire)


async def test_h3_a_response_that_nobody_reads_is_dropped() -> None:
    """Promise 5. Broken by: a response that nobody reads keeps its connection, and its memory, forever."""
    gone = asyncio.Event()

    async def large(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.task.add_done_callback(lambda _: gone.set())
        return web.Response(body=bytes(64 * 1024 * 1024))

    async with serving(Bounds(idle=0.2), large) as connect:
        _, writer = await connect()
        writer.write(REQUEST)
        async with asyncio.timeout(SOON):
            await gone.wait()


async def test_c2_a_compressed_request_body_is_not_unpacked() -> None:
    """Promise 5. Broken by: what a request has packed is unpacked, a thousand times as large."""
    bomb = gzip.compress(bytes(1_000_000))
    taken: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.read())
        return web.Response(text="here")

    async with serving(Bounds(), take) as connect:
        wire = await connect()
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        wire[1].write(head.encode() + bomb)
        assert (await wire[0].readline()).split()[1] == b"200"
        await wire[0].readuntil(b"here")
    assert taken == [bomb]


async def test_h3_a_hanging_request_does_not_delay_the_shutdown() -> None:
    """Promise 5. Broken by: a request that hangs holds up the end of its worker for a minute."""
    began = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        began.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with asyncio.timeout(SOON):
        async with serving(Bounds(shutdown=0.05), never) as connect:
            (await connect())[1].write(REQUEST)
            await began.wait()


async def test_l_fausts_own_pages_are_not_served() -> None:
    """Promise 7. Broken by: Faust's own pages show the world what nobody needs to see."""
    app = PipelineApp(settings_for(), broker="kafka://127.0.0.1:9")
    server = app.web
    assert isinstance(server, BoundedWeb)
    server.init_server()
    paths = {each.canonical for each in server.web_app.router.resources()}
    assert not [path for path in paths if path.startswith(("/router", "/table", "/graph", "/performance"))]


def test_h3_the_limit_of_open_files_is_raised_at_the_start() -> None:
    """Promise 5. Broken by: a worker has as many files as old programs can bear, and the page's visitors take those of
    the sales."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        assert max_open_files() == (None if hard == resource.RLIM_INFINITY else hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_h3_doctor_reports_too_low_a_limit_of_open_files() -> None:
    settings = settings_for(max_in_flight=1400)
    assert open_files_needed(settings) >= 1400 + MAX_CONNECTIONS
    [found] = [each for each in judge_settings(settings, files=lambda: 1024) if each.level is Level.WARNING]
    assert found.about == "settings MAX_IN_FLIGHT"
    assert "its limit is 1024" in found.what
    assert "LimitNOFILE" in found.action
    for enough in (None, open_files_needed(settings)):
        assert not [each for each in judge_settings(settings, files=lambda: enough) if each.level is Level.WARNING]  # noqa: B023
