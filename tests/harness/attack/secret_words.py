"""Searches for each secret of the settings, in each notation, on every way out of a worker.

At the end it searches everything that the suites before have seen.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import structlog
from click.testing import CliRunner
from prometheus_client import generate_latest
from pydantic import SecretStr, ValidationError

from streams.documents import DOCUMENT_TYPES
from streams.domain.account import Account, Token
from streams.domain.change_event import Origin, SendRequest
from streams.domain.outcome import Accepted, Reason, Refused
from streams.domain.reasons import Code
from streams.domain.sale_status import Version, message_key
from streams.national_api.token_cache import TokenCache
from streams.operators.commands import commands
from streams.operators.connect.masking import mask
from streams.operators.connect.topic_setup import pipeline_topics
from streams.pipeline.retry_policy import Decision
from streams.pipeline.status_publisher import StatusPublisher
from streams.settings import Settings, explain
from streams.stores.journal import Journal, JournalUnavailable
from streams.stores.sales_db import SalesDb, StoreError
from streams.stores.sync_state import Claim
from streams.worker import Worker
from tests.contract.stores.databases import settings_for
from tests.harness.attack.arena import MARK, Arena, Lines, Suite, listening, secretive
from tests.harness.attack.secret_settings import WAYS, secret_names, secret_settings
from tests.harness.attack.site import served, visited
from tests.harness.attack.topic_values import Published

_ODD = ("", '"', "\\", " #", "'", "%2F", "é", "\u202e", "{", "&", "<")
"""At the end of a secret: letters that JSON, Python, addresses and markup write otherwise."""
_FORMS: Sequence[Callable[[str], object]] = (
    str,
    repr,
    json.dumps,
    lambda secret: f"x{secret}y" * 3,
    lambda secret: [secret],
    lambda secret: {"a": {"b": secret}},
    lambda secret: secret.encode(),
    lambda secret: ValueError(secret),
    lambda secret: (secret, 1),
    lambda secret: "x" * 1_990 + secret,
    lambda secret: ExceptionGroup("x", [KeyError(secret)]),
    lambda secret: quote(secret, safe=""),
)
_WAYS = ("event", "value", "exception", "foreign", "foreign exception", "name")


def _settings(odd: str, log_format: str, way: tuple[str, str], folder: Path) -> Settings:
    secrets = secret_settings(lambda name: f"{MARK}-{name}-0{odd}", way, folder)
    return settings_for(**secrets, log_format=log_format)


async def run(arena: Arena) -> None:
    looked_through, leaks = sum(arena.seen.texts.values()), list(arena.seen.leaks)
    attempts = [
        (way, field, odd, log_format)
        for way in WAYS
        for field in secret_names(way[0])
        for odd in _ODD
        for log_format in ("json", "text")
    ]
    for number in arena.numbers:
        rng = arena.random(number)
        given, field, odd, log_format = arena.choose(number, attempts)
        settings = _settings(odd, log_format, given, arena.folder)
        secret = getattr(settings, field).get_secret_value()
        form, way = rng.choice(_FORMS), rng.choice(_WAYS)
        with listening(arena.seen, settings) as lines:
            _say(way, form(secret))
            problem = _problem(lines) or (_described(settings, field) if number % 4 == 0 else None)
        arena.judge(number, problem, (given, field, odd, log_format, way))
    arena.seen.leaks[:] = leaks
    for what in await _ways_out(arena):
        arena.judge(arena.count, None if not arena.seen.leaks else arena.seen.leaks[-1], what)
    for leak in arena.seen.leaks:
        arena.problems.append(f"{arena.suite} (seed {arena.seed}), among {looked_through} texts of all suites: {leak}")


def _say(way: str, said: object) -> None:
    log, foreign = structlog.get_logger("streams"), logging.getLogger("aiokafka")
    match way:
        case "event":
            log.warning(str(said))
        case "value":
            log.error("something", value=said, also={"deep": [said]})
        case "name":
            log.error("something", exc_info=said if isinstance(said, Exception) else KeyError(said))
        case "exception":
            try:
                raise RuntimeError(said) from OSError(str(said))
            except RuntimeError:
                log.exception("something")
        case "foreign":
            foreign.warning("cannot connect: %s %r", said, said)
        case _:
            try:
                raise ValueError(said)
            except ValueError as error:
                foreign.exception("failed with %s", error)


def _problem(lines: Lines) -> str | None:
    said = lines.take()
    if not said:
        return "nothing is logged, which proves nothing"
    leaking = [line for line in said if MARK in line]
    return f"a log line has it: {leaking[0][:400]}" if leaking else None


def _described(settings: Settings, field: str) -> str | None:
    """Return the descriptions of the settings, and the errors about wrong settings."""
    account = Account("SHOP-1", "usr", SecretStr(f"{MARK}-pwd"))
    texts = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump()), repr(account)]
    texts.append(repr(Token(SecretStr(f"{MARK}-token"), 0.0)))
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    secret = values[field].get_secret_value()
    for wrong in (
        {field: [secret]},
        {field: 5, "app_id": [secret]},
        {"redis_url": f"http://{secret}"},
        {"connect_url": secret},
    ):
        try:
            texts.append(repr(Settings(_env_file=None, **{**values, **wrong})))
        except ValidationError as error:
            texts += [*explain(error), str(error), repr(error)]
    texts.append(mask(f"password={secret!r}; {secret}", [secret]))
    leaking = [text for text in texts if MARK in text]
    return f"a description has it: {leaking[0][:300]}" if leaking else None


async def _ways_out(arena: Arena) -> list[str]:
    """Try servers that are away or refuse, error pages, commands, publishing, metrics and names of topics."""
    settings = secretive(sales_db_timeout=1, api_connect_timeout=1)
    look = arena.seen.look
    with listening(arena.seen, settings):
        try:
            await SalesDb(settings).open()
        except StoreError as error:
            look("error", f"{error} {error!r}")
        journal = Journal(
            settings.model_copy(
                update={
                    "mongo_url": SecretStr(f"{settings.mongo_url.get_secret_value()}/?serverSelectionTimeoutMS=300")
                }
            )
        )
        try:
            async with asyncio.timeout(1):
                await journal.open()
        except (JournalUnavailable, TimeoutError) as error:
            look("error", f"{error} {error!r}")
        finally:
            journal.close()
        cache = TokenCache(settings.redis_url, settings.app_id)
        look("error", repr(vars(cache).keys()))
        for name in ("failures", "resend", "page", "status", "connectors"):
            command = next(each for each in commands(settings, DOCUMENT_TYPES) if each.name == name)
            more = {"resend": ["--all"], "connectors": ["status"]}.get(name, [])
            ended = await asyncio.to_thread(CliRunner().invoke, command, more)
            look("command", f"{ended.output} {ended.exception!r}")
        look("topic", " ".join(f"{topic!r}" for topic in pipeline_topics(settings, DOCUMENT_TYPES)))
        worker = Worker(settings, DOCUMENT_TYPES, Published())
        look("metrics", generate_latest(worker.metrics.registry).decode())
        await _published(arena)
    with listening(arena.seen):
        async with served(arena.folder, arena.seen) as house, visited(house) as visitor:
            for broken in ("failures", "sale/1", "shops", "", "nowhere", "failures?day=x"):
                look("page", (await visitor.get(broken))[1])
            await house.db.close()
            for broken in ("failures", "sale/1", "shops", ""):
                look("page", (await visitor.get(broken))[1])
    return ["databases", "commands", "topics", "metrics", "keys and values", "error pages"]


async def _published(arena: Arena) -> None:
    """Publish a decision about a text of the API that contains a token."""

    async def publish(key: bytes, value: bytes, headers: object) -> None:
        arena.seen.look("message", f"{key!r} {value!r} {headers!r}")

    publisher = StatusPublisher(
        publish, {document_type.name: document_type for document_type in DOCUMENT_TYPES}, lambda: 1_800_000_000_000
    )
    request = SendRequest("sale", "chain", 1, "HD-1", "79-1", "SHOP-1", Origin.INSERTED, 1_800_000_000_000)
    refused = Refused(Reason(Code.API_REFUSED, 400), f"Bearer {MARK}-token")
    arena.seen.look("message", f"{refused!r} {Accepted('QG')!r} {message_key('79-1', 'HD-1')!r}")
    for decision in (
        Decision("SYNC_FAILED", None, refused.reason, None, refused.text),
        Decision("SYNC_SUCCESS", "QG-1", None, None),
    ):
        await publisher.publish(request, Claim(1, 1, 0), decision, Version("a" * 64))


SUITE = Suite(
    "secrets", "log lines, errors, pages, commands, topics and metrics, by each secret in each form", 1_320, run, 0.1
)
