"""C2: tests that a request is judged by its head, and that no body can make the worker work."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
import structlog
from aiohttp import ClientResponse, FormData, MultipartWriter
from aiohttp.test_utils import make_mocked_request
from pydantic import SecretStr

from streams.operators.desk.action import ActionReport
from streams.operators.page.access import FORM
from streams.operators.page.form import MAX_BYTES, UnreadableForm, read_form
from tests.contract.stores.databases import settings_for
from tests.page.visitor import Place, Visitor, visiting
from tests.support.page_requests import TOKEN, status_of

TYPE = "application/x-www-form-urlencoded"


@pytest.fixture
async def visitor(place: Place) -> AsyncIterator[Visitor]:
    async with visiting(settings_for(page_token=SecretStr(TOKEN)), place) as visitor:
        yield visitor


async def send(visitor: Visitor, body: object, **headers: str) -> ClientResponse:
    """Send a request to the sign-in page, which everybody may use."""
    await visitor.form()
    sent = {"Origin": visitor.origin} | headers
    answer = await visitor.session.post(f"{visitor.origin}/page/sign-in", data=body, headers=sent)
    await answer.read()
    return answer


@pytest.mark.parametrize(
    "content_type",
    [
        f"{TYPE}; charset=punycode",
        f"{TYPE}; charset=idna",
        f"{TYPE}; charset=utf-7",
        f"{TYPE}; charset=no-such",
        f"{TYPE}; charset=",
        f"{TYPE}; charset=utf-8; charset=punycode",
        f"{TYPE}; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "multipart/mixed; boundary=",
        "text/plain",
        "",
        "/",
        "x" * 5000,
    ],
)
async def test_c2_a_body_with_another_charset_is_refused_unread(visitor: Visitor, content_type: str) -> None:
    """Promise 5. Broken by: a request names the codec that its body is read in."""
    with structlog.testing.capture_logs() as logs:
        answer = await send(visitor, b"form=" + b"\xc3" * 60_000, **{"Content-Type": content_type})
    assert answer.status == 415
    assert logs == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x", "identity"])
async def test_c2_a_compressed_body_is_not_unpacked(visitor: Visitor, encoding: str) -> None:
    """Promise 5. Broken by: a body that says it is packed is read."""
    body = gzip.compress(b"a" * 60_000) if encoding == "gzip" else b"form=x"
    with structlog.testing.capture_logs() as logs:
        answer = await send(visitor, body, **{"Content-Type": TYPE, "Content-Encoding": encoding})
    assert answer.status in (400, 415), "what is broken for the server itself is 400"
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_c2_a_multipart_body_is_not_parsed(visitor: Visitor) -> None:
    with MultipartWriter("form-data") as parts:
        for number in range(900):
            parts.append("x").set_content_disposition("form-data", name=f"part{number}")
    assert (await send(visitor, parts)).status == 415
    assert (await send(visitor, FormData({"form": "x"}, default_to_multipart=True))).status == 415


async def test_c2_a_body_larger_than_a_form_is_not_read(visitor: Visitor) -> None:
    """Promise 5. Broken by: a body without an end is taken into memory."""

    async def without_a_length() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"a" * (MAX_BYTES // 10)

    headers = {"Content-Type": TYPE}
    assert (await send(visitor, b"a" * (MAX_BYTES + 1), **headers)).status == 413
    assert (await send(visitor, without_a_length(), **headers)).status == 413
    assert (await send(visitor, b"a" * MAX_BYTES, **headers)).status == 403, "read, and no form of ours"


@pytest.mark.parametrize("body", [b"form=%ff", b"form=\xe1\xbb\x85", b"form=%C3", b"a=1&" * 1000])
async def test_c2_a_body_that_is_not_a_form_is_refused(visitor: Visitor, body: bytes) -> None:
    """Promise 5. Broken by: a form of sixty thousand fields is taken apart."""
    assert (await send(visitor, body, **{"Content-Type": TYPE})).status == 400


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", ';charset="UTF-8"', " ; Charset=UTF8"])
async def test_c2_a_form_as_browsers_send_it_is_read(visitor: Visitor, charset: str) -> None:
    fields = urlencode({"form": await visitor.form(), "name": "Nguyễn Thị Ánh", "token": TOKEN})
    sent = {"Origin": visitor.origin, "Content-Type": TYPE + charset}
    address = f"{visitor.origin}/page/sign-in"
    answer = await visitor.session.post(address, data=fields.encode(), headers=sent, allow_redirects=False)
    assert answer.status == 303


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("sign-in", "https://evil.example", 403),
        ("sign-in", "http://[::1", 403),
        ("send", "", 401),
        ("confirm", "", 401),
        ("sign-out", "", 401),
        ("nowhere", "", 401),
    ],
)
async def test_c2_an_unauthorized_request_is_answered_before_its_body_comes(
    visitor: Visitor, path: str, origin: str, status: int
) -> None:
    """Promise 5. Broken by: a body is read before it is known who sends it."""
    value = await visitor.form()
    host = visitor.origin.removeprefix("http://")
    head = (
        f"POST /page/{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin or visitor.origin}\r\n"
        f"Cookie: {FORM}={value}\r\nContent-Type: {TYPE}; charset=punycode\r\nContent-Length: 1000000\r\n\r\n"
    )
    assert await status_of(host, head.encode()) == status


@pytest.mark.timeout(20)
async def test_c2_a_request_whose_body_does_not_come_is_closed() -> None:
    """Promise 5. Broken by: a body that never comes is waited for as long as its connection lasts."""
    request = make_mocked_request("POST", "/page/sign-in", {"Content-Type": TYPE, "Content-Length": "9"})
    never = asyncio.get_running_loop().create_future()

    class Silent:
        def readany(self) -> asyncio.Future[bytes]:
            return never

    waiting = request.clone()
    waiting._payload = Silent()  # type: ignore[assignment]
    with pytest.raises(UnreadableForm) as refused:
        await read_form(waiting, timeout_s=0.01)
    assert refused.value.status == 400


async def test_c2_slow_clients_leave_room_for_all_others(visitor: Visitor) -> None:
    """Promise 5. Broken by: strangers who send slowly take all the connections of the page."""
    value = await visitor.form()
    host = visitor.origin.removeprefix("http://")
    head = (
        f"POST /page/sign-in HTTP/1.1\r\nHost: {host}\r\nOrigin: {visitor.origin}\r\n"
        f"Cookie: {FORM}={value}\r\nContent-Type: {TYPE}\r\nContent-Length: 1000\r\n\r\nform="
    ).encode()
    slow = [asyncio.create_task(status_of(host, head)) for _ in range(40)]
    refused = [await first for _, first in zip(range(20), asyncio.as_completed(slow), strict=False)]
    assert refused == [503] * 20
    assert (await visitor.get("sign-in"))[0].status == 303
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_m4_three_actions_run_at_once_and_the_next_is_answered_busy(visitor: Visitor, place: Place) -> None:
    """Promise 5. Broken by: one visitor who clicks often enough takes all connections to the database."""
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def these(ids: list[int], *, actor: str) -> ActionReport:
        begun.release()
        await go_on.wait()
        return ActionReport("request", ids, [], is_cut=False)

    place.desk = SimpleNamespace(again=SimpleNamespace(apply_to_ids=these))
    form = await visitor.form()
    await visitor.sign_in(token=TOKEN)
    fields = {"form": form, "action": "again", "id": "1"}
    deeds = [asyncio.create_task(visitor.post("send", fields)) for _ in range(3)]
    for _ in deeds:
        await begun.acquire()
    answer, _ = await visitor.post("send", fields)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    go_on.set()
    assert [answer.status for answer, _ in await asyncio.gather(*deeds)] == [200] * 3
    assert (await visitor.post("send", fields))[0].status == 200, "there is a place again"
