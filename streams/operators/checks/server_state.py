"""Checks of SQL Server itself, as far as the worker's login may see it: edition, log-in mode, owner, log and space.

connectors/sql/00_check.sql asks more, as a sysadmin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.stores.sales_db import SalesDb, StoreError

_ABOUT = "SQL Server"
_EXPRESS, _ENTERPRISE = 4, (3, 5, 8)
_EXPRESS_LIMIT_MB = 10_240
_NEARLY_FULL = 0.9
_LOG_FULL = 0.7
_FIRST_STANDARD_WITH_CAPTURE = (13, 0, 4001)
_FIRST_SUPPORTED = 11


@dataclass(frozen=True, slots=True)
class State:
    """The columns of `streams.stores.dialects.Catalogue.server`, in their order."""

    version: str
    edition: str
    engine: int
    windows_only: int | None
    """1: logins with passwords are refused."""
    log_waits_for: str
    published: int
    """1: transactional replication publishes the database."""
    owner: str | None
    """None: the owner is no login of this server."""
    data_mb: int | None
    log_mb: int | None
    log_used_mb: int | None
    unlimited_logs: int
    """How many log files may grow without a limit of their own."""

    @property
    def captures(self) -> bool:
        """Whether this edition has change data capture."""
        if self.engine in _ENTERPRISE:
            return True
        is_small = self.engine == _EXPRESS or self.edition.startswith(("Express", "Web"))
        return not is_small and self._numbers >= _FIRST_STANDARD_WITH_CAPTURE

    @property
    def major(self) -> int:
        return self._numbers[0]

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(int(part) if part.isdigit() else 0 for part in self.version.split("."))


async def probe_server_state(db: SalesDb) -> State | None:
    """Return the state of the server; None: it does not tell, or is not SQL Server. Raises `StoreError` if it cannot be
    reached.
    """
    query = await db.transaction(lambda tx: tx.dialect.catalogue.server)
    if query is None:
        return None
    try:
        rows = await db.transaction(lambda tx: tx.rows(query))
    except StoreError as problem:
        if problem.state.startswith(("08", "HYT")):
            raise
        return None
    return State(*rows[0]) if rows else None


def judge_server_state(state: State | None, *, polls: bool = False) -> list[Finding]:
    """Judge the state. `polls`: the workers poll for new sales, so that change data capture is not needed."""
    if state is None:
        return [skipped(_ABOUT, "not examined: the server does not tell this login")]
    problems = [*_log(state), *_space(state), *_log_in(state), *_version(state)]
    if not polls:
        problems += _capture(state)
    return problems or [ok(_ABOUT, f"{state.version}, {state.edition}")]


def _log(state: State) -> Iterator[Finding]:
    about = f"{_ABOUT}: transaction log"
    used = (state.log_used_mb or 0) / state.log_mb if state.log_mb else 0.0
    is_full = used > _LOG_FULL and not state.unlimited_logs
    size = f"{state.log_used_mb} of {state.log_mb} MB are used"
    if state.log_waits_for == "REPLICATION":
        finding = error if is_full or used > _NEARLY_FULL else warning
        yield finding(
            about,
            f"waits to be captured, {size}: when it is full, no till can sell (9002)",
            "Start SQL Server Agent and its capture job; in an emergency connectors/sql/90_capture_off.sql.",
        )
    elif is_full:
        what = f"{size}, and it cannot grow without a limit: when it is full, no till can sell (9002)"
        yield warning(about, what, "Let the log file grow, or back the log up more often (BACKUP LOG).")


def _space(state: State) -> Iterator[Finding]:
    if state.engine == _EXPRESS and (state.data_mb or 0) > _NEARLY_FULL * _EXPRESS_LIMIT_MB:
        yield error(
            f"{_ABOUT}: space",
            f"{state.data_mb} of the {_EXPRESS_LIMIT_MB} MB of Express are used: when it is full, no till can sell",
            "Remove old data, or upgrade to Standard edition.",
        )


def _log_in(state: State) -> Iterator[Finding]:
    if state.windows_only == 1:
        yield warning(
            f"{_ABOUT}: log-in mode",
            "is Windows alone, so the logins of connectors/sql are refused (18456)",
            "Server Properties, Security: SQL Server and Windows Authentication mode; then restart SQL Server.",
        )


def _version(state: State) -> Iterator[Finding]:
    if state.major < _FIRST_SUPPORTED:
        what = f"{state.version} is older than SQL Server 2012"
        yield error(f"{_ABOUT}: version", what, "Upgrade to 2016 SP1 or later.")


def _capture(state: State) -> Iterator[Finding]:
    if not state.captures:
        what = f"{state.edition} ({state.version}) has no change data capture"
        yield warning(
            f"{_ABOUT}: edition", what, "Set CAPTURE=polling, or upgrade to Standard edition of 2016 SP1 or later."
        )
        return
    if state.owner is None:
        what = "is no login of this server: connectors/sql/10_capture_on.sql fails with 15517 or 22830"
        yield error(f"{_ABOUT}: database owner", what, "ALTER AUTHORIZATION ON DATABASE::<name> TO sa.")
    if state.published:
        what = "publishes this database: its log reader captures, and a capture job is not allowed"
        yield warning(f"{_ABOUT}: replication", what, "Keep the Log Reader Agent running; leave the capture job out.")
