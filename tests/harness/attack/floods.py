"""Attacks with floods of codes, of searches and of connections: a signed-in visitor is still answered, and memory
stays bounded.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Coroutine
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import ClientError, ClientTimeout
from aiohttp.test_utils import make_mocked_request

from streams.operators.page.access import Access
from streams.operators.page.sign_in_attempts import SignInAttempts
from streams.runtime.web_server import Bounds
from streams.settings import Settings
from tests.harness.attack.arena import Arena, Suite, listening
from tests.harness.attack.site import House, is_answered, served, visited
from tests.page.visitor import Visitor, visitor_of
from tests.support.moved_clock import Clock

_WAVE = 150
_MOST_MEMORY = 96 * 2**20
_MOST_ADDRESSES = 10_000
_BOUNDS = Bounds(grace=0.05, head=5, idle=5, linger=0.1, shutdown=0.1)


async def run(arena: Arena) -> None:
    clock, tries = Clock(0.0), list[SignInAttempts]()

    def access(settings: Settings) -> Access:
        tries.append(SignInAttempts(clock))
        return Access(settings, attempts=tries[0])

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with listening(arena.seen) as lines:
        try:
            async with served(arena.folder, arena.seen, bounds=_BOUNDS, access=access) as house:
                await house.point_of_sale.sell(*range(1, 40), status="SYNC_FAILED")
                async with visited(house) as lan, visited(house, "Phá") as flooder:
                    floods = (_codes(house, clock), _searches(flooder), _codes_over_http(house), _connections(house))
                    for start in range(0, arena.count, _WAVE):
                        wave = arena.numbers[start : start + _WAVE]
                        before = _memory()
                        problem = await _wave(arena.random(start), floods[start // _WAVE % len(floods)], lan, len(wave))
                        problem = problem or _unbounded(tries[0], before)
                        problem = problem or next((line for line in lines.take() if '"level":"error"' in line), None)
                        for number in wave:
                            arena.judge(number, problem if number == wave[0] else None, f"wave of {len(wave)}")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


Flood = Callable[[Random, int], Coroutine[Any, Any, str | None]]


async def _wave(rng: Random, flood: Flood, lan: Visitor, count: int) -> str | None:
    """Run the flood while a signed-in visitor opens the page again and again."""
    flooding = asyncio.create_task(flood(rng, count))
    try:
        answers = 0
        while not flooding.done() or not answers:
            if problem := await is_answered(lan, "failures") or await is_answered(lan, ""):
                return problem
            answers += 1
        return await flooding
    finally:
        flooding.cancel()
        with suppress(asyncio.CancelledError):
            await flooding


def _codes(house: House, clock: Clock) -> Flood:
    """Try codes from one network, and from everywhere."""

    async def flood(rng: Random, count: int) -> str | None:
        clock.now += 3600
        network = IPv6Address("2001:db8::") + (rng.getrandbits(32) << 64)
        looked_at = 0
        for number in range(count):
            near = str(network + rng.getrandbits(64))
            far = (
                str(ip_address(rng.getrandbits(32) | 1 << 31))
                if rng.random() < 0.5
                else str(IPv6Address(rng.getrandbits(128)))
            )
            said = {"Host": house.host, "X-Forwarded-For": f"{rng.getrandbits(8)}.1.2.3"}
            request = make_mocked_request("POST", "/page/sign-in", said)
            looked_at += house.access.sign_in_delay(request.clone(remote=near)) is not None
            house.access.sign_in_delay(request.clone(remote=far))
            if house.access.sign_in(request.clone(remote=far), "Lan", f"{rng.getrandbits(64)}") != "wrong_token":
                return "a code is guessed"
            if number % 50 == 0:
                await asyncio.sleep(0)
        return f"of one network {looked_at} codes are looked at" if looked_at > 10 else None

    return flood


def _codes_over_http(house: House) -> Flood:
    async def flood(rng: Random, count: int) -> str | None:
        async with visitor_of(house.origin) as stranger:
            form = await stranger.form()
            for _ in range(12):  # so that the others are told to come again instead of being waited for
                request = make_mocked_request("POST", "/page/sign-in", {"Host": house.host})
                house.access.sign_in_delay(request.clone(remote="127.0.0.1"))
            fields = {"form": form, "name": "Lan", "token": f"{rng.getrandbits(64)}"}
            statuses = await _all([_status(stranger, "sign-in", fields) for _ in range(count)])
        odd = {status for status in statuses if status not in (429, 503, None)}
        return f"codes are answered {odd}" if odd else None

    return flood


def _searches(flooder: Visitor) -> Flood:
    async def flood(rng: Random, count: int) -> str | None:
        paths = [
            f"{rng.choice(('failures', 'waiting', 'sale', 'shops'))}?code={rng.getrandbits(40)}&q={rng.getrandbits(40)}"
            for _ in range(count)
        ]
        statuses = await _all([_status(flooder, path) for path in paths])
        odd = {status for status in statuses if status not in (200, 404, 503, None)}
        return f"searches are answered {odd}" if odd else None

    return flood


def _connections(house: House) -> Flood:
    """Open connections that send nothing, or half of a request."""

    async def flood(rng: Random, count: int) -> str | None:
        wires = await asyncio.gather(*(_open(house) for _ in range(count)))
        try:
            for wire in wires:
                if wire is not None and rng.random() < 0.5:
                    wire.write(b"GET /page/ HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            return None
        finally:
            for wire in wires:
                if wire is not None:
                    wire.transport.abort()

    return flood


async def _open(house: House) -> asyncio.StreamWriter | None:
    with suppress(OSError):
        _, writer = await asyncio.open_connection(*house.host.split(":"))
        return writer
    return None


async def _status(visitor: Visitor, path: str, fields: dict[str, str] | None = None) -> int | None:
    """Return the status, or None where the connection is closed without an answer because there is no room."""
    with suppress(ClientError, TimeoutError, OSError):
        async with visitor.session.request(
            "POST" if fields else "GET",
            f"{visitor.origin}/page/{path}",
            data=fields,
            headers={"Origin": visitor.origin},
            allow_redirects=False,
            timeout=ClientTimeout(15),
        ) as answer:
            await answer.read()
            return int(answer.status)
    return None


async def _all(asked: list[Coroutine[Any, Any, int | None]]) -> list[int | None]:
    return list(await asyncio.gather(*asked))


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _unbounded(tries: SignInAttempts, before: int) -> str | None:
    if len(tries._full_at) > _MOST_ADDRESSES:
        return f"{len(tries._full_at)} addresses are kept"
    grown = _memory() - before
    return f"a wave takes {grown // 2**20} MiB that stay" if grown > _MOST_MEMORY else None


SUITE = Suite("floods", "sign-in, searches and connections, while somebody is signed in", 39_000, run, 0.0155)
