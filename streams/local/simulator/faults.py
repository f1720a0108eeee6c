"""Rules by which calls go wrong. Ready-made faults are in `presets`."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, field_validator

from streams.local.simulator import zoo
from streams.local.simulator.calls import Call, CallName


class Match(BaseModel):
    """Which calls. What is None is not looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: CallName | None = None
    kind: str | None = None
    code: str | None = None
    ma_co_so: str | None = None
    account: str | None = None
    times: PositiveInt | None = None
    """How many calls at most; None: without end."""
    probability: float = Field(1.0, ge=0, le=1)
    seed: int = 0
    """Of the draws, where the probability is below 1."""


class FromZoo(BaseModel):
    """An answer of `zoo`: the one that is named, or for each call another one that fits it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    seed: int = 0
    """Of the draws, where none is named."""
    look_alikes: bool = True
    """Those that have the API's own form are drawn too."""
    only_look_alikes: bool = False
    """They alone are drawn."""
    short_waits: bool = False
    """Where the software asks for time (`Retry-After`), it asks for a second."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in zoo.ENTRIES:
            raise ValueError(f"no {name} in the zoo")
        return name


class Fault(BaseModel):
    """What happens instead of, or around, the ordinary answer; in the order of the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", val_json_bytes="base64", ser_json_bytes="base64")

    until_gone: bool = False
    """Waits until the client has closed its connection."""
    wait_s: NonNegativeFloat = 0
    """Then waits, whether the client is still there or not."""
    accept: bool = True
    """Then the call is dealt with as always: checked, and accepted or refused."""
    answer_wait_s: NonNegativeFloat = 0
    """Then waits again while the client is there, with the ledger already holding the document."""
    cut: bool = False
    """Then the connection is broken, in place of any answer."""
    status: int | None = Field(None, ge=200, le=599)
    """Then an answer of its own goes out, where a status stands here; else the ordinary one."""
    headers: dict[str, str] = {}
    content_type: str = "application/json; charset=utf-8"
    body: bytes = b""
    """In JSON: base64."""
    zoo: FromZoo | None = None
    """Status, headers, type and body are those of the zoo's answer, where one fits the call."""
    pad_to: int = Field(0, ge=0, le=64 * 1024 * 1024)
    """The body is filled up with spaces to so many bytes."""
    keep_share: float = Field(1.0, ge=0, le=1)
    """Only this share of the body goes out, in an answer that claims to be whole."""
    drip_s: NonNegativeFloat = 0
    """Between one byte of the body and the next."""


class Rule(BaseModel):
    """A rule as it stands in the simulator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    match: Match
    fault: Fault
    hits: int = 0


@dataclass(slots=True)
class _Standing:
    rule_id: int
    match: Match
    fault: Fault
    draws: random.Random
    zoo_draws: random.Random
    hits: int = 0

    def takes(self, call: Call) -> bool:
        match = self.match
        return (
            (match.times is None or self.hits < match.times)
            and match.call in (None, call.name)
            and match.kind in (None, call.kind.name if call.kind else None)
            and match.code in (None, call.code)
            and match.ma_co_so in (None, call.ma_co_so)
            and match.account in (None, call.account)
            and (match.probability >= 1 or self.draws.random() < match.probability)
        )

    def played_on(self, call: Call) -> Fault:
        """The fault as it goes out, with the answer that the zoo has for this call."""
        wanted = self.fault.zoo
        if wanted is None:
            return self.fault
        if wanted.name is not None:
            named = zoo.ENTRIES[wanted.name]
            entry = named if call.name in named.calls else None
        else:
            entry = zoo.drawn(
                self.zoo_draws,
                call.name,
                look_alikes=wanted.look_alikes,
                only_look_alikes=wanted.only_look_alikes,
            )
        if entry is None:
            return self.fault
        headers = dict(entry.headers)
        if wanted.short_waits and "Retry-After" in headers:
            headers["Retry-After"] = "1"
        return self.fault.model_copy(
            update={
                "status": entry.status,
                "headers": headers,
                "content_type": entry.content_type,
                "body": entry.content(call),
            }
        )


class Faults:
    """The rules in force. The first that takes a call has it."""

    def __init__(self) -> None:
        self._rules: list[_Standing] = []
        self._last_id = 0

    def add(self, match: Match, fault: Fault) -> int:
        self._last_id += 1
        zoo_draws = random.Random(fault.zoo.seed if fault.zoo else 0)
        self._rules.append(_Standing(self._last_id, match, fault, random.Random(match.seed), zoo_draws))
        return self._last_id

    def clear(self, rule_id: int | None = None) -> None:
        """Takes away one rule, or all."""
        self._rules = [rule for rule in self._rules if rule_id not in (None, rule.rule_id)]

    def take(self, call: Call) -> tuple[int, Fault] | None:
        """The rule that takes `call`, counted as a hit."""
        for rule in self._rules:
            if rule.takes(call):
                rule.hits += 1
                return rule.rule_id, rule.played_on(call)
        return None

    def rules(self) -> list[Rule]:
        return [Rule(id=r.rule_id, match=r.match, fault=r.fault, hits=r.hits) for r in self._rules]
