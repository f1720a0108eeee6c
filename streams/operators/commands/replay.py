"""``faust -A streams.app replay``: puts dead letters back into their topics, once the cause of the failure is fixed."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime

import click
from aiokafka import AIOKafkaProducer, TopicPartition

from streams.documents.document import DocumentType
from streams.kafka.connection import aiokafka_options
from streams.kafka.topics import change_topics, own_topics
from streams.operators.command_line import JSON, STOPPED, run, stop_on_interrupt
from streams.operators.dead_letter import DeadLetter, read_dead_letter
from streams.operators.original_records import OriginalRecords, RecordPosition, open_original_records
from streams.operators.replay_ledger import Ledger, ReplayedOffsets, open_ledger, read_replayed
from streams.operators.terminal import progress, show, show_json, show_table
from streams.operators.topic_reader import TopicReader, open_reader
from streams.settings import Settings

_SEND_TIMEOUT = 30.0
_READ_TIMEOUT = 120.0
"""Seconds for the original messages of one batch, which may be far apart."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters are chosen: those that match every filter that is not None."""

    topic: str | None
    reader: str | None
    reason: str | None
    since: datetime | None
    dismiss: bool = False

    def includes(self, letter: DeadLetter) -> bool:
        """Return whether the dead letter is chosen; an incomplete one only if it is to be dismissed."""
        return (
            (letter.is_complete or self.dismiss)
            and self.topic in (None, letter.topic)
            and self.reader in (None, letter.reader)
            and (self.reason is None or self.reason.lower() in letter.reason.lower())
            and (self.since is None or letter.at >= self.since.isoformat())
        )


def replay(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""
    known = [*change_topics(settings, document_types), *own_topics(settings)[:2]]

    @click.command("replay")
    @click.option("--topic", help="The topic of the original message.")
    @click.option("--reader", help="Who could not read the message: a topic's name, or journal.")
    @click.option("--reason", help="A part of the reason why it could not be read.")
    @click.option(
        "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="Dead-lettered since then, in UTC."
    )
    @click.option("--without-original", is_flag=True, help="Include those whose original message no longer exists.")
    @click.option(
        "--dismiss", is_flag=True, help="Do not put them back; mark them as done, since they can never be read."
    )
    @click.option("--yes", is_flag=True, help="Do it. Without this option nothing is sent.")
    @JSON
    def command(
        topic: str | None,
        reader: str | None,
        reason: str | None,
        since: datetime | None,
        without_original: bool,
        dismiss: bool,
        yes: bool,
        as_json: bool,
    ) -> None:
        """Put dead letters back into the topics that they came from, byte for byte, after a fix.

        Each is put back once: that is recorded in the broker (group APP_ID-replay). A message that still cannot be read
        comes back as a new dead letter. No sale is sent twice because of it.

        A dead letter is put back only if the original message still exists in its topic, at the position that the dead
        letter names, and is the same: anybody who may write to sale-dead-letter could name any topic there.

        Without --yes it only counts and shows what it would do.

        Exit codes: 0 done, or shown; 1 the broker is unreachable, printed on stderr; 2 wrong usage or settings; 130
        Ctrl-C. After 1 and 130, run it again to continue.
        """
        choice = Choice(topic, reader, reason, since, dismiss)

        async def work() -> int:
            with stop_on_interrupt() as stop:
                options = ReplayOptions(yes=yes, dismiss=dismiss, without_original=without_original)
                tally = await _replay(settings, choice, known, options, stop=stop)
            if as_json:
                action = "dismiss" if dismiss else "put_back"
                show_json({"action": action, "dry_run": not yes, **tally.as_json()})
            else:
                tally.show("dismissed" if dismiss else "put back", yes=yes)
            return STOPPED if tally.is_stopped else 0

        run(work())

    return command


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    yes: bool
    """Whether to change anything; otherwise it is a dry run."""
    dismiss: bool
    """Whether to mark dead letters as done without putting them back."""
    without_original: bool
    """Whether to put a dead letter back even if its original message no longer exists."""


@dataclass
class Tally:
    """The numbers of dead letters by what was done with them."""

    chosen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Put back or dismissed, by topic, reader and reason."""
    before: int = 0
    """Put back or dismissed earlier."""
    left: int = 0
    """Not chosen."""
    foreign: int = 0
    """Those that name a topic which this application does not read: never put back."""
    gone: int = 0
    """Those whose original message no longer exists, so that they cannot be verified."""
    different: int = 0
    """Those that differ from the message at the position that they name: never put back."""
    repeats: int = 0
    """Those of a message that another reader has dead-lettered, too: it is sent once."""
    is_stopped: bool = False

    def as_json(self) -> dict[str, object]:
        groups = [
            {"topic": topic, "reader": reader, "reason": reason, "count": count}
            for (topic, reader, reason), count in self.chosen.most_common()
        ]
        total = sum(self.chosen.values())
        return {"chosen": total, "groups": groups, "replayed_before": self.before, "left": self.left} | {
            "foreign": self.foreign,
            "gone": self.gone,
            "different": self.different,
            "repeats": self.repeats,
            "stopped": self.is_stopped,
        }

    def show(self, verb: str, *, yes: bool) -> None:
        """Print the numbers. `verb`: 'put back' or 'dismissed'."""
        total = sum(self.chosen.values())
        if total:
            rows = [(count, *names) for names, count in self.chosen.most_common()]
            show_table("Dead letters", ("number", "topic", "reader", "reason"), rows)
            show()
        also = f" {self.before} were put back or dismissed before." if self.before else ""
        also += f" {self.left} others do not match the filters." if self.left else ""
        also += (
            f" {self.foreign} name a topic that this application does not read, and are not put back."
            if self.foreign
            else ""
        )
        if self.gone:
            also += f" {self.gone} name a message that no longer exists, and are not put back: use --without-original"
            also += " to put them back after you have examined them."
        if self.different:
            also += f" {self.different} differ from the message at the position that they name, and are not put back:"
            also += (
                " another program wrote them. Check who may write to sale-dead-letter; --dismiss marks them as done."
            )
        also += " Stopped; run it again to continue." if self.is_stopped else ""
        if not total:
            show(f"There is no dead letter to be {verb}.{also}")
        elif yes:
            show(f"{total} {verb}.{also}")
        else:
            show(f"{total} would be {verb}. Nothing was changed: use --yes to do it.{also}")


async def _replay(
    settings: Settings, choice: Choice, known: Sequence[str], options: ReplayOptions, *, stop: Callable[[], bool]
) -> Tally:
    tally = Tally()
    async with AsyncExitStack() as opened:
        reader = await opened.enter_async_context(open_reader(settings, own_topics(settings).dead_letters))
        async with asyncio.timeout(_SEND_TIMEOUT):
            replayed = await read_replayed(settings, reader.partitions)
            ledger, producer = await _open_to_send(settings, reader, opened) if options.yes else (None, None)
            bounds = await reader.bounds()
        originals = (
            None if options.dismiss else await opened.enter_async_context(open_original_records(settings, known))
        )
        reader.seek({partition: start for partition, (start, _) in bounds.items()})
        ends = {partition: end for partition, (_, end) in bounds.items()}
        total = sum(end - start for start, end in bounds.values())
        present: dict[TopicPartition, list[int]] = defaultdict(list)
        sent: set[RecordPosition] = set()
        with progress() as bar:
            task = bar.add_task("dead letters", total=total)
            async for records in reader.read_until(ends):
                letters = [read_dead_letter(record) for record in records]
                if stop():
                    tally.is_stopped = True
                    break
                chosen = [letter for letter in letters if _is_chosen(letter, replayed, choice, known, tally)]
                if originals is not None:
                    chosen = await _verified(originals, chosen, options, tally)
                tally.chosen.update((letter.topic, letter.reader, letter.reason) for letter in chosen)
                for letter in letters:
                    present[letter.partition].append(letter.offset)
                if producer is not None and ledger is not None and chosen:
                    async with asyncio.timeout(_SEND_TIMEOUT):
                        tally.repeats += 0 if options.dismiss else await _send(producer, chosen, sent)
                        for letter in chosen:
                            replayed[letter.partition].beyond.add(letter.offset)
                        partitions = {letter.partition for letter in chosen}
                        commits = {p: replayed[p].to_commit(present[p], present[p][-1] + 1) for p in partitions}
                        await ledger.write(commits)
                bar.advance(task, len(letters))
    return tally


async def _open_to_send(
    settings: Settings, reader: TopicReader, opened: AsyncExitStack
) -> tuple[Ledger, AIOKafkaProducer]:
    ledger = await opened.enter_async_context(open_ledger(settings, reader.partitions))
    producer = AIOKafkaProducer(acks="all", **aiokafka_options(settings))
    await producer.start()
    opened.push_async_callback(producer.stop)
    return ledger, producer


async def _verified(
    originals: OriginalRecords, letters: Sequence[DeadLetter], options: ReplayOptions, tally: Tally
) -> list[DeadLetter]:
    """Return the dead letters that are the same as the message at their position, with the headers of that message."""
    async with asyncio.timeout(_READ_TIMEOUT):
        found = await originals.read(letter.source for letter in letters if letter.source is not None)
    verified = []
    for letter in letters:
        original = found.get(letter.source) if letter.source is not None else None
        if original is not None and (original.key, original.value) == (letter.key, letter.value):
            verified.append(replace(letter, headers=original.headers))
        elif original is not None or letter.source is None:
            tally.different += 1
        elif options.without_original:
            verified.append(letter)
        else:
            tally.gone += 1
    return verified


def _is_chosen(
    letter: DeadLetter,
    replayed: dict[TopicPartition, ReplayedOffsets],
    choice: Choice,
    known: Sequence[str],
    tally: Tally,
) -> bool:
    """Return whether the dead letter is to be put back; counts it in `tally` if not."""
    if letter.offset in replayed[letter.partition]:
        tally.before += 1
    elif letter.topic not in known:
        tally.foreign += 1
    elif not choice.includes(letter):
        tally.left += 1
    else:
        return True
    return False


async def _send(producer: AIOKafkaProducer, letters: Sequence[DeadLetter], sent: set[RecordPosition]) -> int:
    """Send the messages of the dead letters, but none that is in `sent`; add each to `sent`.

    Several readers may have dead-lettered one message. Return for how many dead letters nothing was sent because
    another one of the same message came first.
    """
    messages = {letter.source: letter for letter in letters if letter.source is not None}
    repeats = len(letters) - len(messages)
    confirmations = []
    for source, letter in messages.items():
        if source in sent:
            repeats += 1
            continue
        sent.add(source)
        confirmation = await producer.send(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))
        confirmations.append(confirmation)
    await asyncio.gather(*confirmations)
    return repeats
