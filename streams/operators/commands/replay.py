"""``faust -A streams.app replay``: dead letters go back into their topics, once what could not read them is mended."""

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
from streams.kafka.topics import OWN_TOPICS, change_topics
from streams.operators.command_line import JSON, STOPPED, leaving_off, run
from streams.operators.dead_letter import DeadLetter, letter_of
from streams.operators.original_records import OriginalRecords, Place, open_originals
from streams.operators.replay_ledger import TOPIC, Done, Ledger, open_ledger, read_done
from streams.operators.terminal import progress, show, show_json, show_table
from streams.operators.topic_reader import Reader, open_reader
from streams.settings import Settings

_SENDING = 30.0
_READING = 120.0
"""For the originals of one batch, which may lie far apart."""


@dataclass(frozen=True, slots=True)
class Choice:
    topic: str | None
    reader: str | None
    reason: str | None
    since: datetime | None
    dismiss: bool = False

    def takes(self, letter: DeadLetter) -> bool:
        return (
            (letter.is_whole or self.dismiss)
            and self.topic in (None, letter.topic)
            and self.reader in (None, letter.reader)
            and (self.reason is None or self.reason.lower() in letter.reason.lower())
            and (self.since is None or letter.at >= self.since.isoformat())
        )


def replay(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""
    known = [*change_topics(settings, document_types), *OWN_TOPICS[:2]]

    @click.command("replay")
    @click.option("--topic", help="That they came from.")
    @click.option("--reader", help="Who could not read them: that topic's name, or journal.")
    @click.option("--reason", help="A part of why they could not be read.")
    @click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="Put there since then, UTC.")
    @click.option("--without-original", is_flag=True, help="Also those whose message its topic keeps no longer.")
    @click.option("--dismiss", is_flag=True, help="Only cross them off: for what nobody will ever be able to read.")
    @click.option("--yes", is_flag=True, help="Do it. Without it nothing is sent.")
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

        Each goes once: what was put back is remembered in the broker (group APP_ID-replay). What still cannot be read
        comes back as a new dead letter. A sale is never sent twice by it.

        A letter goes back only where the message still stands in its topic, at the place that the letter names, and is
        the same: anybody who may write to sale-dead-letter could name any topic there.

        Without --yes it only counts and shows what it would do.

        Exit codes: 0 done, or shown; 1 the broker is away, said on stderr: done again, it goes on; 2 wrong usage or
        settings; 130 Ctrl-C: likewise.
        """
        choice = Choice(topic, reader, reason, since, dismiss)

        async def work() -> int:
            with leaving_off() as stop:
                how = How(yes=yes, dismiss=dismiss, without_original=without_original)
                tally = await _replay(settings, choice, known, how, stop=stop)
            if as_json:
                action = "dismiss" if dismiss else "put_back"
                show_json({"action": action, "dry_run": not yes, **tally.as_json()})
            else:
                tally.show("crossed off" if dismiss else "put back", yes=yes)
            return STOPPED if tally.is_stopped else 0

        run(work())

    return command


@dataclass(frozen=True, slots=True)
class How:
    yes: bool
    dismiss: bool
    without_original: bool


@dataclass
class Tally:
    """What there is, and what was done with it."""

    chosen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By topic, reader and reason."""
    before: int = 0
    """Put back earlier."""
    left: int = 0
    """Not chosen."""
    foreign: int = 0
    """Not of this application's topics: never put back."""
    gone: int = 0
    """Their message is in its topic no more, so that nobody can tell whether they are the same."""
    different: int = 0
    """Not what stands at the place that they name: never put back."""
    repeats: int = 0
    """Of a message that another reader had put too: sent once."""
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

    def show(self, did: str, *, yes: bool) -> None:
        total = sum(self.chosen.values())
        if total:
            rows = [(count, *names) for names, count in self.chosen.most_common()]
            show_table("Dead letters", ("number", "topic", "reader", "reason"), rows)
            show()
        also = f" {self.before} were put back or crossed off before." if self.before else ""
        also += f" {self.left} others are left where they are." if self.left else ""
        also += (
            f" {self.foreign} name no topic of this application, or are not whole, and stay." if self.foreign else ""
        )
        if self.gone:
            also += (
                f" {self.gone} name a message that its topic keeps no longer, and stay: say --without-original to put"
            )
            also += " them back all the same, once you have looked at them."
        if self.different:
            also += f" {self.different} are not what stands at the place that they name, and stay: somebody else wrote"
            also += " them. See who may write to sale-dead-letter; --dismiss crosses them off."
        also += " Stopped: what was done stays done; done again, it goes on." if self.is_stopped else ""
        if not total:
            show(f"There is no dead letter to be {did}.{also}")
        elif yes:
            show(f"{total} {did}.{also}")
        else:
            show(f"{total} would be {did}. Nothing was changed: say --yes to do it.{also}")


async def _replay(
    settings: Settings, choice: Choice, known: Sequence[str], how: How, *, stop: Callable[[], bool]
) -> Tally:
    tally = Tally()
    async with AsyncExitStack() as opened:
        reader = await opened.enter_async_context(open_reader(settings, TOPIC))
        async with asyncio.timeout(_SENDING):
            done = await read_done(settings, reader.partitions)
            ledger, producer = await _open_to_send(settings, reader, opened) if how.yes else (None, None)
            bounds = await reader.bounds()
        originals = None if how.dismiss else await opened.enter_async_context(open_originals(settings, known))
        reader.seek({partition: begin for partition, (begin, _) in bounds.items()})
        ends = {partition: end for partition, (_, end) in bounds.items()}
        total = sum(end - begin for begin, end in bounds.values())
        present: dict[TopicPartition, list[int]] = defaultdict(list)
        sent: set[Place] = set()
        with progress() as bar:
            task = bar.add_task("dead letters", total=total)
            async for records in reader.until(ends):
                letters = [letter_of(record) for record in records]
                if stop():
                    tally.is_stopped = True
                    break
                chosen = [letter for letter in letters if _is_chosen(letter, done, choice, known, tally)]
                if originals is not None:
                    chosen = await _proven(originals, chosen, how, tally)
                tally.chosen.update((letter.topic, letter.reader, letter.reason) for letter in chosen)
                for letter in letters:
                    present[letter.place].append(letter.offset)
                if producer is not None and ledger is not None and chosen:
                    async with asyncio.timeout(_SENDING):
                        tally.repeats += 0 if how.dismiss else await _send(producer, chosen, sent)
                        for letter in chosen:
                            done[letter.place].beyond.add(letter.offset)
                        at = {place: offsets[-1] + 1 for place, offsets in present.items()}
                        places = {letter.place for letter in chosen}
                        await ledger.write({place: done[place].commit(present[place], at[place]) for place in places})
                bar.advance(task, len(letters))
    return tally


async def _open_to_send(settings: Settings, reader: Reader, opened: AsyncExitStack) -> tuple[Ledger, AIOKafkaProducer]:
    ledger = await opened.enter_async_context(open_ledger(settings, reader.partitions))
    producer = AIOKafkaProducer(acks="all", **aiokafka_options(settings))
    await producer.start()
    opened.push_async_callback(producer.stop)
    return ledger, producer


async def _proven(
    originals: OriginalRecords, letters: Sequence[DeadLetter], how: How, tally: Tally
) -> list[DeadLetter]:
    """Those that are what stands at their place, with that message's headers."""
    async with asyncio.timeout(_READING):
        there = await originals.read(letter.source for letter in letters if letter.source is not None)
    proven = []
    for letter in letters:
        original = there.get(letter.source) if letter.source is not None else None
        if original is not None and (original.key, original.value) == (letter.key, letter.value):
            proven.append(replace(letter, headers=original.headers))
        elif original is not None or letter.source is None:
            tally.different += 1
        elif how.without_original:
            proven.append(letter)
        else:
            tally.gone += 1
    return proven


def _is_chosen(
    letter: DeadLetter, done: dict[TopicPartition, Done], choice: Choice, known: Sequence[str], tally: Tally
) -> bool:
    if letter.offset in done[letter.place]:
        tally.before += 1
    elif letter.topic not in known:
        tally.foreign += 1
    elif not choice.takes(letter):
        tally.left += 1
    else:
        return True
    return False


async def _send(producer: AIOKafkaProducer, letters: Sequence[DeadLetter], sent: set[Place]) -> int:
    """Each message once; gives how many were repeats of another reader's."""
    news = {letter.source: letter for letter in letters if letter.source is not None}
    repeats = len(letters) - len(news)
    confirmations = []
    for source, letter in news.items():
        if source in sent:
            repeats += 1
            continue
        sent.add(source)
        sending = producer.send(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))
        confirmations.append(await sending)
    await asyncio.gather(*confirmations)
    return repeats
