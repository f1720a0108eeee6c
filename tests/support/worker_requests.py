"""A running worker whose web server gets requests."""

from __future__ import annotations

from typing import Any

import httpx

from streams.local.processes import free_port
from tests.pipeline.pipeline import QUICK, Pipeline

SOON = 6.0


class RequestedWorker:
    """A worker whose web server gets requests."""

    def __init__(self, pipeline: Pipeline, **settings: str) -> None:
        self._port = free_port()
        settings = {**QUICK, "WATCHDOG_AFTER": str(SOON), **settings}
        self.process = pipeline.stack.start_worker("worker", settings, web_port=self._port)
        pipeline.workers.append(self.process)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{self._port}{path}", timeout=2)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    async def shows(self, status: int, *parts: str) -> bool:
        """Say whether /readyz shows this status and exactly these parts."""
        found, health = await self.get("/readyz")
        return found == status and {reason["part"] for reason in health["reasons"]} == set(parts)
