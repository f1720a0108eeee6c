"""How fast a bare client posts: ``python -m tests.harness.bench.roofline CLIENT FILE --url URL --concurrency N``.

No database, no Kafka: bodies made beforehand, one loop, N posts in flight. Says ``{"done": sales}`` when all are
accepted, and stays until it is stopped, so that what it used can be read.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import aiohttp
import click
import httpx
from httpx_aiohttp import AiohttpTransport
from pyreqwest.client import ClientBuilder

from streams.documents.sale import SALE
from streams.local.samples.sales import HEADER_COLUMNS, LINE_COLUMNS, make_sale
from streams.local.samples.shops import Shop
from streams.national_api.login import PATH as LOG_IN
from tests.harness.bench import source

Post: TypeAlias = Callable[[str, bytes, dict[str, str]], Awaitable[tuple[int, bytes]]]
"""Path, body, headers -> status, body."""


def write_sales(file: Path, shops: Iterable[Shop], *, seed: int, first: int, count: int, now: datetime) -> list[str]:
    """Write sales as bodies, and return their codes; the file's first line has the shops' accounts."""
    known = {shop.code: shop.as_account() for shop in shops if not shop.trouble}
    healthy = [shop for shop in shops if not shop.trouble]
    codes = []
    with file.open("w", encoding="utf-8") as out:
        out.write(json.dumps(known) + "\n")
        for number in range(first, first + count):
            header, lines = make_sale(seed, number, healthy, now, 0, ())
            head = dict(zip(HEADER_COLUMNS.split(", "), header.row(), strict=True))
            rows = [dict(zip(LINE_COLUMNS.split(", "), line.row(number), strict=True)) for line in lines]
            body = SALE.transform(head, rows, now.date())
            codes.append(body.document_code)
            out.write(json.dumps({"shop": header.sale.shop, "body": body.content.decode()}) + "\n")
    return codes


async def _httpx(url: str, concurrency: int, cleanup: AsyncExitStack) -> Post:
    client = httpx.AsyncClient(
        base_url=url,
        timeout=60,
        trust_env=False,
        transport=AiohttpTransport(
            client=lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency))
        ),
    )
    await cleanup.enter_async_context(client)

    async def post(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        answer = await client.post(path, content=body, headers=headers)
        return answer.status_code, answer.content

    return post


async def _aiohttp(url: str, concurrency: int, cleanup: AsyncExitStack) -> Post:
    session = aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=concurrency))
    await cleanup.enter_async_context(session)

    async def post(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        async with session.post(path, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    return post


async def _pyreqwest(url: str, concurrency: int, cleanup: AsyncExitStack) -> Post:
    client = ClientBuilder().base_url(url).max_connections(concurrency).no_proxy().build()
    await cleanup.enter_async_context(client)

    async def post(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        answer = await client.post(path).headers(headers).body_bytes(body).build().send()
        return answer.status, bytes(await answer.bytes())

    return post


CLIENTS = {"httpx": _httpx, "aiohttp": _aiohttp, "pyreqwest": _pyreqwest}


@click.command()
@click.argument("client", type=click.Choice(list(CLIENTS)))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", required=True, help="Of the API.")
@click.option("--concurrency", type=click.IntRange(min=1), required=True, help="Posts in flight.")
def main(client: str, file: Path, url: str, concurrency: int) -> None:
    """Post the sales of FILE with CLIENT."""
    asyncio.run(_run(client, file, url, concurrency))


async def _run(name: str, file: Path, url: str, concurrency: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    first, *others = file.read_text(encoding="utf-8").splitlines()
    sales = [(sale["shop"], sale["body"].encode()) for sale in map(json.loads, others)]
    async with AsyncExitStack() as cleanup:
        post = await CLIENTS[name](url, concurrency, cleanup)
        tokens = {shop: await _log_in(post, account) for shop, account in json.loads(first).items()}
        left = iter(sales)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(_post_all(post, left, tokens))
        click.echo(json.dumps({"done": len(sales)}))
        await stop.wait()


async def _log_in(post: Post, account: dict[str, str]) -> str:
    credentials = json.dumps({"usr": account["usr"], "pwd": account["pwd"]}).encode()
    _, answer = await post(LOG_IN, credentials, {"content-type": "application/json"})
    return str(json.loads(answer)["token"])


async def _post_all(post: Post, left: Iterator[tuple[str, bytes]], tokens: dict[str, str]) -> None:
    for shop, body in left:
        status, answer = await post(SALE.endpoint.path, body, source.headers(tokens[shop]))
        if status != 200:
            raise click.ClickException(f"the API answered {status}: {answer[:200].decode(errors='replace')}")


if __name__ == "__main__":
    main(prog_name="python -m tests.harness.bench.roofline")
