"""H3, files: tests that open connections to the page's port do not affect the sales."""

from __future__ import annotations

import asyncio
import gzip
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from streams.local.processes import free_port
from streams.operators.commands.page import page_access
from streams.settings import Settings
from tests.page.visitor import visitor_of
from tests.pipeline.pipeline import QUICK, Pipeline

_SILENT = 1150
_FILES = 700
"""Fewer than are held, and as many as a worker with its connections needs."""


@pytest.fixture(autouse=True)
def _files_for_those_who_hold() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * _SILENT:
        pytest.skip("too few files for a test that opens as many")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def is_alive(port: int) -> bool:
    with suppress(ClientError):
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/livez") as answer:
            return answer.status == 200
    return False


async def test_h3_hundreds_of_silent_connections_do_not_affect_the_sales(pipeline: Pipeline) -> None:
    port = free_port()
    worker = pipeline.stack.start_worker("worker", QUICK, web_port=port)
    pipeline.workers.append(worker)
    pipeline.seller.sell(1)
    await pipeline.until_decided()
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (_FILES, _FILES))
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_SILENT)]
    try:
        sales = pipeline.seller.sell(60)
        await pipeline.until(lambda: is_alive(port), "the worker says that it lives")
        await pipeline.until(lambda: pipeline.counts() == {"SYNC_SUCCESS": len(sales) + 1}, "all are sent")
    finally:
        for _, writer in silent:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for _, writer in silent), return_exceptions=True)
    log = worker.log.read_text()
    assert "gate.closed" not in log
    assert "Too many open files" not in log
    assert worker.exit_code is None


async def test_c2_no_request_affects_the_sales_and_m5_the_command_opens_the_page(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = free_port()
    worker = pipeline.stack.start_worker("worker", QUICK, web_port=port)
    pipeline.workers.append(worker)
    pipeline.seller.sell(1)
    await pipeline.until_decided()
    content_type = "application/x-www-form-urlencoded"
    async with visitor_of(f"http://127.0.0.1:{port}") as visitor:
        value = await visitor.form()
        for headers, body in (
            ({"Content-Type": f"{content_type}; charset=punycode"}, b"form=" + b"\xc3" * 1_000_000),
            ({"Content-Type": content_type, "Content-Encoding": "gzip"}, gzip.compress(bytes(50_000_000))),
            ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\n\r\n\r\n" * 100_000),
        ):
            for origin, status in ((visitor.origin, 415), ("https://evil.example", 403)):
                sent = {"Origin": origin} | headers
                began = time.perf_counter()
                async with visitor.session.post(f"{visitor.origin}/page/sign-in", data=body, headers=sent) as answer:
                    assert answer.status == status
                assert time.perf_counter() - began < 5
        environment = {name.lower(): each for name, each in pipeline.stack.environment.items()}
        settings = Settings(_env_file=None, **environment | {"web_port": port})  # type: ignore[arg-type]
        way = page_access(settings)
        assert way.address == f"{visitor.origin}/page/"
        wrong, _ = await visitor.post("sign-in", {"form": value, "name": "Lan", "token": "khong-phai-ma-nay"})
        assert wrong.status == 403
        assert (await visitor.sign_in(token=way.code or "")).status == 303
        assert (await visitor.get())[0].status == 200
    pipeline.seller.sell(20)
    await pipeline.until(lambda: pipeline.counts() == {"SYNC_SUCCESS": 21}, "all are sent")
    log = worker.log.read_text()
    assert "loop_hangs" not in log
    assert not [line for line in log.splitlines() if '"level":"error"' in line or "[error" in line]
    assert str(way.code) not in log
