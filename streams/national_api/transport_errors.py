"""What a broken call proves: one table, pure."""

from __future__ import annotations

from pyreqwest.exceptions import DetailedPyreqwestError, PoolTimeoutError

from streams.domain.outcome import InDoubt, Reason, TryLater
from streams.domain.reasons import Code
from streams.national_api.handshake import handshake_problem

_NOT_CONNECTED = "client error (Connect)"
"""The HTTP client says so of a call for which it could not make a connection, and of no other (hyper-util,
`client::legacy`). Its `ConnectError` and `ConnectTimeoutError` are also raised of calls that were sent."""


def read_transport_error(error: BaseException) -> TryLater | InDoubt:
    """A call that broke. Only a connection that was never made, or never had, proves that nothing was sent."""
    causes = _causes(error)
    if isinstance(error, PoolTimeoutError) or _NOT_CONNECTED in causes:
        return TryLater(handshake_problem(causes) or Reason(Code.UNREACHABLE))
    if isinstance(error, TimeoutError):
        return InDoubt(Reason(Code.TIMED_OUT))
    return InDoubt(Reason(Code.CONNECTION_LOST))


def last_cause(error: BaseException) -> str:
    """What broke, in the words of whoever noticed it; they name neither address nor data."""
    causes = _causes(error)
    return causes[-1] if causes else type(error).__name__


def _causes(error: BaseException) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]
