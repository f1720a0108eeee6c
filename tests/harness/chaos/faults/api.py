"""Faults of the national API and of machines in its place: see `tests.harness.chaos.faults.servers`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from streams.local.simulator import presets
from streams.local.simulator.calls import CallName
from streams.local.simulator.faults import Fault as ApiFault
from tests.harness.chaos.faults.force import InForce, Parameters
from tests.harness.chaos.world import World


@asynccontextmanager
async def _answers(make: Callable[[Parameters], ApiFault], world: World, drawn: Parameters) -> AsyncIterator[None]:
    """Of every kind of call; a log-in has nothing that could be accepted."""
    rules = [await world.control.add_rule(make(drawn), probability=drawn["share"], seed=int(drawn["share"] * 1e6))]
    try:
        yield
    finally:
        for rule in rules:
            await world.control.clear_rules(rule)


@asynccontextmanager
async def _late(make: Callable[[Parameters], ApiFault], world: World, drawn: Parameters) -> AsyncIterator[None]:
    """Delay what changes something there, and let the others hang."""
    calls: tuple[CallName, ...] = ("create", "replace", "withdraw")
    async with AsyncExitStack() as undo:
        for call in calls:
            rule = await world.control.add_rule(
                make(drawn), call, probability=drawn["share"], seed=int(drawn["share"] * 1e6)
            )
            undo.push_async_callback(world.control.clear_rules, rule)
        yield


@asynccontextmanager
async def _answers_to(
    call: CallName, make: Callable[[Parameters], ApiFault], world: World, drawn: Parameters
) -> AsyncIterator[None]:
    share = drawn["share"]
    rule = await world.control.add_rule(make(drawn), call, probability=share, seed=_seed(drawn))
    try:
        yield
    finally:
        await world.control.clear_rules(rule)


@asynccontextmanager
async def _zoo_for_one_shop(world: World, drawn: Parameters) -> AsyncIterator[None]:
    accounts = sorted(await world.control.logins()) or [""]
    chosen = accounts[int(drawn["which"] * len(accounts)) % len(accounts)]
    fault = _zoo(drawn)
    rule = await world.control.add_rule(fault, account=chosen)
    try:
        yield
    finally:
        await world.control.clear_rules(rule)


@asynccontextmanager
async def _other_forms(world: World, drawn: Parameters) -> AsyncIterator[None]:
    """Let the API itself answer in another of the forms in which it was seen."""
    before = await world.control.behaviour()
    changes = _FORMS[int(drawn["form"]) % len(_FORMS)]
    await world.control.change_behaviour(**changes)
    try:
        yield
    finally:
        await world.control.change_behaviour(**{name: getattr(before, name) for name in changes})


_FORMS: Sequence[Mapping[str, str]] = (
    {"code_as": "string", "message_field": "message", "accepted_answer": "field", "look_up_answer": "list"},
    {"code_as": "string", "look_up_answer": "data", "look_up_missing": "null"},
    {"login_answer": "field", "wrong_credentials": "200", "refusal_answer": "200", "look_up_missing": "200_code"},
    {"look_up_missing": "empty", "replace_missing": "404", "refusal_answer": "400_text"},
)


@asynccontextmanager
async def _tokens_expire(world: World, _: Parameters) -> AsyncIterator[None]:
    await world.control.expire_tokens()
    yield


def _accepted(drawn: Parameters) -> bool:
    return drawn["accepted"] >= 0.5


def _seed(drawn: Parameters) -> int:
    return int(sum(drawn.values()) * 1e6)


def _zoo(drawn: Parameters, *, only_look_alikes: bool = False) -> ApiFault:
    accept = "accepted" in drawn and _accepted(drawn)
    return presets.zoo(_seed(drawn), accept=accept, only_look_alikes=only_look_alikes, short_waits=True)


def _blocked(drawn: Parameters) -> ApiFault:
    """Return what a firewall answers to a body that it does not let through."""
    code = (200, 400, 403, 413, 415)[int(drawn["status"]) % 5]
    return presets.html(code)


def _blocked_method(drawn: Parameters) -> ApiFault:
    """Return what a firewall answers to a method that it does not let through."""
    code = (405, 403, 501, 400, 200)[int(drawn["status"]) % 5]
    return presets.html(code)


def _in_words(code: int, words: str, *, accept: bool = False) -> ApiFault:
    body = json.dumps({"code": code, "mess": words}, ensure_ascii=False)
    return ApiFault(accept=accept, status=200, body=body.encode())


_STALE = ApiFault(
    accept=False, status=404, headers={"Age": "60"}, body='{"code": 404, "mess": "Không tìm thấy dữ liệu"}'.encode()
)
_ODD_WAITS = ("9" * 400, "-1", "1.5", "Infinity", "soon")


DONE: Mapping[str, InForce] = {
    "api_500": partial(_answers, lambda drawn: presets.status(500, accept=_accepted(drawn))),
    "api_429": partial(_answers, lambda drawn: presets.status(429, retry_after=str(round(drawn["retry_after_s"])))),
    "api_401_storm": partial(_answers, lambda _: presets.status(401)),
    "api_html": partial(
        _answers, lambda drawn: presets.html(200 if drawn["status"] < 0.5 else 503, accept=_accepted(drawn))
    ),
    "api_cut": partial(
        _answers, lambda drawn: presets.cut_after_accepting() if _accepted(drawn) else presets.cut_before_accepting()
    ),
    "api_truncated": partial(_answers, lambda _: presets.truncated()),
    "api_hangs": partial(_answers, lambda _: ApiFault(until_gone=True, accept=False, cut=True)),
    "api_accepts_late": partial(_late, lambda drawn: presets.accept_after_client_is_gone(drawn["late_s"])),
    "api_answers_late": partial(_answers, lambda drawn: presets.slow_to_answer(drawn["late_s"])),
    "tokens_expire": _tokens_expire,
    "zoo_everywhere": partial(_answers, lambda drawn: _zoo(drawn)),
    "zoo_of_look_alikes": partial(_answers, lambda drawn: _zoo(drawn, only_look_alikes=True)),
    "zoo_on_create": partial(_answers_to, "create", lambda drawn: _zoo(drawn)),
    "zoo_on_replace": partial(_answers_to, "replace", lambda drawn: _zoo(drawn)),
    "zoo_on_withdraw": partial(_answers_to, "withdraw", lambda drawn: _zoo(drawn)),
    "zoo_on_look_up": partial(_answers_to, "look_up", lambda drawn: _zoo(drawn)),
    "zoo_on_log_in": partial(_answers_to, "login", lambda drawn: _zoo(drawn)),
    "zoo_for_one_shop": _zoo_for_one_shop,
    "sales_blocked": partial(_answers_to, "create", _blocked),
    "withdrawals_blocked": partial(_answers_to, "withdraw", _blocked_method),
    "log_in_page": partial(_answers, lambda _: presets.redirect("/Account/Login?ReturnUrl=%2Fapi")),
    "token_over_in_words": partial(_answers, lambda _: _in_words(401, "Phiên đăng nhập đã hết hạn")),
    "maintenance_in_words": partial(
        _answers, lambda drawn: _in_words(503, "Hệ thống đang bảo trì", accept=_accepted(drawn))
    ),
    "stale_not_found": partial(_answers_to, "look_up", lambda _: _STALE),
    "odd_retry_after": partial(
        _answers, lambda drawn: presets.status(429, retry_after=_ODD_WAITS[int(drawn["form"]) % len(_ODD_WAITS)])
    ),
    "other_forms": _other_forms,
}
