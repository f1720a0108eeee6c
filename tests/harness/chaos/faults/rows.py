"""Plants sales that a point of sale commits with one thing wrong, each to be refused for that alone, and odd ones.

PostgreSQL stores no half of a surrogate pair and no NUL; for those see `tests/pipeline/test_poison.py`. Nor are
there days beyond Python's: its ODBC driver gives another day for those (`infinity`: one of this year), and nobody
could know.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pyodbc

from streams.local.database import PointOfSale
from streams.local.samples.sales import HEADER_COLUMNS, LINE_COLUMNS, make_sale, sql_time
from streams.local.samples.shops import make_shops
from tests.harness.chaos.faults.force import InForce, Parameters
from tests.harness.chaos.judge import Expected
from tests.harness.chaos.points_of_sale import ODD, PersistentPointOfSale
from tests.harness.chaos.world import World

_AT_ONCE = 3
"""Sales of one strike: their wrongs come in turn."""
_WITHIN = 240.0
"""Seconds for a database that is away to come back."""
HEADER, LINE = HEADER_COLUMNS.split(", "), LINE_COLUMNS.split(", ")
_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What a point of sale writes into one column, with the field and rule for which it must be refused; None where
    it is right.
    """

    column: str
    value: str
    breaks: tuple[str, str] | None

    @property
    def expected(self) -> Expected:
        return Expected("SYNC_FAILED", breaks=self.breaks) if self.breaks else Expected("SYNC_SUCCESS")


def _in_line(field: str, rule: str) -> tuple[str, str]:
    return f"hoa_don_chi_tiet[1].{field}", rule


def _in_days(days: int, now: datetime) -> str:
    return sql_time(now + timedelta(days=days))


_SUN = "\N{SUN WITH FACE}"  # two units of UTF-16
_LOST = "\N{REPLACEMENT CHARACTER}"

WRONGS: Mapping[str, Callable[[datetime], Sequence[Wrong]]] = {
    "poison_amounts": lambda _: [
        Wrong("quantity", "NaN", _in_line("so_luong", "finite")),
        Wrong("unit_price", "NaN", _in_line("don_gia", "finite")),
        Wrong("line_total", "9999999999999999.99", _in_line("thanh_tien", "max_digits:15")),
        Wrong("conversion_ratio", "-0.01", _in_line("ty_le_quy_doi", "not_negative")),
    ],
    "poison_days": lambda now: [
        Wrong("sale_date", "0001-01-01 00:00:00", ("ngay_ban", "date_absurd")),
        Wrong("sale_date", "1753-01-01 00:00:00", ("ngay_ban", "date_absurd")),
        Wrong("sale_date", _in_days(4, now), ("ngay_ban", "not_in_future")),
        Wrong("expiry_date", "9999-12-31", _in_line("han_dung", "date_absurd")),
        Wrong("production_date", _in_days(30, now)[:10], _in_line("ngay_san_xuat", "not_in_future")),
    ],
    "poison_lengths": lambda _: [
        Wrong("customer_name", f"Khách {_SUN * 45}", ("ho_ten_khach_hang", "max_length:50")),
        Wrong("customer_name", f"Khách {'ẵ' * 90}", ("ho_ten_khach_hang", "max_length:50")),
        Wrong("unit", "\t\N{NO-BREAK SPACE}\N{EM SPACE}\x1c", _in_line("don_vi_tinh", "required")),
        Wrong("drug_code", "", _in_line("ma_thuoc", "required")),
    ],
    "poison_letters": lambda _: [
        Wrong("customer_name", f"Khách {_LOST} Hiền", ("ho_ten_khach_hang", "readable")),
        Wrong("seller_name", f"DS. {_LOST}{_LOST} Bình", ("ho_ten_nguoi_ban", "readable")),
        Wrong("drug_name", f"Parafen {_LOST} sủi", _in_line("ten_thuoc", "readable")),
        Wrong("dosage", f"Ngày {_LOST} viên", _in_line("lieu_dung", "readable")),
    ],
    "poison_codes": lambda _: [Wrong("local_invoice_id", f"{_LOST}", ("ma_hoa_don", "readable"))],
    "odd_letters": lambda _: [
        Wrong("local_invoice_id", "/../a?b=%2F#c&d", None),
        Wrong("local_invoice_id", f"{_SUN}\"\\' ẵ", None),
        Wrong("customer_name", "Khách \N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m\x07</script>", None),
        Wrong("customer_name", f"Khách {_SUN * 44}", None),
        Wrong("dosage", f"{_SUN}\n\uffff\N{ZERO WIDTH JOINER}'; DROP TABLE dbo.SalesInvoices; --" * 200, None),
    ],
}


@asynccontextmanager
async def _sold(kind: str, world: World, drawn: Parameters) -> AsyncIterator[None]:
    wrongs = WRONGS[kind](datetime.now(_ZONE))
    first = int(drawn["form"] * len(wrongs))
    point_of_sale = PersistentPointOfSale(world.stack)
    try:
        async with asyncio.timeout(_WITHIN):
            for place in range(_AT_ONCE):
                wrong = wrongs[(first + place) % len(wrongs)]
                code = f"{ODD}{len(world.planted.sales)}"
                if wrong.column == "local_invoice_id":
                    code += f"-{wrong.value}"
                await _committed(world, point_of_sale, code, wrong)
                world.planted.sales[code] = wrong.expected
    except TimeoutError:
        world.planted.missed[kind] = "the database was away"
    finally:
        point_of_sale.close()
    yield


async def _committed(world: World, point_of_sale: PersistentPointOfSale, code: str, wrong: Wrong) -> None:
    """Until it is; of a commit whose answer was lost the database is asked."""
    while True:
        with suppress(pyodbc.Error):
            if not await asyncio.to_thread(_is_there, point_of_sale, code):
                await asyncio.to_thread(_sell, point_of_sale, world.seed, code, wrong)
            return
        await asyncio.sleep(0.5)


def _is_there(point_of_sale: PersistentPointOfSale, code: str) -> bool:
    found = point_of_sale.execute("SELECT COUNT(*) FROM SalesInvoices WHERE local_invoice_id = ?", (code,)).fetchone()
    return bool(found[0])


def _sell(point_of_sale: PointOfSale, seed: int, code: str, wrong: Wrong) -> None:
    """As a sample that is right, but for the one column."""
    with point_of_sale.selling() as last_id:
        id_ = last_id + 1
        shops = make_shops(seed, 12)
        header, lines = make_sale(seed, id_, shops, datetime.now(_ZONE), 0.0, ())
        row = dict(zip(HEADER, header.row(), strict=True)) | {"local_invoice_id": code}
        first, *others = (dict(zip(LINE, line.row(id_), strict=True)) for line in lines)
        for of_table in (row, first):
            if wrong.column in of_table and wrong.column != "local_invoice_id":
                of_table[wrong.column] = wrong.value
        point_of_sale.execute(_insert("SalesInvoices", HEADER), [*row.values()])
        for line in (first, *others):
            point_of_sale.execute(_insert("SalesInvoiceDetails", LINE), [*line.values()])
        point_of_sale.used(id_)


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


@asynccontextmanager
async def _redis_poisoned(world: World, drawn: Parameters) -> AsyncIterator[None]:
    """Somebody writes rubbish where the shops' tokens are."""
    rng = random.Random(drawn["seed"])
    for _ in range(60):
        if await asyncio.to_thread(world.spoil_tokens, rng):
            break
        await asyncio.sleep(0.5)
    else:
        world.planted.missed["redis_poisoned"] = "no token was there"
    yield


DONE: Mapping[str, InForce] = {kind: partial(_sold, kind) for kind in WRONGS} | {"redis_poisoned": _redis_poisoned}
