"""How one attempt at one document may end. Outcomes are values, not exceptions.

`streams.pipeline.submission` and `streams.pipeline.withdrawal` return one of the five;
`streams.pipeline.status_publisher` publishes it.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from streams.domain.reasons import Code
from streams.runtime.frozen import frozen


@frozen
class BrokenRule:
    """One field and the rule that it breaks, or a remark about it. It carries no value of the row, because values may
    be personal data.
    """

    field: str
    """Path of the wire field, e.g. ``hoa_don_chi_tiet[2].so_lo`` (lines count from 1); or one of `TLS_FIELDS`."""
    rule: str
    """Stable: a key of `streams.domain.reasons.RULE_TEXTS`, with its limit if it has one (``max_length:50``); or a key
    of `REMARK_TEXTS` or `TLS_RULE_TEXTS`."""


@frozen
class Reason:
    """Why an attempt ended the way it did. The text for people is made from the code, see `streams.domain.reasons`."""

    code: Code
    http_status: int | None = None
    details: tuple[BrokenRule, ...] = ()


@frozen
class Accepted:
    """The national system stores the current version."""

    national_id: str | None
    """None when no answer shows an id; `reason` then says so."""
    reason: Reason | None = None


@frozen
class Withdrawn:
    """The national system stores nothing of the document any more."""


@frozen
class Refused:
    """Final. Of a document that was sent: the national system does not store the current version, and sending it again
    does not help. Of a withdrawal: the national system goes on storing the document.
    """

    reason: Reason
    text: str | None = field(default=None, repr=False)
    """The API's own text. It may name a customer, so it goes to `dbo.SaleSync` and never to a topic or a log."""
    national_id: str | None = None
    """National id of what the national system still stores."""


@frozen
class TryLater:
    """Proved not sent, or proved not processed: this attempt cannot have stored anything."""

    reason: Reason
    wait_s: float | None = None
    """The minimum seconds to wait, if the server named them (Retry-After)."""


@frozen
class InDoubt:
    """The call may have been carried out: the document is looked up before it is sent or withdrawn again."""

    reason: Reason
    wait_s: float | None = None
    only_id_missing: bool = False
    """The answer was a JSON 200 that refuses nothing but shows no id, which proves nothing by itself."""


Outcome: TypeAlias = Accepted | Withdrawn | Refused | TryLater | InDoubt
