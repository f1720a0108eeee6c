"""What one entry of the zoo is, and short ways to write one down."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from streams.local.simulator.calls import Call, CallName

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

EVERY: frozenset[CallName] = frozenset({"create", "replace", "look_up", "withdraw", "login"})
DOCUMENTS: frozenset[CallName] = EVERY - {"login"}
SENT: frozenset[CallName] = frozenset({"create", "replace"})
LOOKED_UP: frozenset[CallName] = frozenset({"look_up"})
LOG_IN: frozenset[CallName] = frozenset({"login"})

Body: TypeAlias = bytes | Callable[[Call], bytes]
"""The bytes, or what makes them of the call, where the software repeats a part of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer that software in front of the API gives. It proves nothing, whatever the API holds."""

    name: str
    software: str
    source: str
    """Where it can be read that it answers so: a project and a file of it, or how it was seen."""
    status: int
    body: Body = b""
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    calls: frozenset[CallName] = EVERY
    """On which it can be played. The same words may be the API's own as the answer to another call."""
    look_alike: bool = False
    """It has the API's own form: only its words, or a header, show that the API did not say it."""

    def content(self, call: Call) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body(call)


def said(value: Any) -> bytes:
    """A JSON body."""
    return json.dumps(value, ensure_ascii=False).encode()


def path_of(call: Call) -> str:
    """The path as the client asked for it, near enough for a page that repeats it."""
    if call.kind is None:
        return "/api/tai_khoan/dang_nhap"
    names_document = call.name in ("look_up", "withdraw")
    return f"{call.kind.path}/{call.ma_co_so}/{call.code}" if names_document else call.kind.path


def nginx_page(title: str, server: str) -> bytes:
    """The error page of nginx, with everything centred. Other servers have taken it over."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        f"<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
    ).encode()
