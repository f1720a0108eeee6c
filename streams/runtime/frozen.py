"""A decorator for immutable value classes that are cheap to create.

For readers and for the type checker, which rejects any assignment, it is ``dataclass(frozen=True, slots=True)``. At run
time nothing prevents one: the constructor of a real frozen dataclass makes one ``object.__setattr__`` call per field,
and one sale has about fifty fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Return `cls` as a slotted, hashable dataclass that the type checker treats as frozen."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
