"""Who may look, and under which name they ask: by a code, one that is set or the worker's own, which is for this
machine alone; or by the name that a trusted proxy sends. What is shown to nobody else stands behind it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp import web

from streams.operators.page.generated_code import code_file, make_code
from streams.operators.page.sign_in_attempts import SignInAttempts
from streams.settings import Settings

SESSION = "sales_session"
FORM = "sales_form"
"""Cookies. A form must carry the second one's value: a page from elsewhere can send our cookies, and not read them."""
SESSION_LIFE = 12 * 3600
LONGEST_NAME = 100
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


class Forbidden(Exception):
    """The text is that of `words.TEXTS` behind ``sorry_``."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    signed_in: bool
    """Here, so that they can sign out; False: at the proxy."""


class Access:
    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        tries: SignInAttempts | None = None,
        document_code: Callable[[], str] | None = None,
    ) -> None:
        """`clock`: epoch seconds. `document_code`: makes the code where none is set; asked once, and by a worker alone."""
        self._set = settings.page_token.get_secret_value() if settings.page_token else None
        self._own_code = document_code or (lambda: make_code(code_file(settings)))
        self._header = settings.page_user_header
        self._proxies = [ip_network(proxy) for proxy in settings.page_trusted_proxies]
        self._clock = clock
        self._tries = tries or SignInAttempts()
        self._signed_out: dict[str, float] = {}

    def open(self) -> None:
        """What takes its time, before anybody asks."""
        _ = self._key

    @property
    def makes_its_code(self) -> bool:
        return self._set is None

    @cached_property
    def _code(self) -> str:
        if self._set is not None:
            return self._set
        return secrets.token_urlsafe() if self._header else self._own_code()

    @cached_property
    def _key(self) -> bytes:
        """From the code: a session outlives the worker and holds at all of them, and ends with the code. Slow to make,
        so that nobody guesses a code from a session; made once."""
        return hashlib.scrypt(self._code.encode(), salt=b"the page's sessions", n=2**14, r=8, p=1, dklen=32)

    def who(self, request: web.Request) -> Person | None:
        """None: to be asked for a name and the code. Raises `Forbidden`."""
        peer = _address(request)
        by_proxy = self._is_proxy(peer)
        if self._header and by_proxy and (name := _one_name(request.headers.getall(self._header, []))):
            return Person(name, signed_in=False)
        if self._set is None and self._header:
            raise Forbidden("by_proxy")
        if self._set is None and not (peer is not None and peer.is_loopback and _is_direct(request)):
            raise Forbidden("closed")
        name = self._session_name(request.cookies.get(SESSION, ""))
        return Person(name, signed_in=True) if name else None

    def has_to_wait(self, request: web.Request) -> float | None:
        """Seconds before `sign_in` may be called. None: it may not."""
        return self._tries.take(self._client(request))

    def sign_in(self, request: web.Request, name: str, token: str) -> str | None:
        """What is wrong, as a text of `words.TEXTS`; None: nothing, and `open_session` may follow."""
        if not _alike(token, self._code):
            return "wrong_token"
        self._tries.give_back(self._client(request))
        return None if named(name) else "no_name"

    def open_session(self, request: web.Request, response: web.Response, name: str) -> None:
        until = int(self._clock()) + SESSION_LIFE
        words = json.dumps([named(name), until, secrets.token_urlsafe(12)]).encode()
        value = f"{words.hex()}.{self._signature(words)}"
        self.set_cookie(request, response, SESSION, value, life=SESSION_LIFE)

    def close_session(self, request: web.Request, response: web.Response) -> None:
        """The cookie's value is worth nothing any more, at this worker; it ends by itself at the others."""
        if session := self._session(request.cookies.get(SESSION, "")):
            now = self._clock()
            self._signed_out = {id_: until for id_, until in self._signed_out.items() if until > now}
            self._signed_out[session[2]] = session[1]
        response.del_cookie(SESSION, path="/page/")

    def check_origin(self, request: web.Request) -> None:
        """Whether a form comes from a page of ours, as far as its headers say. Raises `Forbidden`."""
        hosts = {request.host}
        if self._is_proxy(_address(request)):
            hosts.add(request.headers.get("X-Forwarded-Host", request.host))
        same = (
            _host_of(request.headers.get("Origin", "")) in hosts
            and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
            and bool(request.cookies.get(FORM))
        )
        if not same:
            raise Forbidden("form")

    def check_form(self, request: web.Request, sent: str) -> None:
        """Whether its own field says so too. Raises `Forbidden`."""
        if not _alike(request.cookies.get(FORM, ""), sent):
            raise Forbidden("form")

    def set_cookie(
        self, request: web.Request, response: web.StreamResponse, name: str, value: str, *, life: int | None = None
    ) -> None:
        # A browser that says so itself is behind a proxy that ends TLS, known to us or not.
        secure = self.is_secure(request) or request.headers.get("Origin", "").startswith("https://")
        response.set_cookie(name, value, max_age=life, path="/page/", httponly=True, samesite="Strict", secure=secure)

    def is_secure(self, request: web.Request) -> bool:
        """Whether it came over TLS, as this server or a trusted proxy knows it."""
        forwarded = request.headers.getall("X-Forwarded-Proto", []) if self._is_proxy(_address(request)) else []
        return request.secure or [each.strip().lower() for each in forwarded] == ["https"]

    def _client(self, request: web.Request) -> IPv4Address | IPv6Address | None:
        """Whose tries are counted: the last address in the chain that is none of the trusted proxies'."""
        address = _address(request)
        said = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        while self._is_proxy(address) and said and (before := _read_address(said.pop().strip())):
            address = before
        return address

    def _is_proxy(self, peer: IPv4Address | IPv6Address | None) -> bool:
        return peer is not None and any(peer in proxies for proxies in self._proxies)

    def _session_name(self, value: str) -> str | None:
        session = self._session(value)
        if session is None or session[1] <= self._clock() or session[2] in self._signed_out:
            return None
        return session[0]

    def _session(self, value: str) -> tuple[str, int, str] | None:
        encoded, _, signature = value.partition(".")
        try:
            words = bytes.fromhex(encoded)
        except ValueError:
            return None
        if not _alike(self._signature(words), signature):
            return None
        with suppress(ValueError):
            match json.loads(words):
                case [str(name), int(until), str(id_)]:
                    return name, until, id_
        return None  # signed by another version, which wrote another form

    def _signature(self, words: bytes) -> str:
        return hmac.digest(self._key, words, "sha256").hex()


def named(name: str) -> str | None:
    """In one line; None where it is none that could be recorded."""
    readable = name.encode("utf-8", "replace").decode("utf-8")
    line = " ".join("".join(each if each.isprintable() else " " for each in readable).split())
    return line if 0 < len(line) <= LONGEST_NAME else None


def _alike(one: str, other: str) -> bool:
    """In a time that says nothing of either. A header may hold halves of letters, which are no reason to fail."""
    return hmac.compare_digest(*(each.encode("utf-8", "surrogatepass") for each in (one, other)))


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _one_name(sent: list[str]) -> str | None:
    """Two of them: one is somebody else's invention."""
    return named(sent[0]) if len(sent) == 1 else None


def _address(request: web.Request) -> IPv4Address | IPv6Address | None:
    """None: a UNIX socket's, which has none."""
    return _read_address(request.remote or "")


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_direct(request: web.Request) -> bool:
    """From this machine, and for it: neither a proxy on it that lets others in, nor a foreign name that leads here."""
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    return host in {"127.0.0.1", "localhost", "::1"} and not any(name in request.headers for name in _FORWARDED)
