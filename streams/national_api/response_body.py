"""Reads the body of a response as far as a limit, unpacked where a server compressed it though it was not asked to."""

from __future__ import annotations

import zlib

import httpx

_ANY_HEADER = zlib.MAX_WBITS | 32  # of gzip or of zlib
_COMPRESSED = ("gzip", "x-gzip", "deflate")


async def read_body(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """Return the body, at most `limit` bytes of it, and whether that is all of it.

    httpx would unpack a few bytes into as many gigabytes as they say, so it is not left to httpx.
    """
    packed = zlib.decompressobj(_ANY_HEADER) if _is_compressed(response) else None
    content = bytearray()
    async for part in response.aiter_raw():
        content += part if packed is None else packed.decompress(part, limit + 1 - len(content))
        if len(content) > limit:
            return bytes(content[:limit]), False
    if packed is not None and not packed.eof:
        raise httpx.DecodingError("the compressed body ends too early")
    return bytes(content), True


def _is_compressed(response: httpx.Response) -> bool:
    return response.headers.get("content-encoding", "").strip().lower() in _COMPRESSED
