"""Tests who may sign in, and that nothing is done for anybody else."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from itsdangerous import URLSafeSerializer
from pydantic import SecretStr
from yarl import URL

from streams.operators.page.access import FORM, SESSION, SESSION_LIFETIME_S, Access, Forbidden, Person
from streams.stores.sales_db import SalesDb
from tests.contract.stores.databases import Sqlite, settings_for
from tests.contract.stores.point_of_sale import PointOfSale
from tests.page.visitor import CODE, Place, visiting
from tests.support.page_requests import request_from

TOKEN = "mot-ma-truy-cap-dai"
NAME = "Nguyễn Thị Ánh"
PATHS = ("", "failures", "waiting", "shops", "sale/1", "sale?code=HD-2")


def with_token() -> Access:
    return Access(settings_for(page_token=SecretStr(TOKEN)))


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_only_this_machine_may_sign_in_with_the_code_of_the_worker_by_default(remote: str) -> None:
    access = Access(settings_for(), generate_code=lambda: CODE)
    assert access.identify(request_from(remote)) is None
    assert access.generates_code


@pytest.mark.parametrize(
    ("remote", "headers"),
    [
        ("192.0.2.7", {}),
        ("::ffff:192.0.2.7", {}),
        ("", {}),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}),  # a proxy on this machine lets others in
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}),
        ("127.0.0.1", {"Host": "evil.example"}),  # a name that was made to lead here
        ("127.0.0.1", {"Host": "127.0.0.1.evil.example"}),
        ("127.0.0.1", {"Host": "[::1"}),
    ],
)
def test_other_machines_cannot_sign_in_by_default(remote: str, headers: dict[str, str]) -> None:
    """Promise 7. Broken by: without a configured code, other machines can sign in with the worker's own."""
    with pytest.raises(Forbidden, match="closed"):
        Access(settings_for(), generate_code=lambda: CODE).identify(request_from(remote, **headers))


def test_other_machines_may_sign_in_with_a_configured_token() -> None:
    assert with_token().identify(request_from("192.0.2.7")) is None
    assert not with_token().generates_code


def proxied(**more: Any) -> Access:
    return Access(settings_for(page_user_header="X-User", page_trusted_proxies=("10.0.0.0/8",), **more))


def test_the_user_that_a_trusted_proxy_names_is_signed_in() -> None:
    assert proxied().identify(request_from("10.1.2.3", **{"X-User": "  Lan \t Anh "})) == Person(
        "Lan Anh", signed_in=False
    )


@pytest.mark.parametrize(
    ("remote", "headers"),
    [
        ("192.0.2.7", {"X-User": "Lan"}),
        ("127.0.0.1", {"X-User": "Lan"}),
        ("10.1.2.3", {}),
        ("10.1.2.3", {"X-User": " "}),
    ],
)
def test_a_user_header_from_any_other_client_is_ignored(remote: str, headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden, match="by_proxy"):
        proxied().identify(request_from(remote, **headers))
    assert proxied(page_token=SecretStr(TOKEN)).identify(request_from(remote, **headers)) is None, "asked to sign in"


@pytest.mark.parametrize("name", ["", "  \t", "x" * 101, "\x00"])
def test_signing_in_requires_a_name(name: str) -> None:
    assert with_token().sign_in(request_from("192.0.2.7"), name, TOKEN) == "no_name"


async def test_nothing_is_shown_or_done_before_signing_in(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    settings = database.settings(page_token=SecretStr(TOKEN))
    async with visiting(settings, place, db) as visitor:
        for path in PATHS:
            answer, text = await visitor.get(path)
            assert answer.status == 401
            assert "HD-1" not in text
            assert NAME not in text
        for path in ("send", "confirm"):
            answer, _ = await visitor.post(path, {"form": await visitor.form(), "action": "again", "id": "1"})
            assert answer.status == 401
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"
    assert place.closed == 1


async def test_a_person_signs_in_with_the_token_and_out_again(database: Sqlite, db: SalesDb, place: Place) -> None:
    async with visiting(database.settings(page_token=SecretStr(TOKEN)), place, db) as visitor:
        assert (await visitor.sign_in(token="khong-phai-ma-nay")).status == 403
        signed_in = await visitor.sign_in(token=TOKEN)
        assert (signed_in.status, signed_in.headers["Location"]) == (303, "/page/")
        cookie = signed_in.cookies[SESSION]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/page/")
        assert TOKEN not in cookie.value
        kept = {SESSION: cookie.value}
        answer, text = await visitor.get()
        assert answer.status == 200
        assert "Lan" in text
        await visitor.post("sign-out", {"form": await visitor.form()})
        assert (await visitor.get())[0].status == 401
        visitor.session.cookie_jar.update_cookies(kept, URL(f"{visitor.origin}/page/"))
        assert (await visitor.get())[0].status == 401, "what was signed out is worth nothing, kept or not"


def test_a_session_expires_and_cannot_be_forged() -> None:
    """Promise 7. Broken by: a session outlives the access code that it was opened with."""
    now = 1_000_000.0
    access = Access(settings_for(page_token=SecretStr(TOKEN)), clock=lambda: now)
    response = web.Response()
    access.open_session(request_from("192.0.2.7"), response, "Lan")
    value = response.cookies[SESSION].value

    def who(session: str, by: Access = access) -> Person | None:
        return by.identify(request_from("192.0.2.7", Cookie=f"{SESSION}={session}"))

    assert who(value) == Person("Lan", signed_in=True)
    elsewhere = Access(settings_for(page_token=SecretStr(TOKEN)), clock=lambda: now)
    assert who(value, elsewhere) == Person("Lan", signed_in=True), "at another worker"
    changed = Access(settings_for(page_token=SecretStr(f"{TOKEN}2")), clock=lambda: now)
    assert who(value, changed) is None
    content, _, signature = value.partition(".")
    other_words = URLSafeSerializer("guessed").dumps(["Lan", 2_000_000, "id"]).partition(".")[0]
    for forged in (
        content,
        f"{content}.",
        f".{signature}",
        f"zz.{signature}",
        f"{other_words}.{signature}",
        f"{content}.{signature[::-1]}",
    ):
        assert who(forged) is None
    now += SESSION_LIFETIME_S
    assert who(value) is None


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("", {}),
        ("guessed", {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Origin": "null"}),
        (None, {"Origin": ""}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
    ],
)
async def test_a_form_from_another_site_does_nothing(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place, form: str | None, headers: dict[str, str]
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        right = await visitor.form()
        fields = {"form": right if form is None else form, "action": "again", "id": "1"}
        for path in ("send", "confirm", "sign-out"):
            assert (await visitor.post(path, fields, **headers))[0].status == 403
        assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"
        assert (await visitor.post("send", fields | {"form": right}))[0].status == 200
    assert (await point_of_sale.row(1))["status"] == "PENDING_SYNC"


async def test_following_a_link_does_nothing(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    async with visiting(database.settings(), place, db) as visitor:
        await visitor.sign_in()
        answer, _ = await visitor.get("send?action=again&id=1")
        assert answer.status == 405
    assert (await point_of_sale.row(1))["status"] == "SYNC_FAILED"


async def test_forms_work_and_cookies_are_secure_behind_a_proxy_that_ends_tls(
    database: Sqlite, db: SalesDb, point_of_sale: PointOfSale, place: Place
) -> None:
    await point_of_sale.sell(1, status="SYNC_FAILED")
    settings = database.settings(page_user_header="X-User", page_trusted_proxies=("127.0.0.1",))
    proxy = {"X-User": "Lan", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "sales.example"}
    async with visiting(settings, place, db) as visitor:
        answer, _ = await visitor.get("", **proxy)
        cookie = answer.cookies[FORM]
        assert cookie["secure"]
        fields = {"form": cookie.value, "action": "again", "id": "1"}
        sent = proxy | {"Origin": "https://sales.example", "Cookie": f"{FORM}={cookie.value}"}
        answer, _ = await visitor.post("send", fields, **sent)
        assert answer.status == 200
    [action] = await point_of_sale.rows("SELECT actor, action FROM dbo.SaleAction")
    assert action == {"actor": "Lan", "action": "send_again"}


@pytest.mark.parametrize("path", [*PATHS, "static/page.js", "nowhere"])
async def test_every_response_has_the_security_headers(database: Sqlite, db: SalesDb, place: Place, path: str) -> None:
    async with visiting(database.settings(), place, db) as visitor:
        for _ in range(2):  # signed out, signed in
            answer, _ = await visitor.get(path)
            policy = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
            assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
            assert {*policy.values()} == {"'self'"}, "nothing inline, nothing from elsewhere"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == ("no-cache" if "static" in path else "no-store")
            await visitor.sign_in()
