"""What is sent when: each row of the rules for doubt, and a model of the API that tries to mislead."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from streams.documents.document import Body
from streams.documents.sale import SALE
from streams.national_api.account import Account
from streams.national_api.answers import Held, LookUp, NoAnswer, NotHeld, NothingToReplace, NotOffered
from streams.outcome import Accepted, BrokenRule, InDoubt, Outcome, Reason, Refused, TryLater
from streams.reasons import Code
from streams.stores.sync_state import SEVERAL
from streams.submit import Past, Replaced, Submission, hash_after

ACCOUNT = Account("SHOP-1", "shop", SecretStr("secret"))
TODAY = Body(b'{"today":1}', "79-1", "HD-1")
OLDER = Body(b'{"older":1}', "79-1", "HD-1")
FRESH = Past(None, ever_accepted=False)
NO_ANSWER = NoAnswer(Reason(Code.LOOK_UP_FAILED, 503))
DOUBT = InDoubt(Reason(Code.TIMED_OUT))
UNSENT = TryLater(Reason(Code.UNREACHABLE))
REFUSED = Refused(Reason(Code.API_REFUSED, 400), "lời của API")
NO_ID = InDoubt(Reason(Code.UNCLEAR_ANSWER, 200), only_id_missing=True)


class Scripted:
    """Answers in the order given, and keeps what it was asked."""

    def __init__(self, *answers: tuple[str, object]) -> None:
        self.answers = list(answers)

    def _next(self, call: str) -> object:
        expected, answer = self.answers.pop(0)
        assert call == expected
        return answer

    async def create(self, *_: object, until: float) -> Outcome:
        return self._next("POST")  # type: ignore[return-value]

    async def replace(self, *_: object, until: float) -> Replaced:
        return self._next("PUT")  # type: ignore[return-value]

    async def look_up(self, *_: object, until: float) -> LookUp:
        return self._next("GET")  # type: ignore[return-value]


SENT = Past(TODAY.hash, ever_accepted=False)
CHANGED = Past(OLDER.hash, ever_accepted=False)
UNKNOWN = Past(SEVERAL, ever_accepted=False)
ACCEPTED_ONCE = Past(OLDER.hash, ever_accepted=True)
OK = Accepted("QG-1")
ID_UNKNOWN = Accepted(None, Reason(Code.ID_UNKNOWN))


def older_held(national_id: str | None) -> Refused:
    return Refused(Reason(Code.OLDER_VERSION_HELD, 400), "lời của API", national_id)


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        pytest.param(FRESH, [("POST", OK)], OK, id="fresh: created"),
        pytest.param(FRESH, [("POST", UNSENT)], UNSENT, id="fresh: unsent"),
        pytest.param(FRESH, [("POST", DOUBT), ("GET", Held("QG-1"))], OK, id="answer lost: held"),
        pytest.param(
            FRESH, [("POST", DOUBT), ("GET", NotHeld())], DOUBT, id="answer lost: not held proves nothing yet"
        ),
        pytest.param(FRESH, [("POST", DOUBT), ("GET", NO_ANSWER)], DOUBT, id="answer lost: no answer"),
        pytest.param(FRESH, [("POST", NO_ID), ("GET", Held(None)), ("PUT", OK)], OK, id="no id: PUT shows it"),
        pytest.param(FRESH, [("POST", NO_ID), ("GET", Held(None)), ("PUT", NO_ID)], ID_UNKNOWN, id="no id anywhere"),
        pytest.param(FRESH, [("POST", REFUSED), ("GET", NotHeld())], REFUSED, id="refused and not held"),
        pytest.param(FRESH, [("POST", REFUSED), ("GET", Held("QG-9")), ("PUT", OK)], OK, id="already exists"),
        pytest.param(
            FRESH,
            [("POST", REFUSED), ("GET", Held("QG-9")), ("PUT", REFUSED)],
            older_held("QG-9"),
            id="refused while an older version is held",
        ),
        pytest.param(
            FRESH, [("POST", REFUSED), ("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason), id="refused, nobody can tell"
        ),
        pytest.param(
            FRESH,
            [("POST", REFUSED), ("GET", NotOffered()), ("PUT", NothingToReplace())],
            REFUSED,
            id="refused, PUT tells",
        ),
        pytest.param(
            FRESH,
            [("POST", REFUSED), ("GET", NotOffered()), ("PUT", REFUSED)],
            InDoubt(Reason(Code.REPLACE_REFUSED, 400)),
            id="refused, and PUT refused for whatever reason",
        ),
        pytest.param(SENT, [("GET", Held("QG-1"))], OK, id="held as sent"),
        pytest.param(SENT, [("GET", Held(None)), ("PUT", REFUSED)], ID_UNKNOWN, id="held as sent, id never shown"),
        pytest.param(CHANGED, [("GET", Held("QG-1")), ("PUT", OK)], OK, id="held, but the row has changed"),
        pytest.param(CHANGED, [("GET", Held("QG-1")), ("PUT", REFUSED)], older_held("QG-1"), id="change refused"),
        pytest.param(CHANGED, [("GET", Held("QG-1")), ("PUT", UNSENT)], InDoubt(UNSENT.reason), id="change unsent"),
        pytest.param(UNKNOWN, [("GET", Held("QG-1")), ("PUT", OK)], OK, id="some version held"),
        pytest.param(SENT, [("GET", NotHeld()), ("POST", OK)], OK, id="not held: sent again"),
        pytest.param(SENT, [("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason), id="no answer: later"),
        pytest.param(SENT, [("GET", NotOffered()), ("PUT", OK)], OK, id="no look-up: PUT stands in"),
        pytest.param(SENT, [("GET", NotOffered()), ("PUT", NothingToReplace()), ("POST", OK)], OK, id="PUT: not held"),
        pytest.param(
            SENT,
            [("GET", NotOffered()), ("PUT", REFUSED), ("GET", NotOffered())],
            InDoubt(Reason(Code.REPLACE_REFUSED, 400)),
            id="PUT refused for another reason: in doubt",
        ),
        pytest.param(ACCEPTED_ONCE, [("PUT", OK)], OK, id="asked again: replaced"),
        pytest.param(ACCEPTED_ONCE, [("PUT", NothingToReplace()), ("POST", OK)], OK, id="withdrawn meanwhile"),
        pytest.param(
            ACCEPTED_ONCE, [("PUT", REFUSED), ("GET", Held("QG-1"))], older_held("QG-1"), id="replacement refused"
        ),
        pytest.param(ACCEPTED_ONCE, [("PUT", UNSENT)], InDoubt(UNSENT.reason), id="replacement unsent: still held"),
        pytest.param(ACCEPTED_ONCE, [("PUT", NO_ID), ("GET", Held(None))], ID_UNKNOWN, id="replaced, id never shown"),
    ],
)
async def test_what_is_sent_when(past: Past, calls: list[tuple[str, object]], expected: Outcome) -> None:
    api = Scripted(*calls)
    assert await Submission(api, ACCOUNT, SALE.endpoint, until=0.0).submit(TODAY, past) == expected
    assert api.answers == [], "every call was made"


RULES = Reason(Code.RULES_BROKEN, details=(BrokenRule("ma_hoa_don", "required"),))


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        (FRESH, [], Refused(RULES)),
        (SENT, [("GET", NotHeld())], Refused(RULES)),
        (SENT, [("GET", Held("QG-1"))], Refused(Reason(Code.OLDER_VERSION_HELD, details=RULES.details), None, "QG-1")),
        (ACCEPTED_ONCE, [("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason)),
        (UNKNOWN, [("GET", NotOffered())], InDoubt(Reason(Code.LOOK_UP_FAILED, details=RULES.details))),
    ],
)
async def test_a_refusal_of_ours_is_believed_once_it_is_known_what_is_held(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    api = Scripted(*calls)
    submission = Submission(api, ACCOUNT, SALE.endpoint, until=0.0)
    assert await submission.refuse(RULES, TODAY.place_code, TODAY.own_code, past) == expected
    assert api.answers == []


def test_what_may_be_held_after_sending() -> None:
    assert hash_after(FRESH, TODAY) == TODAY.hash
    assert hash_after(SENT, TODAY) == TODAY.hash
    assert hash_after(CHANGED, TODAY) == SEVERAL
    assert hash_after(UNKNOWN, TODAY) == SEVERAL


@dataclass
class Model:
    """A national system: holds one version or none, refuses, loses answers, shows ids or not, as it is told."""

    held: bytes | None
    refuses: bool
    shows_ids: bool
    offers_look_up: bool
    lost: list[bool]
    """Of each call in turn: whether its answer is lost, after it was dealt with."""
    calls: list[str] = field(default_factory=list)
    known_absent: bool = False
    blind_posts: int = 0

    def _loses(self) -> bool:
        return bool(self.lost) and self.lost.pop(0)

    def _taken(self, body: Body) -> Outcome:
        self.held = body.content
        if self._loses():
            return DOUBT
        return Accepted("QG-1") if self.shows_ids else NO_ID

    async def create(self, *args: object, until: float) -> Outcome:
        self.calls.append("POST")
        body = next(a for a in args if isinstance(a, Body))
        self.blind_posts += not self.known_absent
        if self.refuses or self.held is not None:
            return DOUBT if self._loses() else REFUSED
        return self._taken(body)

    async def replace(self, *args: object, until: float) -> Replaced:
        self.calls.append("PUT")
        body = next(a for a in args if isinstance(a, Body))
        if self.held is None:
            if self._loses():
                return DOUBT
            self.known_absent = True
            return NothingToReplace()
        if self.refuses:
            return DOUBT if self._loses() else REFUSED
        return self._taken(body)

    async def look_up(self, *_: object, until: float) -> LookUp:
        self.calls.append("GET")
        if not self.offers_look_up:
            return NotOffered()
        if self._loses():
            return NO_ANSWER
        if self.held is None:
            self.known_absent = True
            return NotHeld()
        return Held("QG-1" if self.shows_ids else None)


PASTS: list[tuple[Past, list[bytes | None]]] = [
    (FRESH, [None]),
    (SENT, [None, TODAY.content]),
    (CHANGED, [None, OLDER.content]),
    (UNKNOWN, [None, OLDER.content, TODAY.content]),
    (ACCEPTED_ONCE, [None, OLDER.content]),
]
"""What may be known of a sale, and what may be held then."""


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Model, Past]:
    """What may be held and what we know of it agree: that is what claims see to."""
    past, versions = draw(st.sampled_from(PASTS))
    model = Model(
        held=draw(st.sampled_from(versions)),
        refuses=draw(st.booleans()),
        shows_ids=draw(st.booleans()),
        offers_look_up=draw(st.booleans()),
        lost=draw(st.lists(st.booleans(), max_size=6)),
    )
    return model, past


@given(worlds())
async def test_no_world_leads_to_a_wrong_end(world: tuple[Model, Past]) -> None:
    model, past = world
    outcome = await Submission(model, ACCOUNT, SALE.endpoint, until=0.0).submit(TODAY, past)
    match outcome:
        case Accepted():
            assert model.held == TODAY.content
        case Refused(reason):
            assert (model.held is not None) == (reason.code is Code.OLDER_VERSION_HELD)
            assert model.held != TODAY.content or past == UNKNOWN
        case TryLater():
            raise AssertionError("this API is always reached")
    assert len(model.calls) <= 6
    if past != FRESH:
        assert model.blind_posts == 0, "nothing is sent again before it was looked up"
