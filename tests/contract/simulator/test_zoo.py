"""Tests that the simulator plays the zoo, its tables of strangers' answers, unchanged and repeatably."""

from __future__ import annotations

import httpx
import pytest

from streams.local.simulator import presets, zoo
from streams.local.simulator.calls import Call, CallName
from streams.local.simulator.control import Control, ControlError
from streams.local.simulator.faults import Fault, FromZoo
from streams.local.simulator.kinds import SALE
from tests.contract.simulator.shop import LOG_IN, SALES, Shop, sale

PLACE, CODE = "79-00001", "HD-1"
REQUESTS: dict[CallName, tuple[str, str]] = {
    "create": ("POST", SALES),
    "replace": ("PUT", SALES),
    "look_up": ("GET", f"{SALES}/{PLACE}/{CODE}"),
    "withdraw": ("DELETE", f"{SALES}/{PLACE}/{CODE}"),
    "login": ("POST", LOG_IN),
}


def as_the_simulator_reads_it(name: CallName) -> Call:
    return Call("login", None) if name == "login" else Call(name, SALE, PLACE, CODE)


async def play(shop: Shop, name: CallName) -> tuple[httpx.Response, bytes]:
    """Return the answer and its body as it came, not unpacked."""
    method, path = REQUESTS[name]
    body = {"create": sale(), "replace": sale(), "login": {"usr": "shop-1", "pwd": "right"}}.get(name)
    headers = {"Authorization": f"bearer {shop.token}"}
    async with shop.http.stream(method, path, json=body, headers=headers) as answer:
        return answer, b"".join([part async for part in answer.aiter_raw()])


def test_the_zoo_has_answers_of_many_products_for_each_call() -> None:
    assert len(zoo.ENTRIES) >= 150
    assert len({entry.software for entry in zoo.ENTRIES.values()}) >= 50
    assert all(entry.source and entry.calls for entry in zoo.ENTRIES.values())
    assert all(len(zoo.fitting(call, look_alikes=False)) >= 100 for call in REQUESTS)


async def test_every_answer_of_the_zoo_is_played_as_it_is_written(control: Control, shop: Shop) -> None:
    for key, entry in zoo.ENTRIES.items():
        rule = await control.add_rule(presets.from_zoo(entry))
        for name in sorted(entry.calls):
            answer, content = await play(shop, name)
            assert answer.status_code == entry.status, key
            assert content == entry.content(as_the_simulator_reads_it(name)), key
            assert answer.headers["Content-Type"] == entry.content_type, key
            assert {header: answer.headers[header] for header in entry.headers} == dict(entry.headers), key
        await control.clear_rules(rule)
    assert (await control.summary()).accepted == 0


async def test_the_simulator_may_accept_a_document_before_it_plays_the_zoo(control: Control, shop: Shop) -> None:
    await control.add_rule(presets.from_zoo(zoo.ENTRIES["nginx_504"], accept=True))
    answer, _ = await play(shop, "create")
    assert answer.status_code == 504
    assert (await control.summary()).accepted == 1


async def test_a_mixture_of_the_zoo_is_wide_and_repeatable_by_seed(control: Control, shop: Shop) -> None:
    async def played(seed: int) -> list[tuple[int, bytes]]:
        rule = await control.add_rule(presets.zoo(seed), "look_up")
        answers = [await play(shop, "look_up") for _ in range(60)]
        await control.clear_rules(rule)
        return [(answer.status_code, content) for answer, content in answers]

    first = await played(1)
    assert len(set(first)) >= 20
    assert await played(1) == first
    assert await played(2) != first


async def test_a_call_without_a_fitting_answer_in_the_zoo_gets_its_ordinary_answer(
    control: Control, shop: Shop
) -> None:
    await shop.create(sale())
    await control.add_rule(presets.from_zoo(zoo.ENTRIES["varnish_stale_not_held"], accept=True), "withdraw")
    assert (await shop.withdraw(CODE)).json()["code"] == 200


async def test_an_unknown_name_of_the_zoo_is_rejected(control: Control) -> None:
    unknown = Fault.model_construct(accept=False, zoo=FromZoo.model_construct(name="unicorn"))
    with pytest.raises(ControlError, match="unicorn"):
        await control.add_rule(unknown)
