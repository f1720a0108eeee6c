"""``faust -A streams.app doctor``: everything that must be right, a line each: what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import click
from rich.text import Text

from streams.documents.document import DocumentType
from streams.operators.checks import Finding, Level, error
from streams.operators.checks.configuration import judge_settings
from streams.operators.checks.database import ask_database, judge_database
from streams.operators.checks.kafka import ask_broker, judge_broker
from streams.operators.checks.kafka_access import ask_access, judge_access
from streams.operators.checks.servers import (
    ask_api,
    ask_connect,
    ask_log_in,
    ask_mongo,
    ask_redis,
    ask_worker,
    judge_api,
    judge_connect,
    judge_log_in,
    judge_mongo,
    judge_redis,
    judge_worker,
)
from streams.operators.command_line import JSON, run
from streams.operators.connect.topic_setup import pipeline_topics
from streams.operators.terminal import plain, show, show_json, show_table
from streams.settings import Settings

_CONNECTOR = "pharmacy-sales"
_STYLES = {Level.OK: "green", Level.SKIPPED: "dim", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def doctor(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("doctor")
    @click.option("--name", default=_CONNECTOR, show_default=True, help="Of the connector.")
    @click.option("--log-in", "shop", metavar="SHOP", help="Try this shop's account too, once.  [default: none]")
    @click.option(
        "--lag", type=click.IntRange(0), default=10_000, show_default=True, help="Events behind that are too many."
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=30.0,
        show_default=True,
        help="Seconds for each part; all are asked at the same time.",
    )
    @click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
    @JSON
    def command(name: str, shop: str | None, lag: int, timeout: float, strict: bool, as_json: bool) -> None:
        """Look at every setting, server, table, right, topic, connector and clock, and say how to mend what is wrong.

        Changes nothing and starts nothing, and ends in bounded time whatever hangs. Wrong or missing settings are named
        before anything else (exit code 2).

        Exit codes: 0 nothing is wrong, or warnings only; 1 something is (with --strict: warnings too); 2 wrong usage or
        settings.
        """

        async def work() -> int:
            findings = await examine(
                settings, document_types, connector=name, shop=shop, most_behind=lag, patience=timeout
            )
            show_json({"findings": findings, **_count(findings)}) if as_json else _show(findings)
            return exit_code(findings, strict=strict)

        run(work())

    return command


def exit_code(findings: Sequence[Finding], *, strict: bool = False) -> int:
    """`strict`: warnings count too."""
    bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return 1 if any(finding.level in bad for finding in findings) else 0


async def examine(
    settings: Settings,
    document_types: Sequence[DocumentType],
    *,
    connector: str,
    shop: str | None = None,
    most_behind: int,
    patience: float = 30.0,
) -> list[Finding]:
    """All parts at once: one that is away holds up no other, and one that hangs is left alone after `patience`."""
    findings = judge_settings(settings)
    settings = settings.model_copy(update=_less_patient(settings, patience / 2))

    async def database(document_type: DocumentType) -> list[Finding]:
        return judge_database(await ask_database(settings, document_type), document_type)

    async def broker() -> list[Finding]:
        asked, access = await asyncio.gather(ask_broker(settings, document_types), ask_access(settings))
        topics = [topic.name for topic in pipeline_topics(settings, document_types)]
        return [*judge_broker(asked, settings, document_types, most_behind=most_behind), *judge_access(access, topics)]

    async def connect() -> list[Finding]:
        return judge_connect(await ask_connect(settings, connector), connector)

    async def redis() -> list[Finding]:
        return judge_redis(await ask_redis(settings))

    async def mongo() -> list[Finding]:
        return judge_mongo(await ask_mongo(settings))

    async def api() -> list[Finding]:
        answered, shown = await ask_api(settings, document_types[0].endpoint.path)
        return judge_api(answered, settings, shown)

    async def log_in() -> list[Finding]:
        return judge_log_in(await ask_log_in(settings, shop), shop) if shop is not None else []

    async def worker() -> list[Finding]:
        return judge_worker(await ask_worker(settings))

    parts: list[tuple[str, Coroutine[Any, Any, list[Finding]]]] = [
        *(("sales database", database(document_type)) for document_type in document_types),
        *(("Kafka", broker()), ("Kafka Connect", connect()), ("Redis", redis()), ("MongoDB", mongo())),
        *(("national API", api()), (f"log-in of shop {shop}", log_in()), ("worker", worker())),
    ]
    found = await asyncio.gather(*(_within(patience, about, part) for about, part in parts))
    return [*findings, *(finding for part in found for finding in part)]


def _less_patient(settings: Settings, seconds: float) -> dict[str, float]:
    """What is waited for in a driver's thread can be left alone, but not ended."""
    own = {"sales_db_timeout": settings.sales_db_timeout, "api_call_deadline": settings.api_call_deadline}
    return {name: min(value, seconds) for name, value in own.items()}


async def _within(patience: float, about: str, part: Coroutine[Any, Any, list[Finding]]) -> list[Finding]:
    asking = asyncio.ensure_future(part)
    done, _ = await asyncio.wait({asking}, timeout=patience)
    if done:
        return asking.result()
    asking.cancel()  # and not waited for: what hangs may hang in its closing too
    action = "See whether it hangs (its own log), or a firewall or proxy in between swallows what is sent."
    return [error(about, f"takes the connection and gives no answer within {patience:g} s", action)]


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
    show(f"{counts['errors']} errors, {counts['warnings']} warnings, {len(findings)} looked at.", "bold")
