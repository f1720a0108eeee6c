"""What a fault is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from tests.harness.chaos.world import World

Parameters: TypeAlias = Mapping[str, float]
InForce: TypeAlias = Callable[[World, Parameters], AbstractAsyncContextManager[None]]
"""In force between its two ends. It is entered once the fault has happened."""
