"""Receipts and issues in doubt: some of the ways and rows of `test_doubt`, and what is theirs alone: no look-up of
theirs is known, and the answer that accepts them is a bare text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams.documents import GOODS_ISSUE, PURCHASE_RECEIPT
from streams.documents.document import DocumentType
from streams.domain.change_event import Origin
from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.local.simulator import presets
from streams.local.simulator.faults import Fault
from tests.contract.doubt.test_answers_of_others import HTML, NGINX, says
from tests.contract.doubt.test_doubt import ROWS, SECOND_POSTS, WAYS, Row, Way, into_doubt
from tests.contract.doubt.world import CODE, ID, World, world

KINDS = (PURCHASE_RECEIPT, GOODS_ISSUE)
PREFIX = {"purchase_receipt": "PN_QG_", "goods_issue": "PX_QG_"}
NO_ROUTE = Fault(accept=False, status=404, body=NGINX.encode(), content_type=HTML)
"""The web server has no such call."""
REPRESENTATIVE_WAYS = ("timed out after acceptance", "cut without", "killed after acceptance")
REPRESENTATIVE_ROWS = ("stored as sent", "the row has changed", "look-up: 405", "no look-up, and PUT creates")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
async def opened(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(tmp_path, request.param) as made:
        yield made


def cases() -> list[Any]:
    return [
        pytest.param(kind, way, row, second, id=f"{kind.name}; {way.name}; {row.name}; second POST: {second}")
        for kind in KINDS
        for way in WAYS
        for row in ROWS
        for second in SECOND_POSTS
        if way.name in REPRESENTATIVE_WAYS and row.name in REPRESENTATIVE_ROWS
        if second == "another" or (row.name == "stored as sent" and way.accepted)
    ]


@pytest.mark.parametrize(("kind", "way", "row", "second"), cases())
async def test_what_is_in_doubt_ends_right_and_is_sent_once(
    tmp_path: Path, kind: DocumentType, way: Way, row: Row, second: str
) -> None:
    async with world(tmp_path, kind, **row.settings) as opened:
        await opened.control.change_behaviour(second_create=second, **row.behaviour)
        await into_doubt(opened, way, row)
        await opened.edit(**row.edit)
        assert not await opened.is_due()
        await opened.time_passes()
        calls = await opened.calls()
        expected = list(row.if_stored if way.accepted else row.if_not)
        if row.behaviour.get("look_up") and way.dies_after != "create":
            expected.remove("look_up")  # that it is not offered was heard in the first attempt
        assert calls == expected
        assert await opened.status() == "SYNC_SUCCESS"
        assert opened.simulated.ledger.summary().accepted <= 1
        assert opened.simulated.ledger.summary().met_held == 0
        await opened.assert_agreed()


@pytest.mark.parametrize("answer", ["documented", "field"])
async def test_a_bare_text_and_an_object_both_accept(opened: World, answer: str) -> None:
    await opened.control.change_behaviour(accepted_answer=answer)
    await opened.request(Origin.INSERTED)
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "SYNC_SUCCESS"
    assert (
        row[opened.point_of_sale.document_type.national_id_column]
        == f"{PREFIX[opened.point_of_sale.document_type.name]}00000001"
    )
    assert await opened.calls() == ["create"]
    await opened.assert_agreed()


@pytest.mark.parametrize("taken", [True, False])
async def test_a_put_replaces_a_look_up_that_the_web_server_does_not_have(opened: World, taken: bool) -> None:
    """Promise 1. Broken by: a web server that has no look-up for receipts is called without end, so one in doubt has
    none.
    """
    await opened.control.add_rule(NO_ROUTE, "look_up")
    fault = presets.cut_after_accepting() if taken else presets.cut_before_accepting()
    await opened.control.add_rule(fault, "create", times=1)
    await opened.request(Origin.INSERTED)
    assert await opened.status() == "PENDING_SYNC"
    assert await opened.calls() == ["create", "look_up"]
    await opened.time_passes()
    assert await opened.calls() == (["replace"] if taken else ["replace", "create"])
    assert await opened.status() == "SYNC_SUCCESS"
    assert opened.accepted_posts() == 1
    await opened.assert_agreed()


async def test_answers_of_a_gateway_to_every_call_prove_nothing(opened: World) -> None:
    for call in ("create", "look_up", "replace"):
        await opened.control.add_rule(NO_ROUTE, call, times=None)
    await opened.request(Origin.INSERTED)
    await opened.time_passes()
    assert await opened.status() == "PENDING_SYNC"
    await opened.control.clear_rules()
    await opened.time_passes()
    assert await opened.status() == "SYNC_SUCCESS"
    assert opened.accepted_posts() == 1
    await opened.assert_agreed()


async def test_a_bare_text_without_the_form_of_an_id_is_not_an_acceptance(opened: World) -> None:
    await opened.control.add_rule(says(200, "Thành công"), "create", times=1)
    await opened.request(Origin.INSERTED)
    assert await opened.status() == "PENDING_SYNC"
    await opened.time_passes()
    assert await opened.status() == "SYNC_SUCCESS"
    await opened.assert_agreed()


async def test_a_document_with_an_unknown_type_is_never_sent(opened: World) -> None:
    kind = opened.point_of_sale.document_type
    column = "receipt_type" if kind is PURCHASE_RECEIPT else "issue_type"
    await opened.point_of_sale.run(f"UPDATE dbo.{kind.table} SET {column} = 4")  # noqa: S608
    await opened.request(Origin.INSERTED)
    assert await opened.calls() == []
    row = await opened.point_of_sale.row(ID)
    assert row["status"] == "SYNC_FAILED"
    assert row["sync_response_message"].startswith(f"{kind.nouns.vi.capitalize()} chưa đúng quy định")
    assert "phải là một trong các số" in row["sync_response_message"]
    reason = opened.reason()
    assert isinstance(reason, Reason)
    assert reason.code is Code.RULES_BROKEN
    await opened.requested_again()
    assert await opened.status() == "SYNC_FAILED"


async def test_a_document_is_looked_up_at_the_path_of_its_type(opened: World) -> None:
    await opened.control.add_rule(presets.cut_after_accepting(), "create", times=1)
    await opened.request(Origin.INSERTED)
    assert [(seen.call, seen.kind) for seen in opened.simulated.seen.of(CODE)] == [
        ("create", opened.point_of_sale.document_type.name),
        ("look_up", opened.point_of_sale.document_type.name),
    ]
    assert await opened.status() == "SYNC_SUCCESS"
