"""What one HTTP call to the national API gives."""

from __future__ import annotations

from typing import TypeAlias

from streams.domain.outcome import InDoubt, TryLater
from streams.national_api.own_form import Answer

CallResult: TypeAlias = Answer | TryLater | InDoubt
"""An answer; `TryLater` where it is proved that nothing was sent; `InDoubt` where something may have been sent."""
