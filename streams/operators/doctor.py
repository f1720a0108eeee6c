"""``faust -A streams.app doctor``: everything that must be right, a line each: what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence

import click
from rich.text import Text

from streams.documents.document import DocumentKind
from streams.operators.checks import Finding, Level
from streams.operators.checks.configuration import judge_settings
from streams.operators.checks.database import ask_database, judge_database
from streams.operators.checks.kafka import ask_broker, judge_broker
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
from streams.operators.opening import JSON, run
from streams.operators.showing import plain, show, show_json, show_table
from streams.settings import Settings

_CONNECTOR = "pharmacy-sales"
_STYLES = {Level.OK: "green", Level.SKIPPED: "dim", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def doctor(settings: Settings, kinds: Sequence[DocumentKind]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("doctor")
    @click.option("--name", default=_CONNECTOR, show_default=True, help="Of the connector.")
    @click.option("--log-in", "shop", metavar="SHOP", help="Try this shop's account too, once.  [default: none]")
    @click.option(
        "--lag", type=click.IntRange(0), default=10_000, show_default=True, help="Events behind that are too many."
    )
    @click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
    @JSON
    def command(name: str, shop: str | None, lag: int, strict: bool, as_json: bool) -> None:
        """Look at every setting, server, table, right, topic, connector and clock, and say how to mend what is wrong.

        Changes nothing and starts nothing. Wrong or missing settings are named before anything else (exit code 2).

        Exit codes: 0 nothing is wrong, or warnings only; 1 something is (with --strict: warnings too); 2 wrong usage or
        settings.
        """

        async def work() -> int:
            findings = await examine(settings, kinds, connector=name, shop=shop, most_behind=lag)
            show_json({"findings": findings, **_count(findings)}) if as_json else _show(findings)
            bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
            return 1 if any(finding.level in bad for finding in findings) else 0

        run(work())

    return command


async def examine(
    settings: Settings, kinds: Sequence[DocumentKind], *, connector: str, shop: str | None, most_behind: int
) -> list[Finding]:
    """All parts at once: one that is away holds up no other."""

    async def database(kind: DocumentKind) -> list[Finding]:
        return judge_database(await ask_database(settings, kind), kind)

    async def broker() -> list[Finding]:
        return judge_broker(await ask_broker(settings, kinds), settings, kinds, most_behind=most_behind)

    async def connect() -> list[Finding]:
        return judge_connect(await ask_connect(settings, connector), connector)

    async def redis() -> list[Finding]:
        return judge_redis(await ask_redis(settings))

    async def mongo() -> list[Finding]:
        return judge_mongo(await ask_mongo(settings))

    async def api() -> list[Finding]:
        return judge_api(await ask_api(settings, kinds[0].endpoint.path), settings)

    async def log_in() -> list[Finding]:
        return judge_log_in(await ask_log_in(settings, shop), shop) if shop is not None else []

    async def worker() -> list[Finding]:
        return judge_worker(await ask_worker(settings))

    parts: list[Awaitable[list[Finding]]] = [*(database(kind) for kind in kinds), broker(), connect(), redis()]
    parts += [mongo(), api(), log_in(), worker()]
    found = await asyncio.gather(*parts)
    return [*judge_settings(settings), *(finding for part in found for finding in part)]


def _count(findings: Sequence[Finding]) -> dict[str, int]:
    counts = Counter(finding.level for finding in findings)
    return {"errors": counts[Level.ERROR], "warnings": counts[Level.WARNING]}


def _show(findings: Sequence[Finding]) -> None:
    rows = []
    for finding in findings:
        what = Text(plain(finding.what))
        if finding.remedy:
            what.append(f"\n→ {plain(finding.remedy)}", "bold")
        rows.append((Text(finding.level, _STYLES[finding.level]), finding.about, what))
    show_table("", ("", "part", "what"), rows)
    counts = _count(findings)
    show(f"{counts['errors']} errors, {counts['warnings']} warnings, {len(findings)} looked at.", "bold")
