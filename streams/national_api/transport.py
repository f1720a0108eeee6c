"""HTTP to the national API. A call returns the answer, or what its failure proves; answers are not interpreted here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import httpx
import structlog

from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.call_result import CallResult
from streams.national_api.fast_transport import DEADLINE, FastTransport
from streams.national_api.observer import UNOBSERVED, Observer
from streams.national_api.own_form import Answer
from streams.national_api.response_body import read_body
from streams.national_api.transport_errors import loggable_text, read_transport_error
from streams.runtime.retrying import Backoff
from streams.settings import Settings

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 1024 * 1024
_HEADERS = {
    "user-agent": "pharmacy-sale-streams",
    "accept": "application/json",
    "accept-encoding": "identity",  # a small compressed answer cannot become a huge one
    "cache-control": "no-cache",  # a look-up needs the current state
}
# Retries of calls that were proved not sent. Together with a call's maximum deadline of 15 s they take less than 20 s.
_ATTEMPTS = 3
_RETRY_FOR = 4.0
_BACKOFF = Backoff(0.2, 2)
# Seconds within which no answer can arrive: a sale sent this close to its deadline would only end in doubt. It also
# absorbs the clock's rounding, by which a deadline that has just passed may still be some 1e-13 s ahead.
_MIN_SECONDS = 0.01


def proved_unsent(result: CallResult) -> bool:
    """Whether the call was proved not sent, so that it may be repeated."""
    return isinstance(result, TryLater)


def _uncounted() -> None:
    return


def _connections(settings: Settings, most: int) -> httpx.AsyncBaseTransport:
    if settings.national_api_transport == "fast":
        return FastTransport(settings, most)
    from streams.national_api.compatible_transport import compatible_transport  # httpcore takes 4 MB

    return compatible_transport(settings, most)


class Transport:
    """The worker's connections to one API. Its calls raise nothing but cancellation."""

    def __init__(
        self,
        settings: Settings,
        *,
        connections: int,
        clock: Callable[[], float],
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`connections`: how many there may be at most; `clock`: epoch seconds."""
        self._http = _connections(settings, connections)
        self._url = lru_cache(maxsize=64)(lambda path: httpx.URL(settings.api_url + path))
        self._deadline = settings.api_call_deadline
        self._extensions = {"timeout": {"connect": settings.api_connect_timeout}}
        self._observer = observer
        self._clock = clock

    async def call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        token: str | None = None,
        until: float | None = None,
        retry_if: Callable[[CallResult], bool] = proved_unsent,
        on_call: Callable[[], None] = _uncounted,
    ) -> CallResult:
        """Make one call, and repeat it for a few seconds while `retry_if` returns true for its result.

        `until`: the caller's own deadline, in the event loop's time; nothing is sent from 10 ms before it. `on_call` is
        called before each HTTP call, retries included.
        """

        async def once() -> CallResult:
            if self.seconds_left(until) < _MIN_SECONDS:
                return TryLater(Reason(Code.TIMED_OUT))
            on_call()
            started = time.perf_counter()
            result = await self._once(method, path, content, token, until)
            self._observer.called(method, path, result, time.perf_counter() - started)
            return result

        clock = asyncio.get_running_loop().time
        retry_until = clock() + min(_RETRY_FOR, self.seconds_left(until))
        result = await once()
        for tries in range(1, _ATTEMPTS):
            pause = _BACKOFF.pause(tries)
            if not retry_if(result) or clock() + pause >= retry_until:
                break
            await asyncio.sleep(pause)
            result = await once()
        return result

    def seconds_left(self, until: float | None) -> float:
        """Return the seconds that a call may take."""
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
            seconds = self.seconds_left(until)
            extensions = {**self._extensions, DEADLINE: seconds}
            request = httpx.Request(method, self._url(path), headers=headers, content=content, extensions=extensions)
            # For the whole call: httpx's timeouts start again with every chunk.
            async with asyncio.timeout(seconds):
                response = await self._http.handle_async_request(request)
                try:
                    return await self._read(response)
                finally:
                    await response.aclose()
        except Exception as error:  # whatever was raised, it proves only what the table says
            log.warning("national_api.call_failed", method=method, cause=loggable_text(error))
            return read_transport_error(error)

    async def _read(self, response: httpx.Response) -> Answer:
        content, whole = await read_body(response, MAX_ANSWER_BYTES)
        headers = response.headers
        return Answer(
            status=response.status_code,
            content=content,
            received_at=datetime.fromtimestamp(self._clock(), UTC),
            content_type=headers.get("content-type", ""),
            retry_after=headers.get("retry-after", ""),
            location=headers.get("location", ""),
            age=headers.get("age", ""),
            whole=whole,
        )

    async def aclose(self) -> None:
        await self._http.aclose()
