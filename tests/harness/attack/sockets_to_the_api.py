"""Attacks on the connections to the national API by something in its place: nothing is accepted by them.

Each is played to a client of its own, over a socket; after it the same client is served as always.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from random import Random

from pydantic import SecretStr

from streams.domain.account import Account
from streams.domain.outcome import Accepted, InDoubt, Outcome, TryLater
from streams.domain.reasons import Code
from streams.national_api.answers import Stored
from streams.national_api.client import NationalApi
from tests.contract.scripted_server import Play, Request, ScriptedServer, cut, half_close, hang, reset, respond, serving
from tests.contract.workers import BODY, SALES, workers
from tests.harness.attack.arena import MARK, Arena, Suite, listening
from tests.support.answer_tables import OWN, PLACE

_ACCOUNT = Account("SHOP-1", f"{MARK}-usr", SecretStr(f"{MARK}-pwd"))
_YES = b'{"ma_hoa_don": "HD_QG_FORGED", "code": 200}'
_TOKEN = respond(200, {"token": f"{MARK}-token", "token_type": "bearer"})
_LONG = len(_YES) + 50
_AT_ONCE = 8
_SOON = 20.0


def _head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "content-type: application/json", *lines, "", ""]).encode("latin-1")


_OK = _head(f"content-length: {len(_YES)}") + _YES
_CHUNKED = _head("transfer-encoding: chunked")
_TRICKS: Sequence[bytes] = (
    b"",
    b"\r\n",
    b"\x00" * 400,
    b"HTTP/1.1",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\n",
    _head()[:-2],
    b"\n\n" + _YES,
    _YES,
    b"HTTP/0.9 200 OK\r\n\r\n" + _YES,
    b"HTTP/2 200\r\n\r\n" + _YES,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n" + _YES,
    b"HTTP/1.1 099 OK\r\n\r\n" + _YES,
    b"HTTP/1.1 1000 OK\r\n\r\n" + _YES,
    b"ICY 200 OK\r\n\r\n" + _YES,
    b"SSH-2.0-x\r\n" + _YES,
    b"\x15\x03\x03\x00\x02\x02\x28",
    _head(f"content-length: {_LONG}") + _YES,
    _head("content-length: 5") + _YES,
    _head("content-length: -1") + _YES,
    _head("content-length: 0x2b") + _YES,
    _head("content-length: " + "9" * 30) + _YES,
    _head(f"content-length: {_LONG}", "content-length: 3") + _YES,
    _head("content-length: 3, 43") + _YES,
    _head("content-length: ") + _YES,
    _head("content-length: 0") + _YES,
    _CHUNKED + b"2b\r\n" + _YES,
    _CHUNKED + b"2b\r\n" + _YES + b"\r\n",
    _CHUNKED + b"zz\r\n" + _YES,
    _CHUNKED + b"-1\r\n" + _YES,
    _CHUNKED + b"f" * 20 + b"\r\n" + _YES,
    _CHUNKED + b"2b" + _YES,
    _CHUNKED + b"0\r\n\r\n" + _YES,
    _CHUNKED + b"0\r\nx: " + _YES + b"\r\n\r\n",
    _CHUNKED + b"2b;" + b"x" * 100_000 + b"\r\n" + _YES,
    _CHUNKED + b"1\r\n{\r\n" * 2000,
    _head("transfer-encoding: chunked", "content-length: 43") + _YES,
    _head("transfer-encoding: gzip, chunked") + _YES,
    _head("transfer-encoding: identity") + _YES[:20],
    _head("content-encoding: gzip", "content-length: 43") + _YES,
    _head("content-encoding: br", "content-length: 43") + _YES,
    _head("x: " + "a" * 2_000_000),
    _head(*["x: y"] * 20_000),
    _head(*[f"x{n}: {'y' * 500}" for n in range(2000)]),
    _head("x: a\x00b", "content-length: 9") + _YES[:9],
    _head("no colon here", "content-length: 43") + _YES[:40],
    _head(" folded: x", "content-length: 43") + _YES[:40],
    _head("x: y\r\n folded", "content-length: 43") + _YES[:40],
    _head("content-length: 43").replace(b"\r\n", b"\n") + _YES[:40],
    _head("content-length: 43").replace(b"\r\n", b"\r") + _YES,
    b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
    b"HTTP/1.1 103 Early\r\n\r\n" + _YES,
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n" + _OK,
    _head(status="204 No Content") + _YES,
    _head(status="304 Not Modified") + _YES,
    _head("location: /page", "content-length: 0", status="302 Found") + _OK,
    _head("location: //evil.example", "content-length: 43", status="307 Temporary") + _YES,
    _head("age: 7200", "content-length: 43") + _YES,
    _head("content-length: 43", status="500 Error") + _YES,
    _head("content-length: 43", status="404 Not Found") + _YES,
    _head("content-length: 43", status="401 No") + _YES,
    _head("content-length: 43", status="206 Partial") + _YES,
    _head("content-length: 43", status="226 IM") + _YES,
    _head("content-length: 43", status="299 x") + _YES,
    _head("content-length: 44") + b"\x00" + _YES,
    _head("content-length: 45") + b"\xff\xfe" + _YES,
    _head("content-length: 86") + _YES * 2,
    _head("content-length: 2000000") + b" " * 1_999_957 + _YES,
    _head() + b"[" * 500_000,
    _head("connection: close", "x: y\x0b") + _YES[:-1],
)
_ENDS: Sequence[Callable[[bytes], Play]] = (
    lambda data: _then(data, cut),
    lambda data: _then(data, reset),
    lambda data: _then(data, hang),
    lambda data: _then(data, half_close),
    lambda data: _dripped(data),
)


def _then(data: bytes, end: Play) -> Play:
    async def play(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await end(request, writer)

    return play


def _dripped(data: bytes) -> Play:
    """Send an answer so slowly that it is never complete in time."""

    async def play(request: Request, writer: asyncio.StreamWriter) -> None:
        for at in range(len(data)):
            writer.write(data[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.02)
        await hang(request, writer)

    return play


async def _pipelined(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send more answers than there were requests: none of them is the answer to the next request."""
    writer.write(_head("content-length: 1", status="500 Error") + b"x" + _OK * 3)
    await writer.drain()


def _play(rng: Random, trick: bytes) -> Play:
    return _pipelined if rng.random() < 0.08 else rng.choice(_ENDS)(trick)


async def run(arena: Arena) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            rng = arena.random(number)
            trick = arena.choose(number, _TRICKS)
            at_log_in = rng.random() < 0.2
            problem = await _attempt(_play(rng, trick), at_log_in=at_log_in, looks_up=rng.random() < 0.25)
            arena.judge(number, problem, (at_log_in, trick))

    with listening(arena.seen) as lines:
        async with asyncio.TaskGroup() as group:
            for number in arena.numbers:
                group.create_task(one(number))
        for line in lines.take():
            if "FORGED" in line:
                arena.problems.append(f"{arena.suite} (seed {arena.seed}): a log line quotes an answer: {line}")


async def _attempt(play: Play, *, at_log_in: bool, looks_up: bool) -> str | None:
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(serving(ScriptedServer(log_in=_TOKEN)))
        make = await opened.enter_async_context(workers(server, SecretStr("redis://127.0.0.1:9")))
        api = make(api_connect_timeout=2, api_call_deadline=1)
        if at_log_in:
            server.log_in = play
        else:
            await api.token_ready(_ACCOUNT)
            server.other = play
        try:
            async with asyncio.timeout(_SOON):
                outcome = await _ask(api, looks_up=looks_up)
                if problem := _of_the(outcome, at_log_in=at_log_in):
                    return problem
                if at_log_in:
                    return None  # a log-in that failed is not tried again at once
                server.log_in, server.other = _TOKEN, respond(200, {"ma_hoa_don": "HD_QG_1", "code": 200})
                again = await _ask(api, looks_up=False)
                if again != Accepted("HD_QG_1"):  # by a connection that the trick has left open, and that nobody reads
                    again = await _ask(api, looks_up=False)
        except TimeoutError:
            return "the call does not end"
    if isinstance(again, TryLater) and again.reason.code is Code.LOGIN_UNAVAILABLE:
        return None  # what was answered took its token, and the new log-in met the connection that nobody reads
    return None if again == Accepted("HD_QG_1") else f"afterwards a sale is answered {again}"


async def _ask(api: NationalApi, *, looks_up: bool) -> object:
    if looks_up:
        return await api.look_up(_ACCOUNT, SALES, PLACE, OWN)
    outcome: Outcome = await api.create(_ACCOUNT, SALES, BODY)
    return outcome


def _of_the(outcome: object, *, at_log_in: bool) -> str | None:
    if isinstance(outcome, Accepted | Stored):
        return f"it is taken for {outcome}"
    if at_log_in and isinstance(outcome, InDoubt):
        return "a sale that was never sent is in doubt"
    if not at_log_in and isinstance(outcome, TryLater):
        return "a sale that was sent counts as unsent"
    return None


SUITE = Suite(
    "API sockets", "the client of the national API, by tricks with bytes, lengths, chunks and ends", 144, run, 0.15
)
