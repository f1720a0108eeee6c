"""HTTP to the national API: one call in, an answer or what its failure proves out. Knows no meaning."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TypeAlias

import aiohttp
from multidict import istr
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential
from yarl import URL

from streams.first_try import replayed
from streams.national_api.answers import Answer, read_transport_error
from streams.national_api.observer import UNOBSERVED, Observer
from streams.outcome import InDoubt, Reason, TryLater
from streams.reasons import Code

LONGEST_ANSWER = 1024 * 1024
_HEADERS = {
    istr("user-agent"): "pharmacy-sale-streams",
    istr("accept"): "application/json",
    istr("accept-encoding"): "identity",  # a small compressed answer cannot become a huge one
}
_CONTENT_TYPE = istr("content-type")
_AUTHORIZATION = istr("authorization")
_ADDRESSES = 256
# Below what servers keep an idle connection for (Apache 5 s), so that a POST seldom meets a closing one.
_KEEP_ALIVE = 4.0
# Patience with what is proved unsent; with a call's longest deadline of 15 s it stays below 20 s.
_ATTEMPTS = 3
_PATIENCE = 4.0
# Seconds below which no answer can come: a sale sent so late would only be in doubt. It also absorbs the clock's
# rounding, by which a deadline that is just over may still lie some 1e-13 s ahead.
_TOO_LATE = 0.01

CallResult: TypeAlias = Answer | TryLater | InDoubt


def proved_unsent(result: CallResult) -> bool:
    return isinstance(result, TryLater)


def _uncounted() -> None:
    return


class Transport:
    """The worker's connections to one API. Its calls raise nothing but cancellation."""

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float,
        deadline: float,
        connections: int,
        clock: Callable[[], float],
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`deadline`: seconds for the whole of one call; `clock`: epoch seconds."""
        self.base_url = base_url
        self._deadline = deadline
        self._observer = observer
        self._clock = clock
        self._http = _session(connections, connect_timeout)
        self._url = lru_cache(_ADDRESSES)(lambda path: URL(base_url.rstrip("/") + path, encoded=True))

    async def call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        token: str | None = None,
        until: float | None = None,
        again: Callable[[CallResult], bool] = proved_unsent,
        made: Callable[[], None] = _uncounted,
    ) -> CallResult:
        """One call, tried again for a few seconds while `again` says so of its result.

        `until`: the caller's own deadline, in the event loop's time; from 10 ms before it nothing is sent. `made`: told
        of each, repeated ones too.
        """

        async def once() -> CallResult:
            if self.left(until) < _TOO_LATE:
                return TryLater(Reason(Code.TIMED_OUT))
            made()
            started = time.perf_counter()
            result = await self._once(method, path, content, token, until)
            self._observer.called(method, path, result, time.perf_counter() - started)
            return result

        loop = asyncio.get_running_loop()
        began, patience = loop.time(), min(_PATIENCE, self.left(until))
        first = await once()
        if not again(first):
            return first
        retrying = AsyncRetrying(
            retry=retry_if_result(again),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            stop=stop_after_attempt(_ATTEMPTS) | stop_before_delay(patience - (loop.time() - began)),
            retry_error_callback=_last_result,
        )
        return await retrying(replayed(first, once))

    def left(self, until: float | None) -> float:
        """Seconds that a call may take."""
        if until is None:
            return self._deadline
        return max(0.0, min(self._deadline, until - asyncio.get_running_loop().time()))

    async def _once(
        self, method: str, path: str, content: bytes | None, token: str | None, until: float | None
    ) -> CallResult:
        headers = {**_HEADERS}
        if content is not None:
            headers[_CONTENT_TYPE] = "application/json; charset=utf-8"
        if token is not None:
            headers[_AUTHORIZATION] = f"bearer {token}"
        try:
            # Read time-outs count anew with every chunk; this one is for the whole call.
            async with (
                asyncio.timeout(self.left(until)),
                self._http.request(
                    method, self._url(path), headers=headers, data=content, allow_redirects=False
                ) as response,
            ):
                return await self._read(response)
        except Exception as error:  # whatever it is, it proves only what the table says
            return read_transport_error(error)

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        content = bytearray()
        while chunk := await response.content.readany():
            content += chunk
            if len(content) > LONGEST_ANSWER:
                break
        return Answer(
            status=response.status,
            content=bytes(content[:LONGEST_ANSWER]),
            headers=response.headers,
            received_at=datetime.fromtimestamp(self._clock(), UTC),
            whole=len(content) <= LONGEST_ANSWER,
        )

    async def aclose(self) -> None:
        await self._http.close()


def _last_result(state: RetryCallState) -> CallResult:
    assert state.outcome is not None  # noqa: S101 - tenacity asks after an attempt
    result: CallResult = state.outcome.result()
    return result


@cache
def _certificates() -> ssl.SSLContext:
    """Those that the machine trusts."""
    return ssl.create_default_context()


def _session(connections: int, connect_timeout: float) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEEP_ALIVE, ssl=_certificates()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout, sock_connect=connect_timeout),
        trust_env=False,
    )
    # aiohttp repeats a PUT or GET on a dropped connection. Should the repeat find nobody listening, its error
    # would prove "never sent" of a PUT that was sent. No public switch; a contract test holds it in place.
    session._retry_connection = False
    return session
