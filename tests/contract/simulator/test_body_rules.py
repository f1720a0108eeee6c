"""Tests that the simulator checks each published rule of a body."""

from typing import Any

import pytest

from streams.local.simulator.control import Control
from tests.contract.simulator.shop import ISSUES, RECEIPTS, SALES, Shop, issue, receipt, sale, sale_line


def with_line(**changes: Any) -> dict[str, Any]:
    return sale(hoa_don_chi_tiet=[sale_line(), sale_line(**changes)])


SECOND = "hoa_don_chi_tiet[2]."


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "JSON"),
        (sale(ma_hoa_don=None), "ma_hoa_don: bắt buộc"),
        (sale(ma_hoa_don="  "), "ma_hoa_don: bắt buộc"),
        (sale(ma_hoa_don="x" * 51), "ma_hoa_don: dài quá 50"),
        (sale(ma_hoa_don=17), "ma_hoa_don: phải là chuỗi"),
        (sale(ma_co_so=""), "ma_co_so: bắt buộc"),
        (sale(ma_don_thuoc_quoc_gia="x" * 51), "ma_don_thuoc_quoc_gia: dài quá 50"),
        (sale(ho_ten_nguoi_ban="x" * 51), "ho_ten_nguoi_ban: dài quá 50"),
        (sale(ho_ten_khach_hang="Á" * 51), "ho_ten_khach_hang: dài quá 50"),
        (sale(ngay_ban="2026-11-23"), "ngay_ban: "),
        (sale(ngay_ban="20260230"), "ngay_ban: "),
        (sale(ngay_ban="202611231030"), "ngay_ban: "),
        (sale(ngay_ban="２０２６１１２３"), "ngay_ban: "),
        (sale(ngay_ban=20261123), "ngay_ban: phải là chuỗi"),
        (sale(maHoaDon="HD-1"), "maHoaDon: trường không có"),
        (sale(hoa_don_chi_tiet=[]), "hoa_don_chi_tiet: phải có ít nhất một"),
        (sale(hoa_don_chi_tiet=None), "hoa_don_chi_tiet: phải có ít nhất một"),
        (sale(hoa_don_chi_tiet=["x"]), "hoa_don_chi_tiet[1]: phải là đối tượng"),
        (with_line(ma_thuoc=""), f"{SECOND}ma_thuoc: bắt buộc"),
        (with_line(ten_thuoc="x" * 501), f"{SECOND}ten_thuoc: dài quá 500"),
        (with_line(so_lo=None), f"{SECOND}so_lo: bắt buộc"),
        (with_line(ngay_san_xuat="20261301"), f"{SECOND}ngay_san_xuat: "),
        (with_line(han_dung=None), f"{SECOND}han_dung: bắt buộc"),
        (with_line(don_vi_tinh="x" * 51), f"{SECOND}don_vi_tinh: dài quá 50"),
        (with_line(ham_luong="x" * 501), f"{SECOND}ham_luong: dài quá 500"),
        (with_line(duong_dung="x" * 201), f"{SECOND}duong_dung: dài quá 200"),
        (with_line(lieu_dung=""), f"{SECOND}lieu_dung: bắt buộc"),
        (with_line(so_dang_ky="x" * 51), f"{SECOND}so_dang_ky: dài quá 50"),
        (with_line(so_luong="5"), f"{SECOND}so_luong: phải là số"),
        (with_line(don_gia=True), f"{SECOND}don_gia: phải là số"),
        (with_line(thanh_tien=None), f"{SECOND}thanh_tien: bắt buộc"),
        (with_line(ty_le_quy_doi=[]), f"{SECOND}ty_le_quy_doi: phải là số"),
    ],
)
async def test_the_simulator_refuses_a_body_and_names_the_broken_rule(
    control: Control, shop: Shop, body: Any, named: str
) -> None:
    for answer in (await shop.create(body), await shop.replace(body)):
        assert answer.status_code == 400
        assert named in answer.json()["mess"]
    assert await control.ledger() == []


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b"null", b'{"so": NaN}', b"[" * 100_000], ids=lambda raw: repr(raw[:9])
)
async def test_the_simulator_refuses_a_body_that_is_not_a_json_object(shop: Shop, raw: bytes) -> None:
    assert (await shop.call("POST", SALES, content=raw)).status_code == 400


async def test_the_simulator_refuses_an_infinite_number(shop: Shop) -> None:
    raw = b'{"hoa_don_chi_tiet": [{"so_luong": 1e999}]}'
    answer = await shop.call("POST", SALES, content=raw)
    assert "so_luong: phải là số" in answer.json()["mess"]


async def test_the_simulator_names_every_broken_rule(shop: Shop) -> None:
    message = (await shop.create({"hoa_don_chi_tiet": [{}]})).json()["mess"]
    header = ("ma_hoa_don", "ma_co_so", "ngay_ban")
    line = ("ma_thuoc", "ten_thuoc", "so_lo", "han_dung", "don_vi_tinh", "ham_luong", "lieu_dung")
    amounts = ("so_luong", "don_gia", "thanh_tien", "ty_le_quy_doi")
    required = [*header, *(f"hoa_don_chi_tiet[1].{name}" for name in (*line, *amounts))]
    assert sorted(message.split("; ")) == sorted(f"{name}: bắt buộc" for name in required)


async def test_the_simulator_accepts_absent_and_null_optional_fields(shop: Shop) -> None:
    line = sale_line(duong_dung=None, ngay_san_xuat=None)
    del line["so_dang_ky"]
    body = sale(hoa_don_chi_tiet=[line], ho_ten_khach_hang=None, ma_don_thuoc_quoc_gia=None)
    assert (await shop.create(body)).status_code == 200


async def test_the_simulator_accepts_values_of_the_greatest_length(shop: Shop) -> None:
    line = sale_line(ten_thuoc="ế" * 500, lieu_dung="x" * 20_000, ham_luong="x" * 500, so_luong=0.125)
    body = sale("x" * 50, ho_ten_khach_hang="ễ" * 50, hoa_don_chi_tiet=[line])
    assert (await shop.create(body)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (RECEIPTS, receipt(ngay_nhap=None), "ngay_nhap"),
        (RECEIPTS, receipt(loai_phieu_nhap=4), "loai_phieu_nhap"),
        (RECEIPTS, receipt(loai_phieu_nhap="1"), "loai_phieu_nhap"),
        (RECEIPTS, receipt(ghi_chu="x" * 501), "ghi_chu"),
        (RECEIPTS, receipt(chi_tiet=[]), "chi_tiet"),
        (ISSUES, issue(loai_phieu_xuat=1), "loai_phieu_xuat"),
        (ISSUES, issue(ghi_chu=None), "ghi_chu"),
        (ISSUES, issue(chi_tiet=receipt()["chi_tiet"]), "chi_tiet[1].ngay_san_xuat"),
    ],
)
async def test_the_simulator_checks_the_rules_of_receipts_and_issues(
    shop: Shop, path: str, body: dict[str, Any], named: str
) -> None:
    answer = await shop.create(body, path)
    assert answer.status_code == 400
    assert f"{named}: " in answer.json()["mess"]


async def test_the_simulator_refuses_unknown_pharmacies_and_drugs(control: Control, shop: Shop) -> None:
    await control.change_behaviour(known_pharmacies=["79-00001"], refused_drugs=["DQG-BAD"])
    assert "79-00002" in (await shop.create(sale(ma_co_so="79-00002"))).json()["mess"]
    assert "DQG-BAD" in (await shop.create(with_line(ma_thuoc="DQG-BAD"))).json()["mess"]
    assert (await shop.create(sale())).status_code == 200


@pytest.mark.parametrize(
    ("refused", "changes", "named"),
    [
        ("own_drug_codes", {"ma_thuoc": "SP-7"}, "ma_thuoc: mã thuốc không hợp lệ"),
        ("fractions", {"so_luong": 0.5}, "so_luong: phải là số nguyên"),
        ("zeros", {"so_luong": 0}, "so_luong: phải lớn hơn 0"),
        ("zeros", {"so_luong": -2}, "so_luong: phải lớn hơn 0"),
    ],
)
async def test_the_simulator_may_be_picky_about_values_that_the_description_allows(
    control: Control, shop: Shop, refused: str, changes: dict[str, Any], named: str
) -> None:
    assert (await shop.create(with_line(**changes))).status_code == 200
    await control.change_behaviour(refused_values=[refused])
    answer = await shop.create(with_line(**changes) | {"ma_hoa_don": "HD-2"})
    assert answer.status_code == 400
    assert answer.json()["mess"] == f"{SECOND}{named}"
    assert (await shop.create(sale("HD-3"))).status_code == 200


async def test_the_simulator_may_require_more_fields(control: Control, shop: Shop) -> None:
    await control.change_behaviour(required_line_fields=["so_dang_ky"], unknown_fields="ignore")
    assert "so_dang_ky: bắt buộc" in (await shop.create(with_line(so_dang_ky=None))).json()["mess"]
    assert (await shop.create(sale(them="gì đó"))).status_code == 200
