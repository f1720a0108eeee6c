"""One attempt at one document: create, replace or look up, until it is known what the national system holds.

What is known of the past decides the first call; nothing is sent again before it was looked up.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from streams.documents.document import Body, Endpoint
from streams.domain.account import Account
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.national_api.answers import LookUp, NoAnswer, NothingToReplace, NotOffered, NotStored, Stored
from streams.national_api.subjects import says_stored
from streams.runtime.frozen import frozen
from streams.stores.sync_state import ANY_VERSION

Replaced: TypeAlias = Outcome | NothingToReplace


class Api(Protocol):
    """The national API. Every call has a deadline of its own, and none goes on after `until` (loop time)."""

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Outcome: ...
    async def replace(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Replaced: ...
    async def look_up(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> LookUp: ...


@frozen
class Past:
    """What may be held before this attempt (`dbo.SaleSync`)."""

    sent_hash: str | None
    ever_accepted: bool

    @property
    def in_doubt(self) -> bool:
        return self.sent_hash is not None


def hash_after(past: Past, body: Body) -> str:
    """What may be held once `body` has been sent: the claim writes it down before anything is."""
    return body.hash if past.sent_hash in (None, body.hash) else ANY_VERSION


class Submission:
    """One attempt, as the shop of `account`. No call goes on after `until` (loop time)."""

    def __init__(
        self,
        api: Api,
        account: Account,
        endpoint: Endpoint,
        until: float,
        *,
        unsettled_s: float = 0.0,
        ends_with: Reason | None = None,
        contradicted: bool = False,
    ) -> None:
        """`unsettled_s`: seconds for which "not stored" is not believed yet of what may have been sent before.
        `ends_with`: what was in doubt and is not stored is not sent again, it ends with this reason. `contradicted`:
        the last attempt was told "not stored" against other words of the API; told so again, it is believed."""
        self._api = api
        self._account = account
        self._endpoint = endpoint
        self._until = until
        self._unsettled_s = unsettled_s
        self._ends_with = ends_with
        self._contradicted = contradicted

    async def submit(self, body: Body, past: Past) -> Outcome:
        """Brings the national system to hold `body`."""
        # What of it is held can then only be this very version.
        as_sent = past.sent_hash == body.hash
        if past.ever_accepted:
            return await self._replace_or_create(body, as_sent=as_sent)
        if not past.in_doubt:
            return await self._create(body, as_sent=False)
        match await self._look_up(body):
            case Stored(national_id) if as_sent and national_id:
                return Accepted(national_id)
            case Stored(national_id):
                return await self._replace_held(body, national_id, as_sent=as_sent)
            case NotStored():
                return await self._create_again(body, as_sent=as_sent)
            case NotOffered():
                return await self._replace_or_create(body, as_sent=as_sent)
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)

    async def refuse(self, reason: Reason, facility_code: str, document_code: str, past: Past) -> Outcome:
        """A refusal of ours, which nothing was sent for: believed once it is known what is held."""
        if not past.in_doubt and not past.ever_accepted:
            return Refused(reason)
        match await self._held(facility_code, document_code):
            case Stored(national_id):
                return _older_version_held(Refused(reason), national_id)
            case NotStored():
                return self._not_yet_shown() or Refused(reason)
            case NotOffered():
                return InDoubt(Reason(Code.LOOK_UP_FAILED, details=reason.details))
            case NoAnswer(unanswered, wait_s):
                return InDoubt(unanswered, wait_s)

    async def _create_again(self, body: Body, *, as_sent: bool) -> Outcome:
        """What may have been stored is not: the API says so."""
        if not_yet := self._not_yet_shown():
            return not_yet
        return Refused(self._ends_with) if self._ends_with else await self._create(body, as_sent=as_sent)

    def _not_yet_shown(self) -> InDoubt | None:
        return InDoubt(Reason(Code.NOT_YET_SHOWN), self._unsettled_s) if self._unsettled_s > 0 else None

    async def _create(self, body: Body, *, as_sent: bool, renewed: bool = False) -> Outcome:
        """Nothing is known to be held. `renewed`: once more, with a fresh token."""
        outcome = await self._api.create(self._account, self._endpoint, body, until=self._until)
        match outcome:
            case Refused():
                return await self._believe_refusal(body, outcome, as_sent=as_sent)
            case InDoubt():
                return await self._settle_doubt(body, outcome, renewed=renewed)
            case TryLater() if renewed:
                return _still_in_doubt(outcome)  # the first of the two may still have been taken
        return outcome

    async def _believe_refusal(self, body: Body, refused: Refused, *, as_sent: bool) -> Outcome:
        """Once looked up: "already exists" means that an earlier attempt got through."""
        match await self._look_up(body):
            case NotStored() if says_stored(refused.words or "") and not self._contradicted:
                return InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
            case NotStored():
                return refused
            case Stored(national_id):
                return await self._replace_held(body, national_id, as_sent=as_sent)
            case NotOffered():
                replaced = await self._replace(body)
                return refused if isinstance(replaced, NothingToReplace) else _without_look_up(replaced)
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)

    async def _settle_doubt(self, body: Body, doubt: InDoubt, *, renewed: bool = False) -> Outcome:
        """What was sent just now and is then shown as stored was accepted. Not stored proves nothing yet: it may still
        be accepted until the lease has run out."""
        code = doubt.reason.code
        if doubt.wait_s is not None or code is Code.RATE_LIMITED:
            return doubt
        match await self._look_up(body):
            case Stored(national_id) if national_id:
                return Accepted(national_id)
            case Stored():
                return await self._replace_held(body, None, as_sent=True)
            case NotStored() if code is Code.TOKEN_REJECTED and not renewed:
                # The API says that it did not take the call, and that it does not store the document.
                return await self._create(body, as_sent=False, renewed=True)
            case NotOffered() if code is Code.TOKEN_REJECTED and not renewed:
                replaced = await self._replace(body)
                if isinstance(replaced, NothingToReplace):
                    return await self._create(body, as_sent=False, renewed=True)
                return replaced if isinstance(replaced, Accepted) else doubt
            case NotStored() if code is Code.TOKEN_REJECTED or (
                code is Code.UNCLEAR_ANSWER and not doubt.only_id_missing
            ):
                # The API answers, so whoever answered before was somebody on the way to it.
                return InDoubt(Reason(Code.NOT_TAKEN, doubt.reason.http_status))
        return doubt

    async def _replace_held(self, body: Body, national_id: str | None, *, as_sent: bool) -> Outcome:
        """Some version is held. `as_sent`: it is this very body, and only its id is missing."""
        match await self._replace(body):
            case Accepted() as accepted:
                return accepted
            case InDoubt(only_id_missing=True):
                return _accepted(national_id)
            case Refused() if as_sent:
                return _accepted(national_id)
            case Refused() as refused:
                return _older_version_held(refused, national_id)
            case NothingToReplace():
                # It was held a moment ago. Only a later look-up can tell.
                return InDoubt(Reason(Code.REPLACE_REFUSED))
            case outcome:
                return _still_in_doubt(outcome)

    async def _replace_or_create(self, body: Body, *, as_sent: bool) -> Outcome:
        """It was accepted once, or cannot be looked up: PUT tells whether there is something to replace."""
        replaced = await self._replace(body)
        match replaced:
            case NothingToReplace():
                return await self._create_again(body, as_sent=as_sent)
            case Refused() | InDoubt(only_id_missing=True):
                return await self._explain(body, replaced, as_sent=as_sent)
        return _still_in_doubt(replaced)

    async def _explain(self, body: Body, replaced: Refused | InDoubt, *, as_sent: bool) -> Outcome:
        """A PUT was refused, or taken without an id: a look-up tells what is held."""
        match await self._look_up(body), replaced:
            case Stored(national_id), InDoubt():
                return _accepted(national_id)
            case Stored(national_id), Refused() if as_sent:
                return _accepted(national_id)
            case Stored(national_id), Refused():
                return _older_version_held(replaced, national_id)
            case NotStored(), Refused() if not self._contradicted:
                # Something is there to be replaced, say the API's other words.
                return InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
            case NotStored(), Refused():
                return await self._create_again(body, as_sent=as_sent)
            case NotStored(), InDoubt():
                return replaced
            case NoAnswer(reason, wait_s), _:
                return InDoubt(reason, wait_s)
        return _without_look_up(replaced)

    async def _replace(self, body: Body) -> Replaced:
        return await self._api.replace(self._account, self._endpoint, body, until=self._until)

    async def _held(self, facility_code: str, document_code: str) -> LookUp:
        return await self._api.look_up(self._account, self._endpoint, facility_code, document_code, until=self._until)

    async def _look_up(self, body: Body) -> LookUp:
        return await self._held(body.facility_code, body.document_code)


def _accepted(national_id: str | None) -> Accepted:
    return Accepted(national_id, None if national_id else Reason(Code.ID_UNKNOWN))


def _older_version_held(refused: Refused, national_id: str | None) -> Refused:
    reason = refused.reason
    return Refused(Reason(Code.OLDER_VERSION_STORED, reason.http_status, reason.details), refused.words, national_id)


def _without_look_up(replaced: Outcome) -> Outcome:
    """A PUT in place of a look-up. That it took the document is all the proof that there will ever be; refused for
    another reason than "nothing to replace" it proves nothing: the document may have been withdrawn by hand."""
    match replaced:
        case InDoubt(only_id_missing=True):
            return _accepted(None)
        case Refused(reason):
            return InDoubt(Reason(Code.REPLACE_REFUSED, reason.http_status))
    return _still_in_doubt(replaced)


def _still_in_doubt(outcome: Outcome) -> Outcome:
    """What was in doubt before a call that was not made remains so."""
    if isinstance(outcome, TryLater):
        return InDoubt(outcome.reason, outcome.wait_s)
    return outcome
