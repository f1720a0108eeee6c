"""Who is told what the calls to the national API took, and how they ended. It must not raise, and costs every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from streams.domain.account import LogInResult
    from streams.domain.outcome import TryLater
    from streams.national_api.transport import CallResult


class Observer(Protocol):
    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        """One call over HTTP has ended: each of those that were repeated, log-ins too."""
        ...

    def logged_in(self, result: LogInResult | TryLater) -> None:
        """A log-in has ended, with all its calls."""
        ...


class Unobserved:
    def called(self, method: str, path: str, result: CallResult, seconds: float) -> None:
        return

    def logged_in(self, result: LogInResult | TryLater) -> None:
        return


UNOBSERVED = Unobserved()
