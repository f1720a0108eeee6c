"""Checks of the connection to the sales database: whether it can be used, and its clock."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from streams.credentials.connection_strings import odbc_keywords
from streams.operators.checks import Finding, error, ok, warning
from streams.operators.command_line import describe_store_error
from streams.operators.terminal import age
from streams.settings import Settings
from streams.stores.sales_db import StoreError

_ABOUT = "sales database"
_MAX_CLOCK_DIFFERENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The database could not be used."""

    error: StoreError
    listening_at: str | None
    """``host:port``, if a server accepts connections there although the database rejects the login."""


async def probe_address(settings: Settings) -> str | None:
    """Return ``host:port`` of the database server if it accepts connections."""
    address = _address(settings.sales_db_dsn.get_secret_value())
    if address is None:
        return None
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return f"{address[0]}:{address[1]}"


def _address(dsn: str) -> tuple[str, int] | None:
    """Read host and port from ``Server=tcp:host,1433`` or ``Server=host;Port=5432``; None: there is no port."""
    fields = odbc_keywords(dsn)
    server = fields.get("server", "").removeprefix("tcp:")
    host, _, port = server.partition(",")
    is_sql_server = "driver" not in fields or "sql" in fields["driver"].lower()
    port = port or fields.get("port") or ("1433" if is_sql_server and "\\" not in host else "")
    return (host, int(port)) if host and re.fullmatch(r"\d{1,5}", port) else None


def judge_unavailable(found: Unavailable) -> Finding:
    what, action = describe_store_error(found.error)
    if found.listening_at and "reached" in what:
        what = f"{found.listening_at} is reached, but rejects the login"
        action = (
            "Correct user, password, database or encryption in the SALES_DB settings; "
            "connectors/sql/40_worker_login.sql creates the login."
        )
    return error(_ABOUT, f"{what} ({found.error})", action)


def judge_clock(ahead_s: float) -> Finding:
    """Judge the seconds by which the database's clock is ahead of this machine's."""
    about = f"{_ABOUT}: clock"
    if abs(ahead_s) <= _MAX_CLOCK_DIFFERENCE_S:
        return ok(about, f"differs from this machine's by {abs(ahead_s):.1f} s")
    side = "ahead of" if ahead_s > 0 else "behind"
    return warning(
        about,
        f"is {age(abs(ahead_s))} {side} this machine's",
        "Synchronise both clocks with NTP (timedatectl set-ntp true): log-ins and certificates depend on it.",
    )
