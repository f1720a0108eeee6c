"""The token of every shop: from memory, from Redis, or from a log-in, one at a time for each shop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from streams.domain.account import Account, CredentialsRefused, LogInResult, Token, fingerprint
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.token_cache import TokenCache

LOCK_LIFE = 20.0
"""Seconds; longer than a log-in takes."""
_WAIT_FOR_OTHERS = 10.0
"""Seconds to wait for another worker that is logging in."""
_POLL = 0.1
_MAX_BACKOFF = 15.0
"""The maximum seconds without a log-in after one failed, so that a recovery is noticed within a minute. The first
backoff is one second, each further one twice as long."""
_MAX_BACKOFF_AFTER_4XX = 900.0
"""Like `_MAX_BACKOFF`, when the account may be the problem: accounts that fail to log in too often get locked."""
_RENEWALS = 2
"""How many tokens a shop whose tokens work may drop within `renewal_pause`."""
_MAX_RETRY_AFTER = 300.0
"""The maximum seconds for which a `Retry-After` keeps a shop from logging in."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    """The state of one shop, for the credentials in its account now."""

    account: Account
    fingerprint: str | None = None
    known: LogInResult | None = None
    rejected: Token | None = None
    """A rejected token is never read from Redis again: when Redis recovers it may still be there."""
    worked: bool = False
    """Whether the API has accepted the token in `known` at least once."""
    renewed_at: tuple[float, ...] = ()
    """When tokens were dropped lately, epoch seconds: if new ones are rejected too, the token is kept."""
    unavailable: TryLater | None = None
    """The result of the last log-in, if it failed."""
    backoff_until: float = 0.0
    failures: int = 0
    """How many log-ins in a row have failed."""
    log_in: asyncio.Task[LogInResult | TryLater] | None = None


class Tokens:
    """The tokens of all shops."""

    def __init__(
        self,
        log_in: Callable[[Account], Awaitable[LogInResult | TryLater]],
        cache: TokenCache,
        *,
        api_url: str,
        clock: Callable[[], float],
        renewal_pause: float = 180.0,
    ) -> None:
        """`clock`: epoch seconds. `renewal_pause`: seconds between two log-ins because of rejected tokens."""
        self._renewal_pause = renewal_pause
        self._log_in = log_in
        self._cache = cache
        self._api_url = api_url
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._running: set[asyncio.Task[LogInResult | TryLater]] = set()

    async def get(self, account: Account, timeout_s: float | None = None) -> Token | TryLater:
        """Return the shop's token, or `TryLater` with `LOGIN_REFUSED`, `LOGIN_UNAVAILABLE` or one of `TLS_PROBLEMS`.

        Waits for a log-in in progress, at most `timeout_s` seconds if given; the log-in itself goes on after that.
        """
        session = self._session(account)
        result = self._in_memory(session) or await self._await_log_in(session, timeout_s)
        if isinstance(result, CredentialsRefused):
            return TryLater(Reason(Code.LOGIN_REFUSED), max(0.0, result.until - self._clock()))
        return result

    def mark_working(self, account: Account, token: Token) -> None:
        """Record that the API answered a call with this token without rejecting the token."""
        session = self._session(account)
        if session.known == token:
            session.worked = True

    async def reject(self, account: Account, token: Token, *, proven: bool) -> bool:
        """Drop a token that the API rejected, or seems to have rejected. Return whether another one may be tried.

        That is allowed once within `renewal_pause`, or twice if the token had worked and the API itself rejected it
        (`proven`): a shop whose tokens are always rejected, or one body that a firewall refuses, must not cause a flood
        of log-ins.
        """
        session = self._session(account)
        if session.known != token:
            return True  # already renewed
        now = self._clock()
        recent = tuple(at for at in session.renewed_at if now - at < self._renewal_pause)
        if len(recent) >= (_RENEWALS if proven and session.worked else 1):
            return False
        session.renewed_at = (*recent, now)
        session.known, session.rejected, session.worked = None, token, False
        await self._cache.drop(await self._fingerprint(session), token)
        return True

    async def still_refused(self, account: Account) -> bool:
        """Whether these credentials were refused and must not be tried again yet. Never logs in."""
        session = self._session(account)
        known = self._in_memory(session) or await self._cached(session)
        return isinstance(known, CredentialsRefused)

    async def aclose(self) -> None:
        """Cancel the log-ins in progress, and close the cache."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._cache.aclose()

    def _session(self, account: Account) -> _Session:
        session = self._sessions.get(account.shop)
        if session is None or session.account != account:
            session = self._sessions[account.shop] = _Session(account)
        return session

    def _in_memory(self, session: _Session) -> LogInResult | None:
        known = session.known
        return known if known and known.until > self._clock() else None

    async def _cached(self, session: _Session) -> LogInResult | None:
        known = await self._cache.read(await self._fingerprint(session))
        if known is None or known == session.rejected:
            return None
        session.known, session.worked = known, False
        return known

    async def _await_log_in(self, session: _Session, timeout_s: float | None) -> LogInResult | TryLater:
        """Log in, or join the log-in in progress: all callers share one task and its result.

        After a log-in that failed, return its result without another one until the backoff is over.
        """
        backoff = session.backoff_until - self._clock()
        if session.unavailable is not None and backoff > 0:
            # A time to wait is named only where the server had named one.
            reason, wait_s = session.unavailable.reason, session.unavailable.wait_s
            return TryLater(reason, None if wait_s is None else backoff)
        if session.log_in is None or session.log_in.done():
            session.log_in = asyncio.create_task(self._find_or_log_in(session))
            self._running.add(session.log_in)
            session.log_in.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(session.log_in)
        except TimeoutError:
            return TryLater(Reason(Code.LOGIN_UNAVAILABLE))

    async def _find_or_log_in(self, session: _Session) -> LogInResult | TryLater:
        return await self._cached(session) or await self._log_in_once(session)

    async def _log_in_once(self, session: _Session) -> LogInResult | TryLater:
        """Let one worker log in while the others wait for its result, but only for a while: it may have died."""
        deadline = asyncio.get_running_loop().time() + _WAIT_FOR_OTHERS
        while True:
            async with self._cache.try_lock(await self._fingerprint(session), LOCK_LIFE) as acquired:
                known = await self._cached(session)  # another worker was faster
                if known is not None:
                    return known
                if acquired or asyncio.get_running_loop().time() > deadline:
                    return await self._log_in_and_record(session)
            await asyncio.sleep(_POLL * random.uniform(0.5, 1.5))

    async def _log_in_and_record(self, session: _Session) -> LogInResult | TryLater:
        result = await self._log_in(session.account)
        if isinstance(result, TryLater):
            may_be_the_account = 400 <= (result.reason.http_status or 0) < 429
            backoff = min(_MAX_BACKOFF_AFTER_4XX if may_be_the_account else _MAX_BACKOFF, 2.0**session.failures)
            session.failures = min(session.failures + 1, 10)
            session.backoff_until = self._clock() + max(backoff, min(result.wait_s or 0.0, _MAX_RETRY_AFTER))
            session.unavailable = result
            reason = result.reason
            log.warning(
                "login_unavailable", shop=session.account.shop, reason=reason.code.value, http_status=reason.http_status
            )
            return result
        if isinstance(result, CredentialsRefused):
            log.warning("login_refused", shop=session.account.shop)
        session.known, session.worked = result, False
        session.unavailable, session.failures = None, 0
        await self._cache.write(await self._fingerprint(session), result)
        return result

    async def _fingerprint(self, session: _Session) -> str:
        if session.fingerprint is None:
            session.fingerprint = await asyncio.to_thread(fingerprint, session.account, self._api_url)
        return session.fingerprint
