"""Values with names that nobody changes.

As ``dataclass(frozen=True, slots=True)`` to whoever reads and to the type checker, which refuses a change. Python
itself does not: a frozen dataclass sets each of its fields by a call, and a sale has some fifty of them set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    return dataclass(slots=True, unsafe_hash=True)(cls)
