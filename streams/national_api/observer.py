"""The hook for observing calls to the national API, for metrics and tracing.

It runs within every call, so it must be fast and must not raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from streams.domain.account import LogInResult
    from streams.domain.outcome import TryLater
    from streams.national_api.call_result import CallResult


class Observer(Protocol):
    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        """Called when one HTTP call has ended, each retry and each log-in call included."""
        ...

    def logged_in(self, result: LogInResult | TryLater) -> None:
        """Called when a log-in has ended, with all its HTTP calls."""
        ...


class Unobserved:
    """An observer that does nothing."""

    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        return

    def logged_in(self, result: LogInResult | TryLater) -> None:
        return


UNOBSERVED = Unobserved()
