"""Tests the simulator's answers to create, replace, look-up and withdraw, and its ledger afterwards."""

import hashlib
from typing import Any

import pytest

from streams.local.simulator.control import Control
from streams.local.simulator.kinds import Field, Kind
from streams.local.simulator.ledger import Summary
from tests.contract.simulator.shop import ISSUES, RECEIPTS, SALES, Shop, issue, receipt, sale


async def test_the_simulator_gives_the_documented_answer_and_writes_its_ledger(control: Control, shop: Shop) -> None:
    answer = await shop.create(sale("HD-1"))
    assert answer.status_code == 200
    national_id = answer.json()["ma_hoa_don"]
    assert answer.json() == {"ma_hoa_don": national_id, "code": 200, "mess": "Thành công"}
    assert national_id.startswith("HD_QG_")

    (entry,) = await control.ledger("HD-1")
    assert (entry.call, entry.kind, entry.ma_co_so, entry.code) == ("create", "sale", "79-00001", "HD-1")
    assert (entry.national_id, entry.account, entry.seq) == (national_id, "shop-1", 1)
    assert entry.body_sha256 == hashlib.sha256(answer.request.content).hexdigest()
    assert await control.ledger("HD-2") == []


async def test_the_simulator_gives_answers_as_seen_in_the_field(control: Control, shop: Shop) -> None:
    await control.change_behaviour(accepted_answer="field", code_as="string", message_field="message")
    answer = (await shop.create(sale())).json()
    assert answer == {
        "ma_hoa_don_quoc_gia": answer["ma_hoa_don_quoc_gia"],
        "code": "200",
        "message": "Thành công",
    }


async def test_the_simulator_can_accept_without_an_id(control: Control, shop: Shop) -> None:
    await control.change_behaviour(accepted_answer="no_id")
    assert (await shop.create(sale())).json() == {"code": 200, "mess": "Thành công"}
    assert (await control.summary()).accepted == 1


@pytest.mark.parametrize(
    ("form", "status", "content_type"),
    [("400", 400, "application/json"), ("400_text", 400, "text/plain"), ("200", 200, "application/json")],
)
async def test_the_simulator_refuses_in_each_configured_form(
    control: Control, shop: Shop, form: str, status: int, content_type: str
) -> None:
    await control.change_behaviour(refusal_answer=form)
    answer = await shop.create(sale(ngay_ban="23/11/2026"))
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith(content_type)
    assert "ngay_ban" in answer.text
    if content_type == "application/json":
        assert answer.json()["code"] == 400
    assert await control.ledger() == []
    assert [(seen.call, seen.status) for seen in await control.requests("HD-1")] == [("create", status)]


async def test_a_refusal_of_the_simulator_may_name_the_customer(control: Control, shop: Shop) -> None:
    assert "Ánh" not in (await shop.create(sale(ngay_ban=""))).text
    await control.change_behaviour(refusals_name_customer=True)
    assert "Nguyễn Thị Ánh" in (await shop.create(sale(ngay_ban=""))).text


@pytest.mark.parametrize(
    ("second", "status", "documents", "creates", "twice"),
    [("refuse", 400, 1, 1, 0), ("replace", 200, 1, 2, 1), ("another", 200, 2, 2, 1)],
)
async def test_the_simulator_treats_a_second_post_as_configured(
    control: Control, shop: Shop, second: str, status: int, documents: int, creates: int, twice: int
) -> None:
    await control.change_behaviour(second_create=second)
    await shop.create(sale())
    answer = await shop.create(sale(ho_ten_nguoi_ban="Lê Văn Bình"))
    assert answer.status_code == status
    (document,) = await control.standing("HD-1")
    assert len(document.national_ids) == documents
    assert document.creates == creates
    assert await control.summary() == Summary(
        accepted=creates, replaced=0, withdrawn=0, twice=twice, codes=1, met_held=1
    )


async def test_a_put_keeps_the_national_id(control: Control, shop: Shop) -> None:
    created = (await shop.create(sale())).json()["ma_hoa_don"]
    answer = await shop.replace(sale(ho_ten_nguoi_ban="Lê Văn Bình"))
    assert answer.json()["ma_hoa_don"] == created
    (document,) = await control.standing()
    assert document.body_sha256 == hashlib.sha256(answer.request.content).hexdigest()
    assert [entry.call for entry in await control.ledger()] == ["create", "replace"]
    assert (await control.summary()).twice == 0


@pytest.mark.parametrize(("setting", "status", "stored"), [("404", 404, 0), ("refuse", 400, 0), ("create", 200, 1)])
async def test_the_simulator_treats_a_put_of_an_unknown_document_as_configured(
    control: Control, shop: Shop, setting: str, status: int, stored: int
) -> None:
    await control.change_behaviour(replace_missing=setting)
    assert (await shop.replace(sale())).status_code == status
    assert (await control.summary()).codes == stored


async def test_creating_a_withdrawn_document_is_not_counted_as_a_repeat(control: Control, shop: Shop) -> None:
    assert (await shop.withdraw("HD-1")).status_code == 404
    first = (await shop.create(sale())).json()["ma_hoa_don"]
    assert (await shop.withdraw("HD-1")).json()["code"] == 200
    assert await control.standing() == []
    assert (await shop.look_up("HD-1")).status_code == 404
    assert (await shop.create(sale())).json()["ma_hoa_don"] != first
    assert await control.summary() == Summary(accepted=2, replaced=0, withdrawn=1, twice=0, codes=1, met_held=0)


OURS, NATIONAL, PLACE = "HD-1", "HD_QG_00000001", "79-00001"


@pytest.mark.parametrize(
    ("shown_id", "expected"),
    [
        ("national_field", {"ma_hoa_don": OURS, "ma_co_so": PLACE, "ma_hoa_don_quoc_gia": NATIONAL}),
        ("national_only", {"ma_co_so": PLACE, "ma_hoa_don_quoc_gia": NATIONAL}),
        ("own_field", {"ma_hoa_don": NATIONAL, "ma_co_so": PLACE}),
        ("none", {"ma_hoa_don": OURS, "ma_co_so": PLACE}),
    ],
)
async def test_the_simulator_answers_a_look_up_in_each_configured_form(
    control: Control, shop: Shop, shown_id: str, expected: dict[str, Any]
) -> None:
    await shop.create(sale())
    said = {"code": 200, "mess": "Thành công"}
    for shape, whole in (
        ("bare", expected),
        ("data", {**said, "data": expected}),
        ("list", {**said, "data": [expected]}),
    ):
        await control.change_behaviour(look_up_answer=shape, look_up_id=shown_id)
        answer = await shop.look_up("HD-1")
        assert (answer.status_code, answer.json()) == (200, whole)


async def test_the_simulator_answers_a_look_up_of_an_unknown_document_in_each_form(
    control: Control, shop: Shop
) -> None:
    for form, status in (("404", 404), ("200_code", 200), ("null", 200), ("empty", 200)):
        await control.change_behaviour(look_up_missing=form)
        answer = await shop.look_up("HD-1")
        assert answer.status_code == status
        if form == "200_code":
            assert answer.json()["code"] == 404
        elif status == 200:
            assert answer.json()["code"] == 200
            assert not answer.json()["data"]


async def test_the_simulator_can_offer_no_look_up(control: Control, shop: Shop) -> None:
    await shop.create(sale())
    for status in (405, 501):
        await control.change_behaviour(look_up=str(status))
        assert (await shop.look_up("HD-1")).status_code == status


async def test_the_simulator_accepts_codes_with_slashes_and_accents(control: Control, shop: Shop) -> None:
    await shop.create(sale("HĐ/2026 #1"))
    assert (await shop.look_up("H%C4%90%2F2026%20%231")).json()["ma_hoa_don"] == "HĐ/2026 #1"
    assert [seen.call for seen in await control.requests("HĐ/2026 #1")] == ["create", "look_up"]


async def test_the_same_code_of_two_pharmacies_is_two_documents(control: Control, shop: Shop) -> None:
    await shop.create(sale())
    assert (await shop.create(sale(ma_co_so="79-00002"))).status_code == 200
    assert (await control.summary()).codes == 2


@pytest.mark.parametrize(
    ("path", "body", "prefix", "field"),
    [
        (RECEIPTS, receipt("P-1"), "PN_QG_", "ma_phieu_nhap_quoc_gia"),
        (ISSUES, issue("P-1"), "PX_QG_", "ma_phieu_xuat_quoc_gia"),
    ],
)
async def test_the_simulator_serves_receipts_and_issues(
    control: Control, shop: Shop, path: str, body: dict[str, Any], prefix: str, field: str
) -> None:
    national_id = (await shop.create(body, path)).json()
    assert isinstance(national_id, str)
    assert national_id.startswith(prefix)
    await control.change_behaviour(accepted_answer="field")
    assert (await shop.replace(body, path)).json()[field] == national_id
    assert (await shop.look_up("P-1", path=path)).json()[field] == national_id
    assert (await shop.look_up("P-1", path=SALES)).status_code == 404
    assert (await shop.withdraw("P-1", path=path)).status_code == 200
    assert (await control.summary()).codes == 0


async def test_the_simulator_serves_an_added_document_type(control: Control, shop: Shop) -> None:
    path = "/api/lien_thong/kiem_ke"
    assert (await shop.create({}, path)).status_code == 404
    await control.add_kind(
        Kind(
            name="stock_count",
            path=path,
            document_code_field="ma_kiem_ke",
            national_id_field="ma_kiem_ke_quoc_gia",
            id_prefix="KK_QG_",
            fields=(Field(name="ma_kiem_ke", required=True), Field(name="ma_co_so", required=True)),
            lines_field="dong",
        )
    )
    body = {"ma_kiem_ke": "KK-1", "ma_co_so": "79-00001"}
    assert (await shop.create(body, path)).status_code == 400
    assert (await shop.create({**body, "dong": [{}]}, path)).json()["ma_kiem_ke"].startswith("KK_QG_")
    assert [entry.kind for entry in await control.ledger("KK-1")] == ["stock_count"]


async def test_the_simulator_rejects_unknown_paths_and_methods(shop: Shop) -> None:
    assert (await shop.call("GET", SALES)).status_code == 405
    assert (await shop.call("PATCH", f"{SALES}/79-00001/HD-1")).status_code == 405
    assert (await shop.call("GET", f"{SALES}/HD-1")).status_code == 404
    assert (await shop.call("GET", "/")).status_code == 404


async def test_the_simulator_records_requests_in_order_and_counts_them(control: Control, shop: Shop) -> None:
    await shop.look_up("HD-1")
    await shop.create(sale())
    await shop.replace(sale())
    await shop.create(sale("HD-2"))
    seen = await control.requests("HD-1")
    assert [(each.call, each.status) for each in seen] == [("look_up", 404), ("create", 200), ("replace", 200)]
    assert {each.account for each in seen} == {"shop-1"}
    assert [each.call for each in await control.requests()] == [
        "login",
        "look_up",
        "create",
        "replace",
        "create",
    ]
    assert await control.counts() == {"login": 1, "look_up": 1, "create": 2, "replace": 1}
