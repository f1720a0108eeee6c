"""Tests the simulator as a process of its own: its start, restart with its ledger, end, and wrong options."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from streams.local.simulator import presets
from streams.local.simulator.__main__ import main
from streams.local.simulator.control import Control, ask
from streams.local.simulator.ledger import Ledger
from tests.contract.simulator.shop import Shop, plain_http, sale

COMMAND = [sys.executable, "-m", "streams.local.simulator"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    path = tmp_path / "shops.json"
    path.write_text(json.dumps([{"usr": "shop-1", "pwd": "right", "ma_co_so": ["79-00001"]}]))
    return path


async def send(url: str, code: str) -> httpx.Response:
    async with plain_http(url) as http:
        return await (await Shop(http).log_in()).create(sale(code))


def test_accepted_documents_survive_a_kill_of_the_simulator(shops: Path, tmp_path: Path) -> None:
    options = ["--shops", str(shops), "--latency-ms", "0", "--ledger", str(tmp_path / "ledger.jsonl")]
    with running(*options) as (_, url):
        first = asyncio.run(send(url, "HD-1")).json()["ma_hoa_don"]
        before = ask(url, Control.ledger)
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"seq": 2, "at"')  # what a kill in mid-write leaves
    with running(*options, "--behaviour", '{"second_create": "another"}') as (_, url):
        assert ask(url, Control.ledger) == before
        assert asyncio.run(send(url, "HD-1")).json()["ma_hoa_don"] != first
        assert ask(url, Control.summary).twice == 1
    with running(*options) as (_, url):
        assert (ask(url, Control.summary).accepted, ask(url, Control.summary).twice) == (2, 1)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_simulator_although_calls_are_waiting(shops: Path, stop: signal.Signals) -> None:
    async def wait_for_ever(url: str, process: subprocess.Popen[bytes]) -> None:
        async with Control(url) as control:
            await control.add_rule(presets.slow_to_answer(600), "create")
            async with asyncio.TaskGroup() as group:
                group.create_task(cut_off(url))
                while (await control.summary()).accepted == 0:
                    await asyncio.sleep(0.005)
                process.send_signal(stop)

    async def cut_off(url: str) -> None:
        with pytest.raises(httpx.TransportError):
            await send(url, "HD-1")

    with running("--shops", str(shops), "--latency-ms", "0") as (process, url):
        asyncio.run(asyncio.wait_for(wait_for_ever(url, process), 20))
        assert process.wait(timeout=10) == 0


def test_wrong_options_of_the_simulator_are_named_without_the_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shops = tmp_path / "shops.json"
    shops.write_text('[{"usr": "a", "pwd": ["secret-word"]}]')
    assert main(["--shops", str(shops)]) == 2
    message = capsys.readouterr().err
    assert "0.pwd" in message
    assert "secret-word" not in message
    assert main(["--shops", "no-such.json"]) == 2
    assert "no-such.json: No such file" in capsys.readouterr().err
    assert main(["--latency-ms", "-1"]) == 2
    assert "--behaviour: latency_ms" in capsys.readouterr().err


def test_the_simulator_reports_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err


def test_a_file_that_is_not_a_ledger_is_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a ledger\n")
    with pytest.raises(ValueError, match="line 1"):
        Ledger(lambda: 0.0, path)
    assert path.read_text() == "not a ledger\n"
