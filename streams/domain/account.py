"""A shop's account with the national system, and what a log-in with it brought."""

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
    """Epoch seconds; some time before the token really ends, so that it is renewed in time."""


@frozen
class CredentialsRefused:
    until: float
    """Epoch seconds; not tried again before: accounts that are hammered get locked."""


LogInResult: TypeAlias = Token | CredentialsRefused
"""What is known of an account's credentials, and shared between workers."""


def fingerprint(account: Account, api_url: str) -> str:
    """Names these very credentials at this very API, so that changed ones never meet what was known of the old.

    It stands in Redis: scrypt, so that a password cannot be guessed from it cheaply (about 10 ms of CPU).
    """
    salt = "\0".join((api_url, account.shop, account.username)).encode(errors="surrogatepass")
    password = account.password.get_secret_value().encode(errors="surrogatepass")
    return hashlib.scrypt(password, salt=salt, n=2**12, r=8, p=1, dklen=24).hex()
