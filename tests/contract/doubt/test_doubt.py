"""Tests every way into doubt with every rule that leads out of it: the decision, the calls, and that the sale is
stored once.

Each is played with the three things that an API may do with a second POST.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streams.domain.change_event import Origin
from streams.domain.reasons import Code
from streams.local.simulator import presets
from streams.local.simulator.faults import Fault
from tests.contract.doubt.world import CODE, REFUSED_DRUG, World, world

SECOND_POSTS = ("refuse", "replace", "another")
PATIENCES = (0.25, 1.0, 4.0, 16.0)
"""Seconds for a POST that is to end in doubt; the next ones where the machine was too busy to send it at all."""
NEVER = 3_600.0


@dataclass(frozen=True)
class Way:
    """How the first attempt went; with `accepted` the API stored the sale, whatever the sender received."""

    name: str
    accepted: bool
    fault: Fault | None = None
    dies_after: str | None = None
    late: bool = False
    """The client gives up before there is an answer."""


WAYS = (
    Way("timed out after acceptance", True, presets.slow_to_answer(NEVER), late=True),
    Way("timed out without", False, Fault(until_gone=True, accept=False), late=True),
    Way("accepted after the client gave up", True, presets.accept_after_client_is_gone(0.1), late=True),
    Way("cut after acceptance", True, presets.cut_after_accepting()),
    Way("cut without", False, presets.cut_before_accepting()),
    Way("502 after acceptance", True, presets.status(502, accept=True)),
    Way("503 without", False, presets.status(503)),
    Way("a page for people after acceptance", True, presets.html(accept=True)),
    Way("killed after acceptance", True, dies_after="create"),
    Way("killed without", False, presets.cut_before_accepting(), dies_after="create"),
    Way("killed before a refusal was kept", False, presets.refusal("không rõ"), dies_after="look_up"),
)


@dataclass(frozen=True)
class Row:
    """A row of the rules, and what follows for a sale that is stored, and for one that is not."""

    name: str
    if_stored: Sequence[str]
    if_not: Sequence[str]
    behaviour: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    edit: dict[str, Any] = field(default_factory=dict)
    status: str = "SYNC_SUCCESS"
    reason_if_stored: Code | None = None
    reason_if_not: Code | None = None
    answers_at: int = 1
    """Look-ups in vain before one is answered."""


NO_IDS = {"accepted_answer": "no_id", "look_up_id": "none"}
UNKNOWN_ID: dict[str, Any] = {"reason_if_stored": Code.ID_UNKNOWN, "reason_if_not": Code.ID_UNKNOWN}
ROWS = (
    Row("stored as sent", ["look_up"], ["look_up", "create"]),
    Row("the row has changed", ["look_up", "replace"], ["look_up", "create"], edit={"quantity": 7}),
    Row("no answer at first", ["look_up", "look_up"], ["look_up", "look_up", "create"], answers_at=2),
    Row("look-up: 405", ["look_up", "replace"], ["look_up", "replace", "create"], {"look_up": "405"}),
    Row("look-up: 501", ["look_up", "replace"], ["look_up", "replace", "create"], {"look_up": "501"}),
    Row("look-up not offered, says a setting", ["replace"], ["replace", "create"], settings={"look_up_offered": False}),
    Row(
        "no look-up, and PUT says in words that there is nothing",
        ["replace"],
        ["replace", "create"],
        {"replace_missing": "refuse"},
        {"look_up_offered": False},
    ),
    Row(
        "no look-up, and PUT creates",
        ["replace"],
        ["replace"],
        {"replace_missing": "create"},
        {"look_up_offered": False},
    ),
    Row("no id anywhere", ["look_up", "replace"], ["look_up", "create", "look_up", "replace"], NO_IDS, **UNKNOWN_ID),
    Row(
        "no look-up and no id anywhere",
        ["replace"],
        ["replace", "create", "replace"],
        NO_IDS,
        {"look_up_offered": False},
        **UNKNOWN_ID,
    ),
    Row(
        "the row is refused now",
        ["look_up", "replace"],
        ["look_up", "create", "look_up"],
        edit={"drug_code": REFUSED_DRUG},
        status="SYNC_FAILED",
        reason_if_stored=Code.OLDER_VERSION_STORED,
        reason_if_not=Code.API_REFUSED,
    ),
    Row(
        "the row breaks a rule now",
        ["look_up"],
        ["look_up"],
        edit={"dosage": ""},
        status="SYNC_FAILED",
        reason_if_stored=Code.OLDER_VERSION_STORED,
        reason_if_not=Code.RULES_BROKEN,
    ),
)


@pytest.fixture
async def opened(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(tmp_path, **getattr(request, "param", {})) as made:
        yield made


def cases() -> list[Any]:
    return [
        pytest.param(row.settings, way, row, second, id=f"{way.name}; {row.name}; second POST: {second}")
        for way in WAYS
        for row in ROWS
        for second in SECOND_POSTS
        if second == "refuse" or way.accepted  # without a first there is no second
    ]


@pytest.mark.parametrize(("opened", "way", "row", "second"), cases(), indirect=["opened"])
async def test_every_sale_in_doubt_is_decided_rightly_and_accepted_once(
    opened: World, way: Way, row: Row, second: str
) -> None:
    await opened.control.change_behaviour(second_create=second, **row.behaviour)
    await into_doubt(opened, way, row)
    await opened.edit(**row.edit)
    assert not await opened.is_due(), "the first may still be accepted: nobody may take 'not held' for a proof"
    expected = list(row.if_stored if way.accepted else row.if_not)
    calls: list[str] = []
    for _ in range(4):
        if await opened.status() != "PENDING_SYNC":
            break
        await opened.time_passes()
        calls += await opened.calls()
    if row.behaviour.get("look_up") and way.dies_after != "create":
        expected.remove("look_up")  # that it is not offered was heard in the first attempt
    assert calls == expected
    assert await opened.status() == row.status
    assert opened.decisions[-1].reason is None or opened.decisions[-1].reason.code is (
        row.reason_if_stored if way.accepted else row.reason_if_not
    )
    summary = opened.simulated.ledger.summary()
    stored = row.status == "SYNC_SUCCESS" or way.accepted
    assert len(list(opened.simulated.ledger.standing(CODE))) == stored
    assert summary.accepted <= 1
    assert summary.met_held == 0, "no POST ever met a sale that was held"
    await opened.assert_agreed()


async def into_doubt(opened: World, way: Way, row: Row) -> None:
    if way.fault:
        await opened.control.add_rule(way.fault, "create", times=1)
    if "look_up" not in row.behaviour and (in_vain := row.answers_at - (way.dies_after == "create")):
        await opened.control.add_rule(presets.status(503), "look_up", times=in_vain)
    opened.api.dies_after = way.dies_after
    opened.api.patience = PATIENCES[0] if way.late else None
    await opened.request(Origin.INSERTED)
    for opened.api.patience in PATIENCES[1:] if way.late else ():
        if "create" in await opened.calls():
            break
        await opened.time_passes()
    opened.api.patience = None
    if way.accepted:
        await opened.until(opened.accepted_posts)
    await opened.calls()
    assert await opened.status() == "PENDING_SYNC"
    assert opened.accepted_posts() == way.accepted
