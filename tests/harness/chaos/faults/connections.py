"""Faults of clients that connect and send almost nothing: to the workers' web port, and in the national API's
place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import httpx

from streams.local.simulator.faults import Fault as ApiFault
from tests.harness.chaos.faults.force import InForce, Parameters
from tests.harness.chaos.workers import Web
from tests.harness.chaos.world import World

_SILENT = 130
"""Connections to one worker: more than its web server has room for."""
_SLOW = 60
_WITHIN = 40.0
"""Seconds for a worker to come up that has just been killed."""
_HEAD = b"POST /page/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\nX-Slow: "
_FOREVER_S = 60.0
_HITS_WITHIN = 20.0

Writers: TypeAlias = list[asyncio.StreamWriter]


async def _say_nothing(_: Writers) -> None:
    await asyncio.Event().wait()


async def _drip(writers: Writers) -> None:
    """One byte of a head at a time, that never ends."""
    sent = 0
    while True:
        byte = _HEAD[sent : sent + 1] or b"x"
        for writer in writers:
            if not writer.is_closing():
                writer.write(byte)
        sent += 1
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _held(
    kind: str, count: int, talk: Callable[[Writers], Awaitable[None]], world: World, drawn: Parameters
) -> AsyncIterator[None]:
    """Connections to one worker, which has to answer others meanwhile, unless something is done to it."""
    web, writers = await _connected(world, drawn["which"], count)
    if web is None:
        world.planted.missed[kind] = "no worker let itself be connected to"
    talking = asyncio.ensure_future(talk(writers))
    asking = asyncio.create_task(_answers(web)) if web is not None else None
    try:
        yield
    finally:
        answered = asking is None or await _in_time(asking)
        if web is not None and not answered and world.workers.untouched(web):
            words = f"{web.worker} answered nobody while {count} connections were held: {kind}"
            world.workers.mistakes.append(words)
        talking.cancel()
        for writer in writers:
            writer.transport.abort()


async def _connected(world: World, which: float, count: int) -> tuple[Web | None, Writers]:
    deadline = time.monotonic() + _WITHIN
    writers: Writers = []
    while time.monotonic() < deadline:
        web = world.workers.web(which)
        try:
            async with asyncio.timeout(5):
                while len(writers) < count:
                    writers.append((await asyncio.open_connection("127.0.0.1", web.port))[1])
            return web, writers
        except (OSError, TimeoutError):
            for writer in writers:
                writer.transport.abort()
            writers = []
            await asyncio.sleep(0.5)
    return None, []


async def _answers(web: Web) -> None:
    """Returns when it has answered; whatever it says."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                await client.get(f"http://127.0.0.1:{web.port}/livez")
                return
            await asyncio.sleep(0.2)


async def _in_time(asking: asyncio.Task[None]) -> bool:
    """It may take a moment longer than the fault does, on a busy machine."""
    done, _ = await asyncio.wait([asking], timeout=15)
    asking.cancel()
    return bool(done)


@asynccontextmanager
async def _slow_answers(
    kind: str, make: Callable[[Parameters], ApiFault], world: World, drawn: Parameters
) -> AsyncIterator[None]:
    """In force until it has met a call at least, for a while longer than planned where it must be."""
    rule = await world.control.add_rule(make(drawn), probability=drawn["share"], seed=int(drawn["share"] * 1e6))
    try:
        yield
        deadline = time.monotonic() + _HITS_WITHIN
        while not await _hits(world, rule) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        if not await _hits(world, rule):
            world.planted.missed[kind] = "no call met it"
    finally:
        await world.control.clear_rules(rule)


async def _hits(world: World, rule: int) -> int:
    return sum(each.hits for each in await world.control.rules() if each.id == rule)


DONE: Mapping[str, InForce] = {
    "web_silent": partial(_held, "web_silent", _SILENT, _say_nothing),
    "web_slow_loris": partial(_held, "web_slow_loris", _SLOW, _drip),
    "api_drips": partial(_slow_answers, "api_drips", lambda drawn: ApiFault(drip_s=drawn["byte_s"])),
    "api_silent_midway": partial(_slow_answers, "api_silent_midway", lambda _: ApiFault(drip_s=_FOREVER_S)),
}
