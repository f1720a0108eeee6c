"""What a failed HTTP call proves: one table, a pure function."""

from __future__ import annotations

from pyreqwest.exceptions import DetailedPyreqwestError, PoolTimeoutError

from streams.domain.outcome import InDoubt, Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.handshake import handshake_problem

_NOT_CONNECTED = "client error (Connect)"
"""The error text of a call for which the HTTP client could not make a connection, and of no other call (hyper-util,
`client::legacy`). Its exceptions `ConnectError` and `ConnectTimeoutError` are also raised for calls that were sent."""


def read_transport_error(error: BaseException) -> TryLater | InDoubt:
    """Return what a failed call proves. Only a call that never had a connection is proved not sent."""
    causes = _causes(error)
    if isinstance(error, PoolTimeoutError) or _NOT_CONNECTED in causes:
        return TryLater(handshake_problem(causes) or Reason(Code.UNREACHABLE))
    if isinstance(error, TimeoutError):
        return InDoubt(Reason(Code.TIMED_OUT))
    return InDoubt(Reason(Code.CONNECTION_LOST))


def last_cause(error: BaseException) -> str:
    """Return the innermost error text, for the log; it contains neither an address nor data."""
    causes = _causes(error)
    return causes[-1] if causes else type(error).__name__


def _causes(error: BaseException) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]
