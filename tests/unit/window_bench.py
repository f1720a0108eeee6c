"""A window with work whose end a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

from streams.kafka.in_order_window import Delivery, InOrderWindow
from tests.unit.virtual_time import running_loop, settle


class Bench:
    """A window, and work whose end the test decides by name."""

    def __init__(self, **limits: Any) -> None:
        self.clock = running_loop().time
        self.started: list[str] = []
        self.overdue: list[str] = []
        self.running: set[str] = set()
        self.acknowledged: list[str] = []
        self.ends: dict[str, asyncio.Future[None]] = {}
        self.admits: dict[str, asyncio.Task[bool]] = {}
        self.window = InOrderWindow(clock=self.clock, **limits)
        running_loop().at_end.append(lambda: self.window.drain(0))

    def deliver(
        self,
        name: str,
        partition: Hashable = "p",
        offset: int = 0,
        key: Hashable | None = None,
        shop: str | None = None,
        lane: str = "new",
        work: Any = None,
        acknowledge: Any = None,
        nothing_to_do: bool = False,
    ) -> asyncio.Task[bool]:
        async def wait_for_its_end(overdue: bool) -> None:
            self.started.append(name)
            self.running.add(name)
            if overdue:
                self.overdue.append(name)
            self.ends[name] = asyncio.get_running_loop().create_future()
            try:
                await self.ends[name]
            finally:
                self.running.discard(name)

        delivery = Delivery(
            partition=partition,
            offset=offset,
            order_key=key,
            shop=shop or f"shop of {name}",
            lane=lane,
            acknowledge=acknowledge or (lambda: self.acknowledged.append(name)),
            work=None if nothing_to_do else work or wait_for_its_end,
        )
        self.admits[name] = asyncio.create_task(self.window.admit(delivery))
        return self.admits[name]

    async def deliver_all(self, names: str, **where: Any) -> None:
        for name in names:
            self.deliver(name, **where)
        await settle()

    async def finish(self, *names: str) -> None:
        for name in names:
            self.ends[name].set_result(None)
            await settle()

    @property
    def idle(self) -> bool:
        window = self.window
        counters = (window.running, window.waiting, window.finished_unacknowledged, len(window.running_per_shop))
        return counters == (0, 0, 0, 0) and window.oldest_unfinished_age == 0
