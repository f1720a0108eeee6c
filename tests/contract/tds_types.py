"""Rows of any column type of SQL Server, as the TDS server of the tests sends them. Layouts: MS-TDS 7.4."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.contract.tds_server import done

VIETNAMESE = bytes.fromhex("2a04d00000")
"""Vietnamese_CI_AS: code page 1258."""
LATIN = bytes.fromhex("0904d00034")
"""SQL_Latin1_General_CP1_CI_AS: code page 1252."""
UTF8 = bytes.fromhex("0904d00400")
"""Latin1_General_100_CI_AS_SC_UTF8."""
_ONE_NAME = b"\x01a\x00"


@dataclass(frozen=True, slots=True)
class TdsType:
    declared: bytes
    """TYPE_INFO."""
    encode: Callable[[Any], bytes]
    """The value with its length."""


def one_column(type_: TdsType, *values: Any) -> bytes:
    """Return the tokens of a result with one column, named ``a``."""
    return rows_of([("a", type_)], [[value] for value in values])


def rows_of(columns: Sequence[tuple[str, TdsType]], rows: Sequence[Sequence[Any]]) -> bytes:
    tokens = b"\x81" + struct.pack("<H", len(columns))
    for name, type_ in columns:
        text = name.encode("utf-16-le")
        tokens += struct.pack("<IH", 0, 1) + type_.declared + bytes([len(name)]) + text
    for row in rows:
        tokens += b"\xd1" + b"".join(type_.encode(value) for (_, type_), value in zip(columns, row, strict=True))
    return tokens + done(0x10, len(rows))


def _fixed(declared: bytes, encode: Callable[[Any], bytes]) -> TdsType:
    """Return a type whose values carry a length of one byte, 0 for NULL."""

    def with_length(value: Any) -> bytes:
        content = b"" if value is None else encode(value)
        return bytes([len(content)]) + content

    return TdsType(declared, with_length)


def _long(declared: bytes, encode: Callable[[Any], bytes]) -> TdsType:
    """Return a type whose values carry a length of two bytes, 0xFFFF for NULL."""

    def with_length(value: Any) -> bytes:
        if value is None:
            return b"\xff\xff"
        content = encode(value)
        return struct.pack("<H", len(content)) + content

    return TdsType(declared, with_length)


def integer(size: int) -> TdsType:
    return _fixed(bytes([0x26, size]), lambda value: int(value).to_bytes(size, "little", signed=size > 1))


def decimal(precision: int, scale: int) -> TdsType:
    size = 4 * (1 + (precision > 9) + (precision > 19) + (precision > 28))

    def encode(value: Decimal) -> bytes:
        number = int(Decimal(value).scaleb(scale))
        return bytes([number >= 0]) + abs(number).to_bytes(size, "little")

    return _fixed(bytes([0x6A, size + 1, precision, scale]), encode)


def _money(value: Decimal) -> bytes:
    number = int(Decimal(value).scaleb(4))
    return struct.pack("<iI", number >> 32, number & 0xFFFFFFFF)


def varchar(length: int, collation: bytes, encoding: str) -> TdsType:
    return _long(b"\xa7" + struct.pack("<H", length) + collation, lambda value: str(value).encode(encoding))


def char(length: int, collation: bytes, encoding: str) -> TdsType:
    return _long(
        b"\xaf" + struct.pack("<H", length) + collation, lambda value: str(value).encode(encoding).ljust(length)
    )


def nvarchar(length: int) -> TdsType:
    return _long(b"\xe7" + struct.pack("<H", 2 * length) + LATIN, lambda value: str(value).encode("utf-16-le"))


def nchar(length: int) -> TdsType:
    return _long(
        b"\xef" + struct.pack("<H", 2 * length) + LATIN, lambda value: str(value).ljust(length).encode("utf-16-le")
    )


def _days(value: date) -> bytes:
    return (value.toordinal() - 1).to_bytes(3, "little")


def _since_1900(value: datetime) -> bytes:
    days = value.toordinal() - date(1900, 1, 1).toordinal()
    seconds = value.hour * 3600 + value.minute * 60 + value.second
    return struct.pack("<iI", days, seconds * 300)


def _since_1900_in_minutes(value: datetime) -> bytes:
    return struct.pack("<HH", value.toordinal() - date(1900, 1, 1).toordinal(), value.hour * 60 + value.minute)


def _with_milliseconds(value: datetime) -> bytes:
    seconds = value.hour * 3600 + value.minute * 60 + value.second
    return (seconds * 1000 + value.microsecond // 1000).to_bytes(4, "little") + _days(value)


BIT = _fixed(b"\x68\x01", lambda value: bytes([value]))
REAL = _fixed(b"\x6d\x04", lambda value: struct.pack("<f", value))
FLOAT = _fixed(b"\x6d\x08", lambda value: struct.pack("<d", value))
MONEY = _fixed(b"\x6e\x08", _money)
SMALLMONEY = _fixed(b"\x6e\x04", lambda value: struct.pack("<i", int(Decimal(value).scaleb(4))))
DATE = _fixed(b"\x28", _days)
DATETIME = _fixed(b"\x6f\x08", _since_1900)
SMALLDATETIME = _fixed(b"\x6f\x04", _since_1900_in_minutes)
DATETIME2 = _fixed(b"\x2a\x03", _with_milliseconds)
DATETIMEOFFSET = _fixed(b"\x2b\x03", lambda value: _with_milliseconds(value) + struct.pack("<h", 420))
GUID = _fixed(b"\x24\x10", lambda value: uuid.UUID(value).bytes_le)
VARBINARY = _long(b"\xa5\x20\x00", lambda value: bytes(value))
