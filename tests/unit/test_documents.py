"""Tests the form of a sale on the wire, and every rule that it may break."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.documents.document import Body, BrokenRules
from streams.documents.sale import SALE
from streams.domain.outcome import Reason
from streams.domain.reasons import Code
from streams.domain.sale_status import status_reason

TODAY = date(2026, 11, 24)

Field = tuple[str, str, int | None, bool]
"""Wire name, column, longest (None: no limit, or no text), required."""

# As the interface description has them.
TEXTS: list[Field] = [
    ("ma_hoa_don", "local_invoice_id", 50, True),
    ("ma_co_so", "pharmacy_code", 50, True),
    ("ma_don_thuoc_quoc_gia", "national_prescription_id", 50, False),
    ("ho_ten_nguoi_ban", "seller_name", 50, False),
    ("ho_ten_khach_hang", "customer_name", 50, False),
]
LINE_TEXTS: list[Field] = [
    ("ma_thuoc", "drug_code", 50, True),
    ("ten_thuoc", "drug_name", 500, True),
    ("so_lo", "lot_number", 50, True),
    ("don_vi_tinh", "unit", 50, True),
    ("ham_luong", "concentration", 500, True),
    ("duong_dung", "route_of_administration", 200, False),
    ("lieu_dung", "dosage", None, True),
    # The description does not require it, field clients do; what the point of sale lacks is left to the API's word.
    ("so_dang_ky", "registration_number", 50, False),
]
DAYS: list[Field] = [("ngay_ban", "sale_date", None, True)]
LINE_DAYS: list[Field] = [
    ("ngay_san_xuat", "production_date", None, False),
    ("han_dung", "expiry_date", None, True),
]
AMOUNTS: list[Field] = [
    ("so_luong", "quantity", None, True),
    ("don_gia", "unit_price", None, True),
    ("thanh_tien", "line_total", None, True),
    ("ty_le_quy_doi", "conversion_ratio", None, True),
]
OF_HEADER = TEXTS + DAYS
OF_LINE = LINE_TEXTS + LINE_DAYS + AMOUNTS


def header(**changes: Any) -> dict[str, Any]:
    return {
        "local_invoice_id": "HD-2026-000001",
        "pharmacy_code": "79-00001",
        "national_prescription_id": "DT-77",
        "sale_date": datetime(2026, 11, 23, 23, 59, 59),  # noqa: DTZ001 - the pharmacy's local time
        "seller_name": "Trần Thị Bưởi",
        "customer_name": "Nguyễn Văn Ổi",
    } | changes


def line(**changes: Any) -> dict[str, Any]:
    return {
        "drug_code": "VN-123",
        "drug_name": "Paracetamol “500”",
        "lot_number": "L01",
        "production_date": date(2025, 1, 31),
        "expiry_date": date(2028, 1, 31),
        "unit": "viên",
        "concentration": "500 mg",
        "route_of_administration": "Uống",
        "dosage": "Ngày 2 lần\nsau ăn",
        "registration_number": "VD-1",
        "quantity": Decimal("5.00"),
        "unit_price": "1234.5",
        "line_total": Decimal("6172.50"),
        "conversion_ratio": 1,
    } | changes


def body(*lines: Mapping[str, Any], today: date = TODAY, **changes: Any) -> Body:
    return SALE.transform(header(**changes), lines or [line()], today)


def sent(*lines: Mapping[str, Any], today: Any = TODAY, **changes: Any) -> Any:
    return json.loads(body(*lines, today=today, **changes).content, parse_float=Decimal)


def broken(*lines: Mapping[str, Any], today: Any = TODAY, **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(BrokenRules) as caught:
        body(*lines, today=today, **changes)
    return [(rule.field, rule.rule) for rule in caught.value.rules]


def test_a_complete_sale_is_serialized_to_exactly_these_bytes() -> None:
    expected = (
        '{"ma_hoa_don":"HD-2026-000001","ma_co_so":"79-00001","ma_don_thuoc_quoc_gia":"DT-77","ngay_ban":"20261123",'
        '"ho_ten_nguoi_ban":"Trần Thị Bưởi","ho_ten_khach_hang":"Nguyễn Văn Ổi","hoa_don_chi_tiet":['
        '{"ma_thuoc":"VN-123","ten_thuoc":"Paracetamol “500”","so_lo":"L01","ngay_san_xuat":"20250131",'
        '"han_dung":"20280131","don_vi_tinh":"viên","ham_luong":"500 mg","duong_dung":"Uống",'
        '"lieu_dung":"Ngày 2 lần\\nsau ăn","so_dang_ky":"VD-1","so_luong":5,"don_gia":1234.5,"thanh_tien":6172.5,'
        '"ty_le_quy_doi":1}]}'
    )
    result = body()
    assert result.content.decode() == expected
    assert (result.facility_code, result.document_code) == ("79-00001", "HD-2026-000001")


def test_the_same_sale_has_the_same_bytes_from_every_driver() -> None:
    """The hash of the body shows whether a row has changed since it was sent."""
    as_text = line(
        production_date="2025-01-31", expiry_date="2028-01-31 00:00:00.000", quantity="5", line_total="6172.50"
    )
    assert body(as_text, sale_date="2026-11-23T23:59:59").hash == body().hash
    assert body(line(quantity=Decimal("5.01"))).hash != body().hash


def test_every_field_of_the_interface_description_is_sent_under_its_name() -> None:
    result = sent()
    assert list(result) == [
        *("ma_hoa_don", "ma_co_so", "ma_don_thuoc_quoc_gia", "ngay_ban"),
        *("ho_ten_nguoi_ban", "ho_ten_khach_hang", "hoa_don_chi_tiet"),
    ]
    assert set(result) == {name for name, *_ in OF_HEADER} | {"hoa_don_chi_tiet"}
    assert set(result["hoa_don_chi_tiet"][0]) == {name for name, *_ in OF_LINE}


def test_the_document_type_reads_exactly_the_columns_that_its_wire_model_needs() -> None:
    every_document_type_has = {"local_invoice_id", "pharmacy_code"}
    assert set(SALE.header_columns) | every_document_type_has == {column for _, column, *_ in OF_HEADER}
    assert set(SALE.line_columns) == {column for _, column, *_ in OF_LINE}


@pytest.mark.parametrize("empty", [None, "", " \t\u00a0"], ids=["null", "empty", "blank"])
@pytest.mark.parametrize(("name", "column", "_", "required"), OF_HEADER, ids=lambda v: str(v))
def test_an_empty_header_field_is_left_out_or_breaks_the_rule_required(
    name: str, column: str, _: int, required: bool, empty: Any
) -> None:
    if required:
        assert broken(**{column: empty}) == [(name, "required")]
    else:
        result = sent(**{column: empty})
        assert name not in result
        assert None not in result.values()


@pytest.mark.parametrize("empty", [None, "", " \t\u00a0"], ids=["null", "empty", "blank"])
@pytest.mark.parametrize(("name", "column", "_", "required"), OF_LINE, ids=lambda v: str(v))
def test_an_empty_line_field_is_left_out_or_breaks_the_rule_required(
    name: str, column: str, _: int, required: bool, empty: Any
) -> None:
    lines = [line(), line(**{column: empty})]
    if required:
        assert broken(*lines) == [(f"hoa_don_chi_tiet[2].{name}", "required")]
    else:
        result = sent(*lines)["hoa_don_chi_tiet"]
        assert name in result[0]
        assert name not in result[1]
        assert None not in result[1].values()


@pytest.mark.parametrize(("name", "column", "_", "required"), OF_HEADER + OF_LINE, ids=lambda v: str(v))
def test_a_missing_column_is_left_out_or_breaks_the_rule_required(
    name: str, column: str, _: int, required: bool
) -> None:
    a_header, a_line = header(), line()
    of_header = a_header.pop(column, None) is not None
    a_line.pop(column, None)
    if not required:
        assert f'"{name}"' not in SALE.transform(a_header, [a_line], TODAY).content.decode()
        return
    with pytest.raises(BrokenRules) as caught:
        SALE.transform(a_header, [a_line], TODAY)
    path = name if of_header else f"hoa_don_chi_tiet[1].{name}"
    assert [(rule.field, rule.rule) for rule in caught.value.rules] == [(path, "required")]


LIMITS = [field for field in TEXTS + LINE_TEXTS if field[2] is not None]


@pytest.mark.parametrize("letter", ["a", "ễ", unicodedata.normalize("NFD", "ê"), "💊"], ids=ascii)
@pytest.mark.parametrize(("name", "column", "longest", "_"), LIMITS, ids=lambda v: str(v))
def test_the_length_of_a_text_is_counted_in_characters(
    name: str, column: str, longest: int, _: bool, letter: str
) -> None:
    text = (letter * longest)[:longest]
    if (name, column, longest, _) in TEXTS:
        assert sent(**{column: text})[name] == text
        assert broken(**{column: text + letter[:1]}) == [(name, f"max_length:{longest}")]
    else:
        assert sent(line(**{column: text}))["hoa_don_chi_tiet"][0][name] == text
        path = f"hoa_don_chi_tiet[1].{name}"
        assert broken(line(**{column: text + letter[:1]})) == [(path, f"max_length:{longest}")]


BLANKS = [chr(each) for each in range(0x110000) if chr(each).isspace()]


def test_a_text_of_any_blanks_counts_as_empty() -> None:
    """Python and the regular expressions of pydantic have separate tables of blanks."""
    for blank in BLANKS:
        assert broken(line(unit=blank * 2)) == [("hoa_don_chi_tiet[1].don_vi_tinh", "required")], ascii(blank)
    assert broken(line(unit="".join(BLANKS) * 50)) == [("hoa_don_chi_tiet[1].don_vi_tinh", "required")]


@given(st.text(max_size=50))
@example("\x1b")
@example("\u200b")
def test_python_and_pydantic_agree_on_which_texts_are_blank(text: str) -> None:
    if text.strip():
        assert sent(line(unit=text))["hoa_don_chi_tiet"][0]["don_vi_tinh"] == text
    else:
        assert broken(line(unit=text)) == [("hoa_don_chi_tiet[1].don_vi_tinh", "required")]


def test_a_dosage_may_have_any_length() -> None:
    dosage = "uống sau ăn; " * 10_000
    assert sent(line(dosage=dosage))["hoa_don_chi_tiet"][0]["lieu_dung"] == dosage


def test_one_error_names_all_broken_rules() -> None:
    first = line(drug_code=" ", lot_number="x" * 51, quantity=Decimal(-1), expiry_date="someday")
    third = line(unit=None, line_total="NaN", unit_price=Decimal("1234567890123456"))
    assert broken(first, line(), third, local_invoice_id=None, sale_date=TODAY + timedelta(days=2)) == [
        ("ma_hoa_don", "required"),
        ("ngay_ban", "not_in_future"),
        ("hoa_don_chi_tiet[1].ma_thuoc", "required"),
        ("hoa_don_chi_tiet[1].so_lo", "max_length:50"),
        ("hoa_don_chi_tiet[1].han_dung", "date"),
        ("hoa_don_chi_tiet[1].so_luong", "not_negative"),
        ("hoa_don_chi_tiet[3].don_vi_tinh", "required"),
        ("hoa_don_chi_tiet[3].don_gia", "max_digits:15"),
        ("hoa_don_chi_tiet[3].thanh_tien", "finite"),
    ]


def test_a_sale_without_lines_breaks_the_rule_at_least_one() -> None:
    with pytest.raises(BrokenRules, match=r"^hoa_don_chi_tiet: at_least_one$"):
        SALE.transform(header(), [], TODAY)


# --- amounts

decimals = st.integers(0, 10**15 - 1).map(lambda hundredths: Decimal(hundredths).scaleb(-2))
"""Every DECIMAL(18,2) with at most 15 digits."""


@given(decimals, st.sampled_from([Decimal, str, lambda d: str(d.normalize()), lambda d: f"{d:f}"]))
def test_an_amount_is_sent_exactly(amount: Decimal, as_driver: Any) -> None:
    content = body(line(unit_price=as_driver(amount))).content
    number = json.loads(content, parse_float=Decimal)["hoa_don_chi_tiet"][0]["don_gia"]
    assert number == amount
    assert isinstance(number, int) == (amount == int(amount))
    assert b'"don_gia":"' not in content


@given(st.integers(0, 10**15 - 1), st.integers(0, 15))
@example(10**15 - 1, 15)
def test_a_decimal_that_was_stored_in_a_float_column_is_sent_exactly(digits: int, scale: int) -> None:
    amount = Decimal(digits).scaleb(-scale)
    content = body(line(unit_price=float(amount))).content
    assert json.loads(content, parse_float=Decimal)["hoa_don_chi_tiet"][0]["don_gia"] == amount


@pytest.mark.parametrize(
    ("stored", "amount"),
    [
        (0.1 + 0.2, "0.3"),
        (0.1 * 3, "0.3"),
        (4.35 * 100, "435"),
        (1 / 30, "0.033333333333333"),
        (0.1 + 0.2 - 0.3, "0"),
        (0.3 - 0.1 * 3, "0"),
        (-0.0, "0"),
        (1e-300, "0"),
        (999999999999999.0, "999999999999999"),
    ],
)
def test_what_binary_arithmetic_leaves_behind_in_a_float_column_is_not_sent(stored: float, amount: str) -> None:
    """Promise 2. Broken by: an amount in a FLOAT column is sent with what binary arithmetic left behind."""
    content = body(line(unit_price=stored)).content
    assert json.loads(content, parse_float=Decimal)["hoa_don_chi_tiet"][0]["don_gia"] == Decimal(amount)


@given(st.integers(10**15, 10**18 - 1))
@example(10**17)  # a one and sixteen zeros, none of them a fraction
@example(10**15)
def test_an_amount_of_more_than_fifteen_digits_is_refused(hundredths: int) -> None:
    amount = Decimal(hundredths).scaleb(-2)
    if len(f"{amount.normalize():f}".replace(".", "")) > 15:
        assert broken(line(unit_price=amount)) == [("hoa_don_chi_tiet[1].don_gia", "max_digits:15")]
        assert broken(line(unit_price=str(amount))) == [("hoa_don_chi_tiet[1].don_gia", "max_digits:15")]
    else:  # zeros at the end of a fraction are no digits
        assert sent(line(unit_price=amount))["hoa_don_chi_tiet"][0]["don_gia"] == amount


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (Decimal("-0.01"), "not_negative"),
        ("-1", "not_negative"),
        (Decimal("NaN"), "finite"),
        (Decimal("sNaN"), "finite"),
        ("nan", "finite"),
        (Decimal("Infinity"), "finite"),
        ("-Infinity", "finite"),
        (Decimal("1E+15"), "max_digits:15"),
        (10**400, "max_digits:15"),
        ("0.1234567890123456", "max_digits:15"),
        ("twelve", "valid"),
        ("1,5", "valid"),
        (True, "valid"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (-0.1, "not_negative"),
        (1e15, "max_digits:15"),
        (1e300, "max_digits:15"),
        (b"1", "valid"),
    ],
)
@pytest.mark.parametrize(("name", "column", "_", "__"), AMOUNTS, ids=lambda v: str(v))
def test_a_value_that_is_not_an_amount_is_refused(
    name: str, column: str, _: Any, __: Any, value: Any, rule: str
) -> None:
    assert broken(line(**{column: value})) == [(f"hoa_don_chi_tiet[1].{name}", rule)]


@pytest.mark.parametrize(
    ("value", "looks_like"),
    [
        (True, 1),
        (True, Decimal(1)),
        (["1"], "1"),
        ({}, 1),
        (date(2026, 1, 1), "20260101"),
    ],
    ids=str,
)
def test_a_value_that_equals_an_amount_seen_before_is_still_refused(value: Any, looks_like: Any) -> None:
    """Amounts are looked up by their value, and to Python True equals 1."""
    for _ in range(2):
        assert body(line(quantity=looks_like)).content
        assert broken(line(quantity=value)) == [("hoa_don_chi_tiet[1].so_luong", "valid")]


@pytest.mark.parametrize(
    ("value", "written"),
    [("0.00", b"0"), ("-0.00", b"0"), (Decimal("1E+14"), b"100000000000000"), ("0.01", b"0.01"), (7, b"7")],
)
def test_an_amount_is_written_without_exponent_or_trailing_zeros(value: Any, written: bytes) -> None:
    assert b'"don_gia":%b,' % written in body(line(unit_price=value)).content


# --- days


@pytest.mark.parametrize(
    "value",
    [
        date(2026, 11, 24),
        datetime(2026, 11, 24, 0, 0),  # noqa: DTZ001
        datetime(2026, 11, 24, 23, 59, 59, 997000),  # noqa: DTZ001
        "2026-11-24",
        "2026-11-24 23:59:00",
        "2026-11-24T23:59:00.997",
        "2026-11-24T23:59:00+07:00",
        "2026-11-24T00:30:00Z",
    ],
    ids=str,
)
def test_a_date_is_sent_as_the_local_date_in_every_form(value: Any) -> None:
    assert sent(sale_date=value)["ngay_ban"] == "20261124"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2026, 11, 24, 23, 59, 59)))  # noqa: DTZ001
def test_a_date_is_never_converted_between_time_zones(sold_at: datetime) -> None:
    assert sent(sale_date=sold_at)["ngay_ban"] == f"{sold_at:%Y%m%d}"


@pytest.mark.parametrize("today", [date(2026, 11, 24), date(2026, 12, 31), date(2024, 2, 28)], ids=str)
def test_a_date_of_tomorrow_is_accepted_and_one_of_the_day_after_is_not(today: date) -> None:
    """The clock of a point of sale may run ahead of the pharmacy's day."""
    tomorrow, day_after = today + timedelta(days=1), today + timedelta(days=2)
    a_line = line(production_date=tomorrow)
    result = sent(a_line, today=today, sale_date=tomorrow)
    assert result["ngay_ban"] == result["hoa_don_chi_tiet"][0]["ngay_san_xuat"] == f"{tomorrow:%Y%m%d}"
    assert broken(line(production_date=day_after), today=today, sale_date=day_after) == [
        ("ngay_ban", "not_in_future"),
        ("hoa_don_chi_tiet[1].ngay_san_xuat", "not_in_future"),
    ]
    assert sent(line(production_date=today, expiry_date=day_after), today=today, sale_date=today)


@pytest.mark.parametrize("day", [date(1, 1, 1), date(1900, 1, 1), date(1989, 12, 31), date(2200, 1, 2), date.max])
def test_a_date_far_in_the_past_or_future_is_refused(day: date) -> None:
    assert broken(line(expiry_date=day, production_date=day), sale_date=day) == [
        ("ngay_ban", "date_absurd"),
        ("hoa_don_chi_tiet[1].ngay_san_xuat", "date_absurd"),
        ("hoa_don_chi_tiet[1].han_dung", "date_absurd"),
    ]


@pytest.mark.parametrize("day", [date(1990, 1, 1), date(2200, 1, 1)])
def test_the_first_and_the_last_plausible_date_are_accepted(day: date) -> None:
    assert sent(line(expiry_date=day))["hoa_don_chi_tiet"][0]["han_dung"] == f"{day:%Y%m%d}"


@pytest.mark.parametrize(
    "value", ["24/11/2026", "2026-13-01", "2026-02-30", "soon", 20261124, 1.5, True, b"2026-11-24", ["2026-11-24"], {}]
)
def test_a_value_that_is_not_a_date_is_refused(value: Any) -> None:
    assert broken(line(production_date=value, expiry_date=value), sale_date=value) == [
        ("ngay_ban", "date"),
        ("hoa_don_chi_tiet[1].ngay_san_xuat", "date"),
        ("hoa_don_chi_tiet[1].han_dung", "date"),
    ]


# --- texts


@pytest.mark.parametrize("value", [5, 1.5, True, b"text", date(2026, 1, 1)], ids=repr)
def test_a_value_that_is_not_a_text_is_refused(value: Any) -> None:
    assert broken(line(drug_name=value, route_of_administration=value), customer_name=value) == [
        ("ho_ten_khach_hang", "text"),
        ("hoa_don_chi_tiet[1].ten_thuoc", "text"),
        ("hoa_don_chi_tiet[1].duong_dung", "text"),
    ]


def test_a_lone_surrogate_is_refused() -> None:
    assert broken(seller_name="Trần \ud83d") == [("ho_ten_nguoi_ban", "valid")]


@given(st.text(min_size=1, max_size=50).filter(lambda text: text.strip() != ""))
def test_a_text_is_sent_unchanged(text: str) -> None:
    assert sent(customer_name=text)["ho_ten_khach_hang"] == text


MARK = "Bí-Mật"
wrong = st.sampled_from(
    [f"{MARK} {'x' * 500}", f"{MARK}\ud800", f"{MARK}-2026", [MARK], {"a": MARK}, MARK.encode(), Decimal("-98765.43")]
)


@given(
    st.dictionaries(st.sampled_from([column for _, column, *_ in OF_HEADER]), wrong),
    st.dictionaries(st.sampled_from([column for _, column, *_ in OF_LINE]), wrong, min_size=1),
)
def test_the_error_about_a_sale_shows_no_value(of_header: dict[str, Any], of_line: dict[str, Any]) -> None:
    try:
        body(line(**of_line), **of_header)
    except BrokenRules as error:
        text = f"{error} {error.rules} {error!r}"
        assert not any(value in text for value in ("Bí", "98765", "Nguyễn", "Paracetamol"))
        assert error.__cause__ is None  # noqa: PT017
        assert error.__suppress_context__  # noqa: PT017
        published = status_reason(Reason(Code.RULES_BROKEN, details=error.rules), SALE.labels)
        assert len(published.details) == len(error.rules), "every rule has its words"  # noqa: PT017


def test_the_codes_in_the_url_of_a_sale_are_escaped() -> None:
    assert SALE.endpoint.document_path("79/1", "HD ?#ổ") == "/api/lien_thong/hoa_don/79%2F1/HD%20%3F%23%E1%BB%95"
