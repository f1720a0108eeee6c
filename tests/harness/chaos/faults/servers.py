"""How each kind of fault is done and undone: a context manager that is in force between the two.

Of workers, servers, and the lines between them.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import pyodbc
import redis

from streams.local.processes import NotReady, Process
from streams.local.real.stack import DATABASE
from streams.local.real.toxiproxy import Direction, Proxy
from streams.local.servers import Server
from tests.harness.chaos.faults.force import InForce, Parameters
from tests.harness.chaos.world import World

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


_SOME_ROWS = (
    "SELECT id FROM dbo.SalesInvoices WHERE id IN (SELECT id FROM dbo.SalesInvoices "
    "WHERE status = 'PENDING_SYNC' ORDER BY id DESC LIMIT 20) FOR UPDATE"
)
"""A point of sale that keeps a transaction open: the newest pending sales are held up."""
_ALL_LINES = "LOCK TABLE dbo.SalesInvoiceDetails IN ACCESS EXCLUSIVE MODE"
"""Somebody who mends the table: no sale can be read."""


@asynccontextmanager
async def _locked(kind: str, statement: str, world: World, _: Parameters) -> AsyncIterator[None]:
    async with AsyncExitStack() as undo:
        try:
            point_of_sale = await asyncio.to_thread(world.stack.postgres.connect, DATABASE)
            undo.callback(point_of_sale.close)  # which rolls back
            point_of_sale.autocommit = False
            await asyncio.to_thread(point_of_sale.execute, statement)
        except pyodbc.Error:
            world.planted.missed[kind] = "the database was away"
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
    "rows_locked": partial(_locked, "rows_locked", _SOME_ROWS),
    "lines_locked": partial(_locked, "lines_locked", _ALL_LINES),
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
}
