"""``faust -A streams.app doctor``: checks everything that sending needs, and prints what is wrong and how to fix it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import click
from rich.text import Text

from streams.documents.document import DocumentType
from streams.kafka.topics import change_topics
from streams.operators import Problem
from streams.operators.checks import Finding, Level, error
from streams.operators.checks.capture_silence import judge_silence, probe_silence
from streams.operators.checks.configuration import judge_settings
from streams.operators.checks.connections import judge_connections
from streams.operators.checks.copy_mark import judge_copy_mark, probe_copy_mark
from streams.operators.checks.database import is_absent, judge_databases, probe_database
from streams.operators.checks.database_connection import Unavailable
from streams.operators.checks.kafka import judge_broker, probe_broker
from streams.operators.checks.kafka_access import judge_access, probe_access
from streams.operators.checks.national_api import judge_api, judge_log_in, probe_api, probe_log_in
from streams.operators.checks.servers import (
    judge_connect,
    judge_mongo,
    judge_redis,
    judge_worker,
    probe_connect,
    probe_mongo,
    probe_redis,
    probe_worker,
)
from streams.operators.command_line import JSON, run
from streams.operators.connect.connector_file import CONNECTOR
from streams.operators.connect.topic_setup import pipeline_topics
from streams.operators.terminal import plain, show, show_json, show_table
from streams.pipeline.carried_types import required_types, wanted_types
from streams.settings import Settings

_STYLES = {Level.OK: "green", Level.SKIPPED: "dim", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def doctor(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""

    @click.command("doctor")
    @click.option("--name", default=CONNECTOR, show_default=True, help="Name of the connector.")
    @click.option(
        "--log-in", "shop", metavar="SHOP", help="Also log in with this shop's account, once.  [default: none]"
    )
    @click.option(
        "--lag",
        type=click.IntRange(0),
        default=10_000,
        show_default=True,
        help="Warn if a consumer group is more than this number of events behind.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=30.0,
        show_default=True,
        help="Seconds for each part; all are examined at the same time.",
    )
    @click.option("--strict", is_flag=True, help="Exit with code 1 for warnings, too.")
    @JSON
    def command(name: str, shop: str | None, lag: int, timeout: float, strict: bool, as_json: bool) -> None:
        """Examine every setting, server, table, right, topic, connector and clock, and say how to fix what is wrong.

        It changes and starts nothing, and ends in bounded time even if a server hangs. Wrong or missing settings are
        named before anything else (exit code 2).

        Exit codes: 0 nothing is wrong, or warnings only; 1 an error (with --strict: or a warning); 2 wrong usage or
        settings.
        """

        async def work() -> int:
            findings = await examine(
                settings, document_types, connector=name, shop=shop, max_lag=lag, timeout_s=timeout
            )
            show_json({"findings": findings, **_count(findings)}) if as_json else _show(findings)
            return exit_code(findings, strict=strict)

        run(work())

    return command


def exit_code(findings: Sequence[Finding], *, strict: bool = False) -> int:
    """Return 1 if there is an error, or, if `strict`, a warning; else 0."""
    bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return 1 if any(finding.level in bad for finding in findings) else 0


async def examine(
    settings: Settings,
    document_types: Sequence[DocumentType],
    *,
    connector: str,
    shop: str | None = None,
    max_lag: int,
    timeout_s: float = 30.0,
) -> list[Finding]:
    """Examine all parts at the same time. A part that hangs is abandoned after `timeout_s` seconds; it delays no other.

    `shop`: also log in with the account of this shop.
    """
    findings = [*judge_settings(settings), *judge_connections(settings)]
    settings = settings.model_copy(update=_shorter_timeouts(settings, timeout_s / 2))

    required, wanted = required_types(settings, document_types), wanted_types(settings, document_types)
    left_out: set[str] = set()
    probing_broker = asyncio.ensure_future(probe_broker(settings, wanted))  # both parts that need it wait for it

    async def database() -> list[Finding]:
        found = await probe_database(settings, document_types)
        if not isinstance(found, Unavailable):
            absent = [each for each in document_types if each not in required and is_absent(found[each.name], each)]
            left_out.update(f"Kafka topic {topic}" for topic in change_topics(settings, absent))
        return [
            *judge_databases(found, document_types, required),
            *judge_copy_mark(await probe_copy_mark(settings), settings),
        ]

    async def broker() -> list[Finding]:
        broker, access = await asyncio.gather(asyncio.shield(probing_broker), probe_access(settings))
        topics = [topic.name for topic in pipeline_topics(settings, wanted)]
        return [*judge_broker(broker, settings, wanted, max_lag=max_lag), *judge_access(access, topics)]

    async def silence() -> list[Finding]:
        broker = await asyncio.shield(probing_broker)
        if settings.polls or isinstance(broker, Problem):
            return []
        return judge_silence(await probe_silence(settings, wanted, broker.newest))

    async def connect() -> list[Finding]:
        return judge_connect(await probe_connect(settings, connector), connector)

    async def redis() -> list[Finding]:
        return judge_redis(await probe_redis(settings))

    async def mongo() -> list[Finding]:
        return judge_mongo(await probe_mongo(settings))

    async def api() -> list[Finding]:
        result, route = await probe_api(settings, document_types[0].endpoint.path)
        return judge_api(result, settings, route)

    async def log_in() -> list[Finding]:
        return judge_log_in(await probe_log_in(settings, shop), shop) if shop is not None else []

    async def worker() -> list[Finding]:
        return judge_worker(await probe_worker(settings))

    parts: list[tuple[str, Coroutine[Any, Any, list[Finding]]]] = [
        ("sales database", database()),
        *(
            ("Kafka", broker()),
            ("newest change", silence()),
            ("Kafka Connect", connect()),
            ("Redis", redis()),
            ("MongoDB", mongo()),
        ),
        *(("national API", api()), (f"log-in of shop {shop}", log_in()), ("worker", worker())),
    ]
    try:
        found = await asyncio.gather(*(_within(timeout_s, about, part) for about, part in parts))
    finally:
        probing_broker.cancel()
    return [*findings, *(finding for part in found for finding in part if finding.about not in left_out)]


def _shorter_timeouts(settings: Settings, seconds: float) -> dict[str, float]:
    """Return the timeouts to shorten, since a call in a driver's thread can be abandoned but not cancelled."""
    timeouts = {"sales_db_timeout": settings.sales_db_timeout, "api_call_deadline": settings.api_call_deadline}
    return {name: min(value, seconds) for name, value in timeouts.items()}


async def _within(timeout_s: float, about: str, part: Coroutine[Any, Any, list[Finding]]) -> list[Finding]:
    task = asyncio.ensure_future(part)
    done, _ = await asyncio.wait({task}, timeout=timeout_s)
    if done:
        return task.result()
    task.cancel()  # without waiting for it, since it may hang while closing, too
    action = "Check whether it hangs (see its own log), or a firewall or proxy in between drops the packets."
    return [error(about, f"accepts the connection but gives no answer within {timeout_s:g} s", action)]


def _count(findings: Sequence[Finding]) -> dict[str, int]:
    counts = Counter(finding.level for finding in findings)
    return {"errors": counts[Level.ERROR], "warnings": counts[Level.WARNING]}


def _show(findings: Sequence[Finding]) -> None:
    rows = []
    for finding in findings:
        what = Text(plain(finding.what))
        if finding.action:
            what.append(f"\n→ {plain(finding.action)}", "bold")
        rows.append((Text(finding.level, _STYLES[finding.level]), finding.about, what))
    show_table("", ("", "part", "what"), rows)
    counts = _count(findings)
    show(f"{counts['errors']} errors, {counts['warnings']} warnings, {len(findings)} checks.", "bold")
