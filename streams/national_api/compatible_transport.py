"""httpx's own transport (httpcore) with OpenSSL, for servers with which rustls agrees on no encryption.

A call takes ten to twenty times the CPU that it takes on `fast_transport`, and more with each connection that is open.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import httpcore
import httpx

from streams.settings import Settings


def compatible_transport(
    settings: Settings, connections: int, tls: ssl.SSLContext | None = None
) -> httpx.AsyncHTTPTransport:
    """Return the connections to one API, at most `connections`. `tls`: instead of the worker's own.

    Every call has a connection of its own: of a server that sent more than one answer to a call, httpcore would take
    the next one for the answer to the next call. So nothing can be repeated on another connection either.
    """
    tls = tls or _tls(settings)
    proxy = _proxy(settings, tls)
    transport = (
        _ThroughSocks if proxy is not None and proxy.url.scheme.startswith("socks") else httpx.AsyncHTTPTransport
    )
    return transport(
        verify=tls,
        trust_env=False,
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=0),
        proxy=proxy,
        local_address=settings.national_api_bind_address,
        retries=0,
    )


class _ThroughSocks(httpx.AsyncHTTPTransport):
    """Closes the connection to a SOCKS proxy that makes none to the API; httpcore leaves it open."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"] = _SocksTrace()
        return await super().handle_async_request(request)


class _SocksTrace:
    """What httpcore calls at each step of a request."""

    def __init__(self) -> None:
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def __call__(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "socks.connect_tcp.complete":
            self._stream = details["return_value"]
        elif event in ("socks.setup_socks5_connection.failed", "socks.start_tls.failed") and self._stream is not None:
            await self._stream.aclose()


def _proxy(settings: Settings, tls: ssl.SSLContext) -> httpx.Proxy | None:
    if settings.national_api_proxy is None:
        return None
    url = httpx.URL(settings.national_api_proxy.get_secret_value())
    return httpx.Proxy(url, ssl_context=tls if url.scheme == "https" else None)


def _tls(settings: Settings) -> ssl.SSLContext:
    """Return a context with the ciphers that the system's policy allows, not the fewer that Python chooses."""
    tls = ssl.create_default_context()
    tls.set_ciphers("DEFAULT")
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate certificate in the store suffices
    if settings.national_api_ca_file is not None:
        tls.load_verify_locations(cafile=settings.national_api_ca_file)
    if settings.national_api_client_cert is not None:
        tls.load_cert_chain(settings.national_api_client_cert, settings.national_api_client_key)
    return tls
