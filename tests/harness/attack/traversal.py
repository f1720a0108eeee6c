"""Attacks with paths that lead out of the page's folder of files, as bytes on a socket, because clients normalize
them.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from streams.operators.page import page
from tests.harness.attack.arena import Arena, Suite, listening
from tests.harness.attack.site import House, served, status_of, visited

_HERE = Path(page.__file__).parent
_UPS = (
    "",
    "./",
    "x/../",
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "..%5c",
    "..\\",
    "%252e%252e%252f",
    "..%252f",
    "..%c0%af",
    "%c0%ae%c0%ae/",
    "....//",
    "..;/",
    ".../",
    "..%00/",
    "%2e./",
    ".%2e/",
    "..%u2215",
    "..%ef%bc%8f",
    "/..//",
    "./../",
    "..%09/",
    "..%0d%0a/",
    "%uff0e%uff0e/",
)
_TARGETS = (
    "templates/sale.html",
    "page.py",
    "own_code.py",
    "access.py",
    "../../settings.py",
    "../../../.env",
    "../../../README.md",
    "etc/passwd",
    "proc/self/environ",
    "proc/self/cmdline",
    "tmp/",
    "",
)
_BEFORE = (
    "/page/static/",
    "/page/static//",
    "/page/",
    "/",
    "/page/documents/",
    "/page/sale/",
    "//page/static/",
    "/page/static/x/",
)
_AFTER = ("", "?x", "#x", "/", "%00", "%00.css", ".css", "%20", "/.")
_ABSOLUTE = (
    "/page/static//etc/passwd",
    "file:///etc/passwd",
    "/page/static/file:/etc/passwd",
    "*",
    "http://127.0.0.1/etc/passwd",
)
_LEAKS = (
    b"root:",
    b"{% extends",
    b"{% block",
    b"from __future__",
    b"PATH=",
    b"-m tests.harness.attack",
    b"SALES_DB",
    b"make demo",
    b"<h1>Index",
)


async def run(arena: Arena) -> None:
    everything = [(up, target) for up in _UPS for target in _TARGETS]
    assert (_HERE / "static").is_dir(), "what is served stands elsewhere now"
    with listening(arena.seen) as lines:
        async with served(arena.folder, arena.seen) as house, visited(house) as visitor:
            cookies = "; ".join(f"{each.key}={each.value}" for each in visitor.session.cookie_jar)
            for number in arena.numbers:
                rng = arena.random(number)
                path = _path(rng, *arena.choose(number, everything))
                problem = await _attempt(house, path, cookies if rng.random() < 0.5 else "")
                errors = [line for line in lines.take() if '"level":"error"' in line]
                arena.judge(number, problem or (errors[0] if errors else None), path)


def _path(rng: Random, up: str, target: str) -> str:
    if rng.random() < 0.05:
        return rng.choice(_ABSOLUTE)
    return rng.choice(_BEFORE) + up * rng.choice((1, 1, 2, 3, 6, 12)) + target + rng.choice(_AFTER)


async def _attempt(house: House, path: str, cookies: str) -> str | None:
    head = f"GET {path} HTTP/1.1\r\nHost: {house.host}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n"
    answer = await house.raw(head.encode("utf-8", "surrogateescape"))
    status = status_of(answer)
    if status is None or status >= 500:
        return f"it is answered {status}"
    if found := [leak for leak in _LEAKS if leak in answer]:
        return f"the answer has {found[0]!r}"
    body = answer.partition(b"\r\n\r\n")[2]
    files = [file for file in (_HERE / "static").iterdir() if file.is_file()]
    is_ours = body.startswith((b"<!doctype html>", b"4", b"")) and (
        b"<!doctype html>" in body or status >= 300 or not body
    )
    return None if is_ours or any(file.read_bytes() == body for file in files) else "the answer is no page of ours"


SUITE = Suite("traversal", "the page's files, by paths that lead elsewhere", 312, run, 0.25)
