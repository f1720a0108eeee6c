"""Checks the way to the national API: names, proxy, TLS, certificates and clock.

The worker's own call (`streams.operators.checks.national_api`) tells whether the API can be used. This one verifies
nothing and carries no log-in, so that it also shows what the worker had to refuse.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

import httpx

from streams.national_api.handshake import causes
from streams.operators.checks import Finding, error, ok, warning
from streams.operators.checks.certificates import Certificate, presented_certificates, unverified_context
from streams.operators.terminal import age
from streams.settings import Settings

_MAX_CLOCK_DIFFERENCE_S = 60
_MIN_DAYS_LEFT = 21


class Step(StrEnum):
    """Where the way ends. The values are for people: 'fails while it ...'."""

    NAME = "looks up the address"
    CONNECT = "connects"
    PROXY = "goes through the proxy"
    TLS = "agrees on encryption"
    ANSWER = "waits for an answer"


@dataclass(frozen=True, slots=True)
class Route:
    """What was found on the way to the API."""

    host: str
    """``host:port`` of the API."""
    proxy: str | None
    """The proxy without its log-in, ``scheme://host:port``."""
    first_host: str
    """The host that this machine itself connects to: that of the proxy, else that of the API."""
    addresses: tuple[str, ...] = ()
    failed_at: Step | None = None
    cause: str = ""
    """What failed: the text of the operating system, of OpenSSL, or of the proxy."""
    tls: str = ""
    """Version and cipher suite, e.g. ``TLSv1.3 TLS_AES_256_GCM_SHA384``. Empty without TLS."""
    certificates: Sequence[Certificate] = ()
    """Those that the server sends, its own first."""
    clock_ahead_s: float | None = None
    """Seconds by which this machine's clock is ahead of the server's. None: its answer had no date."""


async def probe_route(settings: Settings, path: str, timeout_s: float) -> Route:
    """Go the way to the API step by step, with one GET of `path` without a log-in; nothing is verified."""
    api = urlsplit(settings.api_url)
    secret = settings.national_api_proxy
    proxy = None if secret is None else httpx.URL(secret.get_secret_value())
    first_host, first_port = (proxy.host, proxy.port) if proxy else (api.hostname or "", api.port)
    port = api.port or (443 if api.scheme == "https" else 80)
    route = Route(
        host=f"{api.hostname}:{port}",
        proxy=None if proxy is None else f"{proxy.scheme}://{proxy.netloc.decode()}",
        first_host=first_host,
    )
    try:
        async with asyncio.timeout(timeout_s):
            found = await asyncio.get_running_loop().getaddrinfo(first_host, first_port, type=socket.SOCK_STREAM)
    except OSError as failure:  # TimeoutError is one, too
        return replace(route, failed_at=Step.NAME, cause=failure.strerror or "no answer")
    route = replace(route, addresses=tuple(dict.fromkeys(str(each[4][0]) for each in found)))
    from streams.national_api.compatible_transport import compatible_transport  # httpcore is 4 MB of every worker

    tls = unverified_context()
    if settings.national_api_client_cert:
        tls.load_cert_chain(settings.national_api_client_cert, settings.national_api_client_key)
    transport = compatible_transport(settings, 1, tls)
    try:
        async with asyncio.timeout(timeout_s), transport:
            return await _get(route, transport, settings.api_url + path, timeout_s)
    except (httpx.HTTPError, OSError) as failure:
        step, cause = _failure(failure)
        return replace(route, failed_at=step, cause=cause)


async def _get(route: Route, transport: httpx.AsyncHTTPTransport, url: str, timeout_s: float) -> Route:
    async with httpx.AsyncClient(transport=transport, timeout=timeout_s) as client:
        started = time.time()
        async with client.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
            now = (started + time.time()) / 2
            stream = response.extensions["network_stream"]
            connection: ssl.SSLObject | None = stream.get_extra_info("ssl_object")
            ahead = _clock_ahead(response.headers.get("date", ""), now)
    if connection is None:
        return replace(route, clock_ahead_s=ahead)
    cipher = connection.cipher()
    return replace(
        route,
        tls=f"{connection.version()} {cipher[0] if cipher else ''}".strip(),
        certificates=presented_certificates(connection),
        clock_ahead_s=ahead,
    )


def _clock_ahead(date: str, now: float) -> float | None:
    try:
        server = parsedate_to_datetime(date)
    except ValueError:
        return None
    return now - server.timestamp() - 0.5  # the header's seconds are cut off: half of one on average


def _failure(failure: Exception) -> tuple[Step, str]:
    if isinstance(failure, httpx.ProxyError):
        return Step.PROXY, str(failure)
    for each in causes(failure):
        if isinstance(each, ssl.SSLError) and not isinstance(each, ssl.SSLWantReadError):  # that one only waits
            return Step.TLS, each.reason or str(each)
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
        system = next((each.strerror for each in causes(failure) if isinstance(each, OSError) and each.strerror), None)
        return Step.CONNECT, system or "no answer"
    if isinstance(failure, TimeoutError | httpx.TimeoutException):
        return Step.ANSWER, "no answer in time"
    return Step.ANSWER, str(failure)


def judge_route(route: Route) -> list[Finding]:
    """Return what is wrong on the way, or how it goes."""
    if route.failed_at is not None:
        return [_judge_failure(route)]
    through = f", through the proxy {route.proxy}" if route.proxy else ""
    what = f"leads to {route.host} ({', '.join(route.addresses[:4])}){through}"
    findings = [ok("national API: way", f"{what}, {route.tls or 'without TLS'}")]
    if route.certificates:
        findings.append(_judge_days_left(route.certificates))
    if route.clock_ahead_s is not None:
        findings.append(_judge_clock(route.clock_ahead_s))
    return findings


def _judge_failure(route: Route) -> Finding:
    whom = f"the proxy {route.proxy}" if route.proxy else route.host
    setting = "NATIONAL_API_PROXY" if route.proxy else "NATIONAL_API_URL"
    address = f" ({', '.join(route.addresses[:4])})" if route.addresses else ""
    match route.failed_at:
        case Step.NAME:
            what = f"the name {route.first_host} has no address: {route.cause}"
            action = f"Check the name in {setting}, and the DNS servers of this machine (/etc/resolv.conf)."
        case Step.CONNECT:
            what = f"no connection to {whom}{address}: {route.cause}"
            action = f"Check {setting}, the network, and whether a firewall lets this machine out to that address."
            if route.proxy is None:
                action += " If this network has an HTTP or SOCKS proxy, set NATIONAL_API_PROXY."
        case Step.PROXY:
            what = f"{whom} does not let the worker through: {route.cause}"
            action = _proxy_action(route)
        case Step.TLS:
            what = f"no encryption with {route.host}: {route.cause}"
            action = "Check the host and the port in NATIONAL_API_URL, and whether a proxy or a firewall inspects TLS."
        case _:
            what = f"{route.host} is reached{address}, but gives no answer: {route.cause}"
            action = "Wait a few minutes. If it lasts, see your firewall's log, and ask the authority."
    return error("national API", what, f"{action} Sales are waiting; none is lost.")


def _proxy_action(route: Route) -> str:
    cause = route.cause.lower()
    if "407" in cause or "authentication" in cause or "username" in cause or "auth" in cause:
        return "Correct the user and the password in NATIONAL_API_PROXY; characters such as @ are written as %40."
    if "403" in cause or "not allowed" in cause or "ruleset" in cause:
        return f"The proxy's rules have to allow CONNECT to {route.host}."
    return f"See the proxy's log: it has to reach {route.host} itself."


def _judge_days_left(certificates: Sequence[Certificate]) -> Finding:
    """Judge the certificate of the chain that ends first."""
    about = "national API: certificate"
    own = certificates[0]
    first = min(certificates, key=lambda each: each.ends)
    days = (first.ends - datetime.now(UTC)).days
    what = f"of {own.subject}, issued by {own.issuer}"
    if days >= _MIN_DAYS_LEFT:
        return ok(about, f"{what}, has {days} days left")
    whose = "" if first is own else f" that of {first.subject}"
    action = "The server's operator has to renew it. If that is late, sales wait until it is done; none is lost."
    return warning(about, f"{what}:{whose} has only {max(days, 0)} days left", action)


def _judge_clock(ahead_s: float) -> Finding:
    about = "national API: clock"
    if abs(ahead_s) <= _MAX_CLOCK_DIFFERENCE_S:
        return ok(about, "differs from this machine's by less than a minute")
    side = "behind" if ahead_s > 0 else "ahead of"
    action = (
        "Synchronize this machine's clock (NTP). If it is right, the server's is wrong: tokens then seem to end too "
        "early or too late, and are renewed when the API refuses them."
    )
    return warning(about, f"is {age(abs(ahead_s))} {side} this machine's", action)
