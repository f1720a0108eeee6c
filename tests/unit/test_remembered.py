"""Which version rows make is known of those that were sent, and of no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from streams.documents.document import Body, BrokenRules, Row
from streams.documents.remembered import remembered
from streams.documents.sale import SALE

TODAY = date(2026, 11, 24)
HEADER: dict[str, Any] = {
    "id": 7,
    "local_invoice_id": "HD-7",
    "pharmacy_code": "79-1",
    "shop_pharmacy_code": "SHOP-1",
    "national_prescription_id": None,
    "sale_date": datetime(2026, 11, 24, 10),  # noqa: DTZ001 - the till's wall clock
    "seller_name": "Lan",
    "customer_name": None,
    "attempt": 0,
    "pending": 1,
}
LINE: dict[str, Any] = {
    "parent": 7,
    **dict.fromkeys(SALE.line_columns, "1"),
    "production_date": date(2026, 1, 1),
    "expiry_date": date(2028, 1, 1),
    "quantity": Decimal("2.00"),
}


class Counting:
    def __init__(self) -> None:
        self.made = 0
        self.kind = remembered(replace(SALE, transform=self._transform))

    def _transform(self, header: Row, lines: Sequence[Row], today: date) -> Body:
        self.made += 1
        return SALE.transform(header, lines, today)


def version(header: Row = HEADER, lines: Sequence[Row] = (LINE,), today: date = TODAY) -> str:
    return SALE.transform(header, lines, today).hash


def test_which_version_the_same_rows_make_is_known() -> None:
    counting = Counting()
    sent = counting.kind.transform(HEADER, [LINE], TODAY)
    after = counting.kind.version({**HEADER, "attempt": 1, "pending": 0}, [dict(LINE)], TODAY)
    assert after == sent.hash == version()
    assert counting.made == 1, "who has it, and whether it is sent, is no part of it"


@pytest.mark.parametrize(
    ("header", "lines", "today"),
    [
        ({**HEADER, name: "other"}, [LINE], TODAY)
        for name in ("local_invoice_id", "pharmacy_code", "seller_name", "customer_name", "national_prescription_id")
    ]
    + [({**HEADER, "sale_date": date(2026, 11, 23)}, [LINE], TODAY)]
    + [(HEADER, [{**LINE, name: "2"}], TODAY) for name in SALE.line_columns if not name.endswith("date")]
    + [(HEADER, [{**LINE, name: date(2026, 2, 2)}], TODAY) for name in ("production_date", "expiry_date")]
    + [(HEADER, [LINE, LINE], TODAY), (HEADER, [LINE], date(2026, 11, 25)), ({**HEADER, "id": 8}, [LINE], TODAY)],
)
def test_whatever_differs_is_made_anew(header: Row, lines: Sequence[Row], today: date) -> None:
    counting = Counting()
    counting.kind.transform(HEADER, [LINE], TODAY)
    again = counting.kind.version(header, lines, today)
    assert counting.made == 2
    assert again == version(header, lines, today)


@pytest.mark.parametrize("number", [int, float, Decimal])
def test_numbers_below_zero_are_told_apart(number: type[int] | type[float] | type[Decimal]) -> None:
    """-1 and -2 hash alike in Python."""

    def transform(header: Row, lines: Sequence[Row], today: date) -> Body:
        return Body(str(lines[0]["quantity"]).encode(), "79-1", "HD-7")

    kind = remembered(replace(SALE, transform=transform))
    kind.transform(HEADER, [LINE | {"quantity": number(-1)}], TODAY)
    other = [LINE | {"quantity": number(-2)}]
    assert kind.version(HEADER, other, TODAY) == transform(HEADER, other, TODAY).hash


def test_broken_rules_are_told_each_time() -> None:
    counting = Counting()
    for ask in (counting.kind.transform, counting.kind.version):
        with pytest.raises(BrokenRules):
            ask(HEADER, [], TODAY)
    assert counting.made == 2


def test_a_document_that_is_sent_anew_is_known_by_its_last_version() -> None:
    counting = Counting()
    edited = {**HEADER, "customer_name": "other"}
    counting.kind.transform(HEADER, [LINE], TODAY)
    counting.kind.transform(edited, [LINE], TODAY)
    assert counting.kind.version(edited, [LINE], TODAY) == version(edited)
    assert counting.made == 2


def test_the_oldest_are_forgotten_where_ends_do_not_come() -> None:
    counting = Counting()
    most = 10_000
    for id_ in range(most + 1):
        counting.kind.transform({**HEADER, "id": id_}, [LINE], TODAY)
    counting.kind.version({**HEADER, "id": most}, [LINE], TODAY)
    assert counting.made == most + 1
    counting.kind.version({**HEADER, "id": 0}, [LINE], TODAY)
    assert counting.made == most + 2
