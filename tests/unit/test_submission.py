"""Tests which call follows which answer, with each row of the rules for doubt and a model of an API that misleads."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from streams.documents.document import Body
from streams.documents.sale import SALE
from streams.domain.account import Account
from streams.domain.document_codes import DocumentCodes
from streams.domain.outcome import Accepted, BrokenRule, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.national_api.answers import LookUp, NoAnswer, NothingToReplace, NotOffered, NotStored, Stored
from streams.pipeline.submission import Past, Replaced, Submission, hash_after
from streams.stores.sync_state import ANY_VERSION

ACCOUNT = Account("SHOP-1", "shop", SecretStr("secret"))
TODAY = Body(b'{"today":1}', "79-1", "HD-1")
OLDER = Body(b'{"older":1}', "79-1", "HD-1")
FRESH = Past(None, ever_accepted=False)
NO_ANSWER = NoAnswer(Reason(Code.LOOK_UP_FAILED, 503))
DOUBT = InDoubt(Reason(Code.TIMED_OUT))
UNSENT = TryLater(Reason(Code.UNREACHABLE))
TOO_MANY = InDoubt(Reason(Code.RATE_LIMITED, 429), 30)
REFUSED = Refused(Reason(Code.API_REFUSED, 400), "lời của API")
NO_ID = InDoubt(Reason(Code.UNCLEAR_ANSWER, 200), only_id_missing=True)
STRANGERS = InDoubt(Reason(Code.UNCLEAR_ANSWER, 403))
NOT_TAKEN = InDoubt(Reason(Code.NOT_TAKEN, 403))
TOKEN_OVER = InDoubt(Reason(Code.TOKEN_REJECTED, 401))
CONTRADICTION = InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
EXISTS = Refused(Reason(Code.API_REFUSED, 400), "Hóa đơn đã tồn tại trên hệ thống")
NEVER_TAKEN = Reason(Code.NEVER_TAKEN, 403)


class Scripted:
    """Gives the answers in order, and checks which call is made."""

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
UNKNOWN = Past(ANY_VERSION, ever_accepted=False)
ACCEPTED_ONCE = Past(OLDER.hash, ever_accepted=True)
ACCEPTED_AS_IT_IS = Past(TODAY.hash, ever_accepted=True)
OK = Accepted("QG-1")
ID_UNKNOWN = Accepted(None, Reason(Code.ID_UNKNOWN))


def older_stored(national_id: str | None) -> Refused:
    return Refused(Reason(Code.OLDER_VERSION_STORED, 400), "lời của API", national_id)


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        pytest.param(FRESH, [("POST", OK)], OK, id="fresh: created"),
        pytest.param(FRESH, [("POST", UNSENT)], UNSENT, id="fresh: unsent"),
        pytest.param(FRESH, [("POST", DOUBT), ("GET", Stored("QG-1"))], OK, id="answer lost: held"),
        pytest.param(
            FRESH, [("POST", DOUBT), ("GET", NotStored())], DOUBT, id="answer lost: not held proves nothing yet"
        ),
        pytest.param(FRESH, [("POST", DOUBT), ("GET", NO_ANSWER)], DOUBT, id="answer lost: no answer"),
        pytest.param(FRESH, [("POST", NO_ID), ("GET", Stored(None)), ("PUT", OK)], OK, id="no id: PUT shows it"),
        pytest.param(FRESH, [("POST", NO_ID), ("GET", Stored(None)), ("PUT", NO_ID)], ID_UNKNOWN, id="no id anywhere"),
        pytest.param(FRESH, [("POST", REFUSED), ("GET", NotStored())], REFUSED, id="refused and not held"),
        pytest.param(FRESH, [("POST", REFUSED), ("GET", Stored("QG-9")), ("PUT", OK)], OK, id="already exists"),
        pytest.param(
            FRESH,
            [("POST", REFUSED), ("GET", Stored("QG-9")), ("PUT", REFUSED)],
            older_stored("QG-9"),
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
        pytest.param(FRESH, [("POST", TOO_MANY)], TOO_MANY, id="too many: asked nothing more"),
        pytest.param(SENT, [("GET", NoAnswer(TOO_MANY.reason, 30))], TOO_MANY, id="no answer, and how long to wait"),
        pytest.param(
            CHANGED,
            [("GET", Stored("QG-1")), ("PUT", NothingToReplace())],
            InDoubt(Reason(Code.REPLACE_REFUSED)),
            id="held a moment ago, and nothing to replace: in doubt",
        ),
        pytest.param(
            ACCEPTED_ONCE,
            [("PUT", REFUSED), ("GET", NotStored())],
            CONTRADICTION,
            id="replacement refused, and not shown: the two contradict each other",
        ),
        pytest.param(
            FRESH,
            [("POST", STRANGERS), ("GET", NotStored())],
            NOT_TAKEN,
            id="a stranger answers, not stored",
        ),
        pytest.param(FRESH, [("POST", STRANGERS), ("GET", Stored("QG-1"))], OK, id="a stranger answers, stored"),
        pytest.param(FRESH, [("POST", STRANGERS), ("GET", NO_ANSWER)], STRANGERS, id="a stranger answers everything"),
        pytest.param(FRESH, [("POST", NO_ID), ("GET", NotStored())], NO_ID, id="yes without an id, and not shown"),
        pytest.param(
            FRESH,
            [("POST", TOKEN_OVER), ("GET", NotStored()), ("POST", OK)],
            OK,
            id="the token is over, and it is not stored: sent with a fresh one",
        ),
        pytest.param(FRESH, [("POST", TOKEN_OVER), ("GET", Stored("QG-1"))], OK, id="the token is over, stored"),
        pytest.param(
            FRESH,
            [("POST", TOKEN_OVER), ("GET", NotStored()), ("POST", TOKEN_OVER), ("GET", NotStored())],
            InDoubt(Reason(Code.NOT_TAKEN, 401)),
            id="fresh tokens are not taken for this document",
        ),
        pytest.param(
            FRESH,
            [("POST", TOKEN_OVER), ("GET", NotOffered()), ("PUT", NothingToReplace()), ("POST", OK)],
            OK,
            id="the token is over, no look-up: PUT tells that it is not stored",
        ),
        pytest.param(
            FRESH, [("POST", TOKEN_OVER), ("GET", NO_ANSWER)], TOKEN_OVER, id="the token is over, and nobody tells"
        ),
        pytest.param(
            FRESH,
            [("POST", TOKEN_OVER), ("GET", NotStored()), ("POST", UNSENT)],
            InDoubt(UNSENT.reason),
            id="the token was over, then nobody listens: the first may have been taken",
        ),
        pytest.param(
            FRESH,
            [("POST", EXISTS), ("GET", NotStored())],
            CONTRADICTION,
            id="there already, and not shown",
        ),
        pytest.param(SENT, [("GET", Stored("QG-1"))], OK, id="held as sent"),
        pytest.param(SENT, [("GET", Stored(None)), ("PUT", REFUSED)], ID_UNKNOWN, id="held as sent, id never shown"),
        pytest.param(CHANGED, [("GET", Stored("QG-1")), ("PUT", OK)], OK, id="held, but the row has changed"),
        pytest.param(CHANGED, [("GET", Stored("QG-1")), ("PUT", REFUSED)], older_stored("QG-1"), id="change refused"),
        pytest.param(CHANGED, [("GET", Stored("QG-1")), ("PUT", UNSENT)], InDoubt(UNSENT.reason), id="change unsent"),
        pytest.param(UNKNOWN, [("GET", Stored("QG-1")), ("PUT", OK)], OK, id="some version held"),
        pytest.param(SENT, [("GET", NotStored()), ("POST", OK)], OK, id="not held: sent again"),
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
            ACCEPTED_ONCE, [("PUT", REFUSED), ("GET", Stored("QG-1"))], older_stored("QG-1"), id="replacement refused"
        ),
        pytest.param(ACCEPTED_ONCE, [("PUT", UNSENT)], InDoubt(UNSENT.reason), id="replacement unsent: still held"),
        pytest.param(ACCEPTED_ONCE, [("PUT", NO_ID), ("GET", Stored(None))], ID_UNKNOWN, id="replaced, id never shown"),
        pytest.param(ACCEPTED_ONCE, [("PUT", NO_ID), ("GET", Stored("QG-1"))], OK, id="replaced, look-up shows the id"),
        pytest.param(ACCEPTED_ONCE, [("PUT", NO_ID), ("GET", NotStored())], NO_ID, id="replaced, it said; not held"),
        pytest.param(
            UNKNOWN,
            [("GET", NotOffered()), ("PUT", NO_ID), ("GET", NotOffered())],
            ID_UNKNOWN,
            id="no look-up and no ids: that PUT took it is all the proof there is",
        ),
        pytest.param(
            FRESH, [("POST", REFUSED), ("GET", NotOffered()), ("PUT", NO_ID)], ID_UNKNOWN, id="already exists, no proof"
        ),
        pytest.param(
            ACCEPTED_ONCE, [("PUT", NO_ID), ("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason), id="replaced; nobody tells"
        ),
        pytest.param(
            ACCEPTED_ONCE, [("PUT", REFUSED), ("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason), id="refused; nobody tells"
        ),
        pytest.param(
            ACCEPTED_AS_IT_IS,
            [("PUT", REFUSED), ("GET", Stored("QG-1"))],
            OK,
            id="asked again unchanged: what is held is this version",
        ),
        pytest.param(
            ACCEPTED_AS_IT_IS,
            [("PUT", REFUSED), ("GET", NotOffered())],
            InDoubt(Reason(Code.REPLACE_REFUSED, 400)),
            id="asked again unchanged, no look-up: it may have been withdrawn by hand",
        ),
        pytest.param(
            SENT,
            [("GET", NotStored()), ("POST", REFUSED), ("GET", Stored("QG-1")), ("PUT", REFUSED)],
            OK,
            id="sent before and seen late: what is held is this version",
        ),
    ],
)
async def test_every_sequence_of_answers_leads_to_the_right_calls_and_outcome(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    """Promise 2. Broken by: a refusal is believed at once: a sale that an earlier attempt got through is recorded
    as failed.
    Promise 3. Broken by: a sale whose token was not taken is sent again without being looked up.
    Promise 2. Broken by: "already exists" against "not stored" counts as a refusal at once.
    Promise 3. Broken by: a document whose replacement is refused and which is "not stored" is created again at
    once.
    Promise 2. Broken by: a document that a look-up does not show yet is reported as one that never gets through.
    Promise 3. Broken by: what may have been taken before the token was renewed counts as never sent.
    """
    api = Scripted(*calls)
    assert await Submission(api, ACCOUNT, SALE.endpoint, until=0.0).submit(TODAY, past) == expected
    assert api.answers == [], "every call was made"


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        pytest.param(SENT, [("GET", NotStored())], InDoubt(Reason(Code.NOT_YET_SHOWN), 60), id="in doubt"),
        pytest.param(SENT, [("GET", Stored("QG-1"))], OK, id="shown"),
        pytest.param(FRESH, [("POST", OK)], OK, id="nothing was sent before"),
        pytest.param(
            ACCEPTED_ONCE,
            [("PUT", NothingToReplace())],
            InDoubt(Reason(Code.NOT_YET_SHOWN), 60),
            id="nothing to replace",
        ),
    ],
)
async def test_not_stored_is_not_believed_right_after_an_outage(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    """Promise 3. Broken by: "not stored" is believed right after an outage."""
    api = Scripted(*calls)
    submission = Submission(api, ACCOUNT, SALE.endpoint, until=0.0, unsettled_s=60, give_up_reason=NEVER_TAKEN)
    assert await submission.submit(TODAY, past) == expected
    assert api.answers == []


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        pytest.param(SENT, [("GET", NotStored())], Refused(NEVER_TAKEN), id="not stored: the end"),
        pytest.param(SENT, [("GET", Stored("QG-1"))], OK, id="stored after all"),
        pytest.param(SENT, [("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason), id="nobody tells: it waits"),
        pytest.param(FRESH, [("POST", OK)], OK, id="it was never in doubt"),
    ],
)
async def test_a_document_that_is_not_stored_fails_once_its_time_is_over(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    """Promise 2. Broken by: what was in doubt for too long is recorded as failed without a look-up."""
    api = Scripted(*calls)
    submission = Submission(api, ACCOUNT, SALE.endpoint, until=0.0, give_up_reason=NEVER_TAKEN)
    assert await submission.submit(TODAY, past) == expected
    assert api.answers == []


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        pytest.param(ACCEPTED_ONCE, [("PUT", REFUSED), ("GET", NotStored()), ("POST", OK)], OK, id="it is gone"),
        pytest.param(SENT, [("GET", NotStored()), ("POST", EXISTS), ("GET", NotStored())], EXISTS, id="refused"),
    ],
)
async def test_a_repeated_contradiction_is_believed(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    """Promise 1. Broken by: a contradiction that comes again is never believed, and the sale never ends."""
    api = Scripted(*calls)
    submission = Submission(api, ACCOUNT, SALE.endpoint, until=0.0, contradicted=True)
    assert await submission.submit(TODAY, past) == expected
    assert api.answers == []


RULES = Reason(Code.RULES_BROKEN, details=(BrokenRule("ma_hoa_don", "required"),))


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        (FRESH, [], Refused(RULES)),
        (SENT, [("GET", NotStored())], Refused(RULES)),
        (
            SENT,
            [("GET", Stored("QG-1"))],
            Refused(Reason(Code.OLDER_VERSION_STORED, details=RULES.details), None, "QG-1"),
        ),
        (ACCEPTED_ONCE, [("GET", NO_ANSWER)], InDoubt(NO_ANSWER.reason)),
        (UNKNOWN, [("GET", NotOffered())], InDoubt(Reason(Code.LOOK_UP_FAILED, details=RULES.details))),
    ],
)
async def test_our_own_refusal_is_final_only_when_it_is_known_what_is_stored(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    api = Scripted(*calls)
    submission = Submission(api, ACCOUNT, SALE.endpoint, until=0.0)
    assert await submission.refuse(RULES, TODAY.facility_code, TODAY.document_code, past) == expected
    assert api.answers == []


def test_the_hash_after_sending_covers_every_version_that_may_be_stored() -> None:
    assert hash_after(FRESH, TODAY) == TODAY.hash
    assert hash_after(SENT, TODAY) == TODAY.hash
    assert hash_after(CHANGED, TODAY) == ANY_VERSION
    assert hash_after(UNKNOWN, TODAY) == ANY_VERSION


Fate = Literal["answered", "answer lost", "request lost", "unsent", "refused", "too many"]
FATES: dict[Fate, Outcome] = {
    "answer lost": DOUBT,
    "request lost": DOUBT,
    "unsent": UNSENT,
    "refused": REFUSED,
    "too many": InDoubt(Reason(Code.RATE_LIMITED, 429), 30),
}


class Model:
    """A national system that has stored one version or none, and draws what becomes of each call."""

    def __init__(self, data: st.DataObject, stored: bytes | None) -> None:
        self.stored = stored
        self.calls: list[str] = []
        self.blind_posts = self.posts_while_stored = 0
        self._data = data
        self._offers_look_up = data.draw(st.booleans(), "offers look-up")
        self._names_absence = data.draw(st.booleans(), "a refused PUT says that there is nothing to replace")
        self._puts_create = data.draw(st.booleans(), "PUT creates what is not there")
        self._known_absent = False

    async def create(self, _: object, __: object, body: Body, *, until: float) -> Outcome:
        self.blind_posts += not self._known_absent
        self.posts_while_stored += self.stored is not None
        fate = self._fate("POST", *FATES)
        if fate != "answered":
            # A refusal is not final in this world: the next call may be taken.
            return self._taken(body, FATES[fate]) if fate == "answer lost" and self.stored is None else FATES[fate]
        return REFUSED if self.stored is not None else self._taken(body)

    async def replace(self, _: object, __: object, body: Body, *, until: float) -> Replaced:
        fate = self._fate("PUT", *FATES)
        can = self.stored is not None or self._puts_create
        if fate != "answered":
            return self._taken(body, FATES[fate]) if fate == "answer lost" and can else FATES[fate]
        if can:
            return self._taken(body)
        self._known_absent = self._names_absence
        return NothingToReplace() if self._names_absence else REFUSED

    async def look_up(self, *_: object, until: float) -> LookUp:
        if not self._offers_look_up:
            self.calls.append("GET")
            return NotOffered()
        if self._fate("GET", "request lost") == "request lost":
            return NO_ANSWER
        self._known_absent = self.stored is None
        return NotStored() if self.stored is None else Stored(self._shown_id())

    def _fate(self, call: str, *fates: Fate) -> Fate:
        self.calls.append(call)
        return self._data.draw(st.sampled_from(["answered", *fates]), call)

    def _taken(self, body: Body, answer: Outcome | None = None) -> Outcome:
        self.stored = body.content
        if answer is not None:
            return answer
        shown = self._shown_id()
        return Accepted(shown) if shown else NO_ID

    def _shown_id(self) -> str | None:
        return "QG-1" if self._data.draw(st.booleans(), "shows the id") else None


NOTHING, OLD, NEW = None, OLDER.content, TODAY.content
PASTS: list[tuple[Past, list[bytes | None]]] = [
    (FRESH, [NOTHING]),
    (SENT, [NOTHING, NEW]),
    (CHANGED, [NOTHING, OLD]),
    (UNKNOWN, [NOTHING, OLD, NEW]),
    (ACCEPTED_ONCE, [NOTHING, OLD, NEW]),
    (ACCEPTED_AS_IT_IS, [NOTHING, NEW]),
    (Past(None, ever_accepted=True), [NOTHING, OLD, NEW]),
]
"""What may be known of a sale, and what may be held then: that these agree is what claims see to."""
worlds = st.sampled_from([(past, stored) for past, versions in PASTS for stored in versions])


def assert_no_wrong_decision(model: Model, outcome: Outcome) -> None:
    match outcome:
        case Accepted(national_id, reason):
            assert model.stored == TODAY.content
            assert national_id == "QG-1" or reason == Reason(Code.ID_UNKNOWN)
        case Refused(reason):
            assert (model.stored is not None) == (reason.code is Code.OLDER_VERSION_STORED)
        case TryLater():
            assert model.stored is None, "it would be forgotten that it may be held"
    assert model.posts_while_stored == 0
    assert len(model.calls) <= 6
    assert model.calls.count("POST") <= 1


@settings(max_examples=1000)
@given(worlds, st.data())
async def test_no_behaviour_of_the_api_leads_to_a_wrong_decision(
    world: tuple[Past, bytes | None], data: st.DataObject
) -> None:
    past, stored = world
    model = Model(data, stored)
    outcome = await Submission(model, ACCOUNT, SALE.endpoint, until=0.0).submit(TODAY, past)
    assert_no_wrong_decision(model, outcome)
    if past != FRESH:
        assert model.blind_posts == 0, "nothing is sent again before it was looked up"


@given(worlds, st.data())
async def test_our_own_refusal_sends_nothing_and_fails_nothing_that_is_stored(
    world: tuple[Past, bytes | None], data: st.DataObject
) -> None:
    past, stored = world
    model = Model(data, stored)
    submission = Submission(model, ACCOUNT, SALE.endpoint, until=0.0)
    outcome = await submission.refuse(RULES, TODAY.facility_code, TODAY.document_code, past)
    assert isinstance(outcome, Refused | InDoubt)
    assert_no_wrong_decision(model, outcome)
    assert set(model.calls) <= {"GET"}


@settings(max_examples=300)
@given(st.data())
async def test_a_sequence_of_attempts_never_forgets_that_a_document_may_be_stored(data: st.DataObject) -> None:
    """The next attempt knows what the claim wrote down, or that this attempt is proved to have left nothing."""
    model, past = Model(data, NOTHING), FRESH
    for _ in range(data.draw(st.integers(1, 4), "attempts")):
        model.calls.clear()
        outcome = await Submission(model, ACCOUNT, SALE.endpoint, until=0.0).submit(TODAY, past)
        assert_no_wrong_decision(model, outcome)
        if isinstance(outcome, Accepted | Refused):
            break
        past = FRESH if isinstance(outcome, TryLater) else Past(hash_after(past, TODAY), ever_accepted=False)
        assert past.in_doubt or model.stored is None


EARLIER = DocumentCodes("79-1", "HD-0")
UNDER_EARLIER_CODES = Past(OLDER.hash, ever_accepted=True, stored_under=EARLIER)
STORED_AS_HD_0 = Reason(Code.STORED_UNDER_OTHER_CODES, details=(BrokenRule("ma_hoa_don", "stored_as:HD-0"),))


@pytest.mark.parametrize(
    ("past", "calls", "expected"),
    [
        pytest.param(UNDER_EARLIER_CODES, [("GET", Stored("QG-1"))], Refused(STORED_AS_HD_0, None, "QG-1"), id="held"),
        pytest.param(UNDER_EARLIER_CODES, [("GET", NotOffered())], Refused(STORED_AS_HD_0), id="no look-up"),
        pytest.param(
            UNDER_EARLIER_CODES, [("GET", NO_ANSWER)], InDoubt(Reason(Code.LOOK_UP_FAILED, 503)), id="no answer"
        ),
        pytest.param(
            UNDER_EARLIER_CODES,
            [("GET", NotStored()), ("GET", NotStored()), ("POST", OK)],
            OK,
            id="withdrawn by others: created under its new code",
        ),
        pytest.param(
            Past(TODAY.hash, ever_accepted=True, stored_under=DocumentCodes("79-1", "HD-1")),
            [("PUT", OK)],
            OK,
            id="the same codes",
        ),
    ],
)
async def test_a_document_is_not_sent_under_new_codes_while_it_is_stored_under_earlier_ones(
    past: Past, calls: list[tuple[str, object]], expected: Outcome
) -> None:
    """Promise 3. Broken by: a document whose code was changed is created a second time under the new one."""
    api = Scripted(*calls)
    assert await Submission(api, ACCOUNT, SALE.endpoint, 5.0).submit(TODAY, past) == expected
    assert not api.answers
