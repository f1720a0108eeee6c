"""What the current request for a document is, and what is known from before it."""

from __future__ import annotations

from collections.abc import Callable

from streams.domain.change_event import Origin, SendRequest
from streams.domain.document_status import Operation
from streams.pipeline.submission import Past
from streams.runtime.frozen import frozen
from streams.stores.sync_state import ANY_VERSION, SyncState


@frozen
class CurrentRequest:
    """The request that an attempt belongs to: one or more attempts at one operation."""

    is_new: bool
    """Whether this is its first attempt."""
    since: int
    """When it began, UTC milliseconds of the database's clock."""
    tries: int
    """How many of its attempts before this one made calls."""
    requested_at: int | None
    """As in `SyncState.requested_at`."""
    past: Past

    @classmethod
    def of(
        cls,
        request: SendRequest,
        state: SyncState,
        operation: Operation,
        now: int,
        *,
        may_have_been_sent: Callable[[], bool],
    ) -> CurrentRequest:
        """Return the current request. The row may ask for another operation than the last attempt's without a change
        event that says so: then the request is new, too.

        `may_have_been_sent`: whether somebody else may have sent a document that is new here.
        """
        has_changed = state.attempt > 0 and state.operation is not operation
        is_again = request.origin is Origin.REQUESTED_AGAIN
        is_new = is_again or has_changed
        first_seen = request.captured_at_ms if request.origin is Origin.DUE else now
        match request.origin:
            case Origin.REQUESTED_AGAIN:
                is_unknown = True
            case Origin.DUE:
                is_unknown = state.attempt == 0 or has_changed
            case Origin.INSERTED:
                is_unknown = may_have_been_sent()
        return cls(
            is_new=is_new,
            since=now if is_new else state.attempts_since or first_seen,
            tries=0 if is_new else state.tries,
            requested_at=request.captured_at_ms if is_again else state.requested_at,
            past=_past(state, is_unknown=is_unknown),
        )


def _past(state: SyncState, *, is_unknown: bool) -> Past:
    """Return what may be stored before this attempt. `is_unknown`: attempts by others are possible, so if no accepted
    version is known, any version may be stored.
    """
    if is_unknown and not (state.ever_accepted and state.sent_hash):
        return Past(ANY_VERSION, state.ever_accepted, state.stored_under)
    return Past(state.sent_hash, state.ever_accepted, state.stored_under)
