"""The shops' accounts, and the tokens that their log-ins were given."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jwt
from pydantic import BaseModel, ConfigDict, SecretStr, field_serializer

from streams.local.simulator.behaviour import Behaviour

LONGEST_USER = 50
LONGEST_PASSWORD = 30


class Account(BaseModel):
    """One shop's account, as the shops file and the control API give it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usr: str
    pwd: SecretStr
    ma_co_so: frozenset[str] | None = None
    """The only pharmacies that it may send for; null: all."""

    @field_serializer("pwd")
    def _told(self, pwd: SecretStr) -> str:
        return pwd.get_secret_value()


@dataclass(slots=True)
class LoginCount:
    asked: int = 0
    granted: int = 0


class Accounts:
    """Log-ins and tokens. No account: nobody is let in."""

    def __init__(self, accounts: Iterable[Account], clock: Callable[[], float]) -> None:
        self._accounts: dict[str, Account] = {}
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}
        self._key = secrets.token_bytes(32)
        self.logins: dict[str, LoginCount] = {}
        self.put(accounts)

    def put(self, accounts: Iterable[Account]) -> None:
        """Adds accounts, or changes those that are there. Tokens that are out stay good."""
        self._accounts.update((account.usr, account) for account in accounts)

    def may_send_for(self, usr: str, facility_code: str) -> bool:
        account = self._accounts.get(usr)
        return account is not None and (account.ma_co_so is None or facility_code in account.ma_co_so)

    def log_in(self, usr: str, pwd: str, behaviour: Behaviour) -> str | None:
        """A new token, or None: no such account, or another password."""
        account = self._accounts.get(usr)
        if account is None or account.pwd.get_secret_value() != pwd:
            return None
        self.count(usr).granted += 1
        expires = self._clock() + behaviour.token_lifetime_s
        token = self._jwt(usr, expires) if behaviour.jwt_tokens else secrets.token_urlsafe(24)
        self._tokens[token] = (usr, expires)
        return token

    def whose(self, token: str) -> str | None:
        """The account that `token` was given to, or None: never given out, or over."""
        usr, expires = self._tokens.get(token, ("", 0.0))
        if expires > self._clock():
            return usr
        self._tokens.pop(token, None)
        return None

    def expire_tokens(self, usr: str | None = None) -> int:
        """Ends all tokens, or those of one account; how many."""
        over = [token for token, (owner, _) in self._tokens.items() if usr in (None, owner)]
        for token in over:
            del self._tokens[token]
        return len(over)

    def count(self, usr: str) -> LoginCount:
        return self.logins.setdefault(usr, LoginCount())

    def _jwt(self, usr: str, expires: float) -> str:
        # `jti`: two log-ins within a second are two tokens.
        claims = {"sub": usr, "exp": int(expires), "jti": secrets.token_hex(8)}
        return jwt.encode(claims, self._key, algorithm="HS256")
