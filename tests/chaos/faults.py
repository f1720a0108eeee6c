"""How each kind of fault is done and undone: a context manager that is in force between the two."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import pyodbc
import redis

from streams.local.processes import NotReady, Process
from streams.local.real.stack import DATABASE
from streams.local.real.toxiproxy import Direction, Proxy
from streams.local.servers import Server
from streams.local.simulator import presets
from streams.local.simulator.calls import CallName
from streams.local.simulator.faults import Fault as ApiFault
from tests.chaos.schedule import Fault
from tests.chaos.world import World

Parameters: TypeAlias = Mapping[str, float]
InForce: TypeAlias = Callable[[World, Parameters], AbstractAsyncContextManager[None]]


def in_force(world: World, fault: Fault) -> AbstractAsyncContextManager[None]:
    return DONE[fault.kind](world, fault.parameters)


# ---- workers ----


@asynccontextmanager
async def _worker_killed(world: World, drawn: Parameters) -> AsyncIterator[None]:
    world.workers.kill(drawn["which"])
    yield


@asynccontextmanager
async def _worker_terminated(world: World, drawn: Parameters) -> AsyncIterator[None]:
    world.workers.terminate(drawn["which"])
    yield


@asynccontextmanager
async def _worker_joins(world: World, _: Parameters) -> AsyncIterator[None]:
    world.workers.join()
    yield


@asynccontextmanager
async def _worker_leaves(world: World, drawn: Parameters) -> AsyncIterator[None]:
    if not world.workers.leave(drawn["which"]):
        world.workers.join()  # there were as few as there may be
    yield


# ---- servers ----


@asynccontextmanager
async def _away(
    server: Callable[[World], Server], world: World, _: Parameters, *, killed: bool = False
) -> AsyncIterator[None]:
    chosen = server(world)
    if killed:
        chosen.kill()
    else:
        await asyncio.to_thread(chosen.stop, 20)
    try:
        yield
    finally:
        await _up_again(world, chosen)


async def _up_again(world: World, server: Server) -> None:
    for last in (False,) * 10 + (True,):
        try:
            await world.up(server)
            break
        except NotReady:
            # The children of a PostgreSQL that was killed may still hold its memory for a moment.
            if last:
                raise
            await asyncio.sleep(0.3)


@asynccontextmanager
async def _frozen(
    process_of: Callable[[World, Parameters], Process], world: World, drawn: Parameters
) -> AsyncIterator[None]:
    process = process_of(world, drawn)
    process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(signal.SIGCONT)


@asynccontextmanager
async def _redis_flushed(world: World, _: Parameters) -> AsyncIterator[None]:
    with redis.Redis.from_url(world.stack.environment["REDIS_URL"]) as client, suppress(redis.RedisError):
        client.flushall()
    yield


@asynccontextmanager
async def _rows_locked(world: World, _: Parameters) -> AsyncIterator[None]:
    """A till that keeps a transaction open: the newest pending sales are held up."""
    statement = (
        "SELECT id FROM dbo.SalesInvoices WHERE id IN (SELECT id FROM dbo.SalesInvoices "
        "WHERE status = 'PENDING_SYNC' ORDER BY id DESC LIMIT 20) FOR UPDATE"
    )
    async with AsyncExitStack() as undo:
        with suppress(pyodbc.Error):
            till = await asyncio.to_thread(world.stack.postgres.connect, DATABASE)
            undo.callback(till.close)  # which rolls back
            till.autocommit = False
            await asyncio.to_thread(till.execute, statement)
        yield


# ---- the lines between ----


def _directions(drawn: Parameters) -> list[Direction]:
    which = int(drawn.get("direction", 2.0))
    both: list[Direction] = ["upstream", "downstream"]
    return both[which : which + 1] or both


@asynccontextmanager
async def _toxic(link: str, world: World, drawn: Parameters, *, toxic: str, **fixed: int) -> AsyncIterator[None]:
    proxies = world.stack.capture if link == "capture" else [world.link(link)]
    attributes = dict(fixed)
    if "latency_ms" in drawn:
        latency = int(drawn["latency_ms"])
        attributes |= {"latency": latency * 3 // 4, "jitter": latency // 4}
    if "kb_a_second" in drawn:
        attributes["rate"] = int(drawn["kb_a_second"])
    async with AsyncExitStack() as undo:
        for proxy in proxies:
            for direction in _directions(drawn):
                name = await asyncio.to_thread(partial(proxy.add, toxic, direction, **attributes))
                undo.push_async_callback(asyncio.to_thread, proxy.remove, name)
        yield


@asynccontextmanager
async def _closed(link: str, world: World, _: Parameters) -> AsyncIterator[None]:
    proxies: list[Proxy] = world.stack.capture if link == "capture" else [world.link(link)]
    for proxy in proxies:
        await asyncio.to_thread(proxy.close)
    try:
        yield
    finally:
        for proxy in proxies:
            await asyncio.to_thread(proxy.open)


# ---- the national API ----


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
    """Of what changes something there; the others hang."""
    calls: tuple[CallName, ...] = ("create", "replace")
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
    """The API itself answers in another of the forms in which it was seen."""
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
    """What a firewall says to a body that it does not let through."""
    code = (200, 400, 403, 413, 415)[int(drawn["status"]) % 5]
    return presets.html(code)


def _in_words(code: int, words: str, *, accept: bool = False) -> ApiFault:
    body = json.dumps({"code": code, "mess": words}, ensure_ascii=False)
    return ApiFault(accept=accept, status=200, body=body.encode())


_STALE = ApiFault(
    accept=False, status=404, headers={"Age": "60"}, body='{"code": 404, "mess": "Không tìm thấy dữ liệu"}'.encode()
)
_ODD_WAITS = ("9" * 400, "-1", "1.5", "Infinity", "soon")


_LINKS = ("kafka", "sql", "redis", "mongo", "api")


def _kafka(world: World) -> Server:
    return world.stack.kafka


def _postgres(world: World) -> Server:
    return world.stack.postgres


def _redis(world: World) -> Server:
    return world.stack.valkey


def _mongo(world: World) -> Server:
    return world.stack.mongo


def _connect(world: World) -> Server:
    return world.stack.connect


DONE: Mapping[str, InForce] = {
    "worker_killed": _worker_killed,
    "worker_terminated": _worker_terminated,
    "worker_frozen": partial(_frozen, lambda world, drawn: world.workers.process(drawn["which"])),
    "worker_joins": _worker_joins,
    "worker_leaves": _worker_leaves,
    "broker_killed": partial(_away, _kafka, killed=True),
    "broker_stopped": partial(_away, _kafka),
    "broker_frozen": partial(_frozen, lambda world, _: world.stack.kafka.process),
    "database_restarted": partial(_away, _postgres),
    "database_killed": partial(_away, _postgres, killed=True),
    "rows_locked": _rows_locked,
    "redis_stopped": partial(_away, _redis),
    "redis_killed": partial(_away, _redis, killed=True),
    "redis_flushed": _redis_flushed,
    "mongo_stopped": partial(_away, _mongo),
    "mongo_killed": partial(_away, _mongo, killed=True),
    "connect_killed": partial(_away, _connect, killed=True),
    "capture_cut": partial(_closed, "capture"),
    "capture_half_open": partial(_toxic, "capture", toxic="timeout", timeout=0),
    **{f"{link}_slow": partial(_toxic, link, toxic="latency") for link in _LINKS},
    **{f"{link}_thin": partial(_toxic, link, toxic="bandwidth") for link in _LINKS},
    **{f"{link}_reset": partial(_toxic, link, toxic="reset_peer", timeout=0) for link in _LINKS},
    **{f"{link}_half_open": partial(_toxic, link, toxic="timeout", timeout=0) for link in _LINKS},
    **{f"{link}_closed": partial(_closed, link) for link in _LINKS},
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
}
DONE = {
    **DONE,
    "tokens_expire": _tokens_expire,
    "zoo_everywhere": partial(_answers, lambda drawn: _zoo(drawn)),
    "zoo_of_look_alikes": partial(_answers, lambda drawn: _zoo(drawn, only_look_alikes=True)),
    "zoo_on_create": partial(_answers_to, "create", lambda drawn: _zoo(drawn)),
    "zoo_on_replace": partial(_answers_to, "replace", lambda drawn: _zoo(drawn)),
    "zoo_on_look_up": partial(_answers_to, "look_up", lambda drawn: _zoo(drawn)),
    "zoo_on_log_in": partial(_answers_to, "login", lambda drawn: _zoo(drawn)),
    "zoo_for_one_shop": _zoo_for_one_shop,
    "sales_blocked": partial(_answers_to, "create", _blocked),
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
