"""``faust -A streams.app tail``: the decisions of `sale-status` as they come."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import click
from rich.text import Text

from streams.documents.document import DocumentType
from streams.domain.sale_status import SaleStatus
from streams.domain.status_message import read_status
from streams.domain.undecodable import Undecodable
from streams.operators.command_line import JSON, LANGUAGE, REASON, run
from streams.operators.terminal import console, plain, reason_text, show
from streams.operators.topic_reader import Reader, TopicRecord, open_reader
from streams.runtime.cancellation import is_cancelled
from streams.runtime.escaping import escaped
from streams.settings import Settings

_TOPIC = "sale-status"
_STYLES = {"SYNC_SUCCESS": "green", "SYNC_FAILED": "red", "PENDING_SYNC": "yellow"}
_LOOK_EVERY = 5.0
"""Seconds without news after which the broker is asked whether it is there."""


def tail(settings: Settings, _: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("tail")
    @click.option("--last", type=click.IntRange(0, 100_000), default=10, show_default=True, help="So many of before.")
    @click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what comes.")
    @click.option(
        "--for", "seconds", type=click.FloatRange(min=0), help="End after so many seconds.  [default: Ctrl-C]"
    )
    @click.option("--invoice", help="The invoice's code, whole.")
    @click.option("--shop", help="shop_pharmacy_code, whole.")
    @click.option("--status", type=click.Choice(list(_STYLES)), help="How it was decided.")
    @REASON
    @LANGUAGE
    @JSON
    def command(
        last: int,
        follow: bool,
        seconds: float | None,
        invoice: str | None,
        shop: str | None,
        status: str | None,
        reason: str | None,
        language: str,
        as_json: bool,
    ) -> None:
        """Show decisions about sales as they come, the last ones first. --json: as they stand on the topic, one a line.

        It joins no consumer group and changes nothing. A broker that goes away is waited for, which is said on stderr.

        Exit codes: 0 ended as asked; 1 the broker is away at the start, said on stderr; 2 wrong usage or settings;
        130 Ctrl-C.
        """

        def wanted(told: SaleStatus) -> bool:
            return (
                invoice in (None, told.local_invoice_id)
                and shop in (None, told.shop_pharmacy_code)
                and status in (None, told.status)
                and (reason is None or (told.reason is not None and told.reason.code == reason))
            )

        def tell(record: TopicRecord) -> None:
            try:
                told = read_status(record.value, dict(record.headers)).status
            except Undecodable as problem:
                unread = f"{record.topic} {record.partition}/{record.offset}: cannot be read: {problem}"
                click.echo(plain(unread), err=True) if as_json else show(unread, "red")
                return
            if wanted(told):
                click.echo(escaped(told.model_dump_json())) if as_json else _show(told, language)

        async def work() -> None:
            async with open_reader(settings, _TOPIC) as reader:
                await _before(reader, last, tell)
                if follow:
                    await as_they_come(reader, tell, seconds, settings.kafka_bootstrap_servers)

        run(work())

    return command


async def _before(reader: Reader, last: int, tell: Callable[[TopicRecord], None]) -> None:
    """The last ones of all partitions together, in the order of time."""
    bounds = await reader.bounds()
    reader.seek({partition: max(begin, end - last) for partition, (begin, end) in bounds.items()})
    records: list[TopicRecord] = []
    async for batch in reader.until({partition: end for partition, (_, end) in bounds.items()}):
        records += batch
    for record in sorted(records, key=lambda record: record.timestamp)[len(records) - min(last, len(records)) :]:
        tell(record)


async def as_they_come(
    reader: Reader, tell: Callable[[TopicRecord], None], seconds: float | None, servers: str
) -> None:
    clock = time.monotonic
    ends = math.inf if seconds is None else clock() + seconds
    heard, away = clock(), False
    while clock() < ends:
        if is_cancelled():  # asked for with an answer just there: `asyncio.wait_for` of Python 3.11 loses that
            raise asyncio.CancelledError
        for record in await reader.more(min(1.0, max(0.0, ends - clock()))):
            tell(record)
            heard = clock()
        if away or clock() - heard > _LOOK_EVERY:
            heard, was_away = clock(), away
            away = not await reader.answers()
            if away and not was_away:
                click.echo(f"Kafka: no answer from {servers} any more. Waits for it; Ctrl-C ends.", err=True)
            elif was_away and not away:
                click.echo("Kafka: answers again.", err=True)


def _show(told: SaleStatus, language: str) -> None:
    line = Text(told.decided_at.astimezone().strftime("%H:%M:%S "))
    line.append(f"{told.status:<12} ", _STYLES[told.status])
    line.append(f"{plain(told.local_invoice_id)}  shop {plain(told.shop_pharmacy_code)}  attempt {told.attempt}")
    if told.national_invoice_id:
        line.append(f"  {plain(told.national_invoice_id)}")
    if told.reason:
        line.append(f"  {plain(told.reason.code)}: {reason_text(told.reason.code, language)[0]}", "dim")
    if told.next_attempt_at:
        line.append(f"  again {told.next_attempt_at.astimezone():%H:%M:%S}", "dim")
    console().print(line, soft_wrap=True)
