"""Restarts a failed connector or its failed tasks, at growing intervals, and reports the failure meanwhile.

A FAILED task stays so until it is restarted. All workers check the status, and the one with a lock in Redis restarts.
While Redis is unreachable each worker may restart it, which does the connector no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from streams.operators import Problem
from streams.operators.connect.api import ConnectApi
from streams.operators.connect.connector_file import CONNECTOR
from streams.runtime.outages import Outages
from streams.settings import Settings
from streams.stores.redis_lock import RedisLock

log = structlog.get_logger(__name__)

CHECK_INTERVAL = 60.0
LONGEST_PAUSE = 1800.0
"""The longest time between two restarts, in seconds. Each restart logs in, and refused log-ins lock the account."""
_ACTION = "`faust -A streams.app connectors status` says why; fix the cause, then it is restarted automatically"


class RestartLock(Protocol):
    async def acquire_or_renew(self) -> bool: ...
    async def close(self) -> None: ...


class ConnectorRestarts:
    def __init__(
        self,
        connect: Callable[[], ConnectApi],
        lock: RestartLock,
        outages: Outages,
        *,
        restart_after: float,
        name: str = CONNECTOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`restart_after`: seconds from a failure to the first restart, and from that to the second one."""
        self._connect = connect
        self._lock = lock
        self._name = name
        self._restart_after = restart_after
        self._clock = clock
        self._outage = outages.reporter("connector", _ACTION, holds_up_sales=False)
        self._failed = False
        self._pause = restart_after
        self._next = 0.0

    async def run(self) -> None:
        """Check the connector every minute until cancelled."""
        try:
            while True:
                try:
                    await self.check()
                except Problem as problem:  # the page and the metrics show that Kafka Connect is unreachable
                    log.debug("connector.unknown", problem=str(problem))
                except Exception:
                    log.exception("connector.not_looked_at")
                await asyncio.sleep(CHECK_INTERVAL)
        finally:
            self._outage.end()
            await self._lock.close()

    async def check(self) -> None:
        """Check the status once, and restart what is FAILED if it is time for that. Raises `Problem`."""
        is_mine = await self._lock.acquire_or_renew()  # each check renews the lock, so that one worker keeps it
        async with self._connect() as api:
            status = await api.status(self._name)
            if status is None or not status.has_failed:
                self._end_outage(runs=status is not None and status.runs)
                return
            self._outage.report(
                f"{self._name} or one of its tasks is FAILED: new sales are sent later, once the scheduler finds them"
            )
            now = self._clock()
            if not self._failed:
                self._failed = True
                self._pause = self._restart_after
                self._next = now + self._pause
                log.error("connector.failed", connector=self._name, restarts_in_s=round(self._pause), action=_ACTION)
            elif now >= self._next:
                self._pause = min(2 * self._pause, max(LONGEST_PAUSE, self._restart_after))
                self._next = now + self._pause
                if is_mine:
                    await self._restart(api)

    async def _restart(self, api: ConnectApi) -> None:
        next_in_s = round(self._pause)
        try:
            await api.restart_failed(self._name)
        except Problem as problem:
            log.warning("connector.not_restarted", connector=self._name, why=str(problem), next_in_s=next_in_s)
        else:
            log.warning("connector.restarted", connector=self._name, next_in_s=next_in_s)

    def _end_outage(self, *, runs: bool) -> None:
        """Nothing is FAILED: the connector runs, is starting, or was stopped by an operator."""
        self._outage.end()
        if self._failed and runs:
            self._failed = False
            log.info("connector.runs_again", connector=self._name)


def connector_restarts(settings: Settings, outages: Outages) -> ConnectorRestarts:
    """Create the restarts of the deployed connector from the settings."""
    lock = RedisLock(settings.redis_url, f"{settings.deployment}:connector", life=3 * CHECK_INTERVAL)
    return ConnectorRestarts(
        lambda: ConnectApi(settings.connect_url, rebalance_timeout=0),
        lock,
        outages,
        restart_after=settings.connector_restart_after,
    )
