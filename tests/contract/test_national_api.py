"""Tests submission and look-up against a real socket, with every answer of the tables and every connection problem."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streams.domain.account import Account
from streams.domain.outcome import InDoubt, Outcome, Reason, TryLater
from streams.domain.reasons import Code
from streams.local.servers import Valkey
from streams.national_api.answers import NoAnswer, NotOffered, Stored, token_problem
from streams.national_api.call_result import CallResult
from streams.national_api.client import NationalApi
from streams.national_api.login import LogIn
from streams.national_api.own_form import Answer
from streams.pipeline.outage_gate import OutageGate
from tests.certificates import self_signed, signed
from tests.contract.redis_servers import url_of
from tests.contract.scripted_server import (
    Play,
    Request,
    ScriptedServer,
    cut,
    drip,
    half_close,
    hang,
    one_after_another,
    play_of,
    raw,
    reset,
    respond,
    serving,
    then_cut,
    together,
)
from tests.contract.workers import ACCOUNT, BODY, DONE, OK, OVER, SALES, MakeApi, workers
from tests.support.answer_tables import LOOK_UPS, OWN, SUBMISSIONS, Line, by_name, one_of_each_form

UNREACHABLE = TryLater(Reason(Code.UNREACHABLE))
TIMED_OUT = InDoubt(Reason(Code.TIMED_OUT))
LOST = InDoubt(Reason(Code.CONNECTION_LOST))
UNCLEAR = InDoubt(Reason(Code.UNCLEAR_ANSWER, 200))
IN_DOUBT = None
"""Which reason is the transport's choice."""
RATE_LIMITED = InDoubt(Reason(Code.RATE_LIMITED, 429))
ANSWERED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(json.dumps(OK)) + json.dumps(OK).encode()
ANOTHERS = ANSWERED.replace(b"QG", b"XX")
CHUNKED = b"".join(b"1\r\n%c\r\n" % byte for byte in json.dumps(OK).encode()) + b"0\r\n\r\n"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with serving(ScriptedServer()) as server:
        yield server


@pytest.fixture
async def make_api(server: ScriptedServer, valkey: Valkey, national_api_transport: str) -> AsyncIterator[MakeApi]:
    async with workers(server, url_of(valkey), national_api_transport=national_api_transport) as make:
        yield make


@pytest.fixture
async def api(make_api: MakeApi) -> NationalApi:
    return make_api()


# --- the tables, over a socket


OF_SALES = one_of_each_form(line for line in SUBMISSIONS if line.endpoint is SALES)


@pytest.mark.parametrize("line", OF_SALES, ids=by_name)
async def test_every_submission_answer_is_read_over_a_socket(
    line: Line, api: NationalApi, server: ScriptedServer
) -> None:
    server.other = play_of(line)
    submit: Callable[..., Awaitable[object]] = api.create if line.call == "create" else api.replace
    problem = token_problem(line.answer())
    # A POST is looked up, with a fresh token, before it is sent again.
    code = Code.TOKEN_REJECTED if problem == "proven" else Code.UNCLEAR_ANSWER
    means = InDoubt(Reason(code, line.status)) if problem and line.call == "create" else line.means
    assert await submit(ACCOUNT, SALES, BODY) == means
    calls = server.calls
    assert len(calls) == (2 if problem and line.call == "replace" else 1)
    assert calls[0].method == ("POST" if line.call == "create" else "PUT")
    assert calls[0].target == "/api/lien_thong/hoa_don"
    assert calls[0].body == BODY.content
    assert calls[0].headers["content-type"] == "application/json; charset=utf-8"
    assert calls[0].headers["user-agent"] == "pharmacy-sale-streams"
    assert calls[0].token == "bearer token-1"


@pytest.mark.parametrize("line", one_of_each_form(LOOK_UPS), ids=by_name)
async def test_every_look_up_answer_is_read_over_a_socket(line: Line, api: NationalApi, server: ScriptedServer) -> None:
    server.other = play_of(line)
    expected = NotOffered() if line.status == 404 else line.means  # the own code has a slash, see below
    assert await api.look_up(ACCOUNT, SALES, "CS 1", OWN) == expected
    assert {(call.method, call.target) for call in server.calls} == {
        ("GET", "/api/lien_thong/hoa_don/CS%201/HD-01%2F%C4%90")
    }


# --- trouble of the line


@pytest.mark.parametrize(
    ("play", "outcome"),
    [
        (cut, LOST),
        (reset, LOST),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-le"), TIMED_OUT),
        (then_cut(raw(b"HTTP/1.1 200 OK\r\ncontent-le")), LOST),
        (then_cut(raw(b'HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{"ma_hoa_don": "HD')), LOST),
        (then_cut(raw(b"HTTP/1.1 400 Bad\r\ncontent-length: 90\r\n\r\nSai")), LOST),
        (then_cut(raw(b"SSH-2.0-OpenSSH_9\r\n\r\n")), LOST),
        (respond(200, b"no gzip", content_encoding="gzip"), LOST),
        (half_close, LOST),
        (hang, TIMED_OUT),
        (drip(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + b"x" * 99, 0.05), TIMED_OUT),
        (respond(200, b'{"ma_hoa_don": "HD_QG_1", "x": "' + b"x" * 9 + b'"}' + b" " * (2 << 20)), None),
    ],
    ids=[
        *("cut", "reset", "half a head", "half a head, cut", "half an answer, cut", "half a refusal, cut"),
        *("another protocol", "broken gzip", "half closed", "hangs", "drips", "2 MiB"),
    ],
)
@pytest.mark.parametrize("method", ["create", "replace", "look_up"])
async def test_every_connection_problem_leaves_the_document_in_doubt_and_is_not_repeated(
    play: Play, outcome: InDoubt | None, method: str, make_api: MakeApi, server: ScriptedServer
) -> None:
    server.other = play
    api = make_api(api_call_deadline=0.4)
    assert await api.token_ready(ACCOUNT) is None
    began = time.monotonic()
    if method == "look_up":
        status = None if outcome else 200
        failed = NoAnswer(Reason(Code.LOOK_UP_FAILED, status))
        assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == failed
    else:
        submit: Callable[..., Awaitable[object]] = getattr(api, method)
        expected = outcome or InDoubt(Reason(Code.UNCLEAR_ANSWER, 200))
        assert await submit(ACCOUNT, SALES, BODY) == expected
    assert time.monotonic() - began < 2
    assert len(server.calls) == 1  # never sent again by itself


@pytest.mark.parametrize(
    ("play", "outcome"),
    [
        (raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nlink: x\r\n\r\n" + ANSWERED), DONE),
        (then_cut(raw(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(OK).encode())), DONE),
        (raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKED), DONE),
        (respond(200, json.dumps(OK).encode().rjust(1 << 17)), DONE),
        (respond(200, gzip.compress(json.dumps(OK).encode()), content_encoding="gzip"), DONE),
        (respond(200, gzip.compress(b" " * (64 << 20)), content_encoding="gzip"), UNCLEAR),
        (raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * (2 << 20) + b"\r\ncontent-length: 0\r\n\r\n"), LOST),
        (raw(b"HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), IN_DOUBT),
        (raw(b"HTTP/1.1 429 x\r\nretry-after: \xe1\xba\xff\r\ncontent-length: 0\r\n\r\n"), RATE_LIMITED),
        (raw(ANSWERED + ANOTHERS), DONE),
    ],
    ids=[
        *("interim answers", "HTTP 1.0", "chunks", "long", "gzip, not asked for", "gzip of 64 MiB", "2 MiB of head"),
        *("upgrade", "unreadable Retry-After", "two answers"),
    ],
)
async def test_unusual_but_valid_http_answers_are_read(
    play: Play, outcome: Outcome | None, api: NationalApi, server: ScriptedServer
) -> None:
    """Promise 2. Broken by: what a server sends after an answer counts as the answer to the next call."""
    server.other = play
    for _ in range(2):  # nothing is left of the first
        found = await api.create(ACCOUNT, SALES, BODY)
        assert found == outcome if outcome else isinstance(found, InDoubt)
    assert len(server.calls) == 2


async def test_a_connection_closed_at_once_leaves_the_document_in_doubt(
    make_api: MakeApi, server: ScriptedServer
) -> None:
    api = make_api()
    server.log_in = then_cut(respond(200, {"token": "t"}, connection="close"))
    assert await api.token_ready(ACCOUNT) is None
    server.reads = False
    assert await api.create(ACCOUNT, SALES, BODY) == LOST


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_request_on_a_dropped_keep_alive_connection_is_not_repeated(
    method: str, api: NationalApi, server: ScriptedServer, national_api_transport: str
) -> None:
    """A request that was written is not written again, even on a reused connection."""
    by_log_in, by_call = (1, 0) if national_api_transport == "fast" else (1, 1)
    submit: Callable[..., Awaitable[object]] = api.create if method == "POST" else api.replace
    server.other = one_after_another(respond(200, OK), cut)
    assert await submit(ACCOUNT, SALES, BODY) == DONE
    assert server.connections == by_log_in + by_call
    assert await submit(ACCOUNT, SALES, BODY) == LOST
    assert server.connections == by_log_in + 2 * by_call
    assert len(server.calls) == 2


async def test_a_put_that_was_read_before_the_api_vanished_is_in_doubt(make_api: MakeApi) -> None:
    """A repetition would look like a connection that was never made."""
    vanishing = ScriptedServer()

    async def vanish(_: Request, writer: asyncio.StreamWriter) -> None:
        gone.set()
        await closed.wait()
        writer.transport.abort()

    gone, closed = asyncio.Event(), asyncio.Event()
    vanishing.other = one_after_another(respond(200, OK), vanish)
    listening = await asyncio.start_server(vanishing.serve, "127.0.0.1", 0)
    vanishing.port = listening.sockets[0].getsockname()[1]
    api = make_api(national_api_url=vanishing.url)
    assert await api.replace(ACCOUNT, SALES, BODY) == DONE
    sending = asyncio.create_task(api.replace(ACCOUNT, SALES, BODY))
    await gone.wait()
    listening.close()
    closed.set()
    assert await sending == LOST


async def test_an_api_where_nobody_listens_is_reported_as_unavailable(
    make_api: MakeApi, server: ScriptedServer
) -> None:
    api = make_api()
    assert await api.token_ready(ACCOUNT) is None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = make_api(national_api_url=f"http://127.0.0.1:{free.getsockname()[1]}")
    # the same connection pool would still hold a connection, so another worker, with a token of its own
    later = TryLater(Reason(Code.LOGIN_UNAVAILABLE))
    assert await away.token_ready(ACCOUNT) == later
    assert await away.create(ACCOUNT, SALES, BODY) == later
    assert await away.look_up(ACCOUNT, SALES, "CS", "HD") == NoAnswer(Reason(Code.LOGIN_UNAVAILABLE))


async def test_calls_wait_briefly_for_an_api_that_went_away_after_the_log_in(make_api: MakeApi) -> None:
    async with serving(ScriptedServer(other=respond(200, OK, connection="close"))) as first:
        first.log_in = respond(200, {"token": "t"}, connection="close")
        api = make_api(national_api_url=first.url)
        assert await api.token_ready(ACCOUNT) is None
    began = time.monotonic()
    assert await api.create(ACCOUNT, SALES, BODY) == UNREACHABLE
    assert await api.replace(ACCOUNT, SALES, BODY) == UNREACHABLE
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == NoAnswer(Reason(Code.UNREACHABLE))
    assert time.monotonic() - began < 12
    late = asyncio.create_task(api.create(ACCOUNT, SALES, BODY))
    async with serving(ScriptedServer(port=first.port)) as second:
        assert await late == DONE  # tried again in place
        assert len(second.calls) == 1


async def test_a_connection_that_is_never_made_proves_that_nothing_was_sent(make_api: MakeApi) -> None:
    """The backlog of the socket is full, so the kernel does not answer."""
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())
        stuck = make_api(national_api_url=f"http://127.0.0.1:{full.getsockname()[1]}", api_connect_timeout=0.2)
        result = await stuck._transport.call("POST", "/x", content=b"{}")
        assert result == UNREACHABLE


@pytest.fixture
def unknown(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = self_signed(tmp_path, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls


async def test_a_certificate_that_the_machine_trusts_is_accepted(
    make_api: MakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company may have its own authority, for a proxy that inspects TLS."""
    key, certificate, authority = signed(tmp_path, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    async with serving(ScriptedServer(tls=True), tls) as server:
        api = make_api(national_api_url=server.url)
        assert await api.create(ACCOUNT, SALES, BODY) == DONE


async def test_an_unknown_certificate_is_not_trusted(make_api: MakeApi, unknown: ssl.SSLContext) -> None:
    async with serving(ScriptedServer(tls=True), unknown) as server:
        api = make_api(national_api_url=server.url)
        result = await api._transport.call("POST", "/x", content=b"pwd")
        assert isinstance(result, TryLater)
        assert result.reason.code is Code.CERTIFICATE
        assert server.requests == []


async def test_redirects_are_not_followed_and_cookies_not_kept(make_api: MakeApi, server: ScriptedServer) -> None:
    # by name: some clients keep no cookies of bare addresses anyway
    api = make_api(national_api_url=f"http://localhost:{server.port}")
    server.log_in = respond(200, {"token": "t"}, set_cookie="shop=1; Path=/")
    server.other = respond(302, location=f"{server.url}/other", set_cookie="session=2; Path=/")
    for _ in range(2):
        await api.create(ACCOUNT, SALES, BODY)
        await api.look_up(ACCOUNT, SALES, "CS", "HD")
    assert len(server.calls) == 4
    assert not any("cookie" in request.headers for request in server.requests)


@pytest.fixture
def many(national_api_transport: str) -> int:
    """As many sales in flight as this test wants, and the transport may have."""
    return 150 if national_api_transport == "fast" else 64


async def test_there_are_as_many_connections_as_sales_in_flight(
    make_api: MakeApi, server: ScriptedServer, many: int
) -> None:
    api = make_api(max_in_flight=many)
    assert await api.token_ready(ACCOUNT) is None
    server.other = together(many, respond(200, OK))
    outcomes = await asyncio.gather(*(api.create(ACCOUNT, SALES, BODY) for _ in range(many)))
    assert set(outcomes) == {DONE}


async def test_a_cancelled_call_ends_as_cancelled(api: NationalApi, server: ScriptedServer) -> None:
    assert await api.token_ready(ACCOUNT) is None
    asked = asyncio.Event()

    async def never(request: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(request, writer)

    server.other = never
    sending = asyncio.create_task(api.create(ACCOUNT, SALES, BODY))
    await asked.wait()
    sending.cancel()
    await asyncio.wait([sending])
    assert sending.cancelled()


async def test_host_names_are_resolved_by_few_threads(make_api: MakeApi, server: ScriptedServer, many: int) -> None:
    """Each connection resolves the address of the API, which has a name in production."""
    api = make_api(max_in_flight=many, national_api_url=f"http://localhost:{server.port}")
    server.other = together(many, respond(200, OK))
    assert await api.token_ready(ACCOUNT) is None
    before = len(os.listdir("/proc/self/task"))
    outcomes = await asyncio.gather(*(api.create(ACCOUNT, SALES, BODY) for _ in range(many)))
    assert set(outcomes) == {DONE}
    assert len(os.listdir("/proc/self/task")) <= before + 8


@pytest.mark.parametrize(
    ("national_api_transport", "broke", "unknown_name"),
    [
        ("fast", "connection closed before message completed", "lookup"),
        ("compatible", "RemoteProtocolError", "Name or service not known"),
    ],
)
async def test_the_log_says_where_a_call_failed(
    make_api: MakeApi, server: ScriptedServer, broke: str, unknown_name: str
) -> None:
    api = make_api()
    assert await api.token_ready(ACCOUNT) is None
    server.other = cut
    with capture_logs() as logs:
        await api.look_up(ACCOUNT, SALES, "CS", "HD")
        nowhere = make_api(national_api_url="https://nowhere.invalid")
        await nowhere._transport.call("POST", "/x", content=b"pwd", retry_if=lambda _: False)
    causes = [(log["method"], log["cause"]) for log in logs if log["event"] == "national_api.call_failed"]
    assert [method for method, _ in causes] == ["GET", "POST"]
    assert causes[0][1] == broke
    assert unknown_name in causes[1][1]


async def test_the_deadline_of_the_caller_is_kept(make_api: MakeApi, server: ScriptedServer) -> None:
    api = make_api(api_call_deadline=10)
    assert await api.token_ready(ACCOUNT) is None
    server.other = hang
    began = time.monotonic()
    until = asyncio.get_running_loop().time() + 0.2
    assert await api.create(ACCOUNT, SALES, BODY, until=until) == TIMED_OUT
    sent = len(server.requests)
    assert await api.create(ACCOUNT, SALES, BODY, until=until) == TryLater(Reason(Code.TIMED_OUT))
    assert await api.replace(ACCOUNT, SALES, BODY, until=until) == TryLater(Reason(Code.TIMED_OUT))
    failed = NoAnswer(Reason(Code.LOOK_UP_FAILED))
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD", until=until) == failed
    assert len(server.requests) == sent, "whoever comes too late sends nothing"
    server.log_in = hang
    other = Account("SHOP-2", "u", SecretStr("p"))
    assert await api.token_ready(other, until=until) == TryLater(Reason(Code.LOGIN_UNAVAILABLE))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("left_s", [1e-9, 0.005])
async def test_a_document_without_time_for_an_answer_is_not_sent(
    api: NationalApi, server: ScriptedServer, left_s: float
) -> None:
    assert await api.token_ready(ACCOUNT) is None
    sent = len(server.requests)
    until = asyncio.get_running_loop().time() + left_s
    assert await api.create(ACCOUNT, SALES, BODY, until=until) == TryLater(Reason(Code.TIMED_OUT))
    assert len(server.requests) == sent


async def test_every_call_is_counted_for_the_rate_limit(make_api: MakeApi, server: ScriptedServer) -> None:
    counted: list[str] = []
    api = make_api(count=counted.append)
    server.log_in = one_after_another(respond(503), respond(200, {"token": "t1"}), respond(200, {"token": "t2"}))
    server.other = one_after_another(OVER, respond(200, OK))
    assert await api.replace(ACCOUNT, SALES, BODY) == DONE
    await api.look_up(ACCOUNT, SALES, "CS", "HD")
    assert counted == [ACCOUNT.shop] * len(server.requests)
    assert len(counted) == 6, "two log-ins and their repetition, two replacements, one look-up"


async def test_the_timeout_counts_from_the_first_try(api: NationalApi, server: ScriptedServer) -> None:
    """A caller that has spent all of it on one call does not start another."""
    server.other = hang
    made: list[float] = []
    now = asyncio.get_running_loop().time
    await api._transport.call(
        "GET", "/x", until=now() + 0.3, retry_if=lambda _: True, on_call=lambda: made.append(now())
    )
    assert len(made) == 1


# --- look-up that is not offered


async def test_that_a_look_up_is_not_offered_is_remembered_longer_each_time(
    make_api: MakeApi, server: ScriptedServer
) -> None:
    """A machine in front of the API may have answered so, for a moment."""
    now = time.time()
    api = make_api(clock=lambda: now, token_lifetime=100_000)
    server.other = respond(405)
    for asked, minutes in enumerate((1, 2, 4, 8, 16, 32, 60, 60), 1):
        assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == NotOffered()
        now += minutes * 60 - 1
        assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == NotOffered()
        assert len(server.calls) == asked
        now += 2
    server.other = respond(200, {"ma_hoa_don": "HD", "ma_hoa_don_quoc_gia": "Q"})
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == Stored("Q")
    server.other = respond(405)
    await api.look_up(ACCOUNT, SALES, "CS", "HD")
    now += 61
    server.other = respond(200, {"ma_hoa_don": "HD", "ma_hoa_don_quoc_gia": "Q"})
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == Stored("Q"), "it begins with a minute again"


async def test_the_setting_look_up_offered_prevents_look_ups(make_api: MakeApi, server: ScriptedServer) -> None:
    api = make_api(look_up_offered=False)
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == NotOffered()
    assert server.requests == []


@pytest.mark.parametrize("codes", [("..", "HD"), ("CS", ".."), ("CS", ".")])
async def test_a_code_of_dots_is_not_sent_as_a_path_segment(
    codes: tuple[str, str], api: NationalApi, server: ScriptedServer
) -> None:
    server.other = respond(404)
    assert await api.look_up(ACCOUNT, SALES, *codes) == NotOffered()
    assert server.calls == []


async def test_a_404_for_a_code_with_a_slash_proves_nothing(api: NationalApi, server: ScriptedServer) -> None:
    server.other = one_after_another(
        respond(404, {"mess": "Không tìm thấy"}), respond(200, {"ma_hoa_don": "HD/1", "ma_hoa_don_quoc_gia": "Q"})
    )
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD/1") == NotOffered()
    assert await api.look_up(ACCOUNT, SALES, "CS", "HD/1") == Stored("Q")


# --- answers that break our own reading


class Misread:
    """An endpoint whose answers our own code fails to read."""

    path = SALES.path
    document_path = SALES.document_path

    def __getattr__(self, name: str) -> Any:
        raise OverflowError("Nguyễn Thị Bí Mật")


async def test_m3_an_answer_that_breaks_our_reader_counts_as_a_problem_of_the_api(api: NationalApi) -> None:
    """Promise 6. Broken by: an answer that breaks our own reading is tried again and again, and the gate stays open."""
    misread: Any = Misread()
    gate = OutageGate(6, 60)
    with capture_logs() as logs:
        for number in range(3):
            shop = f"SHOP-{number}"
            for outcome in (
                await api.create(ACCOUNT, misread, BODY),
                await api.replace(ACCOUNT, misread, BODY),
            ):
                assert outcome == UNCLEAR
                gate.ended(1.0, shop, outcome)
        found = await api.look_up(ACCOUNT, misread, BODY.facility_code, BODY.document_code)
    assert found == NoAnswer(Reason(Code.LOOK_UP_FAILED, 200))
    assert not gate.is_open
    assert {line["event"] for line in logs} == {"national_api.unreadable", "gate.closed"}
    assert "Nguyễn" not in str(logs)


async def test_m3_a_log_in_answer_that_breaks_our_reader_counts_as_unavailable() -> None:
    class Misread(Answer):
        @property
        def content(self) -> bytes:
            raise RecursionError

    class Line:
        async def call(self, *_: object, **__: object) -> CallResult:
            answer = object.__new__(Misread)
            object.__setattr__(answer, "status", 200)
            return answer

    line: Any = Line()
    log_in = LogIn(line, token_lifetime=60, refused_for=60, clock=time.time, count=lambda _: None)
    with capture_logs() as logs:
        assert await log_in(ACCOUNT) == TryLater(Reason(Code.LOGIN_UNAVAILABLE, 200))
    assert [line["event"] for line in logs] == ["national_api.unreadable"]
