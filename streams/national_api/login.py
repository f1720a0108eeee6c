"""Log in to the national API with one account, and determine how long its token is valid."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial

import jwt
from pydantic import SecretStr

from streams.domain.account import MAX_TOKEN_LIFETIME, Account, CredentialsRefused, Token
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import TLS_PROBLEMS, Code
from streams.national_api.call_result import CallResult
from streams.national_api.login_answers import read_login
from streams.national_api.own_form import Answer
from streams.national_api.reading import read_or
from streams.national_api.transport import Transport

PATH = "/api/tai_khoan/dang_nhap"


class LogIn:
    """The log-in call, for any account."""

    def __init__(
        self,
        transport: Transport,
        *,
        token_lifetime: float,
        refused_for: float,
        clock: Callable[[], float],
        count: Callable[[str], None],
    ) -> None:
        """`token_lifetime`: seconds, for tokens without an expiry claim; `refused_for`: seconds until refused
        credentials are tried again; `count`: called with the shop at each HTTP call."""
        self._count = count
        self._transport = transport
        self._token_lifetime = token_lifetime
        self._refused_for = refused_for
        self._clock = clock

    async def __call__(self, account: Account) -> Token | CredentialsRefused | TryLater:
        """Log in; takes less than 20 s.

        The reason of `TryLater` is `LOGIN_UNAVAILABLE`, after a few retries, or one of `TLS_PROBLEMS`.
        """
        credentials = {"usr": account.username, "pwd": account.password.get_secret_value()}
        content = json.dumps(credentials).encode()
        on_call = partial(self._count, account.shop)
        result = _read(
            await self._transport.call("POST", PATH, content=content, retry_if=_is_worth_retrying, on_call=on_call)
        )
        if isinstance(result, str):
            return Token(SecretStr(result), self._clock() + self._use_for(result))
        if result.reason.code is Code.LOGIN_REFUSED:
            return CredentialsRefused(self._clock() + self._refused_for)
        return result

    def _use_for(self, token: str) -> float:
        """Return for how many seconds to use a token: its lifetime less a tenth of it, at most less a minute."""
        lifetime = min(_jwt_lifetime(token, self._clock()) or self._token_lifetime, MAX_TOKEN_LIFETIME)
        return lifetime - min(60.0, lifetime / 10)


def _read(result: CallResult) -> str | TryLater:
    if isinstance(result, Answer):
        unread = TryLater(Reason(Code.LOGIN_UNAVAILABLE, result.status))
        return read_or(lambda: read_login(result), unread)
    if isinstance(result, TryLater) and result.reason.code in TLS_PROBLEMS:
        return result  # the problem is not the log-in, and an immediate retry would fail on the same certificate
    return TryLater(Reason(Code.LOGIN_UNAVAILABLE), result.wait_s)


def _is_worth_retrying(result: CallResult) -> bool:
    """Whether an immediate retry makes sense.

    Not when the API asks to wait, when somebody has to act, or when the account may be the problem: accounts that fail
    to log in too often get locked.
    """
    outcome = _read(result)
    return (
        isinstance(outcome, TryLater)
        and outcome.reason.code is Code.LOGIN_UNAVAILABLE
        and not 400 <= (outcome.reason.http_status or 0) < 500
        and outcome.wait_s is None
    )


def _jwt_lifetime(token: str, now: float) -> float | None:
    """Return a JWT's lifetime in seconds, from its claims `exp` and `iat`; None when the token has no usable ones.

    The signature is not verified: only the API can do that. With both claims present, our clock does not matter.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        lifetime = float(claims["exp"]) - float(claims.get("iat", now))
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    return lifetime if math.isfinite(lifetime) and lifetime > 0 else None
