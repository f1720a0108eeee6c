"""One request of a client, read once: what is asked, about which document, by whom."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from streams.local.simulator.documents import parse
from streams.local.simulator.kinds import Kind

LOG_IN_PATH = "/api/tai_khoan/dang_nhap"

CallName: TypeAlias = Literal["login", "create", "replace", "look_up", "withdraw"]

_WITH_BODY: Mapping[str, CallName] = {"POST": "create", "PUT": "replace"}
_BY_CODE: Mapping[str, CallName] = {"GET": "look_up", "DELETE": "withdraw"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request. Codes are empty where the request has none that can be read."""

    name: CallName
    kind: Kind | None
    """None for a log-in."""
    ma_co_so: str = ""
    code: str = ""
    account: str = ""
    """Whose token came with it, or who logs in; empty: nobody's."""
    body: Mapping[str, Any] | None = None
    """None: not a JSON object, or none sent."""
    raw: bytes = b""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.kind.name if self.kind else "", self.ma_co_so, self.code)

    @property
    def body_sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


def read_call(
    method: str, raw_path: str, raw: bytes, account: str, kinds: Mapping[str, Kind]
) -> Call | Literal[404, 405]:
    """`kinds` by path. 404: no such path; 405: the path is there, the method is not."""
    if raw_path == LOG_IN_PATH:
        if method != "POST":
            return 405
        body = parse(raw)
        return Call("login", None, account=_string(body, "usr"), body=body, raw=raw)
    if kind := kinds.get(raw_path):
        if method not in _WITH_BODY:
            return 405
        body = parse(raw)
        place, code = _string(body, "ma_co_so"), _string(body, kind.document_code_field)
        return Call(_WITH_BODY[method], kind, place, code, account, body, raw)
    path, _, codes = _split(raw_path)
    if kind := kinds.get(path):
        if method not in _BY_CODE:
            return 405
        place, code = codes
        return Call(_BY_CODE[method], kind, unquote(place), unquote(code), account)
    return 404


def _split(raw_path: str) -> tuple[str, str, tuple[str, str]]:
    # Still percent-encoded: a code may hold a slash of its own.
    path, _, code = raw_path.rpartition("/")
    path, slash, place = path.rpartition("/")
    return path, slash, (place, code)


def _string(body: Mapping[str, Any] | None, name: str) -> str:
    value = body.get(name) if body is not None else None
    return value if isinstance(value, str) else ""


@dataclass(slots=True)
class Seen:
    """A request in the order of arrival. `at`: seconds since the epoch."""

    seq: int
    at: float
    call: CallName
    kind: str
    ma_co_so: str
    code: str
    account: str
    cookie: bool
    """The client sent one."""
    status: int | None = None
    """None: not answered yet, or the connection was cut instead."""
    fault: int | None = None
    """The rule that hit it."""


@dataclass(slots=True)
class SeenCalls:
    """The last requests (bounded), refused ones too, and how many of each there ever were."""

    longest: int = 100_000
    counts: Counter[CallName] = field(default_factory=Counter)
    _seen: deque[Seen] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = deque(maxlen=self.longest)

    def add(self, call: Call, at: float, *, cookie: bool) -> Seen:
        self.counts[call.name] += 1
        kind, place, code = call.key
        seen = Seen(self.counts.total(), at, call.name, kind, place, code, call.account, cookie)
        self._seen.append(seen)
        return seen

    def of(self, code: str | None = None) -> Iterable[Seen]:
        return [seen for seen in self._seen if code is None or seen.code == code]
