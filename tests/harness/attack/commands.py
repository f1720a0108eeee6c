"""Commands of operators on hostile rows, decisions and dead letters, and on answers of a worker and Kafka Connect.

What they print steers no terminal and turns no direction of writing, JSON is JSON, and none ends in a traceback.
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

from click.testing import CliRunner, Result
from confluent_kafka import Producer
from pydantic import SecretStr

from streams.documents import DOCUMENT_TYPES
from streams.domain.reasons import Code
from streams.local.ferretdb import server_binary
from streams.local.servers import Broker, Mongo
from streams.operators.commands import commands
from streams.settings import Settings
from streams.stores.journal import Journal
from streams.stores.sales_db import Transaction
from tests.contract.scripted_server import Play, Request, ScriptedServer, respond, serving
from tests.contract.stores.point_of_sale import accepted, pending, refused
from tests.harness.attack.arena import MARK, Arena, Suite, listening
from tests.harness.attack.odd_values import odd_message
from tests.harness.attack.payloads import STEERING, steering
from tests.harness.attack.site import House, served

_RENEWED = 16
_ROWS = range(1, 8)
_COMMANDS: Sequence[tuple[str, ...]] = (
    ("status", "--worker", "WORKER"),
    ("failures",),
    ("failures", "--waiting"),
    ("failures", "--invoice", "TEXT"),
    ("failures", "--shop", "TEXT"),
    ("failures", "--after", "TEXT"),
    ("failures", "--day", "TEXT"),
    ("failures", "--language", "vi"),
    ("resend", "--all"),
    ("resend", "--invoice", "CODE"),
    ("resend", "--invoice", "TEXT"),
    ("resend", "--shop", "TEXT"),
    ("resend", "--invoice", "CODE", "--yes", "--as", "TEXT"),
    ("send-now", "--all"),
    ("send-now", "--invoice", "CODE"),
    ("lookup", "CODE", "--no-national"),
    ("lookup", "CODE", "--no-national", "--personal"),
    ("lookup", "TEXT", "--no-national"),
    ("lookup", "CODE", "--pharmacy", "TEXT", "--no-national"),
    ("lookup", "CODE"),
    ("tail", "--no-follow"),
    ("tail", "--no-follow", "--last", "1000"),
    ("tail", "--no-follow", "--invoice", "TEXT"),
    ("replay",),
    ("replay", "--topic", "sale-retry"),
    ("replay", "--without-original"),
    ("connectors", "status"),
    ("page",),
    ("status", "--worker", "TEXT"),
    ("status", "--name", "TEXT"),
)


@dataclass
class World:
    house: House
    settings: Settings
    producer: Producer
    worker: ScriptedServer
    connect: ScriptedServer
    journal: Journal
    codes: list[str]


async def run(arena: Arena) -> None:
    with listening(arena.seen):
        async with AsyncExitStack() as opened:
            world = await _open(arena, opened)
            for number in arena.numbers:
                rng = arena.random(number)
                if number % _RENEWED == 0:
                    await _fill(world, rng)
                world.worker.other, world.connect.other = _of_a_worker(rng), _of_connect(rng)
                arguments = _arguments(rng, arena.choose(number, _COMMANDS), world)
                ended = await _run(world.settings, arguments)
                arena.seen.look("command", ended.output)
                arena.judge(number, problem_of(ended, "--json" in arguments), arguments)


async def _open(arena: Arena, opened: AsyncExitStack) -> World:
    """Open real Kafka and MongoDB; the API, and whatever the commands request over HTTP, play hostile answers."""
    folder = arena.folder / "servers"
    (folder / "logs").mkdir(parents=True)
    mongo, broker = Mongo(folder, server_binary(lambda _: None)), Broker(folder)
    for server in (mongo, broker):
        await asyncio.to_thread(server.start)
        opened.callback(server.stop)
    house = await opened.enter_async_context(served(arena.folder, arena.seen))
    worker = await opened.enter_async_context(serving(ScriptedServer()))
    connect = await opened.enter_async_context(serving(ScriptedServer()))
    api = await opened.enter_async_context(serving(ScriptedServer(log_in=respond(200, {"token": f"{MARK}-token"}))))
    secrets = {
        "connect_url": SecretStr(f"http://worker:{MARK}-connect@127.0.0.1:{connect.port}"),
        "kafka_sasl_password": None,
        "kafka_sasl_username": None,
        "national_api_proxy": None,
        "mongo_url": SecretStr(f"mongodb://{mongo.address}/"),
    }
    settings = house.settings.model_copy(
        update=secrets | {"kafka_bootstrap_servers": broker.address, "national_api_url": api.url, "topic_partitions": 4}
    )
    journal = Journal(settings)
    opened.callback(journal.close)
    await house.point_of_sale.sell(*_ROWS, status="SYNC_FAILED")
    await house.point_of_sale.sell(20, 21)
    for id_ in _ROWS:
        await house.point_of_sale.add_lines(id_, "VN-1", "VN-2")
    await house.point_of_sale.syncs(
        _ROWS, attempt=1, published_attempt=1, reason_code=Code.API_REFUSED.value, refused_attempt=1
    )
    await house.point_of_sale.open_account("SHOP-1", f"{MARK}-usr", f"{MARK}-pwd")
    return World(
        house, settings, Producer({"bootstrap.servers": broker.address, "log_level": 0}), worker, connect, journal, []
    )


async def _fill(world: World, rng: Random) -> None:
    """Store rows, decisions, dead letters and history that are hostile in every text."""

    def text(longest: int = 50) -> str:
        return steering(rng, longest).encode("utf-8", "replace").decode()

    def work(tx: Transaction) -> None:
        for id_ in _ROWS:
            columns = (
                "pharmacy_code",
                "shop_pharmacy_code",
                "customer_name",
                "seller_name",
                "sync_response_message",
                "national_invoice_id",
            )
            values = [text() for _ in columns]
            values[1] = rng.choice((values[1], "SHOP-1"))
            codes[id_] = f"{id_}{text(40)}"
            sets = ", ".join(f"{column} = ?" for column in (*columns, "local_invoice_id"))
            tx.execute(f"UPDATE dbo.SalesInvoices SET {sets} WHERE id = ?", [*values, codes[id_], id_])  # noqa: S608
            tx.execute(
                "UPDATE dbo.SaleSync SET refused_body = ?, refused_text = ?, reason_code = ? WHERE id = ?",
                [text(), text(), rng.choice((text(), Code.API_REFUSED.value)), id_],
            )
            tx.execute(
                "UPDATE dbo.SalesInvoiceDetails SET drug_code = ?, drug_name = ?, unit = ? WHERE sales_invoice_id = ?",
                [text(), text(), text(), id_],
            )

    codes: dict[int, str] = {}
    await world.house.db.transaction(work)
    world.codes[:] = [code for code in codes.values() if "\0" not in code]
    statuses = []
    for number in range(20):
        published = rng.choice((accepted(number, 1), refused(number, 1), pending(number, 1, 1_800_000_000_000))).status
        texts = {name: text() for name in ("local_invoice_id", "pharmacy_code", "shop_pharmacy_code", "event_id")}
        if published.reason is not None and rng.random() < 0.7:
            texts["reason"] = published.reason.model_copy(update={"code": text()})  # type: ignore[assignment]
        statuses.append(published.model_copy(update=texts | {"national_invoice_id": text()}))
    await world.journal.append(statuses, {})
    await asyncio.to_thread(_produce, world.producer, rng, [status.model_dump_json().encode() for status in statuses])


def _produce(producer: Producer, rng: Random, decisions: Sequence[bytes]) -> None:
    for decision in decisions:
        producer.produce("sale-status", decision)
    for _ in range(60):
        odd = odd_message(rng)
        topic = odd.topic if odd.topic in ("sale-status", "sale-retry") else "sale-dead-letter"
        named = rng.choice((b"sale-retry", rng.choice(STEERING).encode("utf-8", "replace")))
        headers: list[tuple[str, str | bytes | None]] = [*odd.headers, ("topic", named)]
        headers += [(name, steering(rng).encode("utf-8", "replace")) for name in ("reason", "reader")]
        producer.produce(topic, odd.value, headers=headers, key=b"key")
    if producer.flush(30):
        raise AssertionError("the broker does not take what a broker takes")


def _of_a_worker(rng: Random) -> Play:
    part = {"part": steering(rng), "what": steering(rng), "action": steering(rng)}
    said: tuple[Any, ...] = (
        {"status": "ok"},
        {"status": steering(rng), "reasons": [part]},
        {"status": "degraded", "reasons": [part, part]},
        {"status": "x"},
        {"status": None, "reasons": None},
        {"status": [], "reasons": {}},
        {"status": "x", "reasons": [{}]},
        {"status": "x", "reasons": "abc"},
        {"status": "x", "reasons": [part | {"what": [steering(rng)], "action": None}]},
        [],
        "x",
        None,
        b"\xff\x00",
        b"[" * 5000,
        b"9" * 5000,
        {"status": {"a": 1}, "reasons": [None]},
        {"status": "x", "reasons": 5},
        {"status": 2**70, "reasons": [5]},
    )
    return respond(rng.choice((200, 200, 503, 404)), _escaped(rng.choice(said)))


def _of_connect(rng: Random) -> Play:
    text = steering(rng)
    state = {
        "state": rng.choice(("RUNNING", "FAILED", text)),
        "worker_id": text,
        "trace": f"{text}\nCaused by: password={MARK} {text}",
    }
    said: tuple[Any, ...] = (
        {"connector": state, "tasks": [{"id": 0, **state}]},
        {"connector": state, "tasks": []},
        {"error_code": 500, "message": text},
        {"connector": state},
        {"tasks": None},
        [],
        None,
        "x",
        {"connector": None, "tasks": 5},
        {"connector": {"state": 5}, "tasks": [{}]},
        b"\xff",
        b"[" * 5000,
        {"connector": state, "tasks": [{"id": text, **state}]},
        {"connector": {"state": [text]}, "tasks": [{"id": [], "state": {}}]},
    )
    said_now, version = rng.choice(said), {"version": text, "kafka_cluster_id": text}

    async def play(request: Request, writer: asyncio.StreamWriter) -> None:
        body = version if request.target == "/" else said_now
        await respond(rng.choice((200, 200, 404, 500)), _escaped(body))(request, writer)

    return play


def _escaped(body: Any) -> Any:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _arguments(rng: Random, command: Sequence[str], world: World) -> list[str]:
    stands_for = {
        "TEXT": steering(rng).replace("\0", "").encode("utf-8", "replace").decode() or "x",
        "CODE": rng.choice(world.codes or ["HD-1"]),
        "WORKER": world.worker.url,
    }
    arguments = [stands_for.get(word, word) for word in command]
    return [*arguments, "--json"] if rng.random() < 0.4 else arguments


async def _run(settings: Settings, arguments: Sequence[str]) -> Result:
    command = next(each for each in commands(settings, DOCUMENT_TYPES) if each.name == arguments[0])
    return await asyncio.to_thread(CliRunner().invoke, command, [*arguments[1:]])


def problem_of(ended: Result, as_json: bool) -> str | None:
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        return f"it raises {type(ended.exception).__name__}: {ended.exception}"
    if "Traceback" in ended.output:
        return "it prints a traceback"
    steers = [letter for letter in ended.output if letter != "\n" and _steers(letter)]
    if steers:
        at = ended.output.index(steers[0])
        return f"it prints {steers[0]!r}, in {ended.output[max(0, at - 40) : at + 20]!r}"
    if as_json and ended.stdout:
        for text in (ended.stdout, *ended.stdout.splitlines()):
            try:
                json.loads(text)
            except ValueError:
                continue
            break
        else:
            return "what it prints is no JSON"
    return None if ended.exit_code in (0, 1, 2) else f"its exit code is {ended.exit_code}"


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _UNSEEN


_UNSEEN = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")


SUITE = Suite("commands", "operators' commands, by hostile rows, decisions, dead letters and servers", 180, run, 0.25)
