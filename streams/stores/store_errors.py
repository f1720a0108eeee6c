"""What may go wrong with the sales database: the driver's state and number, and what they say."""

from __future__ import annotations

from streams.stores.dialects import DIALECTS, DUPLICATE, LOCKED, REFUSED, TIMED_OUT

NOT_LOADED = {"IM003", "01000"}
"""SQLSTATEs: the driver manager could not load the driver."""


class StoreError(Exception):
    """The database refused a statement. The text is the driver's state and number, never a value."""

    def __init__(self, state: str, native: int | None) -> None:
        super().__init__(f"SQLSTATE {state}" + (f", server error {native}" if native is not None else ""))
        self.state = state
        self.native = native

    @property
    def is_lock(self) -> bool:
        """A lock was waited for in vain: perhaps one row's trouble, not the server's."""
        return self.state in LOCKED or self.native in LOCKED

    @property
    def is_time_out(self) -> bool:
        """A statement took too long: its rows' trouble where others are answered."""
        return self.state in TIMED_OUT

    @property
    def is_refused(self) -> bool:
        """The login has no right to do this."""
        return self.state in REFUSED or self.native in REFUSED

    @property
    def is_duplicate(self) -> bool:
        """A row with this key is there already."""
        return self.state in DUPLICATE or self.native in DUPLICATE


class StoreUnavailable(StoreError):
    """It may work when tried again: broken connection, deadlock, lock or time-out."""


class UnreadableRow(StoreError):
    """A row has what the driver cannot bring into a form of ours."""


class UnknownServer(StoreError):
    """SALES_DB_DSN is wrong: waiting does not help."""

    def __str__(self) -> str:
        servers = ", ".join(DIALECTS)
        text = f"SQLSTATE {self.state}: SALES_DB_DSN must name an installed ODBC driver, of one of {servers}"
        if self.state in NOT_LOADED:  # the driver manager says "file not found" in either case
            text += ". The driver's file is not there, or a library that it needs is not: `ldd` on it tells which"
            text += " (Microsoft's needs Debian's libgssapi-krb5-2, and libssl3 for encryption)"
        return text
