"""Codes that are tried, by address: guessing is slow, and whoever shares an address with a guesser still gets in."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

_AT_ONCE = 5
_EVERY = 2.0
_PATIENCE = 10.0
_ADDRESSES = 10_000
_NETWORK_OF_ONE = 64
"""Bits. Whoever has one address of IPv6 has 2^64 of them."""


class SignInAttempts:
    """Five at once from each address, and then one every two seconds. Nobody is locked out for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When all five are there again. Whoever tried last stands last."""

    def take(self, address: IPv4Address | IPv6Address | None) -> float | None:
        """Seconds to wait before the code may be looked at. None: too many wait already, and it is not looked at."""
        key, now = _key(address), self._clock()
        full_at = max(self._full_at.pop(key, now), now) + _EVERY
        wait = max(0.0, full_at - now - _AT_ONCE * _EVERY)
        if wait > _PATIENCE:
            self._full_at[key] = full_at - _EVERY
            return None
        self._full_at[key] = full_at
        while len(self._full_at) > _ADDRESSES:
            del self._full_at[next(iter(self._full_at))]
        return wait

    def give_back(self, address: IPv4Address | IPv6Address | None) -> None:
        """It was the right one."""
        key = _key(address)
        if key in self._full_at:
            self._full_at[key] -= _EVERY


def _key(address: IPv4Address | IPv6Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _NETWORK_OF_ONE), strict=False))
    return str(address)
