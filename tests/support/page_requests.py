"""Requests to the page that no browser makes."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp.test_utils import make_mocked_request

TOKEN = "mot-ma-truy-cap-dai"


def request_from(remote: str, **headers: str) -> Any:
    return make_mocked_request("GET", "/page/", headers={"Host": "127.0.0.1:6066"} | headers).clone(remote=remote)


async def status_of(host: str, sent: bytes) -> int:
    """Return the status of the answer, even when nothing else comes any more."""
    reader, writer = await asyncio.open_connection(*host.split(":"))
    try:
        async with asyncio.timeout(5):
            writer.write(sent)
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()
