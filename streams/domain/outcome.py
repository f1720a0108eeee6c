"""How one attempt at one document may end. Values, not exceptions that wander.

`streams.pipeline.submission` returns one of the four; `streams.domain.sale_status` tells it to the world.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from streams.domain.reasons import Code
from streams.runtime.frozen import frozen


@frozen
class BrokenRule:
    """One field that breaks one rule. Carries no value: values may be personal data."""

    field: str
    """Path of the wire field, e.g. ``hoa_don_chi_tiet[2].so_lo`` (lines count from 1); or one of `TLS_FIELDS`."""
    rule: str
    """Stable: a word of `streams.domain.reasons.RULE_TEXTS`, with its limit if it has one: ``max_length:50``; or one of
    `TLS_RULE_TEXTS`."""


@frozen
class Reason:
    """Why it ended so. The words for people are made from the code, see `streams.domain.reasons`."""

    code: Code
    http_status: int | None = None
    details: tuple[BrokenRule, ...] = ()


@frozen
class Accepted:
    """The national system holds today's version."""

    national_id: str | None
    """None where no answer shows an id: then `reason` says so."""
    reason: Reason | None = None


@frozen
class Refused:
    """Final: the national system does not hold today's version, and sending it again does not help."""

    reason: Reason
    words: str | None = field(default=None, repr=False)
    """The API's own words. May name a customer: they go to `dbo.SaleSync` and to no topic or log."""
    national_id: str | None = None
    """Of an older version that the national system still holds."""


@frozen
class TryLater:
    """Proved unsent or proved not processed: nothing new can be held on account of this attempt."""

    reason: Reason
    wait_s: float | None = None
    """The least time to wait, where somebody named one (Retry-After)."""


@frozen
class InDoubt:
    """It may have been accepted: it is looked up before it is ever sent again."""

    reason: Reason
    wait_s: float | None = None
    only_id_missing: bool = False
    """A 200 in JSON that refuses nothing, but shows no id: no proof by itself."""


Outcome: TypeAlias = Accepted | Refused | TryLater | InDoubt
