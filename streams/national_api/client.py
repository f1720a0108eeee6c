"""The national API as the sender sees it: create, replace, look up, each for one shop's account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import structlog

from streams.documents.document import Body, Endpoint
from streams.domain.account import Account, LogInResult
from streams.domain.outcome import InDoubt, Outcome, Reason, TryLater
from streams.domain.reasons import TLS_PROBLEMS, Code
from streams.national_api.answers import (
    LookUp,
    NoAnswer,
    NothingToReplace,
    NotOffered,
    NotStored,
    Stored,
    read_look_up,
    read_submission,
    token_problem,
)
from streams.national_api.login import LogIn
from streams.national_api.observer import UNOBSERVED, Observer
from streams.national_api.own_form import Answer
from streams.national_api.reading import read_or
from streams.national_api.token_cache import TokenCache
from streams.national_api.tokens import Tokens
from streams.national_api.transport import CallResult, Transport
from streams.settings import Settings

_NOT_OFFERED_FOR = (60.0, 3600.0)
"""Seconds for which "no look-up" is remembered: at first, and at most. Told so again, it is remembered twice as long;
somebody on the way to the API may have said so."""
_RENEWAL_PAUSE = 180.0
_SPARE_CONNECTIONS = 32  # log-ins and look-ups of released sales, beside MAX_IN_FLIGHT
_TOLD_AS_THEY_ARE = TLS_PROBLEMS | {
    Code.UNREACHABLE,
    Code.LOGIN_REFUSED,
    Code.LOGIN_UNAVAILABLE,
    Code.TOKEN_REJECTED,
}

Replaced: TypeAlias = Outcome | NothingToReplace
log = structlog.get_logger()


def _uncounted(_: str) -> None:
    return


class NationalApi:
    """One per worker. Nothing is raised but cancellation; no call lasts longer than its deadlines.

    `until`, where a call takes it: the caller's own deadline, in the event loop's time.
    """

    def __init__(
        self,
        settings: Settings,
        cache: TokenCache,
        *,
        clock: Callable[[], float] = time.time,
        count: Callable[[str], None] = _uncounted,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`clock`: epoch seconds. `count`: told of every call, log-ins and repeated ones too, and for which shop. To be
        made inside the running event loop, and closed."""
        self._count = count
        self._transport = Transport(
            settings.api_url,
            connect_timeout=settings.api_connect_timeout,
            deadline=settings.api_call_deadline,
            connections=settings.max_in_flight + _SPARE_CONNECTIONS,
            clock=clock,
            observer=observer,
        )
        log_in = LogIn(
            self._transport,
            token_lifetime=settings.token_lifetime,
            refused_for=settings.login_retry_delay,
            clock=clock,
            count=count,
        )

        async def observed(account: Account) -> LogInResult | TryLater:
            result = await log_in(account)
            observer.logged_in(result)
            return result

        self._tokens = Tokens(
            observed,
            cache,
            api_url=settings.api_url,
            clock=clock,
            renewal_pause=min(_RENEWAL_PAUSE, settings.login_retry_delay),
        )
        self._phrases = settings.not_stored_phrases
        self._look_up_offered = settings.look_up_offered
        self._no_look_up: dict[str, tuple[float, float]] = {}
        """By path: until when, and for how long it was remembered."""
        self._clock = clock

    async def token_ready(self, account: Account, *, until: float | None = None) -> TryLater | None:
        """Logs in if needed, so that no claim is taken for a shop that cannot send. None: ready."""
        token = await self._tokens.get(account, _seconds(until))
        return token if isinstance(token, TryLater) else None

    async def still_refused(self, account: Account) -> bool:
        """Whether these very credentials were refused within LOGIN_RETRY_DELAY. Sends nothing to the API."""
        return await self._tokens.still_refused(account)

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float | None = None) -> Outcome:
        result = await self._authorized(account, "POST", endpoint.path, body.content, until)
        if not isinstance(result, Answer):
            return result
        answer = result
        outcome = read_or(
            lambda: read_submission("create", answer, endpoint, body.facility_code, body.document_code),
            _unclear(answer),
        )
        assert not isinstance(outcome, NothingToReplace)  # noqa: S101 - only a PUT ends so
        return outcome

    async def replace(
        self, account: Account, endpoint: Endpoint, body: Body, *, until: float | None = None
    ) -> Replaced:
        result = await self._authorized(account, "PUT", endpoint.path, body.content, until)
        if not isinstance(result, Answer):
            return result
        answer = result
        return read_or(
            lambda: read_submission("replace", answer, endpoint, body.facility_code, body.document_code, self._phrases),
            _unclear(answer),
        )

    async def look_up(
        self,
        account: Account,
        endpoint: Endpoint,
        facility_code: str,
        document_code: str,
        *,
        until: float | None = None,
    ) -> LookUp:
        if not self._can_look_up(endpoint, facility_code, document_code):
            return NotOffered()
        result = await self._authorized(account, "GET", endpoint.one(facility_code, document_code), None, until)
        if not isinstance(result, Answer):
            return _no_answer(result)
        answer = result
        found = read_or(
            lambda: read_look_up(answer, endpoint, facility_code, document_code, self._phrases),
            NoAnswer(Reason(Code.LOOK_UP_FAILED, answer.status)),
        )
        if isinstance(found, NotOffered):
            first, longest = _NOT_OFFERED_FOR
            _, before = self._no_look_up.get(endpoint.path, (0.0, first / 2))
            remembered = min(before * 2, longest)
            self._no_look_up[endpoint.path] = (self._clock() + remembered, remembered)
            log.warning(
                "look_up_not_offered", path=endpoint.path, http_status=result.status, remembered_s=round(remembered)
            )
        elif isinstance(found, Stored | NotStored):
            self._no_look_up.pop(endpoint.path, None)
        if result.status == 404 and {"/", "\\"} & {*facility_code, *document_code}:
            return NotOffered()  # many servers answer 404 to any %2F, whatever they hold
        return found

    async def aclose(self) -> None:
        await self._tokens.aclose()
        await self._transport.aclose()

    def _can_look_up(self, endpoint: Endpoint, *codes: str) -> bool:
        # A code of dots would be read as a step in the path: another address, whose 404 proves nothing.
        if not self._look_up_offered or {".", ".."} & {code.strip() for code in codes}:
            return False
        until, _ = self._no_look_up.get(endpoint.path, (0.0, 0.0))
        return self._clock() >= until

    async def _authorized(
        self, account: Account, method: str, path: str, content: bytes | None, until: float | None
    ) -> CallResult:
        """The token may be over at any moment: it is dropped, and one fresh one is tried.

        A POST is not repeated here, whoever answered it: it comes back in doubt, `TOKEN_REJECTED` where the API itself
        speaks of the token, and the look-up that follows has a fresh one.
        """
        for last in (False, True):
            token = await self._tokens.get(account, _seconds(until))
            if isinstance(token, TryLater):
                return token
            secret = token.value.get_secret_value()
            made = partial(self._count, account.shop)
            result = await self._transport.call(method, path, content=content, token=secret, until=until, made=made)
            trouble = _token_trouble(result) if isinstance(result, Answer) else None
            if trouble is None:
                if isinstance(result, Answer):
                    self._tokens.has_worked(account, token)
                break
            if last or not await self._tokens.reject(account, token, proven=trouble == "proven"):
                break
            if method == "POST" and isinstance(result, Answer):
                code = Code.TOKEN_REJECTED if trouble == "proven" else Code.UNCLEAR_ANSWER
                return InDoubt(Reason(code, result.status))
        return result


def _unclear(answer: Answer) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, answer.status))


def _token_trouble(answer: Answer) -> Literal["proven", "suspected"] | None:
    return read_or(lambda: token_problem(answer), None)


def _no_answer(result: TryLater | InDoubt) -> NoAnswer:
    """Trouble with the log-in or the line is told as such, all else as a look-up that failed."""
    if result.reason.code in _TOLD_AS_THEY_ARE:
        return NoAnswer(result.reason, result.wait_s)
    return NoAnswer(Reason(Code.LOOK_UP_FAILED, result.reason.http_status), result.wait_s)


def _seconds(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - asyncio.get_running_loop().time())
