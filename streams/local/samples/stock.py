"""One purchase receipt or goods issue: header and lines, right or with one fault. A pure function of seed, number and
time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from streams.documents import GOODS_ISSUE, PURCHASE_RECEIPT
from streams.documents.document import DocumentType
from streams.local.samples.catalogue import DRUGS, REFUSED_DRUG_CODE, SUPPLIERS
from streams.local.samples.sales import TROUBLE_OF, End, Fault, amount, days_of_lot, lot_number, sql_time
from streams.local.samples.shops import Shop

STOCK_TYPES = (PURCHASE_RECEIPT, GOODS_ISSUE)
STOCK_FAULTS = (
    *(Fault.MISSING_LOT, Fault.NEGATIVE_AMOUNT, Fault.NO_LINES, Fault.LATE_LINES, Fault.REFUSED_DRUG),
    *(Fault.WRONG_TYPE, *TROUBLE_OF),
)
"""What may be wrong with a receipt or an issue."""
_SMALLEST_UNITS = {"Vỉ": "Viên", "Hộp": "Viên", "Lọ": "Lọ", "Tuýp": "Tuýp"}
_TRANSFER = 4
"""A type of which the national system knows nothing: sales software was seen to send it for transfers."""


@dataclass(frozen=True, slots=True)
class StockDocument:
    """What a test or a person needs to know of a receipt or an issue that was committed."""

    document_type: DocumentType
    id: int
    code: str
    pharmacy_code: str
    shop: str
    fault: Fault | None = None

    @property
    def expected(self) -> End:
        return self.fault.expected if self.fault else "SYNC_SUCCESS"


@dataclass(frozen=True, slots=True)
class Written:
    """A document as rows: column -> value."""

    document: StockDocument
    header: dict[str, object]
    lines: list[dict[str, object]]


def make_stock_document(
    document_type: DocumentType,
    seed: int,
    number: int,
    shops: Sequence[Shop],
    at: datetime,
    fault_share: float,
    fault_kinds: Sequence[Fault],
) -> Written:
    """The receipt or issue with this number, which becomes its id. `at` is the pharmacy's wall clock."""
    rng = random.Random(f"{document_type.name} {seed} {number}")
    kinds = [fault for fault in STOCK_FAULTS if fault in fault_kinds]
    fault = rng.choice(kinds) if kinds and rng.random() < fault_share else None
    trouble = TROUBLE_OF.get(fault) if fault else None
    shop = rng.choice([shop for shop in shops if shop.trouble is trouble])
    is_receipt = document_type is PURCHASE_RECEIPT
    header, lines = _receipt(rng, at.date(), number) if is_receipt else _issue(rng, at.date())
    match fault:
        case Fault.MISSING_LOT:
            rng.choice(lines)["lot_number"] = ""
        case Fault.NEGATIVE_AMOUNT:
            rng.choice(lines)["quantity"] = "-10.00"
        case Fault.REFUSED_DRUG:
            rng.choice(lines)["drug_code"] = REFUSED_DRUG_CODE
        case Fault.WRONG_TYPE:
            header["receipt_type" if is_receipt else "issue_type"] = _TRANSFER
        case Fault.NO_LINES:
            lines = []
    code = f"{'PN' if is_receipt else 'PX'}-{at:%Y}-{number:06d}"
    written = sql_time(at)
    common: dict[str, object] = {
        "id": number,
        document_type.document_code_column: code,
        "pharmacy_code": shop.pharmacy_code,
        "shop_pharmacy_code": shop.code,
        "receipt_date" if is_receipt else "issue_date": sql_time(at.replace(microsecond=0)),
        "status": "PENDING_SYNC",
        "created_at": written,
        "updated_at": written,
    }
    parent: dict[str, object] = {document_type.lines_parent_column: number}
    document = StockDocument(document_type, number, code, shop.pharmacy_code, shop.code, fault)
    return Written(document, common | header, [parent | line for line in lines])


def _receipt(rng: random.Random, today: date, number: int) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Most come from a supplier, with many lines of many packs; now and then a customer brings one thing back."""
    kind = rng.choices((1, 2, 3), weights=(88, 9, 3))[0]
    returned = f"Khách trả lại, hóa đơn HD-{today:%Y}-{number:06d}"
    header: dict[str, object] = {
        "receipt_type": kind,
        "supplier_name": rng.choice(SUPPLIERS) if kind == 1 else None,
        "notes": returned if kind == 2 else rng.choice((None, "", "Đủ hàng, nguyên niêm phong")),
    }
    count = 1 if kind == 2 else rng.randint(3, 12)
    packs = (1, 2) if kind == 2 else (5, 60)
    return header, [_line(rng, which, today, packs) for which in rng.sample(range(len(DRUGS)), count)]


def _issue(rng: random.Random, today: date) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Few lines: what is recalled, damaged, or close to its expiry."""
    kind = rng.choices((2, 3), weights=(70, 30))[0]
    notes = ("", "Trả hàng cận hạn", "Thu hồi theo công văn") if kind == 2 else ("", "Hỏng do vỡ, ẩm mốc")
    header: dict[str, object] = {
        "issue_type": kind,
        "recipient_name": rng.choice(SUPPLIERS) if kind == 2 else None,
        "notes": rng.choice(notes),
    }
    return header, [_line(rng, which, today, (1, 6)) for which in rng.sample(range(len(DRUGS)), rng.randint(1, 3))]


def _line(rng: random.Random, which: int, today: date, packs: tuple[int, int]) -> dict[str, object]:
    """In the smallest unit, as the national system asks for; receipts mostly know what they paid."""
    drug = DRUGS[which]
    produced, expires = days_of_lot(rng, today)
    price = Decimal(drug.price * 82 // (100 * drug.ratio) or 1)
    return {
        "drug_code": f"DQG{which + 1:08d}",
        "drug_name": drug.name,
        "lot_number": lot_number(rng, produced),
        "production_date": produced.isoformat(),
        "expiry_date": expires.isoformat(),
        "registration_number": drug.registration_number,
        "quantity": amount(Decimal(rng.randint(*packs) * drug.ratio)),
        "unit_price": amount(price),
        "unit": _SMALLEST_UNITS.get(drug.unit, drug.unit),
    }
