"""The typed client of the control API: what tests and the demo steer and ask the simulator with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import httpx
from pydantic import SecretStr, TypeAdapter

from streams.local.simulator import messages
from streams.local.simulator.accounts import Account, LoginCount
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.calls import CallName, Seen
from streams.local.simulator.faults import Fault, Match, Rule
from streams.local.simulator.kinds import Kind
from streams.local.simulator.ledger import Entry, Standing, Summary

T = TypeVar("T")
_Query: TypeAlias = Mapping[str, str | None]
_WITHIN_S = 30.0


class ControlError(Exception):
    """The simulator did not understand; the text says what it did not like."""


class Control:
    """Use it as ``async with Control(url) as control``. Raises `ControlError`, or `httpx.TransportError`
    where the simulator does not answer."""

    def __init__(self, url: str) -> None:
        # Plain HTTP: reading the machine's certificates would take longer than most calls.
        self._http = httpx.AsyncClient(
            base_url=f"{url}{messages.PREFIX}/",
            timeout=_WITHIN_S,
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def set_account(self, usr: str, pwd: str, ma_co_so: Iterable[str] | None = None) -> None:
        """Adds an account or changes it; `ma_co_so`: the only pharmacies it may send for, None: all."""
        places = None if ma_co_so is None else frozenset(ma_co_so)
        await self.set_accounts([Account(usr=usr, pwd=SecretStr(pwd), ma_co_so=places)])

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        await self._send("PUT", "accounts", messages.ACCOUNTS.dump_json(list(accounts)))

    async def logins(self) -> dict[str, LoginCount]:
        """By account. Only log-ins that were dealt with: one that a fault cut off first is not counted."""
        return await self._get(messages.LOGINS, "logins")

    async def expire_tokens(self, account: str | None = None) -> int:
        """Ends every token that is out (of one account); how many there were."""
        content = await self._send("POST", "expire-tokens", query={"account": account})
        return messages.NUMBER.validate_json(content)

    async def behaviour(self) -> Behaviour:
        return Behaviour.model_validate_json(await self._send("GET", "behaviour"))

    async def change_behaviour(self, **changes: Any) -> Behaviour:
        """Changes some settings of `Behaviour`, by their names; the rest stays."""
        content = await self._send("PATCH", "behaviour", messages.CHANGES.dump_json(changes))
        return Behaviour.model_validate_json(content)

    async def add_kind(self, kind: Kind) -> None:
        """Takes documents of another kind from now on."""
        await self._send("POST", "kinds", messages.KINDS.dump_json([kind]))

    async def add_rule(
        self,
        fault: Fault,
        call: CallName | None = None,
        *,
        kind: str | None = None,
        code: str | None = None,
        ma_co_so: str | None = None,
        account: str | None = None,
        times: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
    ) -> int:
        """`fault` (see `presets`) for the calls that match, `times` at most. The rule's id.

        Rules are asked in the order in which they were added; the first that matches has the call.
        """
        match = Match(
            call=call,
            kind=kind,
            code=code,
            ma_co_so=ma_co_so,
            account=account,
            times=times,
            probability=probability,
            seed=seed,
        )
        new = messages.NewRule(match=match, fault=fault)
        return messages.NUMBER.validate_json(await self._send("POST", "rules", new.model_dump_json().encode()))

    async def clear_rules(self, rule_id: int | None = None) -> None:
        """One rule, or all of them. Calls that a rule has got hold of already stay in its hands."""
        await self._send("DELETE", "rules", query={"id": None if rule_id is None else str(rule_id)})

    async def rules(self) -> list[Rule]:
        """The rules in force, with their hits."""
        return await self._get(messages.RULES, "rules")

    async def ledger(self, code: str | None = None) -> list[Entry]:
        """Every accepted call in order, or those of one business code."""
        return await self._get(messages.ENTRIES, "ledger", {"code": code})

    async def standing(self, code: str | None = None) -> list[Standing]:
        """What is held now, with how many documents exist."""
        return await self._get(messages.STANDING, "standing", {"code": code})

    async def summary(self) -> Summary:
        return await self._get(messages.SUMMARY, "summary")

    async def requests(self, code: str | None = None) -> list[Seen]:
        """Every request in order, refused ones too (the last 100,000), or those of one business code."""
        return await self._get(messages.SEEN, "requests", {"code": code})

    async def counts(self) -> dict[CallName, int]:
        """How many requests of each call there ever were; a call never made has no key."""
        return await self._get(messages.COUNTS, "counts")

    async def _get(self, adapter: TypeAdapter[T], path: str, query: _Query | None = None) -> T:
        return adapter.validate_json(await self._send("GET", path, query=query))

    async def _send(
        self, method: str, path: str, content: bytes | None = None, *, query: _Query | None = None
    ) -> bytes:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        response = await self._http.request(method, path, content=content, params=params)
        if response.is_error:
            raise ControlError(f"{method} {path}: {response.status_code} {response.text}")
        return response.content


def ask(url: str, question: Callable[[Control], Awaitable[T]]) -> T:
    """For callers without an event loop: ``ask(url, Control.summary)``."""

    async def asked() -> T:
        async with Control(url) as control:
            return await question(control)

    return asyncio.run(asked())
