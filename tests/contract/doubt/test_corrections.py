"""Tests that a correction reaches the national system exactly once, from the edit to the end of its mark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streams.documents import SALE
from streams.documents.document import BodyOptions
from streams.domain.change_event import Origin
from streams.domain.reasons import Code
from streams.local.simulator import presets
from streams.stores.corrections import Corrections
from tests.contract.doubt.world import ID, World, world

ALL = 2**62
NOTHING: tuple[list[int], list[int]] = ([], [])


class Sweep:
    def __init__(self, world: World) -> None:
        self.corrections = Corrections(
            world.point_of_sale.db, world.point_of_sale.document_type, accepted_within_ms=86_400_000
        )

    async def __call__(self) -> tuple[list[int], list[int]]:
        """Return the ids of what is changed, and of what of it can be replaced."""
        documents, _ = await self.corrections.below(ALL, 10)
        found = await self.corrections.check(documents)
        return list(found.changed), list(found.replaceable)


async def changed_at(at: World) -> int | None:
    found: int | None = (await at.point_of_sale.state(ID))["changed_at"]
    return found


async def test_a_changed_sale_is_replaced_once_and_is_as_accepted_then(tmp_path: Path) -> None:
    """Promise 2. Broken by: of a sale that was accepted nobody knows which rows and codes it had."""
    async with world(tmp_path) as at:
        sweep = Sweep(at)
        await at.request(Origin.INSERTED)
        await at.edit(quantity=7)
        assert await sweep() == ([ID], [ID])
        assert await at.calls() == ["create"]
        assert await sweep.corrections.request([ID]) == 1
        assert await at.status() == "PENDING_SYNC"
        await at.request(Origin.REQUESTED_AGAIN)
        assert await at.calls() == ["replace"]
        assert (await at.status(), await changed_at(at)) == ("SYNC_SUCCESS", None)
        await at.assert_agreed()
        assert await sweep() == NOTHING, "what was sent last is what is compared now"
        await at.edit(quantity="1.50")
        assert await sweep() == ([ID], [ID]), "the first version is no longer the accepted one"


async def test_a_correction_that_breaks_a_rule_fails_and_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        sweep = Sweep(at)
        await at.request(Origin.INSERTED)
        await at.edit(dosage="")
        assert await sweep() == ([ID], [ID])
        await sweep.corrections.request([ID])
        await at.request(Origin.REQUESTED_AGAIN)
        assert (await at.status(), await changed_at(at)) == ("SYNC_FAILED", None)
        reason = at.reason()
        assert reason is not None
        assert (reason.code, len(reason.details)) == (Code.OLDER_VERSION_STORED, 1)
        assert await sweep() == NOTHING, "a failure is shown as one"
        await at.assert_agreed()


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_correction_in_doubt_is_not_looked_at_until_it_is_decided(tmp_path: Path, is_stored: bool) -> None:
    async with world(tmp_path) as at:
        sweep = Sweep(at)
        await at.request(Origin.INSERTED)
        await at.edit(quantity=7)
        await sweep()
        await sweep.corrections.request([ID])
        at.api.dies_after = "replace"
        if not is_stored:
            await at.control.add_rule(presets.cut_before_accepting(), "replace", times=1)
        await at.request(Origin.REQUESTED_AGAIN)
        await at.point_of_sale.set_status(ID, "SYNC_SUCCESS")
        assert await sweep() == NOTHING, "it is not known which version is stored"
        await at.point_of_sale.set_status(ID, "PENDING_SYNC")
        await at.time_passes()
        assert await at.status() == "SYNC_SUCCESS"
        assert await sweep() == NOTHING
        await at.assert_agreed()


async def with_settings(at: World, options: BodyOptions) -> tuple[list[int], list[int]]:
    """Return what a worker finds that was started with other settings."""
    sweep = Sweep(at)
    sweep.corrections = Corrections(at.point_of_sale.db, replace(SALE, options=options), accepted_within_ms=86_400_000)
    return await sweep()


async def test_a_sale_is_not_changed_by_a_setting_that_refuses_what_was_accepted(tmp_path: Path) -> None:
    """Promise 2. Broken by: once fractions are refused, accepted sales with fractions count as changed, and fail."""
    async with world(tmp_path) as at:
        await at.edit(quantity="1.50")
        await at.request(Origin.INSERTED)
        assert await with_settings(at, BodyOptions(fractions=False)) == NOTHING


@pytest.mark.parametrize("empty_dosage", [None, "theo toa"])
async def test_what_was_sent_in_place_of_an_empty_dosage_is_not_replaced_by_itself(
    tmp_path: Path, empty_dosage: str | None
) -> None:
    """Promise 2. Broken by: with another EMPTY_DOSAGE, sales that nobody has changed are sent again, or fail."""
    async with world(tmp_path, replace(SALE, options=BodyOptions("0"))) as at:
        await at.edit(dosage="")
        await at.request(Origin.INSERTED)
        assert at.reason() is not None
        assert await with_settings(at, BodyOptions("0")) == NOTHING
        assert await with_settings(at, BodyOptions(empty_dosage)) == ([ID], [])
