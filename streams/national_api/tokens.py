"""A token for every shop: from memory, from Redis, or from one log-in at a time."""

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
"""Longer than a log-in takes, in seconds."""
_WAIT_FOR_OTHERS = 10.0
_POLL = 0.1
_LONGEST_REST = 15.0
"""Seconds for which a shop does not log in after it failed, at most: a return is found within a minute. The first rest
is a second, each further one twice as long."""
_LONGEST_REST_AFTER_4XX = 900.0
"""As `_LONGEST_REST`, where it may be the account after all: those that are hammered get locked."""
_RENEWALS = 2
"""In a `renewal_pause`, of a shop whose tokens work."""
_LONGEST_OBEYED = 300.0
"""Seconds of a `Retry-After` for which a shop does not log in."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    """One shop's credentials as they stand in its account now."""

    account: Account
    fingerprint: str | None = None
    known: LogInResult | None = None
    rejected: Token | None = None
    """Never taken from Redis again: it may come back there when Redis does."""
    worked: bool = False
    """The API took what is known, at least once."""
    renewed_at: tuple[float, ...] = ()
    """When the last tokens were dropped: a token is kept where fresh ones fared no better."""
    unavailable: TryLater | None = None
    """What the last log-in ended with."""
    rests_until: float = 0.0
    failures: int = 0
    """Of log-ins in a row."""
    log_in: asyncio.Task[LogInResult | TryLater] | None = None


class Tokens:
    def __init__(
        self,
        log_in: Callable[[Account], Awaitable[LogInResult | TryLater]],
        cache: TokenCache,
        *,
        api_url: str,
        clock: Callable[[], float],
        renewal_pause: float = 180.0,
    ) -> None:
        """`clock`: epoch seconds. `renewal_pause`: seconds between two log-ins for tokens that do not work."""
        self._renewal_pause = renewal_pause
        self._log_in = log_in
        self._cache = cache
        self._api_url = api_url
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._running: set[asyncio.Task[LogInResult | TryLater]] = set()

    async def get(self, account: Account, within: float | None = None) -> Token | TryLater:
        """The shop's token; `TryLater` is `LOGIN_REFUSED`, `LOGIN_UNAVAILABLE` or one of `TLS_PROBLEMS`.

        Waits for a log-in that is under way; `within` seconds if given, while the log-in itself goes on.
        """
        session = self._session(account)
        result = self._in_memory(session) or await self._logged_in(session, within)
        if isinstance(result, CredentialsRefused):
            return TryLater(Reason(Code.LOGIN_REFUSED), max(0.0, result.until - self._clock()))
        return result

    def has_worked(self, account: Account, token: Token) -> None:
        """The API answered to a call with this token, and not about it."""
        session = self._session(account)
        if session.known == token:
            session.worked = True

    async def reject(self, account: Account, token: Token, *, proven: bool) -> bool:
        """The API does not take this token, or seems not to. Gives whether another one may be tried.

        Once in a while, or twice where it worked and the API itself says that it is over: a shop whose tokens are never
        taken, or one body that a firewall refuses, must not become a flood of log-ins.
        """
        session = self._session(account)
        if session.known != token:
            return True  # already renewed
        now = self._clock()
        lately = tuple(at for at in session.renewed_at if now - at < self._renewal_pause)
        if len(lately) >= (_RENEWALS if proven and session.worked else 1):
            return False
        session.renewed_at = (*lately, now)
        session.known, session.rejected, session.worked = None, token, False
        await self._cache.drop(await self._fingerprint(session), token)
        return True

    async def still_refused(self, account: Account) -> bool:
        """Whether these very credentials were refused and are not to be tried again yet. Never logs in."""
        session = self._session(account)
        known = self._in_memory(session) or await self._cached(session)
        return isinstance(known, CredentialsRefused)

    async def aclose(self) -> None:
        """With its cache."""
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

    async def _logged_in(self, session: _Session, within: float | None) -> LogInResult | TryLater:
        """All who wait share one task, and its result."""
        rest = session.rests_until - self._clock()
        if session.unavailable is not None and rest > 0:
            reason, wait_s = session.unavailable.reason, session.unavailable.wait_s
            return TryLater(reason, None if wait_s is None else rest)
        if session.log_in is None or session.log_in.done():
            session.log_in = asyncio.create_task(self._find_or_log_in(session))
            self._running.add(session.log_in)
            session.log_in.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(within):
                return await asyncio.shield(session.log_in)
        except TimeoutError:
            return TryLater(Reason(Code.LOGIN_UNAVAILABLE))

    async def _find_or_log_in(self, session: _Session) -> LogInResult | TryLater:
        return await self._cached(session) or await self._log_in_once(session)

    async def _log_in_once(self, session: _Session) -> LogInResult | TryLater:
        """One worker logs in, the others wait for what it learns; not for ever, it may have died."""
        patience = asyncio.get_running_loop().time() + _WAIT_FOR_OTHERS
        while True:
            async with self._cache.try_lock(await self._fingerprint(session), LOCK_LIFE) as ours:
                known = await self._cached(session)  # of another who was quicker
                if known is not None:
                    return known
                if ours or asyncio.get_running_loop().time() > patience:
                    return await self._learn(session)
            await asyncio.sleep(_POLL * random.uniform(0.5, 1.5))

    async def _learn(self, session: _Session) -> LogInResult | TryLater:
        result = await self._log_in(session.account)
        if isinstance(result, TryLater):
            may_be_the_account = 400 <= (result.reason.http_status or 0) < 429
            rest = min(_LONGEST_REST_AFTER_4XX if may_be_the_account else _LONGEST_REST, 2.0**session.failures)
            session.failures = min(session.failures + 1, 10)
            session.rests_until = self._clock() + max(rest, min(result.wait_s or 0.0, _LONGEST_OBEYED))
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
