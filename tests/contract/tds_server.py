"""As much of a SQL Server as Microsoft's driver needs in order to connect and to get scripted answers.

It understands nothing of SQL. It is there for what only the real driver can show: its SQLSTATEs and numbers, its
time-outs, and how it sends parameters. Layouts: Microsoft's MS-TDS, version 7.4, without encryption.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PRELOGIN, LOGIN, BATCH, RPC, ATTENTION, TRANSACTION = 0x12, 0x10, 0x01, 0x03, 0x06, 0x0E
_REPLY = 0x04
_LAST = 0x01
_HEADER = struct.Struct(">BBHHBB")
_DONE = struct.Struct("<BHHQ")
_PACKET = 4096
_COLLATION = bytes.fromhex("0904d00034")
_TRANSACTION = b"\x08" + bytes(7) + b"\x01"
_BEGIN, _COMMIT, _ROLLBACK = 5, 7, 8
_PROCEDURES = {10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    value: Any
    raw: bytes
    """As it came over the wire."""


@dataclass(frozen=True, slots=True)
class Request:
    """A batch, the start or end of a transaction, or a call of `procedure` that runs `sql`."""

    sql: str
    procedure: str = ""
    declared: str = ""
    """``@P1 int,@P2 nvarchar(8)``: the types that the driver gave the parameters."""
    parameters: tuple[Parameter, ...] = ()


Answer = Callable[[Request], bytes | None]
"""Tokens; None: no answer, ever."""


class Cut(Exception):
    """Requests that the connection is cut instead of an answer."""


@dataclass
class TdsServer:
    answer: Answer = lambda request: ok(request)
    answers_attention: bool = True
    """Whether a driver that gives up on a query is told that it was heard."""
    greets: bool = True
    """Whether it says anything at all."""
    login: bytes | None = None
    """What it says to a log-in; else it lets everybody in."""
    port: int = 0
    seen: list[Request] = field(default_factory=list)
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    """Kind and content, of everything that came."""
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut_all(self) -> None:
        for writer in self._connections:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, Cut):
                await self._talk(reader, writer)
        finally:
            self._connections.discard(writer)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handle = 0
        while True:
            kind, content = await _message(reader)
            self.packets.append((kind, content))
            if not self.greets:
                continue
            if kind == PRELOGIN:
                tokens: bytes | None = prelogin()
            elif kind == LOGIN:
                tokens = self.login or _login_ack()
            elif kind == ATTENTION:
                tokens = done(0x20) if self.answers_attention else None
            elif kind in (BATCH, RPC, TRANSACTION):
                request = _READ[kind](content)
                self.seen.append(request)
                tokens = _type_info(request) or self.answer(request)
                if tokens is not None and kind == TRANSACTION:
                    tokens = _turned(request) + tokens
                if tokens is not None and kind == RPC:
                    handle += 1
                    tokens = _returned(tokens, handle if request.procedure == "sp_prepexec" else None)
            else:
                raise AssertionError(f"a message of kind {kind:#x}")
            if tokens is not None:
                await _send(writer, tokens)


@asynccontextmanager
async def tds_server(**settings: Any) -> AsyncIterator[TdsServer]:
    tds = TdsServer(**settings)
    server = await asyncio.start_server(tds.serve, "127.0.0.1", tds.port)
    tds.port = server.sockets[0].getsockname()[1]
    try:
        yield tds
    finally:
        server.close()
        tds.cut_all()


# ---- what is answered ----


def ok(request: Request) -> bytes:
    """Answer without rows, with one column where the statement selects some."""
    if request.sql.startswith("SELECT"):
        return rows()
    return done()


def rows(*values: tuple[int | bytes | str | None, ...], columns: int = 1) -> bytes:
    """Answer with BIGINT columns; VARBINARY(32) where the first row has bytes, NVARCHAR(100) where it has a text."""
    types = [type(value) for value in values[0]] if values else [int] * columns
    tokens = b"\x81" + struct.pack("<H", len(types))
    for type_ in types:
        tokens += struct.pack("<IH", 0, 1) + _TYPES[type_] + _b_varchar("n")
    for row in values:
        tokens += b"\xd1" + b"".join(map(_cell, row, types))
    return tokens + done(0x10, len(values))


_TYPES: dict[type, bytes] = {
    **dict.fromkeys((int, type(None)), b"\x26\x08"),
    bytes: b"\xa5\x20\x00",
    str: b"\xe7\xc8\x00" + _COLLATION,
}


def _cell(value: int | bytes | str | None, type_: type) -> bytes:
    if value is None:
        return b"\xff\xff" if type_ in (bytes, str) else b"\x00"
    if isinstance(value, str):
        value = value.encode("utf-16-le", "surrogatepass")  # as the server keeps NCHAR(0xD83C)
    if isinstance(value, bytes):
        return struct.pack("<H", len(value)) + value
    return b"\x08" + struct.pack("<q", value)


def error(number: int, text: str = "what the server says", *, level: int = 16, then: bytes = b"") -> bytes:
    return message(number, text, level=level) + then + done(0x02)


def message(number: int, text: str, *, level: int) -> bytes:
    """Answer with an error, or below level 11 with mere information."""
    body = struct.pack("<iBB", number, 1, level) + _us_varchar(text) + _b_varchar("srv") + _b_varchar("")
    body += struct.pack("<i", 1)
    return (b"\xaa" if level > 10 else b"\xab") + struct.pack("<H", len(body)) + body


def done(status: int = 0, count: int = 0, *, token: int = 0xFD) -> bytes:
    return _DONE.pack(token, status, 0, count)


def done_in_procedure(count: int) -> bytes:
    """Answer with the row count of a statement within a trigger or a procedure; more follows."""
    return done(0x11, count, token=0xFF)


def _returned(tokens: bytes, handle: int | None) -> bytes:
    """Answer as a procedure does: with the result of its statement, its return value, and a handle for the
    statement.
    """
    # The last DONE becomes one within the procedure, with more to follow.
    at = len(tokens) - _DONE.size
    _, status, command, count = _DONE.unpack(tokens[at:])
    tokens = tokens[:at] + _DONE.pack(0xFF, status | 0x01, command, count) + b"\x79" + struct.pack("<i", 0)
    if handle is not None:
        tokens += b"\xac" + struct.pack("<H", 0) + _b_varchar("") + b"\x01" + struct.pack("<IH", 0, 0)
        tokens += struct.pack("<BBBi", 0x26, 4, 4, handle)
    return tokens + done(token=0xFE)


def _type_info(request: Request) -> bytes | None:
    """Answer with the lengths of the server's types, which pyodbc requests once to decide how it sends parameters."""
    if not request.procedure.endswith("sp_datatype_info_100"):
        return None
    type_ = request.parameters[0].value
    longest = {12: 8000, -9: 4000, -3: 8000, 93: 27}[type_]
    return rows((0, type_, longest), columns=3)


def prelogin(encryption: int = 2) -> bytes:
    """`encryption`: 2 is none, 1 is on."""
    options = {0: bytes([16, 0, 0x10, 0, 0, 0]), 1: bytes([encryption]), 2: b"\x00", 3: b"", 4: b"\x00"}
    at = 5 * len(options) + 1
    table = content = b""
    for option, value in options.items():
        table += struct.pack(">BHH", option, at + len(content), len(value))
        content += value
    return table + b"\xff" + content


def _login_ack() -> bytes:
    program = b"\x01" + bytes.fromhex("74000004") + _b_varchar("Microsoft SQL Server") + bytes([16, 0, 0x10, 0])
    return (
        _changed(1, _b_varchar("chain"), _b_varchar("master"))
        + _changed(7, bytes([len(_COLLATION)]) + _COLLATION, b"\x00")
        + b"\xad"
        + struct.pack("<H", len(program))
        + program
        + _changed(4, _b_varchar(str(_PACKET)), _b_varchar(str(_PACKET)))
        + done()
    )


def _changed(kind: int, new: bytes, old: bytes) -> bytes:
    return b"\xe3" + struct.pack("<HB", 1 + len(new) + len(old), kind) + new + old


def _b_varchar(text: str) -> bytes:
    content = text.encode("utf-16-le")
    return bytes([len(content) // 2]) + content


def _us_varchar(text: str) -> bytes:
    content = text.encode("utf-16-le")
    return struct.pack("<H", len(content) // 2) + content


async def _send(writer: asyncio.StreamWriter, tokens: bytes) -> None:
    size = _PACKET - _HEADER.size
    parts = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    for number, part in enumerate(parts, 1):
        last = _LAST if number == len(parts) else 0
        writer.write(_HEADER.pack(_REPLY, last, len(part) + _HEADER.size, 0, number % 256, 0) + part)
    await writer.drain()


# ---- what is asked ----


async def _message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    content = b""
    while True:
        kind, status, length, *_ = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        content += await reader.readexactly(length - _HEADER.size)
        if status & _LAST:
            return kind, content


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self._content)

    def take(self, size: int) -> bytes:
        self.at += size
        assert self.at <= len(self._content)
        return self._content[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self, length: int) -> str:
        return self.take(2 * length).decode("utf-16-le")


def _batch(content: bytes) -> Request:
    return Request(sql=content[int.from_bytes(content[:4], "little") :].decode("utf-16-le"))


def _turn(content: bytes) -> Request:
    source = _Bytes(content)
    source.take(source.number(4) - 4)
    return Request({_BEGIN: "BEGIN", _COMMIT: "COMMIT", _ROLLBACK: "ROLLBACK"}[source.number(2)])


def _turned(request: Request) -> bytes:
    if request.sql == "BEGIN":
        return _changed(8, _TRANSACTION, b"\x00")
    return _changed(9 if request.sql == "COMMIT" else 10, b"\x00", _TRANSACTION)


def _call(content: bytes) -> Request:
    source = _Bytes(content)
    source.take(source.number(4) - 4)
    length = source.number(2)
    name = source.text(length) if length != 0xFFFF else _PROCEDURES.get(number := source.number(2), str(number))
    source.take(2)
    parameters = []
    while source:
        parameter = source.text(source.number(1))
        source.take(1)
        value, raw = _value(source)
        parameters.append(Parameter(parameter, value, raw))
    # Where the statement and the types stand, and from where on its parameters are.
    at = {"sp_prepexec": (2, 1, 3), "sp_executesql": (0, 1, 2), "sp_prepare": (2, 1, 4)}.get(name)
    if at is None:
        return Request("", name, "", tuple(parameters))
    sql, declared, rest = at
    return Request(parameters[sql].value, name, parameters[declared].value or "", tuple(parameters[rest:]))


def _value(source: _Bytes) -> tuple[Any, bytes]:
    kind = source.number(1)
    if kind in (0xE7, 0xA7, 0xEF, 0xAF):  # NVARCHAR, VARCHAR, and their fixed kin
        longest = source.number(2)
        source.take(5)
        raw = _long(source) if longest == 0xFFFF else _short(source, 2, 0xFFFF)
        return (raw.decode("utf-16-le" if kind in (0xE7, 0xEF) else "cp1252") if raw is not None else None), raw or b""
    if kind in (0x26, 0x68, 0x6D):  # INT, BIT, FLOAT of any size
        source.take(1)
        raw = _short(source, 1, 0)
        return (int.from_bytes(raw, "little", signed=True) if raw is not None else None), raw or b""
    if kind in (0x2A, 0x29):  # DATETIME2, TIME
        source.take(1)
        return (raw := _short(source, 1, 0)), raw or b""
    if kind == 0x28:  # DATE
        return (raw := _short(source, 1, 0)), raw or b""
    raise AssertionError(f"a parameter of kind {kind:#x}")


def _short(source: _Bytes, size: int, null: int) -> bytes | None:
    length = source.number(size)
    return None if length == null else source.take(length)


def _long(source: _Bytes) -> bytes | None:
    if source.number(8) == 0xFFFFFFFFFFFFFFFF:
        return None
    content = b""
    while length := source.number(4):
        content += source.take(length)
    return content


_READ = {BATCH: _batch, RPC: _call, TRANSACTION: _turn}


@dataclass(frozen=True, slots=True)
class LogIn:
    user: str
    password: str
    server: str
    database: str


def log_in(content: bytes) -> LogIn:
    """What a driver logs in with. Over the wire each byte of a password has its halves exchanged and is XORed."""
    places = struct.unpack_from("<18H", content, 36)

    def raw(number: int) -> bytes:
        at, length = places[2 * number : 2 * number + 2]
        return content[at : at + 2 * length]

    password = bytes((byte ^ 0xA5) >> 4 | ((byte ^ 0xA5) << 4 & 0xF0) for byte in raw(2))
    user, server, database = (raw(number).decode("utf-16-le") for number in (1, 4, 8))
    return LogIn(user, password.decode("utf-16-le"), server, database)
