"""``faust -A streams.app tail``: shows the decisions on `sale-status` as they arrive."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import click
from rich.text import Text

from streams.documents import SALE
from streams.documents.document import DocumentType
from streams.domain.document_status import FAILED, PENDING, SUCCEEDED, Operation, operation_of
from streams.domain.nouns import Nouns
from streams.domain.sale_status import SaleStatus
from streams.domain.status_message import read_status
from streams.domain.undecodable import Undecodable
from streams.kafka.topics import own_topics
from streams.operators.command_line import JSON, LANGUAGE, REASON, run
from streams.operators.terminal import console, plain, reason_text, show
from streams.operators.topic_reader import TopicReader, TopicRecord, open_reader
from streams.runtime.cancellation import is_cancelled
from streams.runtime.escaping import escaped
from streams.settings import Settings

_STYLES = (
    dict.fromkeys(SUCCEEDED.values(), "green")
    | dict.fromkeys(FAILED.values(), "red")
    | dict.fromkeys(PENDING.values(), "yellow")
)
_PROBE_INTERVAL = 5.0
"""Seconds without a message after which the broker is probed."""


def tail(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""
    nouns = {document_type.name: document_type.nouns for document_type in document_types}

    @click.command("tail")
    @click.option(
        "--last", type=click.IntRange(0, 100_000), default=10, show_default=True, help="Number of earlier decisions."
    )
    @click.option("--follow/--no-follow", default=True, show_default=True, help="Continue with new decisions.")
    @click.option(
        "--for", "seconds", type=click.FloatRange(min=0), help="End after this many seconds.  [default: Ctrl-C]"
    )
    @click.option("--document", type=click.Choice(list(nouns)), help="Document type.  [default: all]")
    @click.option("--invoice", help="The complete invoice code.")
    @click.option("--shop", help="The complete shop_pharmacy_code.")
    @click.option("--status", type=click.Choice(list(_STYLES)), help="Status of the decision.")
    @REASON
    @LANGUAGE
    @JSON
    def command(
        last: int,
        follow: bool,
        seconds: float | None,
        document: str | None,
        invoice: str | None,
        shop: str | None,
        status: str | None,
        reason: str | None,
        language: str,
        as_json: bool,
    ) -> None:
        """Show the latest decisions about sales, then new ones as they arrive. With --json each line is a message.

        It joins no consumer group and changes nothing. If the broker becomes unreachable, the command waits for it and
        says so on stderr.

        Exit codes: 0 ended as requested; 1 the broker is unreachable at the start, printed on stderr; 2 wrong usage or
        settings; 130 Ctrl-C.
        """

        def matches(decision: SaleStatus) -> bool:
            return (
                document in (None, decision.document)
                and invoice in (None, decision.local_invoice_id)
                and shop in (None, decision.shop_pharmacy_code)
                and status in (None, decision.status)
                and (reason is None or (decision.reason is not None and decision.reason.code == reason))
            )

        def print_record(record: TopicRecord) -> None:
            try:
                decision = read_status(record.value, dict(record.headers)).status
            except Undecodable as problem:
                unread = f"{record.topic} {record.partition}/{record.offset}: cannot be read: {problem}"
                click.echo(plain(unread), err=True) if as_json else show(unread, "red")
                return
            if matches(decision):
                click.echo(escaped(decision.model_dump_json())) if as_json else _show(
                    decision, language, nouns.get(decision.document, SALE.nouns)
                )

        async def work() -> None:
            async with open_reader(settings, own_topics(settings).statuses) as reader:
                await _show_last(reader, last, print_record)
                if follow:
                    await follow_topic(reader, print_record, seconds, settings.kafka_bootstrap_servers)

        run(work())

    return command


async def _show_last(reader: TopicReader, last: int, print_record: Callable[[TopicRecord], None]) -> None:
    """Print the `last` records of all partitions together, in the order of time."""
    bounds = await reader.bounds()
    reader.seek({partition: max(start, end - last) for partition, (start, end) in bounds.items()})
    records: list[TopicRecord] = []
    async for batch in reader.read_until({partition: end for partition, (_, end) in bounds.items()}):
        records += batch
    for record in sorted(records, key=lambda record: record.timestamp)[len(records) - min(last, len(records)) :]:
        print_record(record)


async def follow_topic(
    reader: TopicReader, print_record: Callable[[TopicRecord], None], seconds: float | None, servers: str
) -> None:
    """Print new records for `seconds`, or until cancelled; an unreachable broker is reported and waited for."""
    clock = time.monotonic
    deadline = math.inf if seconds is None else clock() + seconds
    last_heard, is_away = clock(), False
    while clock() < deadline:
        if is_cancelled():  # `asyncio.wait_for` of Python 3.11 loses a cancellation that coincides with its result
            raise asyncio.CancelledError
        for record in await reader.read_new(min(1.0, max(0.0, deadline - clock()))):
            print_record(record)
            last_heard = clock()
        if is_away or clock() - last_heard > _PROBE_INTERVAL:
            last_heard, was_away = clock(), is_away
            is_away = not await reader.broker_answers()
            if is_away and not was_away:
                click.echo(f"Kafka: {servers} no longer answers. Waiting for it; Ctrl-C ends.", err=True)
            elif was_away and not is_away:
                click.echo("Kafka: answers again.", err=True)


def _show(decision: SaleStatus, language: str, nouns: Nouns) -> None:
    line = Text(decision.decided_at.astimezone().strftime("%H:%M:%S "))
    line.append(f"{decision.status:<12} ", _STYLES[decision.status])
    if decision.document != SALE.name:
        line.append(f"{plain(decision.document)} ")
    line.append(
        f"{plain(decision.local_invoice_id)}  shop {plain(decision.shop_pharmacy_code)}  attempt {decision.attempt}"
    )
    if decision.national_invoice_id:
        line.append(f"  {plain(decision.national_invoice_id)}")
    if decision.reason:
        code, withdrawal = decision.reason.code, operation_of(decision.status) is Operation.WITHDRAW
        line.append(f"  {plain(code)}: {reason_text(code, language, nouns, withdrawal=withdrawal)[0]}", "dim")
    if decision.next_attempt_at:
        line.append(f"  again {decision.next_attempt_at.astimezone():%H:%M:%S}", "dim")
    console().print(line, soft_wrap=True)
