"""What a scheduler depends on, controlled by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.domain.account import Account
from streams.domain.change_event import SendRequest
from streams.domain.retry_message import read_retry
from streams.pipeline.outage_gate import OutageGate

FAR = 4_000_000_000_000


@dataclass
class World:
    """What the scheduler learns of the rest of the system."""

    holds_the_lock: bool = True
    oldest_unfinished: int | None = None
    refused: set[str] = field(default_factory=set)
    gate: OutageGate = field(default_factory=lambda: OutageGate(2, 60))
    enqueued: list[SendRequest] = field(default_factory=list)
    looked: int = 0

    async def acquire_or_renew(self) -> bool:
        self.looked += 1
        return self.holds_the_lock

    async def finished_before_ms(self) -> int | None:
        return self.oldest_unfinished

    async def publish(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        request = read_retry(value)
        assert key == f"{request.pharmacy_code}/{request.document_code}".encode()
        self.enqueued.append(request)

    async def still_refused(self, account: Account) -> bool:
        return account.password.get_secret_value() in self.refused


def ids(requests: Sequence[SendRequest]) -> list[int]:
    return [request.id for request in requests]
