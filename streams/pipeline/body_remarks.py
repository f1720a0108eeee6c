"""Adds to an outcome what is to be said about the body that was sent: nothing is sent otherwise than it is in the row
without the row saying so, and a refusal names the fields that may be its cause.
"""

from __future__ import annotations

from dataclasses import replace

from streams.documents.document import Body
from streams.domain.outcome import Accepted, Outcome, Reason, Refused
from streams.domain.reasons import Code

_REFUSALS_OF_THE_API = {Code.API_REFUSED, Code.OLDER_VERSION_STORED}


def with_remarks(outcome: Outcome, body: Body) -> Outcome:
    """Return the outcome of sending `body`, with the remarks about it."""
    match outcome:
        case Accepted(reason=reason) if body.replaced:
            code = reason.code if reason else Code.VALUES_REPLACED
            return replace(outcome, reason=Reason(code, details=body.replaced))
        case Refused(reason=reason) if reason.code in _REFUSALS_OF_THE_API:
            details = (*reason.details, *body.replaced, *body.doubtful)
            return replace(outcome, reason=replace(reason, details=details))
    return outcome
