"""Tests the local stack as its users meet it: every server answers, is restarted after a death, and leaves nothing
behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pymongo
import pyodbc
import pytest
import redis
from aiokafka import AIOKafkaConsumer
from dotenv import dotenv_values
from pymongo.collection import Collection

from streams.local.processes import NotReady, Process
from streams.local.samples import Seller
from streams.local.shops import open_shops
from streams.local.simulator.control import Control, ask
from streams.local.stack import CHANGE_TOPIC, AlreadyRunning, LocalStack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=0) as stack:
        yield stack


def wait_until(check: Callable[[], bool], timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_redis_of_the_local_stack_answers(stack: LocalStack) -> None:
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.set("a", "1")
        assert client.get("a") == b"1"


def test_mongodb_of_the_local_stack_keeps_its_documents_after_a_death(stack: LocalStack) -> None:
    client: pymongo.MongoClient[dict[str, int]]
    with pymongo.MongoClient(stack.environment["MONGO_URL"], serverSelectionTimeoutMS=5000) as client:
        logs: Collection[dict[str, int]] = client[stack.environment["MONGO_DATABASE"]]["task_logs"]
        logs.insert_one({"_id": 1})
        stack.mongo.kill()
        stack.mongo.start()
        assert logs.find_one({"_id": 1}) == {"_id": 1}


def test_the_database_file_of_the_local_stack_is_reached_over_odbc(stack: LocalStack) -> None:
    with closing(pyodbc.connect(stack.environment["SALES_DB_DSN"], autocommit=True)) as connection:
        connection.execute(f"ATTACH DATABASE '{stack.environment['SALES_DB_ATTACH']}' AS dbo")
        assert connection.execute("SELECT COUNT(*) FROM dbo.SaleSync").fetchval() == 0


async def test_a_sale_reaches_the_change_topic(stack: LocalStack) -> None:
    with Seller(stack.database, fault_share=0) as seller:
        seller.sell(1)
    async with AIOKafkaConsumer(
        CHANGE_TOPIC, bootstrap_servers=stack.broker.address, auto_offset_reset="earliest"
    ) as changes:
        record = await changes.getone()
    assert record.key == b'{"id":1}'


def test_the_sample_shops_can_log_in(stack: LocalStack) -> None:
    with closing(open_shops(stack.database, stack.simulator_url)) as seller:
        behaviour = ask(stack.simulator_url, Control.behaviour)
        assert behaviour.refused_drugs
        assert seller.accounts


def test_a_dead_server_of_the_local_stack_is_started_again_at_its_address(stack: LocalStack) -> None:
    before = {server.name: server.address for server in (stack.valkey, stack.simulator)}
    stack.valkey.kill()
    stack.simulator.kill()
    stack.revive()
    assert {server.name: server.address for server in (stack.valkey, stack.simulator)} == before
    assert all(server.process.running for server in stack.servers)


def test_a_second_stack_in_the_same_folder_is_refused(stack: LocalStack) -> None:
    with pytest.raises(AlreadyRunning, match="stop that one first"), LocalStack(stack.state):
        pass
    assert stack.broker.process.running


def test_a_worker_that_cannot_start_shows_its_log(stack: LocalStack) -> None:
    worker = stack.start_worker("wrong", {"SALES_DB_TIMEZONE": "Nowhere"})
    with pytest.raises(NotReady, match=r"wrong ended with exit code \d+"):
        worker.ready(lambda: None)


def test_a_stack_that_is_down_leaves_no_process_and_no_settings(tmp_path: Path) -> None:
    with LocalStack(tmp_path) as stack:
        pids = [server.process.pid for server in stack.servers]
        published = dotenv_values(tmp_path / "stack.env")
        assert published == stack.environment
    assert all(gone(pid) for pid in pids)
    assert not (tmp_path / "stack.env").exists()


class Up:
    """Runs `python -m streams.local up` in a process of its own."""

    def __init__(self, state: Path) -> None:
        # As a shell starts a background job: with SIGINT ignored.
        script = 'trap \'\' INT; exec "$0" -m streams.local up --state "$1"'
        self.process = Process("up", ["sh", "-c", script, sys.executable, state], log=state / "up.log")
        self.process.ready(lambda: True if "Ctrl-C stops everything" in self.process.tail(100) else None, timeout=60)
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.children = [int(pid) for pid in text.split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_servers_end_with_the_command_whatever_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    up = Up(tmp_path)
    assert len(up.children) == 5
    os.kill(up.process.pid, number)
    up.process.wait(20)
    wait_until(lambda: all(gone(pid) for pid in up.children))
    assert (tmp_path / "stack.env").exists() == (number is signal.SIGKILL)


def test_selling_without_a_stack_explains_how_to_start_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.local", "sell", "--state", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Start one first: python -m streams.local up" in done.stderr
