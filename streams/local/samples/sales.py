"""One sale: header and lines, right or with one fault. A pure function of seed, number and time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal, TypeAlias

from streams.local.samples.catalogue import COMPANIES, DRUGS, REFUSED_DRUG_CODE, Drug
from streams.local.samples.shops import Shop, Trouble, full_name

End: TypeAlias = Literal["SYNC_SUCCESS", "SYNC_FAILED", "WAITS"]


class Fault(StrEnum):
    """What is wrong with a document; each has one end that is right."""

    MISSING_LOT = "missing_lot"
    EMPTY_DOSAGE = "empty_dosage"
    LONG_CUSTOMER_NAME = "long_customer_name"
    NEGATIVE_AMOUNT = "negative_amount"
    NO_LINES = "no_lines"
    LATE_LINES = "late_lines"
    REFUSED_DRUG = "refused_drug"
    WRONG_TYPE = "wrong_type"
    """A receipt or an issue of a type that the national system does not know."""
    UNKNOWN_SHOP = "unknown_shop"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a kind of fault
    TWO_ACCOUNTS = "two_accounts"

    @property
    def expected(self) -> End:
        """How it must end; what WAITS ends as SYNC_SUCCESS once the shop is mended."""
        if self in TROUBLE_OF:
            return "WAITS"
        return "SYNC_SUCCESS" if self is Fault.LATE_LINES else "SYNC_FAILED"


TROUBLE_OF = {
    Fault.UNKNOWN_SHOP: Trouble.UNKNOWN,
    Fault.WRONG_PASSWORD: Trouble.WRONG_PASSWORD,
    Fault.TWO_ACCOUNTS: Trouble.TWO_ACCOUNTS,
}
"""Faults of the shop, not of the document."""
SALE_FAULTS = tuple(fault for fault in Fault if fault is not Fault.WRONG_TYPE)


@dataclass(frozen=True, slots=True)
class Sale:
    """What a test or a person needs to know of a sale that was committed."""

    id: int
    local_invoice_id: str
    pharmacy_code: str
    shop: str
    """shop_pharmacy_code."""
    fault: Fault | None = None

    @property
    def expected(self) -> End:
        return self.fault.expected if self.fault else "SYNC_SUCCESS"


@dataclass(frozen=True, slots=True)
class Header:
    """A row of SalesInvoices, in the order of `HEADER_COLUMNS`, is `row()`."""

    sale: Sale
    prescription: str | None
    seller: str
    customer: str | None
    sold_at: datetime
    """The pharmacy's wall clock, as everything that a till writes."""

    def row(self) -> tuple[object, ...]:
        written = sql_time(self.sold_at)
        sale_date = sql_time(self.sold_at.replace(microsecond=0))
        sale = self.sale
        codes = (sale.id, sale.local_invoice_id, sale.pharmacy_code, sale.shop)
        people = (self.prescription, sale_date, self.seller, self.customer)
        return (*codes, *people, "PENDING_SYNC", written, written)


HEADER_COLUMNS = (
    "id, local_invoice_id, pharmacy_code, shop_pharmacy_code, national_prescription_id, sale_date, seller_name, "
    "customer_name, status, created_at, updated_at"
)


@dataclass(slots=True)
class Line:
    """A row of SalesInvoiceDetails, in the order of `LINE_COLUMNS`, is `row()`."""

    drug: Drug
    drug_code: str
    lot: str
    produced: date
    expires: date
    dosage: str
    quantity: Decimal
    unit_price: Decimal

    def row(self, sale_id: int) -> tuple[object, ...]:
        drug = self.drug
        return (
            *(sale_id, self.drug_code, drug.name, self.lot, self.produced.isoformat(), self.expires.isoformat()),
            *(drug.unit, drug.concentration, self.dosage, drug.route, drug.registration_number),
            *(amount(self.quantity), amount(self.unit_price), amount(self.quantity * self.unit_price), drug.ratio),
        )


LINE_COLUMNS = (
    "sales_invoice_id, drug_code, drug_name, lot_number, production_date, expiry_date, unit, concentration, dosage, "
    "route_of_administration, registration_number, quantity, unit_price, line_total, conversion_ratio"
)


def sql_time(moment: datetime) -> str:
    """DATETIME and DATETIME2(3) as the ODBC driver writes them into SQLite: to the millisecond, without a zone."""
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def make_sale(
    seed: int, number: int, shops: Sequence[Shop], sold_at: datetime, fault_share: float, fault_kinds: Sequence[Fault]
) -> tuple[Header, list[Line]]:
    """The sale with this number, which becomes its id. `sold_at` is the pharmacy's wall clock."""
    rng = random.Random(f"sale {seed} {number}")
    kinds = [fault for fault in fault_kinds if fault in SALE_FAULTS]
    fault = rng.choice(kinds) if rng.random() < fault_share else None
    trouble = TROUBLE_OF.get(fault) if fault else None
    shop = rng.choice([shop for shop in shops if shop.trouble is trouble])
    lines = [_line(rng, which, sold_at.date()) for which in rng.sample(range(len(DRUGS)), _line_count(rng))]
    customer = _customer(rng)
    match fault:
        case Fault.MISSING_LOT:
            rng.choice(lines).lot = ""
        case Fault.EMPTY_DOSAGE:
            rng.choice(lines).dosage = ""
        case Fault.NEGATIVE_AMOUNT:
            line = rng.choice(lines)
            line.quantity = -line.quantity  # goods brought back, rung up as a sale
        case Fault.REFUSED_DRUG:
            rng.choice(lines).drug_code = REFUSED_DRUG_CODE
        case Fault.LONG_CUSTOMER_NAME:
            customer = f"{rng.choice(COMPANIES)} {full_name(rng)}"[:60]
        case Fault.NO_LINES:
            lines = []
    sale = Sale(number, f"HD-{sold_at:%Y}-{number:06d}", shop.pharmacy_code, shop.code, fault)
    return Header(sale, _prescription(rng), rng.choice(shop.sellers), customer, sold_at), lines


def _line_count(rng: random.Random) -> int:
    """1 to 8; most customers buy two or three things."""
    return rng.choices(range(1, 9), weights=(22, 26, 20, 13, 8, 5, 4, 2))[0]


def _line(rng: random.Random, which: int, today: date) -> Line:
    drug = DRUGS[which]
    produced = _produced(rng, today)
    return Line(
        drug=drug,
        drug_code=f"DQG{which + 1:08d}",
        lot=lot_number(rng, produced),
        produced=produced,
        expires=_expires(rng, produced),
        dosage=drug.dosage,
        quantity=_quantity(rng, drug),
        unit_price=drug.price + Decimal(rng.choice((0, 0, 0, 50, 100))),
    )


def days_of_lot(rng: random.Random, today: date) -> tuple[date, date]:
    """When a lot was produced, and when it expires."""
    produced = _produced(rng, today)
    return produced, _expires(rng, produced)


def _produced(rng: random.Random, today: date) -> date:
    return today - timedelta(days=rng.randint(60, 500))


def _expires(rng: random.Random, produced: date) -> date:
    return produced + timedelta(days=rng.choice((730, 1095)))


def lot_number(rng: random.Random, produced: date) -> str:
    return rng.choice((f"{produced:%m%y}{rng.randint(1, 40):02d}", f"A{produced:%y}{rng.randint(1, 999):03d}"))


def _quantity(rng: random.Random, drug: Drug) -> Decimal:
    """Whole units; now and then half a box or strip, which tills write as 0.50."""
    if drug.ratio > 1 and drug.ratio % 2 == 0 and drug.unit in {"Vỉ", "Hộp"} and rng.random() < 0.05:
        return Decimal("0.5")
    return Decimal(rng.randint(1, drug.most))


def _customer(rng: random.Random) -> str | None:
    """Many walk in and give no name; tills write NULL or an empty text for them."""
    return rng.choice((None, "", full_name(rng), full_name(rng), full_name(rng)))


def _prescription(rng: random.Random) -> str | None:
    """Five digits of the clinic, seven characters, and -c for an ordinary prescription."""
    if rng.random() >= 0.25:
        return None
    return f"{rng.randrange(100_000):05d}{''.join(rng.choices('0123456789abcdefghijklmnopqrstuvwxyz', k=7))}-c"


def amount(value: Decimal) -> str:
    return f"{value:.2f}"
