"""The path of one document through the worker: read, transform, claim, send, tell.

Whatever is decided is decided under a claim, and an event is done only when its decision is with the broker.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from streams.documents.document import Body, BrokenRules, DocumentType
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.local_time import local_day
from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.domain.sale_status import Version
from streams.pipeline.batching import ConcurrencyLimit
from streams.pipeline.open_documents import LOCKED, Accounts, OpenDocuments
from streams.pipeline.outage_gate import Admission
from streams.pipeline.retry_policy import Decision, Delays, decide, end_of_doubt
from streams.pipeline.submission import Api, Past, Submission, hash_after
from streams.runtime.frozen import frozen
from streams.settings import Settings
from streams.stores.isolation import Failed
from streams.stores.sales_db import SalesDb
from streams.stores.source_rows import FoundDocument
from streams.stores.sync_state import ANY_VERSION, Claim, SyncState, Want

log = structlog.get_logger(__name__)

_UNREADABLE_FOR = 300.0
"""Seconds until a row that cannot be read is looked at again: somebody may have corrected it."""


class ReadyApi(Api, Protocol):
    async def token_ready(self, account: Account) -> TryLater | None:
        """Logs in where that is needed. None: ready to send."""
        ...


PublishStatus = Callable[[SendRequest, Claim, Decision, Version | None], Awaitable[None]]
"""Returns when the broker has confirmed it. The version is that of an accepted attempt."""


@frozen
class SendPlan:
    """What an attempt is going to do, before its claim is taken."""

    body: Body | None = None
    account: Account | None = None
    outcome: TryLater | None = None
    """Decided already: the claim is taken to tell it."""
    refusal: Reason | None = None
    """A refusal of ours, to be believed once it is known what is held."""


class Sender:
    """One per kind and worker. `send` never raises for what a document, a shop or the API does."""

    def __init__(
        self,
        document_type: DocumentType,
        settings: Settings,
        db: SalesDb,
        api: ReadyApi,
        admission: Admission,
        tell: PublishStatus,
        jitter: Callable[[], float] = random.random,
        turnstile: ConcurrencyLimit | None = None,
    ) -> None:
        self._document_type = document_type
        self._settings = settings
        self._delays = Delays.of(settings)
        self._zone: ZoneInfo = settings.zone
        self._db = db
        self._api = api
        self._door = admission
        self._tell = tell
        self._jitter = jitter
        self._documents = OpenDocuments(
            db,
            document_type,
            lease_ms=int(settings.lease * 1000),
            wait=settings.read_batch_wait,
            turnstile=turnstile,
        )

    async def send(self, ask: SendRequest, *, overdue: bool = False) -> None:
        """`overdue`: it could not be started in time (its shop is full): it is only put off."""
        overdue = overdue and self._door.gate.is_open  # what an outage held back is not its shop's fault
        probe = await self._door.enter()
        answered: Outcome | None = None
        try:
            overdue = overdue or not await self._door.wait_for_rate_limit(ask.shop)
            found, accounts = await self._documents.read(ask.id, ask.shop)
            if found is LOCKED:
                return  # whoever holds it is not done with it; `due` brings it back
            if found is None:
                log.info(
                    "document.vanished", document=ask.document_type, id=ask.id, invoice=ask.document_code, shop=ask.shop
                )
                return
            state = found.state or SyncState()
            if found.pending and not self._is_overtaken(ask, state):
                as_read = _of_the_row(ask, found, self._document_type)
                if as_read.shop != ask.shop:
                    accounts = await self._documents.accounts(as_read.shop)
                ask = as_read
                answered = await self._attempt(ask, found, accounts, state, overdue=overdue)
        finally:
            self._door.leave(ask.shop, answered, probe=probe, document=(ask.document_type, ask.id))

    def _is_overtaken(self, ask: SendRequest, state: SyncState) -> bool:
        """Somebody else is at it, or was since this was asked: what they leave unfinished, `due` brings back."""
        match ask.origin:
            case Origin.INSERTED:
                return state.attempt > 0
            case Origin.REQUESTED_AGAIN:
                return state.attempt > 0 and state.requested_at == ask.captured_at_ms
            case Origin.DUE:
                return state.attempt != ask.attempt

    async def _attempt(
        self, ask: SendRequest, found: FoundDocument, accounts: Accounts, state: SyncState, *, overdue: bool
    ) -> Outcome | None:
        """Gives the outcome where the API was asked."""
        now = await self._db.now_ms()
        is_new_request = ask.origin is Origin.REQUESTED_AGAIN
        since = (None if is_new_request else state.attempts_since) or (
            ask.captured_at_ms if ask.origin is Origin.DUE else now
        )
        plan = (
            SendPlan(outcome=TryLater(Reason(Code.SHOP_BUSY)))
            if overdue
            else await self._plan(ask, found, accounts, (now - since) / 1000)
        )
        body = plan.body
        past = _past(ask, state)
        unsettled_s = self._unsettled_s(past, state, now)
        tries = (0 if is_new_request else state.tries) + (1 if body else 0)
        want = Want(
            id=ask.id,
            attempt=state.attempt,
            sent_hash=hash_after(past, body) if body else past.sent_hash,
            attempts_since=since,
            tries=tries,
            sent_at=now if body and not unsettled_s else state.sent_at,
            requested_at=ask.captured_at_ms if is_new_request else state.requested_at,
            known=found.state is not None,
        )
        ends_with = end_of_doubt(
            state.reason_code,
            state.http_status,
            self._delays,
            since=since,
            now=now,
            answering_for=self._door.answering_for,
        )
        began = asyncio.get_running_loop().time()
        claim = await self._documents.claim(want)
        if claim is None:
            return None
        # Counted from before the claim: a sender whose lease has run out does not send. All calls keep to it.
        until = began + self._settings.attempt_deadline
        submission = (
            Submission(
                self._api,
                plan.account,
                self._document_type.endpoint,
                until,
                unsettled_s=unsettled_s,
                ends_with=ends_with,
                contradicted=state.reason_code == Code.CONTRADICTORY_ANSWERS,
            )
            if plan.account
            else None
        )
        outcome = await self._carry_out(ask, claim.attempt, plan, past, submission)
        may_be_stored = await self._keep(claim, outcome, body, want.sent_hash, state.http_status)
        decision = decide(
            outcome,
            self._delays,
            tries=tries,
            since=since,
            now=self._db.last_known_now_ms(),
            lease_until=claim.lease_until if body else 0,
            may_be_stored=may_be_stored,
            jitter=self._jitter(),
            answering_for=self._door.answering_for,
        )
        version = Version(body.hash, found.digest) if body and isinstance(outcome, Accepted) else None
        await self._tell(ask, claim, decision, version)
        needs_a_person = decision.reason is not None and decision.reason.code is Code.REPLACE_REFUSED
        say = log.warning if needs_a_person else log.info
        say(
            "attempt",
            document=ask.document_type,
            invoice=ask.document_code,
            pharmacy=ask.pharmacy_code,
            shop=ask.shop,
            attempt=claim.attempt,
            status=decision.status,
            reason=decision.reason.code.value if decision.reason else None,
            took_s=round(asyncio.get_running_loop().time() - began, 3),
        )
        return outcome if plan.account and plan.refusal is None else None

    def _unsettled_s(self, past: Past, state: SyncState, now: int) -> float:
        """Seconds for which "not stored" is not believed yet. Where the API was away after this was sent, or is not
        known not to have been, what it accepted may stay invisible for a while after its return."""
        if state.sent_at is None or not (past.in_doubt or past.ever_accepted):
            return 0.0
        answering_for = self._door.answering_for or 0.0
        is_calm = now - answering_for * 1000 <= state.sent_at
        return 0.0 if is_calm else max(0.0, self._settings.settle_after_outage - answering_for)

    async def _plan(self, ask: SendRequest, found: FoundDocument, accounts: Accounts, waited_s: float) -> SendPlan:
        """`waited_s`: seconds since it was first seen pending."""
        if not found.is_readable:
            return SendPlan(outcome=TryLater(Reason(Code.ROW_UNREADABLE), _UNREADABLE_FOR))
        if not found.lines and waited_s < self._settings.lines_timeout:
            return SendPlan(outcome=TryLater(Reason(Code.LINES_MISSING)))
        if ask.origin is not Origin.DUE and waited_s < self._settings.settle_lines:
            wait_s = self._settings.settle_lines - waited_s
            return SendPlan(outcome=TryLater(Reason(Code.LINES_MISSING), wait_s))
        if accounts is LOCKED:
            return SendPlan(outcome=TryLater(Reason(Code.SHOP_BUSY)))
        if isinstance(accounts, Failed):
            return SendPlan(outcome=TryLater(Reason(Code.INTERNAL_ERROR)))
        account = accounts[0] if len(accounts) == 1 else None
        if not found.lines:
            return SendPlan(account=account, refusal=Reason(Code.NO_LINES))
        try:
            body = self._document_type.transform(found.header, found.lines, self._today())
        except BrokenRules as broken:
            return SendPlan(account=account, refusal=Reason(Code.RULES_BROKEN, details=broken.rules))
        except Exception as error:
            # A mistake of ours, and this document's alone.
            log.error("document.unreadable", document=ask.document_type, id=ask.id, error=type(error).__name__)
            return SendPlan(outcome=TryLater(Reason(Code.ROW_UNREADABLE), _UNREADABLE_FOR))
        if account is None:
            code = Code.SEVERAL_ACCOUNTS if accounts else Code.NO_ACCOUNT
            return SendPlan(outcome=TryLater(Reason(code)))
        not_ready = await self._api.token_ready(account)
        return SendPlan(account=account, outcome=not_ready) if not_ready else SendPlan(body=body, account=account)

    async def _carry_out(
        self, ask: SendRequest, attempt: int, plan: SendPlan, past: Past, submission: Submission | None
    ) -> Outcome:
        if plan.outcome is not None:
            return plan.outcome if not past.in_doubt else InDoubt(plan.outcome.reason, plan.outcome.wait_s)
        if submission is None:
            # A refusal of ours, and nobody to ask what is held.
            if plan.refusal is not None and not past.in_doubt and not past.ever_accepted:
                return Refused(plan.refusal)
            return InDoubt(Reason(Code.NO_ACCOUNT))
        try:
            if plan.body is not None:
                return await submission.submit(plan.body, past)
            refusal = plan.refusal or Reason(Code.INTERNAL_ERROR)
            return await submission.refuse(refusal, ask.pharmacy_code, ask.document_code, past)
        except Exception as error:
            # A mistake of ours. What was sent is not known, so it is looked up; the document is not lost.
            log.exception(
                "attempt.failed",
                invoice=ask.document_code,
                pharmacy=ask.pharmacy_code,
                shop=ask.shop,
                attempt=attempt,
                error=type(error).__name__,
            )
            return InDoubt(Reason(Code.INTERNAL_ERROR))

    async def _keep(
        self, claim: Claim, outcome: Outcome, body: Body | None, claimed_hash: str | None, known_status: int | None
    ) -> bool:
        """Writes down what is now known to be held, before it is told; gives whether anything may be."""
        match outcome:
            case Refused(reason, words):
                held = ANY_VERSION if reason.code is Code.OLDER_VERSION_STORED else None
                if body is None and claimed_hash == held:
                    return held is not None  # nothing was sent and nothing has changed
                text = body.content.decode() if body is not None else None
                await self._documents.keep_refusal(claim, sent_hash=held, body=text, words=words)
                return held is not None
            case TryLater():
                if body is not None:
                    await self._documents.may_be_stored(claim, None)
                return False
            case InDoubt(Reason(Code.NOT_TAKEN, http_status)):
                if http_status != known_status:
                    await self._documents.keep_answer(claim, http_status)
                return claimed_hash is not None
            case Accepted() if body is not None and claimed_hash != body.hash:
                await self._documents.may_be_stored(claim, body.hash)
                return True
            case _:
                return claimed_hash is not None

    def _today(self) -> date:
        return local_day(self._db.last_known_now_ms(), self._zone)


def _of_the_row(ask: SendRequest, found: FoundDocument, document_type: DocumentType) -> SendRequest:
    """A message says which row; whose it is, and its codes, the row says: a till may have corrected them since."""
    if not found.is_readable:
        return ask
    header = found.header
    document_code, pharmacy_code, shop = (
        header[document_type.document_code_column],
        header["pharmacy_code"],
        header["shop_pharmacy_code"],
    )
    if (document_code, pharmacy_code, shop) == (ask.document_code, ask.pharmacy_code, ask.shop):
        return ask
    return replace(ask, document_code=document_code, pharmacy_code=pharmacy_code, shop=shop)


def _past(ask: SendRequest, state: SyncState) -> Past:
    """What is not known to come from us alone may be held in any version; what we were told is accepted is held."""
    unknown = ask.origin is Origin.REQUESTED_AGAIN or (ask.origin is Origin.DUE and state.attempt == 0)
    if unknown and not (state.ever_accepted and state.sent_hash):
        return Past(ANY_VERSION, state.ever_accepted)
    return Past(state.sent_hash, state.ever_accepted)
