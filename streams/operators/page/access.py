"""Authentication of the page's visitors.

There are three ways in: with the access code in PAGE_TOKEN; with the code that the worker generates, from this machine
only; or with the user name that a trusted proxy sends in PAGE_USER_HEADER. Everything on the page needs one of them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp import web
from itsdangerous import BadData, URLSafeSerializer

from streams.operators.page.generated_code import code_file, make_code
from streams.operators.page.sign_in_attempts import SignInAttempts
from streams.operators.person_name import cleaned_name
from streams.settings import Settings

SESSION = "sales_session"
FORM = "sales_form"
"""The names of the cookies. A form must contain the value of the second one, against cross-site request forgery: a
foreign page can make the browser send our cookies, but cannot read them."""
SESSION_LIFETIME_S = 12 * 3600
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


class Forbidden(Exception):
    """The visitor may not do this; the message is the key of the text in `texts.TEXTS`, without ``sorry_``."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    signed_in: bool
    """Whether they have signed in here, so that they can sign out; False: at the proxy."""


class Access:
    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        attempts: SignInAttempts | None = None,
        generate_code: Callable[[], str] | None = None,
    ) -> None:
        """`clock`: returns epoch seconds. `generate_code`: returns the access code if PAGE_TOKEN is not set; it is
        called once, and only in a worker.
        """
        self._configured_code = settings.page_token.get_secret_value() if settings.page_token else None
        self._generate_code = generate_code or (lambda: make_code(code_file(settings)))
        self._header = settings.page_user_header
        self._proxies = [ip_network(proxy) for proxy in settings.page_trusted_proxies]
        self._clock = clock
        self._attempts = attempts or SignInAttempts()
        self._signed_out: dict[str, float] = {}

    def open(self) -> None:
        """Derive the session key, which takes some time, before the first request arrives."""
        _ = self._signed

    @property
    def generates_code(self) -> bool:
        """Whether visitors need the generated code, since PAGE_TOKEN is not set."""
        return self._configured_code is None

    @cached_property
    def _code(self) -> str:
        if self._configured_code is not None:
            return self._configured_code
        return secrets.token_urlsafe() if self._header else self._generate_code()

    @cached_property
    def _signed(self) -> URLSafeSerializer:
        """Signs sessions, and reads what it has signed. Its key is derived from the access code.

        So a session is valid at all workers and after a restart, and ends when the code changes. The derivation is slow
        so that a code cannot be guessed from a session, and is done once.
        """
        key = hashlib.scrypt(self._code.encode(), salt=b"the page's sessions", n=2**14, r=8, p=1, dklen=32)
        return URLSafeSerializer(
            key, SESSION, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
        )

    def identify(self, request: web.Request) -> Person | None:
        """Return who sent the request; None: they have to sign in. Raises `Forbidden`."""
        peer = _address(request)
        by_proxy = self._is_proxy(peer)
        if self._header and by_proxy and (name := _one_name(request.headers.getall(self._header, []))):
            return Person(name, signed_in=False)
        if self._configured_code is None and self._header:
            raise Forbidden("by_proxy")
        if self._configured_code is None and not (peer is not None and peer.is_loopback and _is_direct(request)):
            raise Forbidden("closed")
        name = self._session_name(request.cookies.get(SESSION, ""))
        return Person(name, signed_in=True) if name else None

    def sign_in_delay(self, request: web.Request) -> float | None:
        """Return the seconds to wait before `sign_in` may be called; None: there are too many attempts."""
        return self._attempts.take(self._client(request))

    def sign_in(self, request: web.Request, name: str, token: str) -> str | None:
        """Check name and access code.

        Returns the key of the text in `texts.TEXTS` that says what is wrong; None: `open_session` may be called.
        """
        if not _equal_in_constant_time(token, self._code):
            return "wrong_token"
        self._attempts.give_back(self._client(request))
        return None if cleaned_name(name) else "no_name"

    def open_session(self, request: web.Request, response: web.Response, name: str) -> None:
        """Set the session's cookie."""
        expires_at = int(self._clock()) + SESSION_LIFETIME_S
        value = self._signed.dumps([cleaned_name(name), expires_at, secrets.token_urlsafe(12)])
        self.set_cookie(request, response, SESSION, str(value), max_age=SESSION_LIFETIME_S)

    def close_session(self, request: web.Request, response: web.Response) -> None:
        """Delete the cookie, and make its value invalid at this worker; at the others it is valid until it expires."""
        if session := self._session(request.cookies.get(SESSION, "")):
            now = self._clock()
            self._signed_out = {id_: expires_at for id_, expires_at in self._signed_out.items() if expires_at > now}
            self._signed_out[session[2]] = session[1]
        response.del_cookie(SESSION, path="/page/")

    def check_origin(self, request: web.Request) -> None:
        """Check by its headers that a form was sent from our own page. Raises `Forbidden`."""
        hosts = {request.host}
        if self._is_proxy(_address(request)):
            hosts.add(request.headers.get("X-Forwarded-Host", request.host))
        is_same_origin = (
            _host_of(request.headers.get("Origin", "")) in hosts
            and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
            and bool(request.cookies.get(FORM))
        )
        if not is_same_origin:
            raise Forbidden("form")

    def check_form(self, request: web.Request, sent: str) -> None:
        """Check that a form's hidden field has the value of the `FORM` cookie. Raises `Forbidden`."""
        if not _equal_in_constant_time(request.cookies.get(FORM, ""), sent):
            raise Forbidden("form")

    def set_cookie(
        self, request: web.Request, response: web.StreamResponse, name: str, value: str, *, max_age: int | None = None
    ) -> None:
        """Set a cookie for the page only; without `max_age` (seconds) it ends with the browser's session."""
        # An Origin with https shows that the browser uses TLS, even if the proxy that terminates it is not trusted.
        secure = self.is_secure(request) or request.headers.get("Origin", "").startswith("https://")
        response.set_cookie(
            name, value, max_age=max_age, path="/page/", httponly=True, samesite="Strict", secure=secure
        )

    def is_secure(self, request: web.Request) -> bool:
        """Return whether the request came over TLS, according to this server or to a trusted proxy."""
        forwarded = request.headers.getall("X-Forwarded-Proto", []) if self._is_proxy(_address(request)) else []
        return request.secure or [each.strip().lower() for each in forwarded] == ["https"]

    def _client(self, request: web.Request) -> IPv4Address | IPv6Address | None:
        """Return the address whose attempts are counted: the last one in the chain that is not a trusted proxy."""
        address = _address(request)
        forwarded_for = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        while self._is_proxy(address) and forwarded_for and (previous := _read_address(forwarded_for.pop().strip())):
            address = previous
        return address

    def _is_proxy(self, peer: IPv4Address | IPv6Address | None) -> bool:
        return peer is not None and any(peer in proxies for proxies in self._proxies)

    def _session_name(self, value: str) -> str | None:
        session = self._session(value)
        if session is None or session[1] <= self._clock() or session[2] in self._signed_out:
            return None
        return session[0]

    def _session(self, value: str) -> tuple[str, int, str] | None:
        """Return name, expiry (epoch seconds) and id of a session; None: our signature is missing."""
        try:
            content = self._signed.loads(value.encode("utf-8", "surrogatepass"))
        except BadData:
            return None
        match content:
            case [str(name), int(expires_at), str(id_)]:
                return name, expires_at, id_
        return None  # signed by another version, with another content


def _equal_in_constant_time(one: str, other: str) -> bool:
    """Compare two texts in constant time. A header may contain lone surrogates, which must not raise an error."""
    return hmac.compare_digest(*(each.encode("utf-8", "surrogatepass") for each in (one, other)))


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _one_name(sent: list[str]) -> str | None:
    """Return the name in the header; None if there are several, because one of them may be forged."""
    return cleaned_name(sent[0]) if len(sent) == 1 else None


def _address(request: web.Request) -> IPv4Address | IPv6Address | None:
    """Return the address of the connection; None: it is a UNIX socket."""
    return _read_address(request.remote or "")


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_direct(request: web.Request) -> bool:
    """Return whether the request is for this machine by name and was not forwarded by a proxy.

    A proxy on this machine could let other machines in, and a foreign host name could be resolved to this machine.
    """
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    return host in {"127.0.0.1", "localhost", "::1"} and not any(name in request.headers for name in _FORWARDED)
