"""Log in to the national API with one account, and learn how long its token lives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial

import jwt
from pydantic import SecretStr

from streams.domain.account import Account, CredentialsRefused, Token
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import TLS_PROBLEMS, Code
from streams.national_api.login_answers import read_login
from streams.national_api.own_form import Answer
from streams.national_api.reading import read_or
from streams.national_api.transport import CallResult, Transport

PATH = "/api/tai_khoan/dang_nhap"
_LONGEST_LIFETIME = 7 * 24 * 3600.0


class LogIn:
    def __init__(
        self,
        transport: Transport,
        *,
        token_lifetime: float,
        refused_for: float,
        clock: Callable[[], float],
        count: Callable[[str], None],
    ) -> None:
        """`token_lifetime`: seconds, for tokens that do not say; `refused_for`: until refused ones are tried again;
        `count`: told of each call, and for which shop."""
        self._count = count
        self._transport = transport
        self._token_lifetime = token_lifetime
        self._refused_for = refused_for
        self._clock = clock

    async def __call__(self, account: Account) -> Token | CredentialsRefused | TryLater:
        """`TryLater` is `LOGIN_UNAVAILABLE`, which was tried a few times by then, or one of `TLS_PROBLEMS`. Takes below
        20 s."""
        credentials = {"usr": account.username, "pwd": account.password.get_secret_value()}
        content = json.dumps(credentials).encode()
        made = partial(self._count, account.shop)
        result = _read(await self._transport.call("POST", PATH, content=content, again=_hiccup, made=made))
        if isinstance(result, str):
            return Token(SecretStr(result), self._clock() + self._used_for(result))
        if result.reason.code is Code.LOGIN_REFUSED:
            return CredentialsRefused(self._clock() + self._refused_for)
        return result

    def _used_for(self, token: str) -> float:
        """A tenth of its life before the end, a minute at most, it is renewed."""
        lifetime = min(_jwt_lifetime(token, self._clock()) or self._token_lifetime, _LONGEST_LIFETIME)
        return lifetime - min(60.0, lifetime / 10)


def _read(result: CallResult) -> str | TryLater:
    if isinstance(result, Answer):
        unread = TryLater(Reason(Code.LOGIN_UNAVAILABLE, result.status))
        return read_or(lambda: read_login(result), unread)
    if isinstance(result, TryLater) and result.reason.code in TLS_PROBLEMS:
        return result  # nothing is wrong with the log-in, and another try at once would meet the same certificate
    return TryLater(Reason(Code.LOGIN_UNAVAILABLE), result.wait_s)


def _hiccup(result: CallResult) -> bool:
    """Worth another try at once: not where the API asks for time, where somebody has to act, or where it may be the
    account, which gets locked when it is hammered."""
    read = _read(result)
    return (
        isinstance(read, TryLater)
        and read.reason.code is Code.LOGIN_UNAVAILABLE
        and not 400 <= (read.reason.http_status or 0) < 500
        and read.wait_s is None
    )


def _jwt_lifetime(token: str, now: float) -> float | None:
    """Seconds, from the claims `exp` and `iat`, unverified: only the API can judge its own token.

    Measured between the two where both are there, so that our clock does not matter.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        lifetime = float(claims["exp"]) - float(claims.get("iat", now))
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    return lifetime if math.isfinite(lifetime) and lifetime > 0 else None
