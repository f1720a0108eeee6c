"""A value that cannot be used, with the reason: it takes the place of the value until its setting is validated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    """Completes ``<name of the setting>: ...``, and never contains the value."""
