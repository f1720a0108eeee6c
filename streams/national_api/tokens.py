"""A token for every shop: from memory, from Redis, or from one log-in at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from streams.national_api.account import Account, CredentialsRefused, LogInResult, Token, fingerprint
from streams.outcome import Reason, TryLater
from streams.reasons import Code
from streams.stores.token_cache import TokenCache

LOCK_LIFE = 20.0
"""Longer than a log-in takes, in seconds."""
_WAIT_FOR_OTHERS = 10.0
_POLL = 0.1

log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    """One shop's credentials as they stand in its account now."""

    account: Account
    fingerprint: str | None = None
    known: LogInResult | None = None
    rejected: Token | None = None
    """Never taken from Redis again: it may come back there when Redis does."""
    log_in: asyncio.Task[LogInResult | TryLater] | None = None


class Tokens:
    def __init__(
        self,
        log_in: Callable[[Account], Awaitable[LogInResult | TryLater]],
        cache: TokenCache,
        *,
        api_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._log_in = log_in
        self._cache = cache
        self._api_url = api_url
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._running: set[asyncio.Task[LogInResult | TryLater]] = set()

    async def get(self, account: Account, within: float | None = None) -> Token | TryLater:
        """The shop's token; `TryLater` is `LOGIN_REFUSED`, `LOGIN_UNAVAILABLE` or one of `TLS_TROUBLE`.

        Waits for a log-in that is under way; `within` seconds if given, while the log-in itself goes on.
        """
        session = self._session(account)
        result = self._in_memory(session) or await self._logged_in(session, within)
        if isinstance(result, CredentialsRefused):
            return TryLater(Reason(Code.LOGIN_REFUSED), max(0.0, result.until - self._clock()))
        return result

    async def reject(self, account: Account, token: Token) -> None:
        """The API answered 401 to this token."""
        session = self._session(account)
        if session.known != token:
            return  # already renewed
        session.known, session.rejected = None, token
        await self._cache.drop(await self._fingerprint(session), token)

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
        session.known = known
        return known

    async def _logged_in(self, session: _Session, within: float | None) -> LogInResult | TryLater:
        """All who wait share one task, and its result."""
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
            reason = result.reason
            log.warning(
                "login_unavailable", shop=session.account.shop, reason=reason.code.value, http_status=reason.http_status
            )
            return result
        if isinstance(result, CredentialsRefused):
            log.warning("login_refused", shop=session.account.shop)
        session.known = result
        await self._cache.write(await self._fingerprint(session), result)
        return result

    async def _fingerprint(self, session: _Session) -> str:
        if session.fingerprint is None:
            session.fingerprint = await asyncio.to_thread(fingerprint, session.account, self._api_url)
        return session.fingerprint
