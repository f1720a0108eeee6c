"""How each kind of fault is done and undone, by its name in the schedule."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from tests.harness.chaos.faults import api, connections, records, rows, servers
from tests.harness.chaos.faults.force import InForce
from tests.harness.chaos.schedule import Fault
from tests.harness.chaos.world import World

DONE: Mapping[str, InForce] = {**servers.DONE, **api.DONE, **rows.DONE, **records.DONE, **connections.DONE}


def in_force(world: World, fault: Fault) -> AbstractAsyncContextManager[None]:
    return DONE[fault.kind](world, fault.parameters)
