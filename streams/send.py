"""The path of one document through the worker: read, transform, claim, send, tell.

Whatever is decided is decided under a claim, and an event is done only when its decision is with the broker.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from enum import Enum
from typing import Final, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import structlog

from streams.batching import Batcher, Turnstile
from streams.change_event import Ask, Origin
from streams.documents.document import Body, BrokenRules, DocumentKind
from streams.gate import Doorway
from streams.national_api.account import Account
from streams.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater
from streams.reasons import Code
from streams.record import record
from streams.retry import Decision, Delays, decide
from streams.sale_status import Version
from streams.settings import Settings
from streams.stores.patience import past_locks, patiently
from streams.stores.sales_db import SalesDb, StoreUnavailable
from streams.stores.source_rows import Found, SourceRows
from streams.stores.sync_state import SEVERAL, Claim, SyncState, SyncStates, Want
from streams.submit import Api, Past, Submission, hash_after
from streams.wall import wall_day

log = structlog.get_logger(__name__)


class ReadyApi(Api, Protocol):
    async def token_ready(self, account: Account) -> TryLater | None:
        """Logs in where that is needed. None: ready to send."""
        ...


class Locked(Enum):
    """In the place of a row that somebody keeps locked."""

    LOCKED = "locked"


LOCKED: Final = Locked.LOCKED

_READING = "read documents"
_NOTING = "write down what may be held"

_Row: TypeAlias = Found | Locked | None
_Accounts: TypeAlias = list[Account] | Locked

Tell = Callable[[Ask, Claim, Decision, Version | None], Awaitable[None]]
"""Returns when the broker has confirmed it. The version is that of an accepted attempt."""


@record
class Plan:
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
        kind: DocumentKind,
        settings: Settings,
        db: SalesDb,
        api: ReadyApi,
        door: Doorway,
        tell: Tell,
        jitter: Callable[[], float] = random.random,
        turnstile: Turnstile | None = None,
    ) -> None:
        self._kind = kind
        self._settings = settings
        self._delays = Delays.of(settings)
        self._zone: ZoneInfo = settings.zone
        self._db = db
        self._api = api
        self._door = door
        self._tell = tell
        self._jitter = jitter
        rows = SourceRows(db)
        states = SyncStates(db, lease_ms=int(settings.lease * 1000))
        self._states = states

        async def read_rows(ids: Sequence[int]) -> Sequence[_Row]:
            return await past_locks(lambda part: rows.read(kind, part), ids, _READING, locked=LOCKED)

        async def read_accounts(shops: Sequence[str]) -> Sequence[_Accounts]:
            return await past_locks(rows.accounts, shops, "read accounts", locked=LOCKED)

        async def read(wanted: Sequence[tuple[int, str]]) -> Sequence[tuple[_Row, _Accounts]]:
            try:
                return await patiently(lambda: rows.read_with_accounts(kind, wanted), _READING, through_locks=False)
            except StoreUnavailable as error:
                if not error.is_lock:
                    raise
            # A shop whose account is locked is told so, and its rows are none the less read.
            found, accounts = await asyncio.gather(
                read_rows([id_ for id_, _ in wanted]), read_accounts([shop for _, shop in wanted])
            )
            return list(zip(found, accounts, strict=True))

        async def claim(wants: Sequence[Want]) -> Sequence[Claim | None]:
            return await past_locks(lambda part: states.claim(kind.name, kind.table, part), wants, "claim", locked=None)

        async def note(known: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | None]:
            async def write(part: Sequence[tuple[Claim, str | None]]) -> Sequence[Locked | None]:
                await states.may_be_held(kind.name, part)
                return [None] * len(part)

            return await past_locks(write, known, _NOTING, locked=LOCKED)

        wait = settings.read_batch_wait
        self._read = Batcher(read, size=128, wait=wait, turnstile=turnstile)
        self._claim = Batcher(claim, size=128, wait=wait, turnstile=turnstile)
        self._note = Batcher(note, size=128, wait=wait, turnstile=turnstile)

    async def send(self, ask: Ask, *, overdue: bool = False) -> None:
        """`overdue`: it could not be started in time (its shop is full): it is only put off."""
        overdue = overdue and self._door.gate.is_open  # what an outage held back is not its shop's fault
        probe = await self._door.enter()
        answered: Outcome | None = None
        try:
            overdue = overdue or not await self._door.turn(ask.shop)
            found, accounts = await self._read((ask.id, ask.shop))
            if found is LOCKED:
                return  # whoever holds it is not done with it; `due` brings it back
            if found is None:
                log.info("document.vanished", document=ask.kind, id=ask.id, invoice=ask.own_code, shop=ask.shop)
                return
            state = found.state or SyncState()
            if found.pending and not self._is_overtaken(ask, state):
                answered = await self._attempt(ask, found, accounts, state, overdue=overdue)
        finally:
            self._door.leave(ask.shop, answered, probe=probe)

    def _is_overtaken(self, ask: Ask, state: SyncState) -> bool:
        """Somebody else is at it, or was since this was asked: what they leave unfinished, `due` brings back."""
        match ask.origin:
            case Origin.INSERTED:
                return state.attempt > 0
            case Origin.ASKED_AGAIN:
                return state.attempt > 0 and (state.attempts_since or 0) >= ask.captured_at_ms
            case Origin.DUE:
                return state.attempt != ask.attempt

    async def _attempt(
        self, ask: Ask, found: Found, accounts: _Accounts, state: SyncState, *, overdue: bool
    ) -> Outcome | None:
        """Gives the outcome where the API was asked."""
        since = (state.attempts_since if ask.origin is Origin.DUE else None) or ask.captured_at_ms
        plan = (
            Plan(outcome=TryLater(Reason(Code.SHOP_BUSY))) if overdue else await self._plan(ask, found, accounts, since)
        )
        body = plan.body
        past = _past(ask, state)
        tries = (0 if ask.origin is Origin.ASKED_AGAIN else state.tries) + (1 if body else 0)
        want = Want(
            id=ask.id,
            attempt=state.attempt,
            sent_hash=hash_after(past, body) if body else past.sent_hash,
            attempts_since=since,
            tries=tries,
            known=found.state is not None,
        )
        began = asyncio.get_running_loop().time()
        claim = await self._claim(want)
        if claim is None:
            return None
        outcome = await self._carry_out(ask, claim.attempt, plan, past, began)
        may_be_held = await self._keep(claim, outcome, body, want.sent_hash)
        decision = decide(
            outcome,
            self._delays,
            tries=tries,
            since=since,
            now=self._db.last_known_now_ms(),
            lease_until=claim.lease_until if body else 0,
            may_be_held=may_be_held,
            jitter=self._jitter(),
            answering_for=self._door.answering_for,
        )
        version = Version(body.hash, found.digest) if body and isinstance(outcome, Accepted) else None
        await self._tell(ask, claim, decision, version)
        needs_a_person = decision.reason is not None and decision.reason.code is Code.REPLACE_REFUSED
        say = log.warning if needs_a_person else log.info
        say(
            "attempt",
            document=ask.kind,
            invoice=ask.own_code,
            pharmacy=ask.pharmacy_code,
            shop=ask.shop,
            attempt=claim.attempt,
            status=decision.status,
            reason=decision.reason.code.value if decision.reason else None,
            took_s=round(asyncio.get_running_loop().time() - began, 3),
        )
        return outcome if plan.account and plan.refusal is None else None

    async def _plan(self, ask: Ask, found: Found, accounts: _Accounts, since: int) -> Plan:
        waited_s = (await self._db.now_ms() - since) / 1000
        if not found.lines and waited_s < self._settings.lines_patience:
            return Plan(outcome=TryLater(Reason(Code.LINES_MISSING)))
        if ask.origin is not Origin.DUE and waited_s < self._settings.settle_lines:
            wait_s = self._settings.settle_lines - waited_s
            return Plan(outcome=TryLater(Reason(Code.LINES_MISSING), wait_s))
        if accounts is LOCKED:
            return Plan(outcome=TryLater(Reason(Code.SHOP_BUSY)))
        account = accounts[0] if len(accounts) == 1 else None
        if not found.lines:
            return Plan(account=account, refusal=Reason(Code.NO_LINES))
        try:
            body = self._kind.transform(found.header, found.lines, self._today())
        except BrokenRules as broken:
            return Plan(account=account, refusal=Reason(Code.RULES_BROKEN, details=broken.rules))
        if account is None:
            code = Code.SEVERAL_ACCOUNTS if accounts else Code.NO_ACCOUNT
            return Plan(outcome=TryLater(Reason(code)))
        not_ready = await self._api.token_ready(account)
        return Plan(account=account, outcome=not_ready) if not_ready else Plan(body=body, account=account)

    async def _carry_out(self, ask: Ask, attempt: int, plan: Plan, past: Past, began: float) -> Outcome:
        if plan.outcome is not None:
            return plan.outcome if not past.in_doubt else InDoubt(plan.outcome.reason, plan.outcome.wait_s)
        if plan.account is None:
            # A refusal of ours, and nobody to ask what is held.
            if plan.refusal is not None and not past.in_doubt and not past.ever_accepted:
                return Refused(plan.refusal)
            return InDoubt(Reason(Code.NO_ACCOUNT))
        # Counted from before the claim: a sender whose lease has run out does not send. All calls keep to it.
        until = began + self._settings.attempt_deadline
        submission = Submission(self._api, plan.account, self._kind.endpoint, until)
        try:
            if plan.body is not None:
                return await submission.submit(plan.body, past)
            refusal = plan.refusal or Reason(Code.INTERNAL_ERROR)
            return await submission.refuse(refusal, ask.pharmacy_code, ask.own_code, past)
        except Exception as error:
            # A mistake of ours. What was sent is not known, so it is looked up; the document is not lost.
            log.exception(
                "attempt.failed",
                invoice=ask.own_code,
                pharmacy=ask.pharmacy_code,
                shop=ask.shop,
                attempt=attempt,
                error=type(error).__name__,
            )
            return InDoubt(Reason(Code.INTERNAL_ERROR))

    async def _keep(self, claim: Claim, outcome: Outcome, body: Body | None, claimed_hash: str | None) -> bool:
        """Writes down what is now known to be held, before it is told; gives whether anything may be."""
        match outcome:
            case Refused(reason, words):
                held = SEVERAL if reason.code is Code.OLDER_VERSION_HELD else None
                if body is None and claimed_hash == held:
                    return held is not None  # nothing was sent and nothing has changed
                text = body.content.decode() if body is not None else None
                await patiently(
                    lambda: self._states.keep_refusal(self._kind.name, claim, sent_hash=held, body=text, words=words),
                    "keep a refusal",
                )
                return held is not None
            case TryLater():
                if body is not None:
                    await self._may_be_held(claim, None)
                return False
            case Accepted() if body is not None and claimed_hash != body.hash:
                await self._may_be_held(claim, body.hash)
                return True
            case _:
                return claimed_hash is not None

    async def _may_be_held(self, claim: Claim, sent_hash: str | None) -> None:
        if await self._note((claim, sent_hash)) is LOCKED:
            await patiently(lambda: self._states.may_be_held(self._kind.name, [(claim, sent_hash)]), _NOTING)

    def _today(self) -> date:
        return wall_day(self._db.last_known_now_ms(), self._zone)


def _past(ask: Ask, state: SyncState) -> Past:
    """What is not known to come from us alone may be held in any version; what we were told is accepted is held."""
    unknown = ask.origin is Origin.ASKED_AGAIN or (ask.origin is Origin.DUE and state.attempt == 0)
    if unknown and not (state.ever_accepted and state.sent_hash):
        return Past(SEVERAL, state.ever_accepted)
    return Past(state.sent_hash, state.ever_accepted)
