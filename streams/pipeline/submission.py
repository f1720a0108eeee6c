"""One attempt at one document: create, replace or look up, until it is known what the national system stores.

What is known of earlier attempts decides the first call; nothing is sent again before it was looked up.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from streams.documents.document import Body, Endpoint
from streams.domain.account import Account
from streams.domain.document_codes import DocumentCodes
from streams.domain.outcome import Accepted, BrokenRule, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.national_api.answers import LookUp, NoAnswer, NothingToReplace, NotOffered, NotStored, Stored
from streams.national_api.subjects import says_stored
from streams.runtime.frozen import frozen
from streams.stores.sync_state import ANY_VERSION

Replaced: TypeAlias = Outcome | NothingToReplace


class Api(Protocol):
    """The calls to the national API. Every call has a deadline of its own, and none continues after `until` (loop
    time).
    """

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Outcome:
        """Create the document (POST)."""
        ...

    async def replace(self, account: Account, endpoint: Endpoint, body: Body, *, until: float) -> Replaced:
        """Replace the stored document (PUT)."""
        ...

    async def look_up(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> LookUp:
        """Look up what is stored under these codes (GET)."""
        ...


@frozen
class Past:
    """What the national system may store before this attempt, according to `dbo.SaleSync`."""

    sent_hash: str | None
    """The hash of the body that may be stored, or `ANY_VERSION`; None: nothing is."""
    ever_accepted: bool
    """Whether any attempt was accepted since the document was last withdrawn."""
    stored_under: DocumentCodes | None = None
    """The codes of the version that was accepted last; None: none was, or it was withdrawn."""

    @property
    def in_doubt(self) -> bool:
        """Whether anything may be stored."""
        return self.sent_hash is not None


def hash_after(past: Past, body: Body) -> str:
    """Return what may be stored once `body` has been sent; the claim records it before anything is sent."""
    return body.hash if past.sent_hash in (None, body.hash) else ANY_VERSION


class Submission:
    """One attempt, with the account of a shop. No call continues after `until` (loop time)."""

    def __init__(
        self,
        api: Api,
        account: Account,
        endpoint: Endpoint,
        until: float,
        *,
        unsettled_s: float = 0.0,
        give_up_reason: Reason | None = None,
        contradicted: bool = False,
    ) -> None:
        """`unsettled_s`: seconds for which "not stored" is not believed yet about what may have been sent before.
        `give_up_reason`: a document in doubt that is not stored is not sent again, but fails with this reason.
        `contradicted`: the last attempt was answered "not stored", in contradiction to another answer of the API; the
        second time it is believed.
        """
        self._api = api
        self._account = account
        self._endpoint = endpoint
        self._until = until
        self._unsettled_s = unsettled_s
        self._give_up_reason = give_up_reason
        self._contradicted = contradicted

    async def submit(self, body: Body, past: Past) -> Outcome:
        """Make the national system store `body`, and return the outcome."""
        if past.stored_under not in (None, DocumentCodes(body.facility_code, body.document_code)):
            return await self._submit_under_other_codes(body, past.stored_under)
        # True: whatever is stored of the document can only be this very version.
        as_sent = past.sent_hash == body.hash
        if past.ever_accepted:
            return await self._replace_or_create(body, as_sent=as_sent)
        if not past.in_doubt:
            return await self._create(body, as_sent=False)
        match await self._look_up(body):
            case Stored(national_id) if as_sent and national_id:
                return Accepted(national_id)
            case Stored(national_id):
                return await self._replace_stored(body, national_id, as_sent=as_sent)
            case NotStored():
                return await self._create_again(body, as_sent=as_sent)
            case NotOffered():
                return await self._replace_or_create(body, as_sent=as_sent)
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)

    async def refuse(self, reason: Reason, facility_code: str, document_code: str, past: Past) -> Outcome:
        """Refuse a document for a reason of our own, without sending it. That counts once it is known what the national
        system stores: a stored older version is named in the outcome.
        """
        if not past.in_doubt and not past.ever_accepted:
            return Refused(reason)
        match await self._look_up_codes(past.stored_under or DocumentCodes(facility_code, document_code)):
            case Stored(national_id):
                return _older_version_stored(Refused(reason), national_id)
            case NotStored():
                return self._not_yet_shown() or Refused(reason)
            case NotOffered():
                return InDoubt(Reason(Code.LOOK_UP_FAILED, details=reason.details))
            case NoAnswer(unanswered, wait_s):
                return InDoubt(unanswered, wait_s)

    async def _submit_under_other_codes(self, body: Body, stored_under: DocumentCodes) -> Outcome:
        """Submit a document whose codes have changed since it was accepted. While the national system stores it under
        the earlier ones, it is refused: it would be there twice.
        """
        match await self._look_up_codes(stored_under):
            case NotStored():
                return self._not_yet_shown() or await self.submit(body, Past(ANY_VERSION, ever_accepted=False))
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)
            case found:
                codes = {
                    "ma_co_so": (stored_under.facility_code, body.facility_code),
                    self._endpoint.document_code_field: (stored_under.document_code, body.document_code),
                }
                details = tuple(
                    BrokenRule(field, f"stored_as:{stored}") for field, (stored, new) in codes.items() if stored != new
                )
                national_id = found.national_id if isinstance(found, Stored) else None
                return Refused(Reason(Code.STORED_UNDER_OTHER_CODES, details=details), national_id=national_id)

    async def _create_again(self, body: Body, *, as_sent: bool) -> Outcome:
        """Send a document again that may have been stored and is not, according to the API."""
        if not_yet := self._not_yet_shown():
            return not_yet
        return Refused(self._give_up_reason) if self._give_up_reason else await self._create(body, as_sent=as_sent)

    def _not_yet_shown(self) -> InDoubt | None:
        return InDoubt(Reason(Code.NOT_YET_SHOWN), self._unsettled_s) if self._unsettled_s > 0 else None

    async def _create(self, body: Body, *, as_sent: bool, renewed: bool = False) -> Outcome:
        """Create a document of which nothing is known to be stored. `renewed`: this is the second try, with a new
        token.
        """
        outcome = await self._api.create(self._account, self._endpoint, body, until=self._until)
        match outcome:
            case Refused():
                return await self._believe_refusal(body, outcome, as_sent=as_sent)
            case InDoubt():
                return await self._settle_doubt(body, outcome, renewed=renewed)
            case TryLater() if renewed:
                return _still_in_doubt(outcome)  # the first of the two calls may still have been accepted
        return outcome

    async def _believe_refusal(self, body: Body, refused: Refused, *, as_sent: bool) -> Outcome:
        """Look the document up before a refusal is believed: "already exists" means that an earlier attempt was
        accepted.
        """
        match await self._look_up(body):
            case NotStored() if says_stored(refused.text or "") and not self._contradicted:
                return InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
            case NotStored():
                return refused
            case Stored(national_id):
                return await self._replace_stored(body, national_id, as_sent=as_sent)
            case NotOffered():
                replaced = await self._replace(body)
                return refused if isinstance(replaced, NothingToReplace) else _without_look_up(replaced)
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)

    async def _settle_doubt(self, body: Body, doubt: InDoubt, *, renewed: bool = False) -> Outcome:
        """Look up a document whose sending had an unknown outcome. If it is stored, the attempt was accepted. If it is
        not, that proves nothing yet: it may still be accepted until the lease has run out.
        """
        code = doubt.reason.code
        if doubt.wait_s is not None or code is Code.RATE_LIMITED:
            return doubt
        match await self._look_up(body):
            case Stored(national_id) if national_id:
                return Accepted(national_id)
            case Stored():
                return await self._replace_stored(body, None, as_sent=True)
            case NotStored() if code is Code.TOKEN_REJECTED and not renewed:
                # The API says that it did not accept the call, and that it does not store the document.
                return await self._create(body, as_sent=False, renewed=True)
            case NotOffered() if code is Code.TOKEN_REJECTED and not renewed:
                replaced = await self._replace(body)
                if isinstance(replaced, NothingToReplace):
                    return await self._create(body, as_sent=False, renewed=True)
                return replaced if isinstance(replaced, Accepted) else doubt
            case NotStored() if code is Code.TOKEN_REJECTED or (
                code is Code.UNCLEAR_ANSWER and not doubt.only_id_missing
            ):
                # The API answers the look-up, so the earlier answer came from something in front of it.
                return InDoubt(Reason(Code.NOT_TAKEN, doubt.reason.http_status))
        return doubt

    async def _replace_stored(self, body: Body, national_id: str | None, *, as_sent: bool) -> Outcome:
        """Replace a stored version. `as_sent`: the stored version is this very body, and only its id is missing."""
        match await self._replace(body):
            case Accepted() as accepted:
                return accepted
            case InDoubt(only_id_missing=True):
                return _accepted(national_id)
            case Refused() if as_sent:
                return _accepted(national_id)
            case Refused() as refused:
                return _older_version_stored(refused, national_id)
            case NothingToReplace():
                # It was stored a moment ago. Only a later look-up can resolve that.
                return InDoubt(Reason(Code.REPLACE_REFUSED))
            case outcome:
                return _still_in_doubt(outcome)

    async def _replace_or_create(self, body: Body, *, as_sent: bool) -> Outcome:
        """Try a PUT for a document that was accepted once, or that cannot be looked up: the answer says whether there
        is something to replace.
        """
        replaced = await self._replace(body)
        match replaced:
            case NothingToReplace():
                return await self._create_again(body, as_sent=as_sent)
            case Refused() | InDoubt(only_id_missing=True):
                return await self._explain(body, replaced, as_sent=as_sent)
        return _still_in_doubt(replaced)

    async def _explain(self, body: Body, replaced: Refused | InDoubt, *, as_sent: bool) -> Outcome:
        """Look a document up whose PUT was refused, or was accepted without an id."""
        match await self._look_up(body), replaced:
            case Stored(national_id), InDoubt():
                return _accepted(national_id)
            case Stored(national_id), Refused() if as_sent:
                return _accepted(national_id)
            case Stored(national_id), Refused():
                return _older_version_stored(replaced, national_id)
            case NotStored(), Refused() if not self._contradicted:
                # The refusal of the PUT implies that something is stored.
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

    async def _look_up_codes(self, codes: DocumentCodes) -> LookUp:
        return await self._api.look_up(
            self._account, self._endpoint, codes.facility_code, codes.document_code, until=self._until
        )

    async def _look_up(self, body: Body) -> LookUp:
        return await self._look_up_codes(DocumentCodes(body.facility_code, body.document_code))


def _accepted(national_id: str | None) -> Accepted:
    return Accepted(national_id, None if national_id else Reason(Code.ID_UNKNOWN))


def _older_version_stored(refused: Refused, national_id: str | None) -> Refused:
    reason = refused.reason
    return Refused(Reason(Code.OLDER_VERSION_STORED, reason.http_status, reason.details), refused.text, national_id)


def _without_look_up(replaced: Outcome) -> Outcome:
    """Return what a PUT proves where look-ups are not offered. If it was accepted, that is all the proof there will
    ever be. If it was refused for another reason than "nothing to replace", it proves nothing: the document may have
    been withdrawn manually.
    """
    match replaced:
        case InDoubt(only_id_missing=True):
            return _accepted(None)
        case Refused(reason):
            return InDoubt(Reason(Code.REPLACE_REFUSED, reason.http_status))
    return _still_in_doubt(replaced)


def _still_in_doubt(outcome: Outcome) -> Outcome:
    """Return `outcome`, turned into a doubt if no call was made: the document was in doubt before and remains so."""
    if isinstance(outcome, TryLater):
        return InDoubt(outcome.reason, outcome.wait_s)
    return outcome
