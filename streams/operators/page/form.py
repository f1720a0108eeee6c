"""The body of a form, read by ourselves and as little as a form of ours needs: whoever sends it may want to do harm.

What a library would do for us is what hurts: it takes whatever codec the request names, unpacks what is packed, and
takes a body of many parts apart, all of it on the loop that sends the sales.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict, MultiDictProxy

MOST_BYTES = 64 * 1024
"""The largest form of ours, 500 selected rows, has a tenth of it."""
_MOST_FIELDS = 600
_PATIENCE = 10.0
_TYPE = re.compile(r'application/x-www-form-urlencoded *(?:; *charset *= *"?utf-?8"? *)?', re.IGNORECASE)


class UnreadableForm(Exception):
    """No page of ours sends such a body."""

    def __init__(self, status: int) -> None:
        """`status`: of the answer, 400, 413 or 415."""
        super().__init__(status)
        self.status = status


async def read_form(request: web.Request, *, patience: float = _PATIENCE) -> MultiDictProxy[str]:
    """`patience`: seconds for all of it. Raises `UnreadableForm`."""
    _judge_headers(request)
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise UnreadableForm(413)
    except (TimeoutError, ConnectionError, HttpProcessingError, web.RequestPayloadError):
        raise UnreadableForm(400) from None
    return MultiDictProxy(_fields(bytes(body)))


def _judge_headers(request: web.Request) -> None:
    types = request.headers.getall("Content-Type", [])
    encodings = request.headers.getall("Content-Encoding", [])
    if len(types) != 1 or not _TYPE.fullmatch(types[0].strip()) or encodings:
        raise UnreadableForm(415)
    if (request.content_length or 0) > MOST_BYTES:
        raise UnreadableForm(413)


def _fields(body: bytes) -> MultiDict[str]:
    try:
        text = body.decode("ascii")  # all else stands there as %XX
        return MultiDict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise UnreadableForm(400) from None
