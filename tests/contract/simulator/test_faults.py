"""Tests what the client sees of each fault that the simulator plays, and what its ledger has then."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import httpx
import pytest

from streams.local.simulator import presets
from streams.local.simulator.control import Control, ControlError
from streams.local.simulator.faults import Fault
from tests.contract.simulator.shop import Shop, sale


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await check():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("fault", "accepted"), [(presets.cut_before_accepting(), 0), (presets.cut_after_accepting(), 1)]
)
async def test_a_cut_connection_leaves_the_document_accepted_or_not_as_configured(
    control: Control, shop: Shop, fault: Fault, accepted: int
) -> None:
    await control.add_rule(fault, "create", times=1)
    with pytest.raises(httpx.TransportError):
        await shop.create(sale())
    assert (await control.summary()).accepted == accepted
    (seen,) = await control.requests("HD-1")
    assert (seen.status, seen.fault) == (None, 1)
    assert (await shop.create(sale())).status_code == (400 if accepted else 200)


async def test_the_simulator_can_accept_after_the_client_has_left(control: Control, shop: Shop) -> None:
    await control.add_rule(presets.accept_after_client_is_gone(), "create", times=1)
    with pytest.raises(httpx.ReadTimeout):
        await shop.http.post(
            "/api/lien_thong/hoa_don",
            json=sale(),
            headers={"Authorization": f"bearer {shop.token}"},
            timeout=0.1,
        )

    async def accepted() -> bool:
        return (await control.summary()).accepted == 1

    await until(accepted)


async def test_the_simulator_accepts_nothing_before_the_client_has_left(control: Control, shop: Shop) -> None:
    await control.add_rule(presets.accept_after_client_is_gone(), "create", times=1)
    waiting = asyncio.create_task(shop.create(sale()))

    async def arrived() -> bool:
        return bool(await control.requests("HD-1"))

    await until(arrived)
    assert (await control.summary()).accepted == 0
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(("fault", "stored"), [(presets.slow_to_accept(5), 0), (presets.slow_to_answer(5), 1)])
async def test_a_slow_answer_leaves_the_document_accepted_or_not_as_configured(
    control: Control, shop: Shop, fault: Fault, stored: int
) -> None:
    await control.add_rule(fault, "create")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await shop.create(sale())
    assert (await control.summary()).accepted == stored


async def test_an_answer_can_arrive_byte_by_byte(control: Control, shop: Shop) -> None:
    await control.add_rule(presets.drip(0.002), "create")
    loop = asyncio.get_running_loop()
    arrivals: list[float] = []
    async with shop.http.stream(
        "POST", "/api/lien_thong/hoa_don", json=sale(), headers={"Authorization": f"bearer {shop.token}"}
    ) as answer:
        body = b""
        async for part in answer.aiter_raw():
            arrivals.append(loop.time())
            body += part
    assert b"HD_QG_" in body
    assert len(arrivals) > 5
    assert all(later >= earlier for earlier, later in pairwise(arrivals))
    assert arrivals[-1] - arrivals[0] >= 0.002 * (len(body) - 5)


async def test_the_simulator_plays_statuses_with_their_headers(control: Control, shop: Shop) -> None:
    await control.add_rule(presets.status(429, "chậm lại", retry_after="7"), "create", times=1)
    await control.add_rule(presets.redirect("https://example.invalid/"), "create", times=1)
    await control.add_rule(presets.status(503, accept=True), "create", times=1)
    await control.add_rule(presets.refusal("Không được"), "replace", times=1)
    slow = await shop.create(sale())
    assert (slow.status_code, slow.text, slow.headers["Retry-After"]) == (429, "chậm lại", "7")
    moved = await shop.create(sale())
    assert (moved.status_code, moved.headers["Location"]) == (302, "https://example.invalid/")
    assert (await control.summary()).accepted == 0
    assert (await shop.create(sale())).status_code == 503
    assert (await control.summary()).accepted == 1
    refused = await shop.replace(sale())
    assert (refused.status_code, refused.text) == (400, "Không được")


async def test_the_simulator_plays_each_sort_of_bad_body(control: Control, shop: Shop) -> None:
    async def spoilt(fault: Fault) -> httpx.Response:
        await control.add_rule(fault, "replace", times=1)
        answer = await shop.replace(sale())
        assert answer.status_code == 200
        return answer

    await shop.create(sale())
    assert (await spoilt(presets.html())).headers["Content-Type"].startswith("text/html")
    assert (await spoilt(presets.empty())).content == b""
    assert (await spoilt(presets.without_id())).json() == {"code": 200, "mess": "Thành công"}
    with pytest.raises(UnicodeDecodeError):
        (await spoilt(presets.not_utf8())).content.decode()
    assert (await control.summary()).replaced == 0

    for answer in (await spoilt(presets.truncated()), await spoilt(presets.truncated(accept=False))):
        assert answer.content.startswith(b'{"ma_hoa_don": "HD_QG')
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            answer.json()
    huge = await spoilt(presets.huge())
    assert len(huge.content) > 1024 * 1024
    assert huge.json()["ma_hoa_don"].startswith("HD_QG_")
    assert not (await spoilt(presets.huge(accept=False))).content.strip()
    assert (await control.summary()).replaced == 2


async def test_faults_apply_to_log_ins_look_ups_and_withdrawals(control: Control, shop: Shop) -> None:
    await control.add_rule(presets.status(500), "login", times=1, account="shop-1")
    await control.add_rule(presets.html(), "look_up", times=1)
    await control.add_rule(presets.cut_after_accepting(), "withdraw", times=1)
    await shop.create(sale())
    assert (await shop.request_token()).status_code == 500
    assert (await shop.request_token()).status_code == 200
    assert (await shop.look_up("HD-1")).text.startswith("<!DOCTYPE")
    with pytest.raises(httpx.TransportError):
        await shop.withdraw("HD-1")
    assert (await control.summary()).withdrawn == 1


async def test_fault_rules_match_in_order_and_expire(control: Control, shop: Shop) -> None:
    first = await control.add_rule(presets.status(500), code="HD-1", times=2)
    second = await control.add_rule(presets.status(502), ma_co_so="79-00001", kind="sale")
    assert [(await shop.create(sale())).status_code for _ in range(3)] == [500, 500, 502]
    assert (await shop.create(sale("HD-2"))).status_code == 502
    assert (await shop.create(sale(ma_co_so="79-00002"))).status_code == 200
    assert [(rule.id, rule.hits) for rule in await control.rules()] == [(first, 2), (second, 2)]
    await control.clear_rules(second)
    assert (await shop.create(sale())).status_code == 200
    await control.add_rule(presets.status(500))
    await control.clear_rules()
    assert (await shop.create(sale("HD-3"))).status_code == 200
    assert await control.rules() == []


async def test_a_fault_with_the_same_seed_hits_the_same_calls(control: Control, shop: Shop) -> None:
    async def hits() -> list[int]:
        rule = await control.add_rule(presets.status(500), "look_up", probability=0.5, seed=7)
        hit = [number for number in range(40) if (await shop.look_up("HD-1")).status_code == 500]
        await control.clear_rules(rule)
        return hit

    first = await hits()
    assert 5 < len(first) < 35
    assert await hits() == first


async def test_the_control_interface_rejects_unknown_values(control: Control) -> None:
    with pytest.raises(ControlError, match="latency"):
        await control.change_behaviour(latency="slow")
    with pytest.raises(ControlError, match="second_create"):
        await control.change_behaviour(second_create="twice")
    assert (await control.behaviour()).second_create == "refuse"
