"""The statuses of a document: what a pending one asks for, and how that may end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal, TypeAlias

Status: TypeAlias = Literal[
    "SYNC_SUCCESS", "SYNC_FAILED", "PENDING_SYNC", "CANCELLED", "CANCEL_FAILED", "PENDING_CANCEL"
]


class Operation(Enum):
    """What is to be done with a document. `dbo.SaleSync.is_withdrawal` stores the value."""

    SEND = 0
    WITHDRAW = 1


PENDING: Final[Mapping[Operation, Status]] = {Operation.SEND: "PENDING_SYNC", Operation.WITHDRAW: "PENDING_CANCEL"}
SUCCEEDED: Final[Mapping[Operation, Status]] = {Operation.SEND: "SYNC_SUCCESS", Operation.WITHDRAW: "CANCELLED"}
FAILED: Final[Mapping[Operation, Status]] = {Operation.SEND: "SYNC_FAILED", Operation.WITHDRAW: "CANCEL_FAILED"}
_OPERATIONS = {status: each for each in Operation for status in (PENDING[each], SUCCEEDED[each], FAILED[each])}


def requested_operation(status: object) -> Operation | None:
    """Return what a status asks for, None if nothing; a column of the type CHAR fills it with blanks."""
    text = status.rstrip(" ") if isinstance(status, str) else None
    return next((operation for operation, pending in PENDING.items() if pending == text), None)


def is_accepted(status: object) -> bool:
    """Whether a status says that the national system has the document."""
    return isinstance(status, str) and status.rstrip(" ") == SUCCEEDED[Operation.SEND]


def is_pending(status: Status) -> bool:
    """Whether the document waits for another attempt."""
    return status in PENDING.values()


def is_failure(status: Status) -> bool:
    """Whether the attempts have ended without success, so that a person has to act."""
    return status in FAILED.values()


def operation_of(status: Status) -> Operation:
    """Return what a decision with this status is about."""
    return _OPERATIONS[status]
