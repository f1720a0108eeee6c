"""The national API as the sender uses it: create, replace, withdraw and look up a document with one shop's account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import structlog

from streams.documents.document import Body, Endpoint
from streams.domain.account import Account, LogInResult
from streams.domain.outcome import InDoubt, Outcome, Reason, Refused, TryLater
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
from streams.national_api.call_result import CallResult
from streams.national_api.login import LogIn
from streams.national_api.observer import UNOBSERVED, Observer
from streams.national_api.own_form import Answer
from streams.national_api.reading import read_or
from streams.national_api.token_cache import TokenCache
from streams.national_api.tokens import Tokens
from streams.national_api.transport import Transport
from streams.national_api.withdrawal_answers import WithdrawalResult, read_withdrawal, unusable_codes
from streams.settings import Settings

_NOT_OFFERED_FOR = (60.0, 3600.0)
"""Seconds for which "this API offers no look-up" is believed: the first time, and at most.

Each time it is confirmed, the time doubles. At first it is short, as an intermediate server may have answered.
"""
_RENEWAL_PAUSE = 180.0
_SPARE_CONNECTIONS = 32  # in addition to MAX_IN_FLIGHT, for log-ins and look-ups of released sales
_REPORTED_UNCHANGED = TLS_PROBLEMS | {
    Code.UNREACHABLE,
    Code.LOGIN_REFUSED,
    Code.LOGIN_UNAVAILABLE,
    Code.TOKEN_REJECTED,
}

ReplaceResult: TypeAlias = Outcome | NothingToReplace
log = structlog.get_logger()


def _uncounted(_: str) -> None:
    return


class NationalApi:
    """The client of a worker, for all shops. Nothing but cancellation is raised; no call exceeds its deadlines.

    The methods' parameter `until` is the caller's own deadline, in the event loop's time.
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
        """`clock`: epoch seconds. `count`: called with the shop at every HTTP call, log-ins and retries included.

        Create it inside the running event loop, and close it with `aclose`.
        """
        self._count = count
        self._transport = Transport(
            settings,
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
        """Path -> until when its look-up is believed not to be offered (epoch seconds), and for how many seconds."""
        self._clock = clock

    async def token_ready(self, account: Account, *, until: float | None = None) -> TryLater | None:
        """Log in if needed, so that no claim is taken for a shop that cannot send. None when the token is ready."""
        token = await self._tokens.get(account, _seconds_until(until))
        return token if isinstance(token, TryLater) else None

    async def still_refused(self, account: Account) -> bool:
        """Whether these credentials were refused within LOGIN_RETRY_DELAY. Sends nothing to the API."""
        return await self._tokens.still_refused(account)

    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float | None = None) -> Outcome:
        """POST a document."""
        result = await self._authorized(account, "POST", endpoint.path, body.content, until)
        if not isinstance(result, Answer):
            return result
        answer = result
        outcome = read_or(
            lambda: read_submission("create", answer, endpoint, body.facility_code, body.document_code),
            _unclear(answer),
        )
        assert not isinstance(outcome, NothingToReplace)  # noqa: S101 - only a PUT returns it
        return outcome

    async def replace(
        self, account: Account, endpoint: Endpoint, body: Body, *, until: float | None = None
    ) -> ReplaceResult:
        """PUT a document."""
        result = await self._authorized(account, "PUT", endpoint.path, body.content, until)
        if not isinstance(result, Answer):
            return result
        answer = result
        return read_or(
            lambda: read_submission("replace", answer, endpoint, body.facility_code, body.document_code, self._phrases),
            _unclear(answer),
        )

    async def withdraw(
        self,
        account: Account,
        endpoint: Endpoint,
        facility_code: str,
        document_code: str,
        *,
        until: float | None = None,
    ) -> WithdrawalResult:
        """DELETE a document by its facility code and document code."""
        if broken := unusable_codes(endpoint, facility_code, document_code):
            return Refused(Reason(Code.RULES_BROKEN, details=broken))
        path = endpoint.document_path(facility_code, document_code)
        result = await self._authorized(account, "DELETE", path, None, until)
        if not isinstance(result, Answer):
            return result
        answer = result
        if answer.status == 404 and _has_slash(facility_code, document_code):
            return _unclear(answer)
        return read_or(
            lambda: read_withdrawal(answer, endpoint, facility_code, document_code, self._phrases), _unclear(answer)
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
        """GET a document by its facility code and document code."""
        if not self._can_look_up(endpoint, facility_code, document_code):
            return NotOffered()
        result = await self._authorized(
            account, "GET", endpoint.document_path(facility_code, document_code), None, until
        )
        if not isinstance(result, Answer):
            return _no_answer(result)
        answer = result
        found = read_or(
            lambda: read_look_up(answer, endpoint, facility_code, document_code, self._phrases),
            NoAnswer(Reason(Code.LOOK_UP_FAILED, answer.status)),
        )
        if isinstance(found, NotOffered):
            first_s, max_s = _NOT_OFFERED_FOR
            _, previous_s = self._no_look_up.get(endpoint.path, (0.0, first_s / 2))
            remembered_s = min(previous_s * 2, max_s)
            self._no_look_up[endpoint.path] = (self._clock() + remembered_s, remembered_s)
            log.warning(
                "look_up_not_offered", path=endpoint.path, http_status=result.status, remembered_s=round(remembered_s)
            )
        elif isinstance(found, Stored | NotStored):
            self._no_look_up.pop(endpoint.path, None)
        if result.status == 404 and _has_slash(facility_code, document_code):
            return NotOffered()
        return found

    async def aclose(self) -> None:
        """Close all connections, those of the token cache included."""
        await self._tokens.aclose()
        await self._transport.aclose()

    def _can_look_up(self, endpoint: Endpoint, *codes: str) -> bool:
        # A code of dots would be a relative path segment: a different address, whose 404 proves nothing.
        if not self._look_up_offered or {".", ".."} & {code.strip() for code in codes}:
            return False
        until, _ = self._no_look_up.get(endpoint.path, (0.0, 0.0))
        return self._clock() >= until

    async def _authorized(
        self, account: Account, method: str, path: str, content: bytes | None, until: float | None
    ) -> CallResult:
        """Make a call with the shop's token. A rejected token is dropped, and one new one is tried.

        Tokens may expire at any moment.

        A POST that got an answer is not repeated here. It is in doubt, with `TOKEN_REJECTED` when the API itself
        rejected the token, and the look-up that follows uses a new token.
        """
        for is_last in (False, True):
            token = await self._tokens.get(account, _seconds_until(until))
            if isinstance(token, TryLater):
                return token
            secret = token.value.get_secret_value()
            on_call = partial(self._count, account.shop)
            result = await self._transport.call(
                method, path, content=content, token=secret, until=until, on_call=on_call
            )
            problem = _token_problem(result) if isinstance(result, Answer) else None
            if problem is None:
                if isinstance(result, Answer):
                    self._tokens.mark_working(account, token)
                break
            if is_last or not await self._tokens.reject(account, token, proven=problem == "proven"):
                break
            if method == "POST" and isinstance(result, Answer):
                code = Code.TOKEN_REJECTED if problem == "proven" else Code.UNCLEAR_ANSWER
                return InDoubt(Reason(code, result.status))
        return result


def _has_slash(*codes: str) -> bool:
    """Whether a 404 proves nothing: many servers answer it to any %2F, whatever they store."""
    return bool({"/", "\\"} & set("".join(codes)))


def _unclear(answer: Answer) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, answer.status))


def _token_problem(answer: Answer) -> Literal["proven", "suspected"] | None:
    return read_or(lambda: token_problem(answer), None)


def _no_answer(result: TryLater | InDoubt) -> NoAnswer:
    """Report problems with the log-in or the connection unchanged, and all others as a failed look-up."""
    if result.reason.code in _REPORTED_UNCHANGED:
        return NoAnswer(result.reason, result.wait_s)
    return NoAnswer(Reason(Code.LOOK_UP_FAILED, result.reason.http_status), result.wait_s)


def _seconds_until(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - asyncio.get_running_loop().time())
