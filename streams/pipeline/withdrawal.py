"""One attempt at withdrawing one document: DELETE and look-ups, until it is known that the national system stores
nothing of it.

A withdrawal that is tried again begins with a look-up: an earlier DELETE may have been carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streams.documents.document import Endpoint
from streams.domain.account import Account
from streams.domain.document_codes import DocumentCodes
from streams.domain.outcome import BrokenRule, InDoubt, Outcome, Reason, Refused, Withdrawn
from streams.domain.reasons import Code
from streams.national_api.answers import LookUp, NoAnswer, NotOffered, NotStored, Stored
from streams.national_api.withdrawal_answers import NothingToWithdraw, WithdrawalResult
from streams.runtime.frozen import frozen


class WithdrawalApi(Protocol):
    """The calls to the national API. Every call has a deadline of its own, and none continues after `until` (loop
    time).
    """

    async def withdraw(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> WithdrawalResult:
        """Withdraw what is stored under these codes (DELETE)."""
        ...

    async def look_up(
        self, account: Account, endpoint: Endpoint, facility_code: str, document_code: str, *, until: float
    ) -> LookUp:
        """Look up what is stored under these codes (GET)."""
        ...


@frozen
class Withdrawal:
    """One attempt, with the account of a shop. No call continues after `until` (loop time)."""

    api: WithdrawalApi
    account: Account
    endpoint: Endpoint
    until: float
    unsettled_s: float = 0.0
    """Seconds for which "not stored" is not believed yet about what was sent before."""
    give_up_reason: Reason | None = None
    """A document that is still stored is not withdrawn again, but stays stored, with this reason."""
    contradicted: bool = False
    """The last attempt was answered "not stored", in contradiction to a look-up; the second time the answer counts as a
    refusal."""

    async def withdraw(self, stored_under: Sequence[DocumentCodes], *, retried: bool) -> Outcome:
        """Make the national system store nothing under any of these codes, and return the outcome. Without any, the
        withdrawal fails: what is stored under the codes of the row is another document.

        `retried`: an earlier attempt at this withdrawal may have been carried out.
        """
        if not stored_under:
            rule = BrokenRule(self.endpoint.document_code_field, "of_another")
            return Refused(Reason(Code.RULES_BROKEN, details=(rule,)))
        outcome: Outcome = Withdrawn()
        for codes in stored_under:
            outcome = await self._withdraw(codes, retried=retried)
            if not isinstance(outcome, Withdrawn):
                break
        return outcome

    async def _withdraw(self, codes: DocumentCodes, *, retried: bool) -> Outcome:
        if retried:
            match await self._look_up(codes):
                case NotStored():
                    return self._absent()
                case Stored(national_id) if self.give_up_reason:
                    return Refused(self.give_up_reason, national_id=national_id)
                case NoAnswer(reason, wait_s) if reason.code is not Code.LOOK_UP_FAILED or wait_s:
                    return InDoubt(reason, wait_s)
        result = await self.api.withdraw(
            self.account, self.endpoint, codes.facility_code, codes.document_code, until=self.until
        )
        match result:
            case NothingToWithdraw(refused):
                return await self._believe_absence(codes, refused)
            case Refused(Reason(Code.API_REFUSED)):
                return await self._believe_refusal(codes, result)
            case InDoubt(Reason(Code.UNCLEAR_ANSWER | Code.TOKEN_REJECTED)):
                return await self._settle_doubt(codes, result)
            case outcome:
                return outcome

    async def _believe_absence(self, codes: DocumentCodes, refused: Refused) -> Outcome:
        """Look up a document of which the API says that it does not store it."""
        match await self._look_up(codes):
            case NotStored() | NotOffered():
                return self._absent()
            case Stored(national_id) if self.contradicted:
                return Refused(refused.reason, refused.text, national_id)
            case Stored():
                return InDoubt(Reason(Code.CONTRADICTORY_ANSWERS))
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)

    async def _believe_refusal(self, codes: DocumentCodes, refused: Refused) -> Outcome:
        """Look the document up before a refusal is believed: "already withdrawn" means that it is not stored."""
        match await self._look_up(codes):
            case NotStored():
                return self._absent()
            case Stored(national_id):
                return Refused(refused.reason, refused.text, national_id)
            case NotOffered():
                return refused
            case NoAnswer(reason, wait_s):
                return InDoubt(reason, wait_s)

    async def _settle_doubt(self, codes: DocumentCodes, doubt: InDoubt) -> Outcome:
        """Look up a document whose DELETE was answered, but not clearly. That it is not stored any more is believed
        only by a later attempt: until then the call may still be carried out, and must not meet a document that has
        been sent again.
        """
        if isinstance(await self._look_up(codes), Stored):
            # The API answers the look-up, so the earlier answer came from something in front of it.
            return InDoubt(Reason(Code.NOT_TAKEN, doubt.reason.http_status))
        return doubt

    def _absent(self) -> Outcome:
        if self.unsettled_s > 0:
            return InDoubt(Reason(Code.NOT_YET_SHOWN), self.unsettled_s)
        return Withdrawn()

    async def _look_up(self, codes: DocumentCodes) -> LookUp:
        return await self.api.look_up(
            self.account, self.endpoint, codes.facility_code, codes.document_code, until=self.until
        )
