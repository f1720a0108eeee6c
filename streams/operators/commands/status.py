"""``faust -A streams.app status``: shows whether sales are being sent: the page's first screen, on a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from streams.documents.document import DocumentType
from streams.domain.nouns import Nouns
from streams.operators import Problem
from streams.operators.checks import Finding, Level
from streams.operators.checks.kafka import Broker, NewestChange, probe_broker
from streams.operators.checks.servers import judge_connect, judge_worker, probe_connect, probe_worker
from streams.operators.checks.waiting import describe_ages
from streams.operators.command_line import JSON, LANGUAGE, document_option, document_type_by_name, open_sales_db, run
from streams.operators.connect.connector_file import CONNECTOR
from streams.operators.desk.figures import CurrentFigures, Figures, FinalCount
from streams.operators.retry_on_lock import retry_on_lock
from streams.operators.terminal import age, largest_first, reason_text, rfc3339, show, show_json, show_pairs, show_table
from streams.settings import Settings
from streams.stores.pending_ages import PendingAges, read_pending_ages

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Overview:
    now: CurrentFigures
    ages: PendingAges
    day: Sequence[FinalCount]
    """The last 24 hours."""
    worker: Mapping[str, Any] | None
    """The body of its /readyz; None: no worker answers."""
    connector: Finding
    broker: Broker | Problem
    shows_changes: bool
    """Whether workers look for documents that were changed after they were accepted."""
    polls: bool
    """Whether the workers poll for new sales, instead of change data capture."""


def status(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""

    @click.command("status")
    @document_option(document_types)
    @click.option("--name", default=CONNECTOR, show_default=True, help="Name of the connector.")
    @click.option("--worker", help="Address of the worker to ask.  [default: http://WEB_HOST:WEB_PORT]")
    @LANGUAGE
    @JSON
    def command(document: str, name: str, worker: str | None, language: str, as_json: bool) -> None:
        """Show how many sales were sent, have failed and are waiting, why, and whether worker, gate and connector work.

        Exit codes: 0 sales are being sent; 1 they are not, or the sales database is unreachable; 2 wrong usage or
        settings.
        """
        document_type = document_type_by_name(document_types, document)

        async def work() -> int:
            async with open_sales_db(settings) as db:
                figures = Figures(db, document_type, settings.zone)
                (now, day), ages, ready, connector, broker = await asyncio.gather(
                    _figures(figures),
                    retry_on_lock(partial(read_pending_ages, db, document_type, settings.zone)),
                    probe_worker(settings, worker),
                    probe_connect(settings, name),
                    probe_broker(settings, document_types),
                )
            shows_changes = settings.corrections != "off"
            overview = Overview(
                now, ages, day, ready, judge_connect(connector, name)[0], broker, shows_changes, settings.polls
            )
            show_json(_as_json(overview)) if as_json else _show(overview, language, document_type.nouns)
            return 0 if _are_sales_sent(overview) else 1

        run(work())

    return command


async def _figures(figures: Figures) -> tuple[CurrentFigures, list[FinalCount]]:
    return await retry_on_lock(figures.now), await retry_on_lock(figures.last_day)


def _are_sales_sent(overview: Overview) -> bool:
    worker_works = overview.worker is not None and overview.worker["status"] in ("ok", "degraded")
    return worker_works and overview.connector.level is not Level.ERROR and not isinstance(overview.broker, Problem)


def _as_json(overview: Overview) -> dict[str, Any]:
    now, broker = overview.now, overview.broker
    oldest = now.oldest
    return {
        "at": rfc3339(now.at_ms),
        "day": now.day,
        "sent_today": now.of_day.sent,
        "failed_today": now.of_day.failed,
        "sent_per_minute": now.sent_per_minute,
        "waiting": {
            "total": now.waiting_total,
            "by_reason": largest_first(now.waiting, "not_tried_yet"),
            "by_age": overview.ages,
        },
        "failed": {"total": now.failed_total, "by_reason": largest_first(now.failed, "none")},
        "changed_after_sending": now.changed if overview.shows_changes else None,
        "oldest_waiting": oldest
        and {
            "id": oldest.id,
            "invoice": oldest.document_code,
            "shop": oldest.shop,
            "since": rfc3339(oldest.since_ms),
            "age_s": round((now.at_ms - oldest.since_ms) / 1000),
            "reason": oldest.reason,
        },
        "last_24_hours": [{"starts": hour.starts, "sent": hour.sent, "failed": hour.failed} for hour in overview.day],
        "worker": overview.worker,
        "finds_new_sales_by": "polling" if overview.polls else "cdc",
        "connector": {"level": overview.connector.level, "what": overview.connector.what},
        "capture": None if isinstance(broker, Problem) else _capture_as_json(broker),
        "kafka": {"answers": False} if isinstance(broker, Problem) else {"answers": True, "behind": broker.lag},
        "dead_letters": None if isinstance(broker, Problem) else broker.dead_letters,
        "goes_out": _are_sales_sent(overview),
    }


def _show(overview: Overview, language: str, nouns: Nouns) -> None:
    now = overview.now
    are_sent = _are_sales_sent(overview)
    many = nouns.many.capitalize()
    show(f"{many} are being sent." if are_sent else f"{many} are not being sent.", "green" if are_sent else "red")
    rows = [
        ("sent today", f"{now.of_day.sent}   {now.sent_per_minute:g} a minute"),
        ("failed today", str(now.of_day.failed)),
        ("waiting", str(now.waiting_total)),
        ("waiting, by age", describe_ages(overview.ages)),
        ("failed, in total", str(now.failed_total)),
    ]
    if overview.shows_changes:
        rows.append(("changed after sending", f"{now.changed}; see `resend --changed`" if now.changed else "0"))
    if now.oldest:
        waited = age((now.at_ms - now.oldest.since_ms) / 1000)
        rows.append(("oldest waiting", f"{now.oldest.document_code} of shop {now.oldest.shop}, for {waited}"))
    rows += [
        ("24 hours", f"{_bars([hour.sent for hour in overview.day])} sent; the last hour is not over"),
        *_parts(overview),
    ]
    show_pairs(rows)
    reasons = [
        (count, what, code, *reason_text(code, language, nouns))
        for what, counts, none in (("waiting", now.waiting, "not tried yet"), ("failed", now.failed, "no reason known"))
        for code, count in largest_first(counts, none).items()
    ]
    if reasons:
        show_table("Why", (nouns.many, "", "reason", "meaning", "action"), reasons)


def _capture_as_json(broker: Broker) -> dict[str, Any]:
    return {
        topic: {"delay_s": round(each.delay_s, 3), "newest_at": rfc3339(each.at_ms)}
        for topic, each in broker.newest.items()
    }


def _capture(newest: NewestChange, at_ms: int) -> str:
    ago = age((at_ms - newest.at_ms) / 1000)
    return f"{newest.delay_s:.1f} s from commit to Kafka, the newest change {ago} ago"


def _parts(overview: Overview) -> list[tuple[str, str]]:
    at_ms = overview.now.at_ms
    rows = [(finding.about, _in_a_line(finding)) for finding in judge_worker(overview.worker)]
    rows.append((overview.connector.about, _in_a_line(overview.connector)))
    broker = overview.broker
    if isinstance(broker, Problem):
        return [*rows, ("Kafka", broker.lines[0])]
    rows += [
        ("newest sale found", f"{age((at_ms - each.at_ms) / 1000)} ago, into {topic}")
        if overview.polls
        else (f"capture into {topic}", _capture(each, at_ms))
        for topic, each in broker.newest.items()
    ]
    rows += [(f"group {group}", f"{behind} events behind") for group, behind in broker.lag.items()]
    return [*rows, ("dead letters", str(broker.dead_letters))]


def _in_a_line(finding: Finding) -> str:
    return f"{finding.what}. {finding.action}" if finding.action else finding.what


def _bars(counts: Sequence[int]) -> str:
    most = max(counts, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] if most else _BARS[0] for count in counts)
