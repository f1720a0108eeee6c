"""``faust -A streams.app status``: do sales go out? The page's first screen, on a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from streams.documents.document import DocumentType
from streams.operators import Problem
from streams.operators.checks import Finding, Level
from streams.operators.checks.kafka import Broker, Captured, ask_broker
from streams.operators.checks.servers import ask_connect, ask_worker, judge_connect, judge_worker
from streams.operators.command_line import JSON, LANGUAGE, asked, document, document_type_named, open_sales_db, run
from streams.operators.desk.figures import Figures, FinalCount, Now
from streams.operators.terminal import age, by_reason, moment, reason_text, show, show_json, show_pairs, show_table
from streams.settings import Settings

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Overview:
    now: Now
    day: Sequence[FinalCount]
    """The last 24 hours."""
    worker: Mapping[str, Any] | None
    connector: Finding
    broker: Broker | Problem


def status(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("status")
    @document(document_types)
    @click.option("--name", default="pharmacy-sales", show_default=True, help="Of the connector.")
    @click.option("--worker", help="Address of the worker to ask.  [default: http://WEB_HOST:WEB_PORT]")
    @LANGUAGE
    @JSON
    def command(document: str, name: str, worker: str | None, language: str, as_json: bool) -> None:
        """Show what was sent, what failed and what waits, why, and whether worker, gate and connector are well.

        Exit codes: 0 sales go out; 1 they do not, or the sales database is away; 2 wrong usage or settings.
        """
        document_type = document_type_named(document_types, document)

        async def work() -> int:
            async with open_sales_db(settings) as db:
                figures = Figures(db, document_type, settings.zone)
                (now, day), said, connector, broker = await asyncio.gather(
                    _figures(figures),
                    ask_worker(settings, worker),
                    ask_connect(settings, name),
                    ask_broker(settings, document_types),
                )
            standing = Overview(now, day, said, judge_connect(connector, name)[0], broker)
            show_json(_as_json(standing)) if as_json else _show(standing, language)
            return 0 if _goes_out(standing) else 1

        run(work())

    return command


async def _figures(figures: Figures) -> tuple[Now, list[FinalCount]]:
    return await asked(figures.now), await asked(figures.last_day)


def _goes_out(standing: Overview) -> bool:
    worker = standing.worker is not None and standing.worker["status"] in ("ok", "degraded")
    return worker and standing.connector.level is not Level.ERROR and not isinstance(standing.broker, Problem)


def _as_json(standing: Overview) -> dict[str, Any]:
    now, broker = standing.now, standing.broker
    oldest = now.oldest
    return {
        "at": moment(now.at_ms),
        "day": now.day,
        "sent_today": now.of_day.sent,
        "failed_today": now.of_day.failed,
        "sent_per_minute": now.sent_per_minute,
        "waiting": {"total": now.waiting_total, "by_reason": by_reason(now.waiting, "not_tried_yet")},
        "failed": {"total": now.failed_total, "by_reason": by_reason(now.failed, "none")},
        "oldest_waiting": oldest
        and {
            "id": oldest.id,
            "invoice": oldest.document_code,
            "shop": oldest.shop,
            "since": moment(oldest.since_ms),
            "age_s": round((now.at_ms - oldest.since_ms) / 1000),
            "reason": oldest.reason,
        },
        "last_24_hours": [{"begins": hour.begins, "sent": hour.sent, "failed": hour.failed} for hour in standing.day],
        "worker": standing.worker,
        "connector": {"level": standing.connector.level, "what": standing.connector.what},
        "capture": None if isinstance(broker, Problem) else _capture_as_json(broker),
        "kafka": {"answers": False} if isinstance(broker, Problem) else {"answers": True, "behind": broker.lag},
        "dead_letters": None if isinstance(broker, Problem) else broker.dead_letters,
        "goes_out": _goes_out(standing),
    }


def _show(standing: Overview, language: str) -> None:
    now = standing.now
    show("Sales go out." if _goes_out(standing) else "Sales do not go out.", "green" if _goes_out(standing) else "red")
    rows = [
        ("sent today", f"{now.of_day.sent}   {now.sent_per_minute:g} a minute"),
        ("failed today", str(now.of_day.failed)),
        ("wait", str(now.waiting_total)),
        ("failed, all", str(now.failed_total)),
    ]
    if now.oldest:
        waited = age((now.at_ms - now.oldest.since_ms) / 1000)
        rows.append(("oldest waiting", f"{now.oldest.document_code} of shop {now.oldest.shop}, for {waited}"))
    rows += [("24 hours", f"{_bars([hour.sent for hour in standing.day])} sent, the last one runs"), *_parts(standing)]
    show_pairs(rows)
    why = [
        (count, what, code, *reason_text(code, language))
        for what, counts, none in (("wait", now.waiting, "not tried yet"), ("failed", now.failed, "no reason known"))
        for code, count in by_reason(counts, none).items()
    ]
    if why:
        show_table("Why", ("sales", "", "reason", "meaning", "action"), why)


def _capture_as_json(broker: Broker) -> dict[str, Any]:
    return {
        topic: {"delay_s": round(each.delay_s, 3), "newest_at": moment(each.at_ms)}
        for topic, each in broker.captured.items()
    }


def _captured(newest: Captured, at_ms: int) -> str:
    ago = age((at_ms - newest.at_ms) / 1000)
    return f"{newest.delay_s:.1f} s from commit to Kafka, the newest change {ago} ago"


def _parts(standing: Overview) -> list[tuple[str, str]]:
    at_ms = standing.now.at_ms
    rows = [(finding.about, _in_a_line(finding)) for finding in judge_worker(standing.worker)]
    rows.append((standing.connector.about, _in_a_line(standing.connector)))
    broker = standing.broker
    if isinstance(broker, Problem):
        return [*rows, ("Kafka", broker.lines[0])]
    rows += [(f"capture into {topic}", _captured(each, at_ms)) for topic, each in broker.captured.items()]
    rows += [(f"group {group}", f"{behind} events behind") for group, behind in broker.lag.items()]
    return [*rows, ("dead letters", str(broker.dead_letters))]


def _in_a_line(finding: Finding) -> str:
    return f"{finding.what}. {finding.action}" if finding.action else finding.what


def _bars(counts: Sequence[int]) -> str:
    most = max(counts, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] if most else _BARS[0] for count in counts)
