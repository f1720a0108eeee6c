"""httpx's transport on reqwest (pyreqwest): HTTP and TLS in Rust, at a fraction of the CPU that httpx's own needs.

Nothing else in the program knows pyreqwest. Its errors become those of httpx for which `transport_errors` says what
they prove.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import httpx
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import DetailedPyreqwestError, PoolTimeoutError, PyreqwestError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response
from pyreqwest.runtime import runtime_max_blocking_threads, runtime_worker_threads

from streams.settings import Settings

# Seconds. Less than servers keep an idle connection open (Apache 5 s), so that a POST seldom meets a closing one.
_KEEP_ALIVE = 4.0
_CHUNK = 16 * 1024  # bytes of an answer: allocated in advance where the answer does not state its length
# Threads for DNS look-ups of the API's address. Without this bound, each new connection would use one.
_DNS_THREADS = 4
_NOT_CONNECTED = "client error (Connect)"
"""The error text of a call for which the HTTP client could not make a connection, through the proxy if there is one,
and of no other call (hyper-util, `client::legacy`). pyreqwest's exceptions `ConnectError` and `ConnectTimeoutError` are
also raised for calls that were sent."""


class FastTransport(httpx.AsyncBaseTransport):
    """The connections to one API. It trusts the machine's certificate store.

    It never repeats on another connection a request that it has begun to write; a contract test verifies that.
    """

    def __init__(self, settings: Settings, connections: int) -> None:
        """`connections`: how many there may be at most."""
        self._client = _client(settings, connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sending = self._client.request(request.method, str(request.url)).headers(request.headers.multi_items())
        if content := await request.aread():
            sending = sending.body_bytes(content)
        exchange = sending.build_streamed()
        try:
            response = await exchange.__aenter__()
        except PyreqwestError as error:
            raise as_httpx(error) from None
        return httpx.Response(response.status, headers=_headers(response), stream=_Stream(exchange, response))

    async def aclose(self) -> None:
        await self._client.close()


class _Stream(httpx.AsyncByteStream):
    """The body of one response, and the exchange that ends with it."""

    def __init__(self, exchange: StreamRequest, response: Response) -> None:
        self._exchange = exchange
        self._reader = response.body_reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while part := await self._reader.read(_CHUNK):
                yield bytes(part)
                if len(part) < _CHUNK:  # the end: before it, the reader returns full chunks
                    return
        except PyreqwestError as error:
            raise as_httpx(error) from None

    async def aclose(self) -> None:
        await self._exchange.__aexit__(None, None, None)


def _headers(response: Response) -> list[tuple[str, str]]:
    """Return the headers, without those whose values are not ASCII."""
    try:
        return list(response.headers.items())
    except ValueError:
        readable = []
        for name in set(response.headers):
            with suppress(ValueError):
                readable += [(name, value) for value in response.headers.getall(name)]
        return readable


def as_httpx(error: PyreqwestError) -> httpx.TransportError:
    """Return the exception of httpx that proves what `error` does. Its text is the innermost cause, without any
    address.
    """
    details = error.details if isinstance(error, DetailedPyreqwestError) else None
    causes = [cause["message"] for cause in (details and details["causes"]) or ()]
    text = causes[-1] if causes else type(error).__name__
    if isinstance(error, PoolTimeoutError):
        return httpx.PoolTimeout(text)
    if _NOT_CONNECTED in causes:
        return httpx.ConnectError(text)
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout(text)
    return httpx.ReadError(text)


def _client(settings: Settings, connections: int) -> Client:
    runtime_worker_threads(1)  # only this kind of runtime obeys the bound on DNS threads
    runtime_max_blocking_threads(_DNS_THREADS)
    builder = (
        ClientBuilder()
        .runtime_multithreaded(True)
        .max_connections(connections)
        .connect_timeout(timedelta(seconds=settings.api_connect_timeout))
        .pool_idle_timeout(timedelta(seconds=_KEEP_ALIVE))
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .local_address(settings.national_api_bind_address)
    )
    if settings.national_api_proxy is None:
        builder = builder.no_proxy()  # not that of HTTPS_PROXY either
    else:
        builder = builder.proxy(ProxyBuilder.all(settings.national_api_proxy.get_secret_value()))
    if settings.national_api_ca_file is not None:
        builder = builder.add_root_certificate_pem(settings.national_api_ca_file.read_bytes())
    if settings.national_api_client_cert is not None and settings.national_api_client_key is not None:
        identity = (settings.national_api_client_key, settings.national_api_client_cert)
        builder = builder.identity_pem(b"\n".join(path.read_bytes() for path in identity))
    return builder.build()
