"""HTTP to the national API. A call returns the answer, or what its failure proves; answers are not interpreted here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.response import Response
from pyreqwest.runtime import runtime_max_blocking_threads, runtime_worker_threads
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.call_result import CallResult
from streams.national_api.observer import UNOBSERVED, Observer
from streams.national_api.own_form import Answer
from streams.national_api.transport_errors import last_cause, read_transport_error
from streams.runtime.retrying import replayed

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 1024 * 1024
_CHUNK = 16 * 1024  # bytes of an answer: allocated in advance where the answer does not state its length
_HEADERS = {
    "user-agent": "pharmacy-sale-streams",
    "accept": "application/json",
    "accept-encoding": "identity",  # a small compressed answer cannot become a huge one
    "cache-control": "no-cache",  # a look-up needs the current state
}
# Seconds. Less than servers keep an idle connection open (Apache 5 s), so that a POST seldom meets a closing one.
_KEEP_ALIVE = 4.0
# Retries of calls that were proved not sent. Together with a call's maximum deadline of 15 s they take less than 20 s.
_ATTEMPTS = 3
_RETRY_FOR = 4.0
# Seconds within which no answer can arrive: a sale sent this close to its deadline would only end in doubt. It also
# absorbs the clock's rounding, by which a deadline that has just passed may still be some 1e-13 s ahead.
_MIN_SECONDS = 0.01
# Threads for DNS look-ups of the API's address. Without this bound, each new connection would use one.
_DNS_THREADS = 4


def proved_unsent(result: CallResult) -> bool:
    """Whether the call was proved not sent, so that it may be repeated."""
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
        """`deadline`: seconds for one whole call; `clock`: epoch seconds."""
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

        loop = asyncio.get_running_loop()
        started, retry_for = loop.time(), min(_RETRY_FOR, self.seconds_left(until))
        first = await once()
        if not retry_if(first):
            return first
        retrying = AsyncRetrying(
            retry=retry_if_result(retry_if),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            stop=stop_after_attempt(_ATTEMPTS) | stop_before_delay(retry_for - (loop.time() - started)),
            retry_error_callback=_last_result,
        )
        return await retrying(replayed(first, once))

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
            # For the whole call: a read timeout would start again with every chunk.
            timeout = timedelta(seconds=self.seconds_left(until))
            request = self._http.request(method, self.base_url + path).headers(headers).timeout(timeout)
            if content is not None:
                request = request.body_bytes(content)
            async with request.build_streamed() as response:
                return await self._read(response)
        except Exception as error:  # whatever was raised, it proves only what the table says
            log.warning("national_api.call_failed", method=method, cause=last_cause(error))
            return read_transport_error(error)

    async def _read(self, response: Response) -> Answer:
        content = bytearray()
        while len(content) <= MAX_ANSWER_BYTES:
            part = await response.body_reader.read(_CHUNK)
            content += part or b""
            if part is None or len(part) < _CHUNK:  # the end: before it, the reader returns full chunks
                break
        return Answer(
            status=response.status,
            content=bytes(content[:MAX_ANSWER_BYTES]),
            received_at=datetime.fromtimestamp(self._clock(), UTC),
            content_type=_header(response, "content-type"),
            retry_after=_header(response, "retry-after"),
            location=_header(response, "location"),
            age=_header(response, "age"),
            whole=len(content) <= MAX_ANSWER_BYTES,
        )

    async def aclose(self) -> None:
        await self._http.close()


def _last_result(state: RetryCallState) -> CallResult:
    assert state.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
    result: CallResult = state.outcome.result()
    return result


def _header(response: Response, name: str) -> str:
    try:
        return response.get_header(name) or ""
    except ValueError:  # not decodable
        return ""


def _client(connections: int, connect_timeout: float) -> Client:
    """Build the HTTP client. It trusts the machine's certificate store.

    It never repeats on another connection a request that it has begun to write; a contract test verifies that.
    """
    runtime_worker_threads(1)  # only this kind of runtime obeys the bound on DNS threads
    runtime_max_blocking_threads(_DNS_THREADS)
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
