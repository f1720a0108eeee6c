"""Tests log-in, tokens and accounts of the simulator."""

import httpx
import jwt
import pytest

from streams.local.simulator.accounts import Account, LoginCount
from streams.local.simulator.control import Control
from tests.contract.simulator.shop import LOG_IN, Shop, sale
from tests.support.moved_clock import Clock


async def test_the_simulator_logs_in_with_documented_and_field_answers(
    control: Control, http: httpx.AsyncClient
) -> None:
    answer = (await Shop(http).request_token()).json()
    assert answer.keys() == {"token", "token_type"}
    assert answer["token_type"] == "bearer"

    await control.change_behaviour(login_answer="field")
    answer = (await Shop(http).request_token()).json()
    assert answer["code"] == "200"
    assert answer["data"].keys() == {"token", "token_type"}


@pytest.mark.parametrize(("form", "status"), [("400", 400), ("401", 401), ("200", 200)])
async def test_the_simulator_refuses_wrong_credentials_in_each_form(
    control: Control, http: httpx.AsyncClient, form: str, status: int
) -> None:
    await control.change_behaviour(wrong_credentials=form)
    for shop in (Shop(http, pwd="wrong"), Shop(http, usr="nobody")):
        answer = await shop.request_token()
        assert answer.status_code == status
        assert not answer.json().get("token")
        if status == 200:
            assert answer.json()["data"] is None
            assert str(answer.json()["code"]) != "200"
    assert await control.logins() == {"shop-1": LoginCount(1, 0), "nobody": LoginCount(1, 0)}


@pytest.mark.parametrize("body", [{}, {"usr": "shop-1", "pwd": 1}, {"usr": "shop-1", "pwd": "x" * 31}, []])
async def test_the_simulator_answers_a_malformed_log_in_with_400(
    control: Control, http: httpx.AsyncClient, body: object
) -> None:
    assert (await http.post(LOG_IN, json=body)).status_code == 400


async def test_a_simulator_without_accounts_lets_nobody_in(http: httpx.AsyncClient) -> None:
    assert (await Shop(http).request_token()).status_code == 400


async def test_a_jwt_of_the_simulator_has_its_expiry_time(
    control: Control, http: httpx.AsyncClient, clock: Clock
) -> None:
    await control.change_behaviour(jwt_tokens=True, token_lifetime_s=900)
    shop = await Shop(http).log_in()
    claims = jwt.decode(shop.token, options={"verify_signature": False})
    assert claims["sub"] == "shop-1"
    assert claims["exp"] == clock.now + 900
    assert (await shop.create(sale())).status_code == 200


@pytest.mark.parametrize("header", [None, "", "bearer", "bearer not-a-token", "basic {token}"])
async def test_a_request_without_a_valid_token_gets_401(
    shop: Shop, http: httpx.AsyncClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.format(token=shop.token)}
    assert (await http.post("/api/lien_thong/hoa_don", json=sale(), headers=headers)).status_code == 401


async def test_tokens_of_the_simulator_expire(shop: Shop, clock: Clock) -> None:
    assert (await shop.look_up("HD-1")).status_code == 404
    clock.now += 3600
    assert (await shop.look_up("HD-1")).status_code == 401


async def test_tokens_of_the_simulator_can_be_revoked(control: Control, shop: Shop) -> None:
    await control.set_account("shop-2", "other")
    other = await Shop(shop.http, "shop-2", "other").log_in()
    assert await control.expire_tokens("shop-2") == 1
    assert (await other.create(sale("HD-2"))).status_code == 401
    assert (await shop.create(sale())).status_code == 200
    assert await control.expire_tokens() == 1
    assert (await shop.create(sale("HD-3"))).status_code == 401


async def test_accounts_of_the_simulator_can_be_changed_and_log_ins_are_counted(control: Control, shop: Shop) -> None:
    await control.set_accounts([Account.model_validate({"usr": "shop-1", "pwd": "changed"})])
    assert (await shop.request_token()).status_code == 400
    shop.pwd = "changed"
    assert (await shop.request_token()).status_code == 200
    assert await control.logins() == {"shop-1": LoginCount(asked=3, granted=2)}


async def test_an_account_sends_only_for_its_own_pharmacies(control: Control, shop: Shop) -> None:
    await control.set_account("shop-1", "right", ma_co_so=["79-00009"])
    assert (await shop.create(sale())).status_code == 400
    assert (await shop.create(sale(ma_co_so="79-00009"))).status_code == 200


async def test_the_simulator_records_whether_a_client_sent_its_cookie_back(
    control: Control, http: httpx.AsyncClient
) -> None:
    await control.change_behaviour(cookies=True)
    shop = await Shop(http).log_in()
    await shop.create(sale("kept"))
    http.cookies.clear()
    await shop.create(sale("none"))
    assert [seen.cookie for seen in await control.requests("kept")] == [True]
    assert [seen.cookie for seen in await control.requests("none")] == [False]
