"""The errors of the sales database: the driver's SQLSTATE and error number, and what they mean."""

from __future__ import annotations

from streams.stores.dialects import DIALECTS, DUPLICATE, LOCKED, REFUSED, TIMED_OUT

NOT_LOADED = {"IM003", "01000"}
"""SQLSTATEs: the driver manager could not load the driver."""


class StoreError(Exception):
    """The database refused a statement. The text has the SQLSTATE and the server's error number, never a value."""

    def __init__(self, state: str, native: int | None) -> None:
        super().__init__(f"SQLSTATE {state}" + (f", server error {native}" if native is not None else ""))
        self.state = state
        self.native = native

    @property
    def is_lock(self) -> bool:
        """Whether a lock timed out: the cause may be one row, not the server."""
        return self.state in LOCKED or self.native in LOCKED

    @property
    def is_of_connection(self) -> bool:
        """Whether the connection is lost, could not be made, or timed out: the statement has nothing to do with it."""
        return self.state.startswith(("08", "HYT"))

    @property
    def is_time_out(self) -> bool:
        """Whether a statement timed out: if other statements are answered, the cause is its rows."""
        return self.state in TIMED_OUT

    @property
    def is_refused(self) -> bool:
        """Whether the login has no right to do this."""
        return self.state in REFUSED or self.native in REFUSED

    @property
    def is_duplicate(self) -> bool:
        """Whether a row with this key already exists."""
        return self.state in DUPLICATE or self.native in DUPLICATE


class StoreUnavailable(StoreError):
    """A retry may succeed: broken connection, deadlock, lock timeout or statement timeout."""


class UnreadableRow(StoreError):
    """A row contains a value that the driver cannot convert to a Python object."""


class UnknownServer(StoreError):
    """SALES_DB_DSN names no supported server or no usable driver. Retrying does not help."""

    def __str__(self) -> str:
        servers = ", ".join(DIALECTS)
        text = f"SQLSTATE {self.state}: SALES_DB_DSN must name an installed ODBC driver for one of {servers}"
        if self.state in NOT_LOADED:  # the driver manager says "file not found" in either case
            text += ". The driver's file or a library that it needs is missing: run `ldd` on it to see which"
        return text
