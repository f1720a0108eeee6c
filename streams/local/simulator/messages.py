"""What goes over the control API, apart from what the parts themselves define. Both ends import it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from streams.local.simulator.accounts import Account, LoginCount
from streams.local.simulator.calls import CallName, Seen
from streams.local.simulator.faults import Fault, Match, Rule
from streams.local.simulator.kinds import Kind
from streams.local.simulator.ledger import Entry, Standing, Summary

PREFIX = "/_control"


class NewRule(BaseModel):
    """A rule to be added: which calls, and what happens to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: Match = Match()
    fault: Fault


ACCOUNTS = TypeAdapter(list[Account])
CHANGES = TypeAdapter(dict[str, Any])
COUNTS = TypeAdapter(dict[CallName, int])
ENTRIES = TypeAdapter(list[Entry])
KINDS = TypeAdapter(list[Kind])
LOGINS = TypeAdapter(dict[str, LoginCount])
NUMBER = TypeAdapter(int)
RULES = TypeAdapter(list[Rule])
SEEN = TypeAdapter(list[Seen])
STANDING = TypeAdapter(list[Standing])
SUMMARY = TypeAdapter(Summary)
