"""Attacks on the worker's own port: others are answered meanwhile, and nothing is done by them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from streams.operators.page.access import FORM
from streams.runtime.web_server import Bounds
from tests.harness.attack.arena import Arena, Suite, listening
from tests.harness.attack.site import House, is_answered, served, visited
from tests.page.visitor import Visitor

_BOUNDS = Bounds(connections=40, head=1.0, grace=0.05, idle=60, request=5, linger=0.2, shutdown=0.1)
_ENDS = 20.0
_TYPE = "Content-Type: application/x-www-form-urlencoded"
_SEND = f"POST /page/send HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\n{_TYPE}\r\nContent-Length: 6\r\n\r\nform=x"


def _get(*lines: str, first: str = "GET /page/ HTTP/1.1") -> bytes:
    return "\r\n".join([first, "Host: HOST", *lines, "", ""]).encode("latin-1")


def _post(*lines: str, body: bytes = b"") -> bytes:
    cookie = f"Cookie: {FORM}={'a' * 43}"
    head = ["POST /page/sign-in HTTP/1.1", "Host: HOST", "Origin: http://HOST", _TYPE, cookie, *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


_CHUNKED = "Transfer-Encoding: chunked"
_SMUGGLED = _SEND.encode()
_TRICKS: Sequence[bytes] = (
    b"",
    b"\r\n" * 200,
    b"\x00" * 500,
    b"\xff" * 500,
    b"G",
    b"GET",
    b"GET /page/",
    b"GET /page/ HTTP/1.1\r\n",
    _get()[:-2],
    _get("X-Slow: "),
    b"GET /page/\r\n\r\n",
    _get(first="GET /page/ HTTP/0.9"),
    _get(first="GET /page/ HTTP/3.0"),
    _get(first="GET /page/ HTTP/1.1.1"),
    _get(first="GET  /page/  HTTP/1.1"),
    _get(first="GET\t/page/\tHTTP/1.1"),
    _get(first="get /page/ HTTP/1.1"),
    _get(first="TRACE / HTTP/1.1"),
    _get(first="CONNECT 127.0.0.1:22 HTTP/1.1"),
    _get(first="OPTIONS * HTTP/1.1"),
    _get(first="GET http://evil.example/ HTTP/1.1"),
    _get(first="GET /" + "a" * 100_000 + " HTTP/1.1"),
    _get(first="A" * 100_000 + " / HTTP/1.1"),
    _get(first="GET /page/\x00 HTTP/1.1"),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    _get("X: " + "a" * 1_000_000),
    _get(*["X: y"] * 50_000),
    _get(*[f"X{n}: {n}" for n in range(20_000)]),
    _get("X: a\x00b"),
    _get("X : y"),
    _get(" folded"),
    _get("X: y\r\n folded"),
    _get("no colon"),
    _get("Host: other"),
    _get("Content-Length: -1"),
    _get("Content-Length: +5"),
    _get("Content-Length: 0x10"),
    _get("Content-Length: " + "9" * 40),
    _get("Content-Length: 5", "Content-Length: 6"),
    _get("Expect: 100-continue"),
    _get("Expect: x"),
    _get("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"),
    _get("Upgrade: websocket", "Connection: Upgrade"),
    _get("Connection: close, keep-alive, \x01"),
    _get("Cookie: " + "a=b; " * 10_000),
    _get("Range: bytes=0-,0-,0-"),
    _get("TE: trailers"),
    _post("Content-Length: 5000"),
    _post("Content-Length: 5000", body=b"form="),
    _post("Content-Length: 99999999", body=b"a" * 70_000),
    _post("Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + _SMUGGLED),
    _post(_CHUNKED, "Content-Length: 400", body=b"0\r\n\r\n" + _SMUGGLED),
    _post("Transfer-Encoding: xchunked", body=_SMUGGLED),
    _post("Transfer-Encoding : chunked", body=b"0\r\n\r\n" + _SMUGGLED),
    _post("Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + _SMUGGLED),
    _post("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + _SMUGGLED),
    _post(_CHUNKED, _CHUNKED, body=b"0\r\n\r\n" + _SMUGGLED),
    _post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    _post("Content-Length: 0", body=_SMUGGLED),
    _post(_CHUNKED, body=b"-5\r\n"),
    _post(_CHUNKED, body=b"f" * 20 + b"\r\n"),
    _post(_CHUNKED, body=b"zz\r\n"),
    _post(_CHUNKED, body=b"5\r\nform=\r\n"),
    _post(_CHUNKED, body=b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"),
    _post(_CHUNKED, body=b"5;" + b"x" * 100_000 + b"\r\nform=\r\n0\r\n\r\n"),
    _post(_CHUNKED, body=b"5\nform=\n0\n\n"),
    _post(_CHUNKED, body=b"0\r\nContent-Length: 5\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    _post("Content-Encoding: gzip", "Content-Length: 4", body=b"\x1f\x8b\x08\x00"),
    _get() * 300,
    _get("Connection: keep-alive") * 50 + b"\x00",
    _get() + _SMUGGLED,
    (_get()[:-2] + b"X: y\r\n") * 20,
    _get().replace(b"\r\n", b"\n"),
    _get().replace(b"\r\n", b"\r"),
    b"\r\n\r\n" + _get(),
)
_WAYS = ("whole", "in drops", "half closed", "reset", "held open", "held open", "never read")


async def run(arena: Arena) -> None:
    with listening(arena.seen) as lines:
        async with served(arena.folder, arena.seen, bounds=_BOUNDS) as house, visited(house) as visitor:
            await house.point_of_sale.sell(1, status="SYNC_FAILED")
            before = house.contents()
            for start in range(0, arena.count, 12):
                await _some(arena, house, visitor, arena.numbers[start : start + 12], before)
                for line in lines.take():
                    if '"level":"error"' in line:
                        arena.problems.append(
                            f"{arena.suite} (seed {arena.seed}), within #{start} to #{start + 12}: {line}"
                        )


async def _some(arena: Arena, house: House, visitor: Visitor, numbers: range, before: str) -> None:
    """Run several at once, while a signed-in visitor opens the page."""
    problems: dict[int, str | None] = {}

    async def one(number: int) -> None:
        rng = arena.random(number)
        try:
            async with asyncio.timeout(_ENDS):
                problems[number] = await _attempt(rng, house, arena.choose(number, _TRICKS))
        except TimeoutError:
            problems[number] = "its connection is never ended"

    playing = asyncio.gather(*(one(number) for number in numbers))
    answered = 0
    while not playing.done() or not answered:
        problem = await is_answered(visitor, "failures")
        answered += 1
        if problem:
            problems[numbers[0]] = problem
            break
        await asyncio.wait([playing], timeout=0.1)
    await playing
    if house.contents() != before:
        problems[numbers[-1]] = "the database is changed"
    for number in numbers:
        arena.judge(number, problems[number], arena.choose(number, _TRICKS))


async def _attempt(rng: Random, house: House, trick: bytes) -> str | None:
    sent = trick.replace(b"HOST", house.host.encode())
    way = rng.choice(_WAYS)
    reader, writer = await asyncio.open_connection(*house.host.split(":"), limit=1 << 22)
    answer = b""
    try:
        with suppress(ConnectionError):
            if way == "in drops":
                for at in range(min(len(sent), 60)):
                    writer.write(sent[at : at + 1])
                    await writer.drain()
                sent = sent[60:]
            writer.write(sent)
            if way == "reset":
                writer.transport.abort()
                return None
            if way == "half closed":
                writer.write_eof()
            if way == "never read":
                await writer.drain()
                return None
            answer = await reader.read(1 << 20)
            if answer and way != "half closed" and not writer.transport.is_closing():
                writer.write_eof()  # who was answered may stay for longer than anybody waits here
            while more := await reader.read(1 << 20):
                answer += more
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    house.seen.look("page", answer.decode("latin-1"))
    return _of_an_answer(answer, trick)


def _of_an_answer(answer: bytes, trick: bytes) -> str | None:
    if (
        b"HTTP/1.1 5" in answer
        and b"HTTP/1.1 503" not in answer
        and b"HTTP/1.1 501" not in answer
        and b"HTTP/1.1 505" not in answer
    ):
        return f"it is answered {answer[:60]!r}"
    if b"HTTP/1.1 200" in answer and b"static" not in trick:
        return "a page is shown to nobody"
    return "a sale is shown to nobody" if b"HD-1" in answer else None


SUITE = Suite(
    "worker's sockets", "the worker's port, by slow, half closed, smuggled, huge and cut requests", 160, run, 0.15
)
