"""What Kafka Connect has given up is started anew, within bounds, and said meanwhile.

A task that is FAILED stays so until somebody restarts it. All workers look, and one restarts: a lock in Redis says
which. While Redis is away each of them may, which the connector does not mind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from streams.operators import Problem
from streams.operators.connect.api import ConnectApi
from streams.runtime.outages import Outages
from streams.settings import Settings
from streams.stores.redis_lock import RedisLock

log = structlog.get_logger(__name__)

CONNECTOR = "pharmacy-sales"
LOOK_EVERY = 60.0
LONGEST_PAUSE = 1800.0
"""Seconds between two restarts. Each of them is a log-in: too many refused ones lock the account."""
_REMEDY = "`faust -A streams.app connectors status` says why; mend that, it is restarted by itself"


class RestartLock(Protocol):
    async def acquire_or_renew(self) -> bool: ...
    async def close(self) -> None: ...


class ConnectorRestarts:
    def __init__(
        self,
        connect: Callable[[], ConnectApi],
        lock: RestartLock,
        waits: Outages,
        *,
        restart_after: float,
        name: str = CONNECTOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`restart_after`: seconds that it must have been FAILED, and between the first two restarts."""
        self._connect = connect
        self._lock = lock
        self._name = name
        self._restart_after = restart_after
        self._clock = clock
        self._waiting = waits.reporter("connector", _REMEDY, holds_up_sales=False)
        self._failed = False
        self._pause = restart_after
        self._next = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except Problem as trouble:  # the page and the metrics say that it is away
                    log.debug("connector.unknown", trouble=str(trouble))
                except Exception:
                    log.exception("connector.not_looked_at")
                await asyncio.sleep(LOOK_EVERY)
        finally:
            self._waiting.end()
            await self._lock.close()

    async def look(self) -> None:
        """Raises `Problem`."""
        is_mine = await self._lock.acquire_or_renew()  # renewed with each look, so that it stays with one worker
        async with self._connect() as api:
            status = await api.status(self._name)
            if status is None or not status.has_failed:
                self._is_well(runs=status is not None and status.runs)
                return
            self._waiting.report(f"{self._name} or its task is FAILED: new sales are found by the scheduler, later")
            now = self._clock()
            if not self._failed:
                self._failed = True
                self._pause = self._restart_after
                self._next = now + self._pause
                log.error("connector.failed", connector=self._name, restarts_in_s=round(self._pause), action=_REMEDY)
            elif now >= self._next:
                self._pause = min(2 * self._pause, max(LONGEST_PAUSE, self._restart_after))
                self._next = now + self._pause
                if is_mine:
                    await self._restart(api)

    async def _restart(self, api: ConnectApi) -> None:
        next_in_s = round(self._pause)
        try:
            await api.restart_failed(self._name)
        except Problem as trouble:
            log.warning("connector.not_restarted", connector=self._name, why=str(trouble), next_in_s=next_in_s)
        else:
            log.warning("connector.restarted", connector=self._name, next_in_s=next_in_s)

    def _is_well(self, *, runs: bool) -> None:
        """Not FAILED: it runs, or somebody has stopped it, or it is on its way."""
        self._waiting.end()
        if self._failed and runs:
            self._failed = False
            log.info("connector.runs_again", connector=self._name)


def connector_restarts(settings: Settings, waits: Outages) -> ConnectorRestarts:
    lock = RedisLock(settings.redis_url, f"{settings.app_id}:connector", life=3 * LOOK_EVERY)
    return ConnectorRestarts(
        lambda: ConnectApi(settings.connect_url, patience=0),
        lock,
        waits,
        restart_after=settings.connector_restart_after,
    )
