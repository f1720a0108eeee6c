"""A shop's account with the national system, and the result of logging in with it."""

from __future__ import annotations

import hashlib
from dataclasses import field
from typing import TypeAlias

from pydantic import SecretStr

from streams.runtime.frozen import frozen


@frozen
class Account:
    shop: str
    """shop_pharmacy_code."""
    username: str = field(repr=False)
    password: SecretStr = field(repr=False)


@frozen
class Token:
    value: SecretStr
    until: float
    """Epoch seconds; earlier than the actual expiry, so that the token is renewed in time."""


MAX_TOKEN_LIFETIME = 7 * 86_400.0
"""Seconds for which a token is used at most, and for which a cached one is believed."""


@frozen
class CredentialsRefused:
    until: float
    """Epoch seconds. They are not tried again before: accounts that fail to log in too often get locked."""


LogInResult: TypeAlias = Token | CredentialsRefused
"""What is known about an account's credentials; workers share it through Redis."""


def fingerprint(account: Account, api_url: str) -> str:
    """Return a digest of these credentials at this API. Nothing cached for old credentials applies to changed ones.

    The digest is stored in Redis, so it is made with scrypt: guessing a password from it costs about 10 ms of CPU per
    try. 48 hex digits.
    """
    salt = "\0".join((api_url, account.shop, account.username)).encode(errors="surrogatepass")
    password = account.password.get_secret_value().encode(errors="surrogatepass")
    return hashlib.scrypt(password, salt=salt, n=2**12, r=8, p=1, dklen=24).hex()
