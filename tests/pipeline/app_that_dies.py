"""The real app in a process that kills itself once, at the step that the file KILL_FILE names: ``<step> <sale
id>``.

With a third word, ``late``, the time for that sale's attempt is over before it is sent: it is proved unsent. A step
is a moment between two instructions of the path, and this process is not given time for another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from streams.app import build
from streams.documents import DOCUMENT_TYPES
from streams.documents.document import Body, Endpoint
from streams.domain.account import Account
from streams.domain.outcome import Outcome
from streams.kafka.producer import Producers
from streams.local.simulator.control import Control
from streams.national_api.client import NationalApi
from streams.national_api.withdrawal_answers import WithdrawalResult
from streams.settings import settings_or_exit
from streams.stores.journal import Journal
from streams.stores.sales_db import SalesDb, Transaction
from streams.worker import Factories

R = TypeVar("R")
_FILE = Path(os.environ["KILL_FILE"])


def armed(step: str, id_: int | None = None) -> bool:
    """Say whether the process is to die here; `id_` is None where the step does not know the sale, of which only
    one is under way then.
    """
    chosen = _chosen()
    return chosen[:1] == [step] and id_ in (None, int(chosen[1]))


def is_late() -> bool:
    return _chosen()[2:] == ["late"]


def _chosen() -> list[str]:
    try:
        return _FILE.read_text().split()
    except FileNotFoundError:
        return []


def die() -> None:
    _FILE.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: str, id_: int | None = None) -> None:
    if armed(step, id_):
        die()


_STATEMENTS: dict[str, str | tuple[str, ...]] = {
    "read": "SELECT d.id, d.local_invoice_id",
    "claim": ("INSERT INTO dbo.SaleSync (document_type, id, attempt,", "UPDATE dbo.SaleSync SET attempt = attempt + 1"),
    "keep": "UPDATE dbo.SaleSync SET sent_hash",
    "put_off": "UPDATE dbo.SaleSync SET next_attempt_at = ?, owner = ?",
    "note": "UPDATE dbo.SaleSync SET published_attempt",
    "end": "UPDATE dbo.SalesInvoices SET status = ?",
}
"""What is written down where."""


class MortalTransaction(Transaction):
    """Notes which of the statements above it ran, and for which sales."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx._cursor, tx.dialect, digests=tx.digest is not None)
        self.ran: list[tuple[str, Sequence[Any]]] = []

    def _run(self, sql: str, parameters: Sequence[Any]) -> None:
        for name, beginning in _STATEMENTS.items():
            if sql.startswith(beginning):
                _die_for(f"before_{name}", parameters)
                self.ran.append((name, parameters))
        super()._run(sql, parameters)


def _die_for(step: str, parameters: Sequence[Any]) -> None:
    for parameter in parameters:
        if isinstance(parameter, int):
            die_at(step, parameter)


class MortalDb(SalesDb):
    async def transaction(self, work: Callable[[Transaction], R]) -> R:
        made: list[MortalTransaction] = []

        def watched(tx: Transaction) -> R:
            made[:] = [MortalTransaction(tx)]  # may be tried again
            result = work(made[0])
            for name, parameters in made[0].ran:
                _die_for(f"uncommitted_{name}", parameters)
            return result

        result = await super().transaction(watched)
        for name, parameters in made[0].ran:
            _die_for(f"after_{name}", parameters)
        return result


class MortalApi(NationalApi):
    async def create(self, account: Account, endpoint: Endpoint, body: Body, *, until: float | None = None) -> Outcome:
        die_at("before_create")
        if is_late():
            until = asyncio.get_running_loop().time()
        calling = asyncio.create_task(super().create(account, endpoint, body, until=until))
        if armed("in_create"):
            await _die_when_carried_out(calling, "create", body.document_code)
        outcome = await calling
        die_at("after_create")
        return outcome

    async def withdraw(
        self,
        account: Account,
        endpoint: Endpoint,
        facility_code: str,
        document_code: str,
        *,
        until: float | None = None,
    ) -> WithdrawalResult:
        die_at("before_withdraw")
        calling = asyncio.create_task(super().withdraw(account, endpoint, facility_code, document_code, until=until))
        if armed("in_withdraw"):
            await _die_when_carried_out(calling, "withdraw", document_code)
        return await calling


async def _die_when_carried_out(calling: asyncio.Task[Any], call: str, document_code: str) -> None:
    async with Control(os.environ["NATIONAL_API_URL"]) as control:
        while True:
            ended = calling.done()
            if call in {entry.call for entry in await control.ledger(document_code)}:
                die()
            if ended:
                return  # not sent in time, on a slow machine: it dies at the next attempt
            await asyncio.sleep(0.01)


class MortalOutlets(Producers):
    async def status(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        id_ = int(json.loads(value)["id"])
        die_at("before_told", id_)
        await super().status(key, value, headers)
        die_at("after_told", id_)

    async def retry(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        id_ = int(json.loads(value)["id"])
        die_at("before_fed", id_)
        await super().retry(key, value, headers)
        die_at("after_fed", id_)


class MortalJournal(Journal):
    async def _insert(self, collection: Any, documents: list[dict[str, Any]]) -> dict[str, str]:
        refused = await super()._insert(collection, documents)
        for document in documents:
            die_at(f"after_{collection.name}", document["id"])
        return refused


settings = settings_or_exit()
app = build(settings, DOCUMENT_TYPES, Factories(MortalOutlets, MortalDb, MortalApi, MortalJournal))
