"""Tests that the page of a rehearsal cannot be taken for production's."""

from __future__ import annotations

import pytest

from streams.operators.page.texts import TEXTS
from tests.contract.stores.databases import settings_for
from tests.page.visitor import Place, visiting


@pytest.mark.parametrize(("prefix", "is_said"), [("rehearsal", True), ("rehearsal-shop-12", True), ("", False)])
async def test_every_screen_of_a_rehearsal_says_so_in_both_languages(place: Place, prefix: str, is_said: bool) -> None:
    async with visiting(settings_for(topic_prefix=prefix), place) as visitor:
        for number, language in enumerate(("vi", "en")):
            _, before = await visitor.get("", **{"Accept-Language": language})
            assert (TEXTS["rehearsal"][number] in before) == is_said
        await visitor.sign_in()
        _, text = await visitor.get("shops", **{"Accept-Language": "en"})
        assert (TEXTS["rehearsal"][1] in text) == is_said
