"""A server that plays any bytes, and any connection problem, over a real socket."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.support.answer_tables import Line

LOG_IN = "/api/tai_khoan/dang_nhap"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization")


Play: TypeAlias = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def respond(status: int, body: Any = b"", **headers: str) -> Play:
    """Play a complete answer; header names have `_` for `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if status != 204:
        named["content-length"] = str(len(content))
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return raw(f"HTTP/1.1 {status} x\r\n{head}\r\n".encode() + content)


def play_of(line: Line) -> Play:
    """Play the answer that a line of a table describes."""
    named = {name.replace("-", "_"): value for name, value in line.headers.items()}
    return respond(line.status, line.content, **named)


def raw(data: bytes) -> Play:
    async def play(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return play


def then_cut(play: Play) -> Play:
    async def cutting(request: Request, writer: asyncio.StreamWriter) -> None:
        await play(request, writer)
        writer.close()

    return cutting


async def cut(_: Request, writer: asyncio.StreamWriter) -> None:
    """Read the request, then close the connection."""
    writer.close()


async def reset(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(_: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def half_close(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    await asyncio.sleep(3600)


def drip(data: bytes, every: float) -> Play:
    async def play(_: Request, writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(every)

    return play


def one_after_another(*plays: Play) -> Play:
    """Play each answer once, the last one forever."""
    left = list(plays)

    async def play(request: Request, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, writer)

    return play


def together(count: int, play: Play) -> Play:
    """Answer nothing before so many requests have come."""
    everybody, arrived = asyncio.Event(), 0

    async def playing(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == count:
            everybody.set()
        await everybody.wait()
        await play(request, writer)

    return playing


@dataclass
class ScriptedServer:
    port: int = 0
    tls: bool = False
    log_in: Play = field(default_factory=lambda: respond(200, {"token": "token-1", "token_type": "bearer"}))
    other: Play = field(default_factory=lambda: respond(200, {"ma_hoa_don": "HD_QG_1", "code": 200}))
    reads: bool = True
    """False: connections are accepted and closed at once."""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    log_in_requested: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def log_ins(self) -> int:
        return sum(request.target == LOG_IN for request in self.requests)

    @property
    def calls(self) -> list[Request]:
        return [request for request in self.requests if request.target != LOG_IN]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.reads and not writer.is_closing():
                request = await _read(reader)
                self.requests.append(request)
                if request.target == LOG_IN:
                    self.log_in_requested.set()
                    await self.log_in(request, writer)
                else:
                    await self.other(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


@asynccontextmanager
async def serving(server: ScriptedServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()

    listening = await asyncio.start_server(connected, "127.0.0.1", server.port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
