"""The path of one document through the worker: read, transform, claim, send or withdraw, publish.

Every decision is made under a claim, and an event is done only when its decision is confirmed by the broker.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from streams.documents.document import DocumentType
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.document_status import Operation
from streams.domain.local_time import local_date
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.domain.sale_status import Version
from streams.pipeline.batching import ConcurrencyLimit
from streams.pipeline.body_remarks import with_remarks
from streams.pipeline.current_request import CurrentRequest
from streams.pipeline.document_order import DocumentOrder
from streams.pipeline.earlier_codes import without_codes_of_others
from streams.pipeline.open_documents import LOCKED, Accounts, OpenDocuments
from streams.pipeline.other_senders import may_have_been_sent
from streams.pipeline.outage_gate import Admission
from streams.pipeline.outcome_record import record_outcome
from streams.pipeline.retry_policy import Decision, Delays, decide, reason_to_give_up
from streams.pipeline.send_plan import Defer, Plan, Planner, Refuse, Send, Withdraw, with_codes_of_row
from streams.pipeline.submission import Api, Past, Submission, hash_after
from streams.pipeline.withdrawal import Withdrawal, WithdrawalApi
from streams.settings import Settings
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import FoundDocument
from streams.stores.sync_state import ANY_VERSION, Claim, ClaimRequest, SyncState

log = structlog.get_logger(__name__)


class ReadyApi(Api, WithdrawalApi, Protocol):
    """The national API, with log-in."""

    async def token_ready(self, account: Account) -> TryLater | None:
        """Log in if necessary. Return None when the account is ready to send, or else why it is not."""
        ...


PublishStatus = Callable[[SendRequest, Claim, Decision, Version | None], Awaitable[None]]
"""Publishes the decision about an attempt. Returns when the broker has confirmed it. The version is that of an accepted
attempt.
"""


class Sender:
    """Sends and withdraws the documents of one type. `send` never raises for anything that a document, a shop or the
    API does.
    """

    def __init__(
        self,
        document_type: DocumentType,
        settings: Settings,
        db: SalesDb,
        api: ReadyApi,
        admission: Admission,
        publish: PublishStatus,
        jitter: Callable[[], float] = random.random,
        concurrency_limit: ConcurrencyLimit | None = None,
        order: DocumentOrder | None = None,
    ) -> None:
        """`order`: which documents wait for others; None: none does."""
        self._document_type = document_type
        self._settings = settings
        self._delays = Delays.of(settings)
        self._zone: ZoneInfo = settings.zone
        self._db = db
        self._api = api
        self._admission = admission
        self._publish = publish
        self._jitter = jitter
        self._documents = OpenDocuments(
            db,
            document_type,
            lease_ms=int(settings.lease * 1000),
            wait=settings.read_batch_wait,
            concurrency_limit=concurrency_limit,
        )
        self._planner = Planner(
            document_type,
            settings,
            token_ready=api.token_ready,
            is_of_another=self._documents.is_of_another,
            today=self._today,
            order=order,
        )

    async def send(self, request: SendRequest, *, overdue: bool = False) -> None:
        """Send or withdraw one document, as its row says now. `overdue`: it could not be started in time because its
        shop is full, so it is only deferred.
        """
        overdue = overdue and self._admission.gate.is_open  # a delay that an outage caused is not its shop's fault
        probe = await self._admission.enter()
        outcome: Outcome | None = None
        withdrawal = False
        try:
            overdue = overdue or not await self._admission.wait_for_rate_limit(request.shop)
            found, accounts = await self._documents.read(request.id, request.shop)
            if found is LOCKED:
                return  # another transaction is not done with the row; the scheduler enqueues it again
            if found is None:
                log.info(
                    "document.vanished",
                    document=request.document_type,
                    id=request.id,
                    invoice=request.document_code,
                    shop=request.shop,
                )
                return
            state = found.state or SyncState()
            if found.operation is not None and not self._is_overtaken(request, state):
                current = with_codes_of_row(request, found, self._document_type)
                if current.shop != request.shop:
                    accounts = await self._documents.accounts(current.shop)
                request, withdrawal = current, found.operation is Operation.WITHDRAW
                known = await without_codes_of_others(self._documents, request, found)
                if known is not LOCKED:
                    outcome = await self._attempt(request, known, found.operation, accounts, overdue=overdue)
        finally:
            document = (request.document_type, request.id)
            self._admission.leave(request.shop, outcome, probe=probe, document=document, withdrawal=withdrawal)

    def _is_overtaken(self, request: SendRequest, state: SyncState) -> bool:
        """Return whether another sender works on the document, or has since it was requested; what that sender leaves
        unfinished, the scheduler enqueues again.
        """
        match request.origin:
            case Origin.INSERTED:
                return state.attempt > 0
            case Origin.REQUESTED_AGAIN:
                return state.attempt > 0 and state.requested_at == request.captured_at_ms
            case Origin.DUE:
                return state.attempt != request.attempt

    async def _attempt(
        self,
        request: SendRequest,
        found: FoundDocument,
        operation: Operation,
        accounts: Accounts,
        *,
        overdue: bool,
    ) -> Outcome | None:
        """Claim the document, carry out its plan and publish the decision. Return the outcome where the API was called,
        else None.
        """
        now, state = await self._db.now_ms(), found.state or SyncState()
        current = CurrentRequest.of(
            request,
            state,
            operation,
            now,
            may_have_been_sent=lambda: found.is_readable and may_have_been_sent(found.header, self._document_type),
        )
        past = current.past
        plan: Plan = (
            Defer(TryLater(Reason(Code.SHOP_BUSY)))
            if overdue
            else await self._planner.plan(
                request,
                found,
                accounts,
                (now - current.since) / 1000,
                may_be_stored=past.in_doubt or past.ever_accepted,
            )
        )
        body = plan.body if isinstance(plan, Send) else None
        calls = isinstance(plan, Send | Withdraw)
        unsettled_s = self._unsettled_s(past, state, now)
        want = ClaimRequest(
            id=request.id,
            attempt=state.attempt,
            sent_hash=_hash_after(plan, past),
            attempts_since=current.since,
            tries=current.tries + (1 if calls else 0),
            sent_at=now if body and not unsettled_s else state.sent_at,
            requested_at=current.requested_at,
            has_row=found.state is not None,
            operation=operation,
        )
        give_up_reason = reason_to_give_up(
            state.reason_code,
            state.http_status,
            self._delays,
            since=current.since,
            now=now,
            answering_for=self._admission.answering_for,
            operation=operation,
        )
        started_at = asyncio.get_running_loop().time()
        claim = await self._documents.claim(want)
        if claim is None:
            return None
        submission = partial(
            Submission,
            self._api,
            endpoint=self._document_type.endpoint,
            # Counted from before the claim, so that a sender whose lease has run out does not send. All calls keep this
            # deadline.
            until=started_at + self._settings.attempt_deadline,
            unsettled_s=unsettled_s,
            give_up_reason=give_up_reason,
            contradicted=state.operation is operation and state.reason_code == Code.CONTRADICTORY_ANSWERS,
        )
        outcome = await self._carry_out(request, claim.attempt, plan, past, submission, retried=current.tries > 0)
        may_be_stored = await record_outcome(
            self._documents, claim, plan, outcome, claimed_hash=want.sent_hash, known_status=state.http_status
        )
        decision = decide(
            outcome,
            self._delays,
            tries=want.tries,
            since=current.since,
            now=self._db.last_known_now_ms(),
            lease_until=claim.lease_until if calls else 0,
            may_be_stored=may_be_stored,
            jitter=self._jitter(),
            answering_for=self._admission.answering_for,
            operation=operation,
        )
        version = Version(body.hash, found.digest) if body and isinstance(outcome, Accepted) else None
        await self._publish(request, claim, decision, version)
        needs_a_person = decision.reason is not None and decision.reason.code is Code.REPLACE_REFUSED
        log_attempt = log.warning if needs_a_person else log.info
        log_attempt(
            "attempt",
            document=request.document_type,
            invoice=request.document_code,
            pharmacy=request.pharmacy_code,
            shop=request.shop,
            attempt=claim.attempt,
            status=decision.status,
            reason=decision.reason.code.value if decision.reason else None,
            took_s=round(asyncio.get_running_loop().time() - started_at, 3),
        )
        return outcome if _is_api_answer(plan, outcome) else None

    def _unsettled_s(self, past: Past, state: SyncState, now: int) -> float:
        """Return the seconds for which "not stored" is not believed yet. If the API was unavailable after the document
        was sent, or may have been, a document that it accepted may stay invisible for a while after its return.
        """
        if state.sent_at is None or not (past.in_doubt or past.ever_accepted):
            return 0.0
        answering_for = self._admission.answering_for or 0.0
        is_calm = now - answering_for * 1000 <= state.sent_at
        return 0.0 if is_calm else max(0.0, self._settings.settle_after_outage - answering_for)

    async def _carry_out(
        self,
        request: SendRequest,
        attempt: int,
        plan: Plan,
        past: Past,
        submission: partial[Submission],
        *,
        retried: bool,
    ) -> Outcome:
        """Carry out `plan` and return the outcome. `submission`: makes this attempt with the account of a shop.
        `retried`: whether an attempt of this request has made calls before.
        """
        try:
            match plan:
                case Send(body, account):
                    return with_remarks(await submission(account).submit(body, past), body)
                case Withdraw(stored_under, account):
                    withdrawal = Withdrawal(self._api, account, **submission.keywords)
                    return await withdrawal.withdraw(stored_under, retried=retried)
                case Refuse(reason, Account() as account):
                    pharmacy, code = request.pharmacy_code, request.document_code
                    return await submission(account).refuse(reason, pharmacy, code, past)
                case Refuse(reason):  # without an account nothing can be looked up
                    is_new = not past.in_doubt and not past.ever_accepted
                    return Refused(reason) if is_new else InDoubt(Reason(Code.NO_ACCOUNT))
                case Defer(outcome):
                    return InDoubt(outcome.reason, outcome.wait_s) if past.in_doubt else outcome
        except Exception as error:
            # A mistake of ours. It is unknown what was sent, so it will be looked up; the document is not lost.
            log.exception(
                "attempt.failed",
                invoice=request.document_code,
                pharmacy=request.pharmacy_code,
                shop=request.shop,
                attempt=attempt,
                error=type(error).__name__,
            )
            return InDoubt(Reason(Code.INTERNAL_ERROR))

    def _today(self) -> date:
        return local_date(self._db.last_known_now_ms(), self._zone)


def _is_api_answer(plan: Plan, outcome: Outcome) -> bool:
    """Return whether the API, or what stands in front of it, has caused the outcome."""
    match plan, outcome:
        case Withdraw(), Refused(Reason(Code.RULES_BROKEN)):
            return False  # no DELETE can be made with such codes
        case ((Send() | Withdraw() | Defer(is_api_answer=True)), _):
            return True
    return False


def _hash_after(plan: Plan, past: Past) -> str | None:
    """Return what may be stored once `plan` has been carried out; the claim records it before any call."""
    match plan:
        case Send(body):
            return hash_after(past, body)
        case Withdraw():
            # Others may have sent it. A claim that says so keeps its lease, while its DELETE may be under way.
            return past.sent_hash or ANY_VERSION
        case _:
            return past.sent_hash
