"""Tests that the reader concludes no more from an answer than an independent judge finds evidence for.

The gate draws the same answers each time; ``make oracle EXAMPLES=20000`` draws more of them, and others each time.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis.errors import NoSuchExample

from streams.local.simulator import zoo
from streams.local.simulator.calls import Call, CallName
from streams.local.simulator.kinds import SALE
from streams.local.simulator.zoo.entry import Entry
from tests.unit.answer_grammar import CALLS, Draft, answers
from tests.unit.answer_reader import WRONG_READERS, Reader
from tests.unit.evidence_judge import OWN, PLACE, POSSIBLE, Conclusion, Played, proved

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "1500"))
READER = Reader()
_FREE = settings(database=None, derandomize=False, suppress_health_check=list(HealthCheck))
_ONLY_DRAWN = settings(_FREE, phases=[Phase.generate])
_EXPECTED = set(Conclusion) - {Conclusion.NOT_OFFERED, Conclusion.UNSENT}


@settings(_FREE, max_examples=EXAMPLES, derandomize="ORACLE_EXAMPLES" not in os.environ)
@given(answers())
def test_the_reader_concludes_nothing_without_evidence(played: Played) -> None:
    conclusion, value = READER.conclude(played)
    assert proved(conclusion, played, value), f"{conclusion}: {value}"


def test_the_reader_concludes_nothing_from_strangers_answers() -> None:
    for name, entry in zoo.ENTRIES.items():
        for call in sorted(entry.calls):
            played = as_played(entry, call)
            conclusion, value = READER.conclude(played)
            assert proved(conclusion, played, value), f"{name}, {call}: {conclusion}: {value}"


def test_the_judge_finds_no_evidence_in_strangers_answers() -> None:
    for name, entry in zoo.ENTRIES.items():
        for call in sorted(entry.calls):
            played = as_played(entry, call)
            for conclusion in POSSIBLE[call] - {Conclusion.UNSENT, Conclusion.NOT_OFFERED, Conclusion.TOKEN}:
                assert not proved(conclusion, played), (name, call, conclusion)


def test_the_drawn_answers_lead_to_every_conclusion_often() -> None:
    """The test of the evidence would pass without reason if nothing were ever concluded."""
    found: Counter[Conclusion] = Counter()

    @seed(20261124)
    @settings(_ONLY_DRAWN, max_examples=2000)
    @given(answers())
    def draw(played: Played) -> None:
        found[READER.conclude(played)[0]] += 1

    draw()
    assert min(found[conclusion] for conclusion in _EXPECTED) >= 30, found


@pytest.mark.parametrize("wrong", WRONG_READERS, ids=lambda wrong: wrong.__name__)
def test_the_judge_exposes_a_reader_that_breaks_a_rule(wrong: type[Reader]) -> None:
    def unproved(played: Played) -> bool:
        conclusion, value = wrong().conclude(played)
        return not proved(conclusion, played, value) and (conclusion, value) != READER.conclude(played)

    try:
        find(answers(), unproved, settings=settings(_ONLY_DRAWN, max_examples=3000), random=Random(1))
    except NoSuchExample:
        pytest.fail("no answer was drawn that shows it")


def as_played(entry: Entry, call: CallName) -> Played:
    assert call in CALLS
    content = entry.content(Call("login", None) if call == "login" else Call(call, SALE, PLACE, OWN))
    return Draft(entry.status, content, dict(entry.headers), entry.content_type).played(call)
