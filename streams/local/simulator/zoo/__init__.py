"""Answers that real software in front of an API gives, by name. None of them proves anything about a document.

They are played by `presets.from_zoo` (one of them) and `presets.zoo` (all of them, mixed up by a seed). An answer
that the API itself might give to the same call has no place here: it would be played whatever the API holds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from streams.local.simulator.calls import CallName
from streams.local.simulator.zoo import bodies, edges, frameworks, proxies
from streams.local.simulator.zoo.entry import Entry

ENTRIES: Mapping[str, Entry] = {
    entry.name: entry for table in (proxies, edges, frameworks, bodies) for entry in table.ENTRIES
}


def fitting(call: CallName | None = None, *, look_alikes: bool = True, only_look_alikes: bool = False) -> list[Entry]:
    """The entries that can be played on such a call, in the order of the tables; None: on any."""
    return [
        entry
        for entry in ENTRIES.values()
        if (call is None or call in entry.calls)
        and (look_alikes or not entry.look_alike)
        and (entry.look_alike or not only_look_alikes)
    ]


def drawn(
    draws: random.Random,
    call: CallName | None = None,
    *,
    look_alikes: bool = True,
    only_look_alikes: bool = False,
) -> Entry | None:
    """One of those that fit, the same one for the same state of `draws`; None: none fits."""
    entries = fitting(call, look_alikes=look_alikes, only_look_alikes=only_look_alikes)
    return draws.choice(entries) if entries else None
