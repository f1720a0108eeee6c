"""Reads the body of a form, which may come from an attacker, and accepts only what our own forms send.

aiohttp's own parser would decode any charset that the request names, decompress the body, and split multipart bodies,
all of it on the event loop that sends the sales.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict, MultiDictProxy

MAX_BYTES = 64 * 1024
"""Our largest form, with 500 selected rows, has a tenth of it."""
_MAX_FIELDS = 600
_TIMEOUT = 10.0
_TYPE = re.compile(r'application/x-www-form-urlencoded *(?:; *charset *= *"?utf-?8"? *)?', re.IGNORECASE)


class UnreadableForm(Exception):
    """The body cannot come from a form of our page."""

    def __init__(self, status: int) -> None:
        """`status`: the HTTP status of the answer, 400, 413 or 415."""
        super().__init__(status)
        self.status = status


async def read_form(request: web.Request, *, timeout_s: float = _TIMEOUT) -> MultiDictProxy[str]:
    """Return the fields of the form. Raises `UnreadableForm`, also if the body takes longer than `timeout_s`."""
    _check_headers(request)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise UnreadableForm(413)
    except (TimeoutError, ConnectionError, HttpProcessingError, web.RequestPayloadError):
        raise UnreadableForm(400) from None
    return MultiDictProxy(_fields(bytes(body)))


def _check_headers(request: web.Request) -> None:
    types = request.headers.getall("Content-Type", [])
    encodings = request.headers.getall("Content-Encoding", [])
    if len(types) != 1 or not _TYPE.fullmatch(types[0].strip()) or encodings:
        raise UnreadableForm(415)
    if (request.content_length or 0) > MAX_BYTES:
        raise UnreadableForm(413)


def _fields(body: bytes) -> MultiDict[str]:
    try:
        text = body.decode("ascii")  # all other characters are encoded as %XX
        return MultiDict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise UnreadableForm(400) from None
