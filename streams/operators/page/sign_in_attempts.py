"""Limits sign-in attempts by address: guessing is slow, but a visitor who shares an address with a guesser can still
sign in."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

_BURST = 5
_INTERVAL = 2.0
_MAX_WAIT = 10.0
_MAX_ADDRESSES = 10_000
_IPV6_PREFIX_LENGTH = 64
"""Bits of an IPv6 address that are counted, since anybody with one IPv6 address has 2^64 of them."""


class SignInAttempts:
    """A rate limit for each address: a burst of five attempts, then one every two seconds. Nobody is locked out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """By address, when the whole burst is available again. The address of the latest attempt is last."""

    def take(self, address: IPv4Address | IPv6Address | None) -> float | None:
        """Count an attempt, and return the seconds to wait before its code may be checked.

        None: the wait would be longer than ten seconds; the attempt is not counted and must not be checked.
        """
        key, now = _key(address), self._clock()
        full_at = max(self._full_at.pop(key, now), now) + _INTERVAL
        wait = max(0.0, full_at - now - _BURST * _INTERVAL)
        if wait > _MAX_WAIT:
            self._full_at[key] = full_at - _INTERVAL
            return None
        self._full_at[key] = full_at
        while len(self._full_at) > _MAX_ADDRESSES:
            del self._full_at[next(iter(self._full_at))]
        return wait

    def give_back(self, address: IPv4Address | IPv6Address | None) -> None:
        """Uncount an attempt whose code was right."""
        key = _key(address)
        if key in self._full_at:
            self._full_at[key] -= _INTERVAL


def _key(address: IPv4Address | IPv6Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _IPV6_PREFIX_LENGTH), strict=False))
    return str(address)
