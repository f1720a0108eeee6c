"""What a failed HTTP call proves: one table, a pure function."""

from __future__ import annotations

import httpx

from streams.domain.outcome import InDoubt, Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.handshake import handshake_problem

_UNSENT = (
    httpx.ConnectError,  # TCP or TLS, of the proxy too
    httpx.ConnectTimeout,
    httpx.PoolTimeout,  # no connection became free
    httpx.ProxyError,  # the proxy made no connection
)
"""The exceptions of calls that never had a connection. Both transports raise them for no other call."""


def read_transport_error(error: BaseException) -> TryLater | InDoubt:
    """Return what a failed call proves. Only a call that never had a connection is proved not sent."""
    if isinstance(error, _UNSENT):
        return TryLater(handshake_problem(error) or Reason(Code.UNREACHABLE))
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return InDoubt(Reason(Code.TIMED_OUT))
    return InDoubt(Reason(Code.CONNECTION_LOST))


def loggable_text(error: BaseException) -> str:
    """Return a text for the log that contains neither an address nor data.

    The text of a `ProtocolError` quotes what was sent or received, and of other errors nothing is known.
    """
    if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ProtocolError):
        return str(error) or type(error).__name__
    return type(error).__name__
