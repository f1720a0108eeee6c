"""HTTP to the national API: one call in, an answer or what its failure proves out. Knows no meaning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import structlog
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.response import Response
from pyreqwest.runtime import runtime_max_blocking_threads, runtime_worker_threads
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from streams.domain.outcome import InDoubt, Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.observer import UNOBSERVED, Observer
from streams.national_api.own_form import Answer
from streams.national_api.transport_errors import last_cause, read_transport_error
from streams.runtime.retrying import replayed

log = structlog.get_logger(__name__)

LONGEST_ANSWER = 1024 * 1024
_PART = 16 * 1024  # of an answer: where none says how long it is, so much memory is taken for it beforehand
_HEADERS = {
    "user-agent": "pharmacy-sale-streams",
    "accept": "application/json",
    "accept-encoding": "identity",  # a small compressed answer cannot become a huge one
    "cache-control": "no-cache",  # a look-up is about now
}
# Below what servers keep an idle connection for (Apache 5 s), so that a POST seldom meets a closing one.
_KEEP_ALIVE = 4.0
# Patience with what is proved unsent; with a call's longest deadline of 15 s it stays below 20 s.
_ATTEMPTS = 3
_PATIENCE = 4.0
# Seconds below which no answer can come: a sale sent so late would only be in doubt. It also absorbs the clock's
# rounding, by which a deadline that is just over may still lie some 1e-13 s ahead.
_TOO_LATE = 0.01
# Threads that look up the API's address: one for each connection that is made, unless there is a bound.
_NAMES_AT_ONCE = 4

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
        self.base_url = base_url.rstrip("/")
        self._deadline = deadline
        self._observer = observer
        self._clock = clock
        self._http = _client(connections, connect_timeout)

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
            headers["content-type"] = "application/json; charset=utf-8"
        if token is not None:
            headers["authorization"] = f"bearer {token}"
        try:
            # For the whole call: a time-out for reading would count anew with every chunk.
            within = timedelta(seconds=self.left(until))
            request = self._http.request(method, self.base_url + path).headers(headers).timeout(within)
            if content is not None:
                request = request.body_bytes(content)
            async with request.build_streamed() as response:
                return await self._read(response)
        except Exception as error:  # whatever it is, it proves only what the table says
            log.warning("national_api.call_failed", method=method, cause=last_cause(error))
            return read_transport_error(error)

    async def _read(self, response: Response) -> Answer:
        content = bytearray()
        while len(content) <= LONGEST_ANSWER:
            part = await response.body_reader.read(_PART)
            content += part or b""
            if part is None or len(part) < _PART:  # the end: it gives as much as it is asked for, if there is as much
                break
        return Answer(
            status=response.status,
            content=bytes(content[:LONGEST_ANSWER]),
            received_at=datetime.fromtimestamp(self._clock(), UTC),
            content_type=_header(response, "content-type"),
            retry_after=_header(response, "retry-after"),
            location=_header(response, "location"),
            age=_header(response, "age"),
            whole=len(content) <= LONGEST_ANSWER,
        )

    async def aclose(self) -> None:
        await self._http.close()


def _last_result(state: RetryCallState) -> CallResult:
    assert state.outcome is not None  # noqa: S101 - tenacity asks after an attempt
    result: CallResult = state.outcome.result()
    return result


def _header(response: Response, name: str) -> str:
    try:
        return response.get_header(name) or ""
    except ValueError:  # no text
        return ""


def _client(connections: int, connect_timeout: float) -> Client:
    """Trusts the certificates that the machine trusts. What it writes to a connection it never repeats on another one;
    a contract test holds that in place."""
    runtime_worker_threads(1)  # the bound on names holds for this form of its runtime alone
    runtime_max_blocking_threads(_NAMES_AT_ONCE)
    return (
        ClientBuilder()
        .runtime_multithreaded(True)
        .max_connections(connections)
        .connect_timeout(timedelta(seconds=connect_timeout))
        .pool_idle_timeout(timedelta(seconds=_KEEP_ALIVE))
        .follow_redirects(False)
        .referer(False)
        .no_proxy()
        .build()
    )
