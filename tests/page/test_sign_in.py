"""M5 and M6: tests that every client needs a code, and that guessing is slow but locks nobody out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from click.testing import CliRunner
from pydantic import SecretStr

from streams.operators import Problem
from streams.operators.commands.page import page, page_access
from streams.operators.page.access import FORM, SESSION, Access
from streams.operators.page.generated_code import code_file, make_code, read_code
from streams.operators.page.sign_in_attempts import SignInAttempts
from streams.settings import Settings
from tests.contract.stores.databases import settings_for
from tests.page.visitor import CODE, Place, Visitor, visiting
from tests.support.page_requests import TOKEN, request_from, status_of


@pytest.fixture
async def visitor(place: Place) -> AsyncIterator[Visitor]:
    async with visiting(settings_for(page_token=SecretStr(TOKEN)), place) as visitor:
        yield visitor


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return the settings of a worker whose temporary files are here."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return settings_for(app_id="own")


async def test_m5_this_machine_needs_the_workers_code_when_no_token_is_configured(place: Place) -> None:
    """A proxy on the worker's machine that does not identify itself looks just like this machine.

    Promise 7. Broken by: every request from this machine is signed in without a code, even one through a proxy.
    """
    async with visiting(settings_for(), place) as visitor:
        for wrong in ("", "khong-phai-ma-nay"):
            assert (await visitor.sign_in(token=wrong)).status == 403
        assert (await visitor.get())[0].status == 401
        assert (await visitor.sign_in(token=CODE)).status == 303
        _, text = await visitor.get("sign-in")
        assert CODE not in text


def test_m5_the_code_is_readable_by_its_owner_alone_and_survives_a_restart(own: Settings) -> None:
    """Promise 7. Broken by: the worker's own code lies where every account of its machine can read it."""
    file = code_file(own)
    assert read_code(file) is None
    code = make_code(file)
    assert len(code) >= 20
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert make_code(file) == read_code(file) == code
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_m5_a_code_that_others_could_read_or_write_is_replaced(own: Settings, tmp_path: Path) -> None:
    """Promise 7. Broken by: a code that others could read, or have put there, opens the page.
    Promise 7. Broken by: an account that may write next to the worker's code replaces it with one that it knows.
    """
    file = code_file(own)
    first = make_code(file)
    file.chmod(0o640)
    assert read_code(file) is None
    assert make_code(file) not in (first, "")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("known-to-others")
    elsewhere.chmod(0o600)
    file.unlink()
    file.symlink_to(elsewhere)
    assert read_code(file) is None
    assert make_code(file) != "known-to-others"
    assert not file.is_symlink()
    file.parent.chmod(0o777)
    assert read_code(file) is None
    with structlog.testing.capture_logs() as logs:
        assert make_code(file) != make_code(file), "nobody knows it"
    assert {line["event"] for line in logs} == {"page.no_code"}
    os.mkfifo(tmp_path / "pipe")
    assert read_code(tmp_path / "pipe") is None, "and it does not hang"


def test_m5_the_folder_that_systemd_creates_is_preferred(own: Settings, tmp_path: Path) -> None:
    made = tmp_path / f"pharmacy-sale-streams-{own.web_port}"
    assert code_file(own, run=tmp_path).parent != made
    made.mkdir(mode=0o700)
    assert code_file(own, run=tmp_path) == made / "page-code"


def test_m5_the_command_prints_address_and_code(own: Settings) -> None:
    with pytest.raises(Problem, match="Start the worker first"):
        page_access(own)
    code = make_code(code_file(own))
    said = CliRunner().invoke(page(own, []), []).output.splitlines()
    assert said == ["http://127.0.0.1:6066/page/", f"access code: {code}"]
    assert json.loads(CliRunner().invoke(page(own, []), ["--json"]).output)["code"] == code


@pytest.mark.parametrize(
    ("more", "needs"),
    [
        ({"page_token": SecretStr(TOKEN)}, "PAGE_TOKEN"),
        ({"page_user_header": "X-User", "page_trusted_proxies": ("10.0.0.1",)}, "PAGE_TRUSTED_PROXIES"),
    ],
)
def test_m5_the_command_names_another_configured_way_to_sign_in_without_its_secret(
    more: dict[str, Any], needs: str
) -> None:
    said = CliRunner().invoke(page(settings_for(web_host="::", **more), []), []).output
    assert "http://127.0.0.1:6066/page/" in said
    assert needs in said
    assert TOKEN not in said


def test_m5_only_a_worker_creates_a_code(own: Settings) -> None:
    Access(own)
    assert not code_file(own).exists()
    Access(own).open()
    assert code_file(own).exists()


def test_m6_the_right_code_is_accepted_after_wrong_ones_but_takes_longer() -> None:
    """Promise 7. Broken by: guessing the code takes no time.
    Promise 5. Broken by: a client that guesses may keep as many requests waiting as it likes.
    """
    now = 0.0
    tries, peer = SignInAttempts(lambda: now), ip_address("192.0.2.7")
    assert [tries.take(peer) for _ in range(10)] == [0, 0, 0, 0, 0, 2, 4, 6, 8, 10]
    assert tries.take(peer) is None
    assert tries.take(ip_address("192.0.2.8")) == 0
    now = 2.0
    assert tries.take(peer) == 10
    now = 1000.0
    assert tries.take(peer) == 0


def test_m6_all_addresses_of_one_ipv6_network_share_their_tries() -> None:
    """Promise 7. Broken by: a client with a network of IPv6 addresses may guess the code as often as it likes."""
    now = 0.0
    tries = SignInAttempts(lambda: now)
    looked_at = [tries.take(ip_address("2001:db8:1:2::") + n) for n in range(20_000)]
    assert len([wait for wait in looked_at if wait is not None]) == 10
    assert tries.take(ip_address("2001:db8:1:3::1")) == 0


def test_m6_the_number_of_remembered_addresses_is_bounded() -> None:
    """Promise 5. Broken by: each address that ever tried a code is remembered forever."""
    tries = SignInAttempts(lambda: 0.0)
    for n in range(10_050):
        tries.take(ip_address(f"10.0.{n // 250}.{n % 250}"))
    assert len(tries._full_at) == 10_000
    assert tries.take(ip_address("10.0.40.49")) == 0, "the latest are"


def test_m6_a_right_code_does_not_count_as_a_try() -> None:
    """Promise 5. Broken by: who signs in often with the right code has to wait like one who guesses."""
    now = 0.0
    access = Access(settings_for(page_token=SecretStr(TOKEN)), attempts=SignInAttempts(lambda: now))
    for _ in range(100):
        assert access.sign_in_delay(request_from("192.0.2.7")) == 0
        assert access.sign_in(request_from("192.0.2.7"), "Lan", TOKEN) is None


def test_m6_clients_behind_a_trusted_proxy_are_counted_separately() -> None:
    now = 0.0
    settings = settings_for(page_token=SecretStr(TOKEN), page_trusted_proxies=("10.0.0.0/8",))
    access = Access(settings, attempts=SignInAttempts(lambda: now))

    def delay(peer: str, said: str) -> float | None:
        return access.sign_in_delay(request_from(peer, **{"X-Forwarded-For": said}))

    for _ in range(20):
        delay("10.0.0.1", "192.0.2.7")
    assert delay("10.0.0.1", "192.0.2.8") == 0
    assert delay("10.0.0.1", "192.0.2.9, 192.0.2.7, 10.0.0.2") is None, "what it says of itself does not count"
    assert delay("192.0.2.7", "192.0.2.10") is None, "nor what anybody but a proxy of ours says"
    for odd in ("", ",,", "nonsense", "10.0.0.3"):
        assert delay("10.0.0.1", odd) is not None


async def test_m6_a_client_with_too_many_tries_learns_when_to_retry(place: Place) -> None:
    now = 0.0
    settings = settings_for(page_token=SecretStr(TOKEN))
    tries = SignInAttempts(lambda: now)
    for _ in range(10):
        tries.take(ip_address("127.0.0.1"))
    async with visiting(settings, place, access=Access(settings, attempts=tries)) as visitor:
        answer = await visitor.sign_in(token="khong-phai-ma-nay")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
        now = 60.0
        assert (await visitor.sign_in(token=TOKEN)).status == 303


async def test_m6_the_key_of_sessions_is_created_once(visitor: Visitor) -> None:
    access = Access(settings_for(page_token=SecretStr(TOKEN)))
    assert access._signed is access._signed


@pytest.mark.parametrize(
    ("remote", "headers", "secure"),
    [
        ("10.0.0.1", {"X-Forwarded-Proto": "https"}, True),
        ("10.0.0.1", {"X-Forwarded-Proto": "http"}, False),
        ("10.0.0.1", {}, False),
        ("192.0.2.7", {"X-Forwarded-Proto": "https"}, False),
    ],
)
def test_m6_the_session_cookie_is_secure_behind_tls(remote: str, headers: dict[str, str], secure: bool) -> None:
    """Promise 7. Broken by: a session's cookie goes over plain HTTP too."""
    access = Access(settings_for(page_token=SecretStr(TOKEN), page_trusted_proxies=("10.0.0.0/8",)))
    request = request_from(remote, **headers)
    assert access.is_secure(request) is secure
    response = web.Response()
    access.open_session(request, response, "Lan")
    assert bool(response.cookies[SESSION]["secure"]) is secure


async def test_m6_hsts_is_sent_only_behind_tls(place: Place) -> None:
    settings = settings_for(page_token=SecretStr(TOKEN), page_trusted_proxies=("127.0.0.1",))
    async with visiting(settings, place) as visitor:
        for path in ("", "static/page.js"):
            answer, _ = await visitor.get(path, **{"X-Forwarded-Proto": "https"})
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert "Strict-Transport-Security" not in (await visitor.get(path))[0].headers


@pytest.mark.parametrize("content", [["Lan"], ["Lan", 2**40], {"name": "Lan"}, "Lan", [1, 2, 3], ["Lan", "soon", "id"]])
def test_m6_a_session_of_another_form_signs_nobody_in(content: object) -> None:
    access = Access(settings_for(page_token=SecretStr(TOKEN)))
    value = str(access._signed.dumps(content))
    request = make_mocked_request("GET", "/page/", {"Host": "127.0.0.1:6066", "Cookie": f"{SESSION}={value}"})
    assert access.identify(request.clone(remote="192.0.2.7")) is None


@pytest.mark.parametrize("cookie", ["zz", "é.é", "\udcff.\udcff", "7b7d.\udcff", '"', "." * 4000])
async def test_m6_an_undecodable_cookie_causes_no_error(visitor: Visitor, cookie: str) -> None:
    host = visitor.origin.removeprefix("http://")
    head = f"GET /page/ HTTP/1.1\r\nHost: {host}\r\nCookie: {SESSION}={cookie}; {FORM}={cookie}\r\n\r\n"
    with structlog.testing.capture_logs() as logs:
        assert await status_of(host, head.encode("utf-8", "surrogateescape")) == 401
    assert logs == []
