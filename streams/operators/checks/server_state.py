"""Checks of SQL Server itself, as far as the worker's login may see it: version, log-in mode, Agent, owner and
replication here, space and replicas in modules of their own.

connectors/sql/00_check.sql asks the same as a sysadmin; tests keep both in step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.operators.checks.availability import Availability, judge_availability, probe_availability
from streams.operators.checks.server_space import Volume, judge_data_space, judge_log, judge_volumes
from streams.stores.capture_state import LogUse, read_log_use
from streams.stores.permitted_rows import if_permitted, permitted_rows
from streams.stores.sales_db import SalesDb

_ABOUT = "SQL Server"
_EXPRESS, _AZURE_DATABASE, _AZURE = 4, 5, (5, 8)
_FIRST_SUPPORTED = (10, 50)
_FIRST_WITH_DEBEZIUM = (13, 0, 4001)


@dataclass(frozen=True, slots=True)
class State:
    """The columns of `streams.stores.catalogues.Catalogue.server`, in their order."""

    version: str
    edition: str
    engine: int
    windows_only: int | None
    """1: logins with passwords are refused."""
    agent_sessions: int | None
    """Sessions of SQL Server Agent; None: this login may not see them."""
    updateability: str | None
    owner: str | None
    """None: the owner is no login of this server."""
    recovery_model: str
    snapshot_isolation: str
    read_committed_snapshot: int
    published: int
    """1: transactional replication publishes the database."""
    data_mb: int | None
    data_limit_mb: int | None
    """None: the files may grow until the disk is full."""

    @property
    def is_supported(self) -> bool:
        """Whether the worker's statements run on this version: those of 2008 R2 or later."""
        return self.engine in _AZURE or self._numbers >= _FIRST_SUPPORTED

    @property
    def captures(self) -> bool:
        """Whether CAPTURE=cdc can be used: Standard or better, of 2016 SP1 or later, which is what Debezium needs."""
        if self.engine in _AZURE:
            return True
        is_small = self.engine == _EXPRESS or self.edition.startswith(("Express", "Web"))
        return not is_small and self._numbers >= _FIRST_WITH_DEBEZIUM

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(int(part) if part.isdigit() else 0 for part in self.version.split("."))


@dataclass(frozen=True, slots=True)
class Server:
    """What a server tells of itself."""

    state: State | None = None
    """None: it does not tell this login, or is not SQL Server."""
    log: LogUse | None = None
    volumes: Sequence[Volume] | None = None
    availability: Availability = field(default_factory=Availability)


async def probe_server(db: SalesDb) -> Server:
    """Return what the server tells. Raises `StoreError` if it cannot be reached."""
    catalogue = await db.transaction(lambda tx: tx.dialect.catalogue)
    rows = await permitted_rows(db, catalogue.server)
    volumes = await permitted_rows(db, catalogue.volumes)
    return Server(
        State(*rows[0]) if rows else None,
        await if_permitted(read_log_use(db)),
        volumes=None if volumes is None else [Volume(*volume) for volume in volumes],
        availability=await probe_availability(db, catalogue),
    )


def judge_server(server: Server, *, polls: bool = False) -> list[Finding]:
    """Judge a SQL Server. `polls`: the workers poll for new sales, so that change data capture is not needed."""
    state = server.state
    if state is None:
        return [skipped(_ABOUT, "not examined: the server does not tell this login")]
    return [
        *_version(state, polls=polls),
        *_log_in(state),
        *judge_availability(server.availability, is_read_only=state.updateability == "READ_ONLY", polls=polls),
        judge_log(server.log, state.recovery_model),
        *judge_data_space(state.data_mb, state.data_limit_mb, is_express=state.engine == _EXPRESS),
        *judge_volumes(server.volumes),
        _row_versions(state),
        *(() if polls or not state.captures else _capture(state)),
    ]


def _version(state: State, *, polls: bool) -> Iterator[Finding]:
    name = f"{state.version}, {state.edition}"
    if not state.is_supported:
        what = f"{name}: older than SQL Server 2008 R2, whose statements the worker uses"
        yield error(f"{_ABOUT}: version and edition", what, "Upgrade to 2008 R2 or later, better to 2016 SP1.")
        return
    ways = "CAPTURE=polling and CAPTURE=cdc" if state.captures else "CAPTURE=polling alone"
    yield ok(f"{_ABOUT}: version and edition", f"{name}: serves {ways}")
    if not polls and not state.captures:
        what = "CAPTURE=cdc needs Standard edition or better, 2016 SP1 or later, which this is not"
        action = "Set CAPTURE=polling, or upgrade."
        yield warning(f"{_ABOUT}: change data capture", what, action)


def _log_in(state: State) -> Iterator[Finding]:
    if state.windows_only == 1:
        yield warning(
            f"{_ABOUT}: log-in mode",
            "is Windows alone, so the logins of connectors/sql are refused (18456)",
            "Server Properties, Security: SQL Server and Windows Authentication mode; then restart SQL Server.",
        )


def _row_versions(state: State) -> Finding:
    committed = "on" if state.read_committed_snapshot else "off"
    what = f"snapshot isolation {state.snapshot_isolation.lower()}, read committed snapshot {committed}"
    return ok(f"{_ABOUT}: row versions", what)


def _capture(state: State) -> Iterator[Finding]:
    if state.agent_sessions == 0 and state.engine != _AZURE_DATABASE:
        what = "has no session on this server: it does not run, or has just started"
        yield error(f"{_ABOUT}: SQL Server Agent", what, "Start SQL Server Agent, and let it start with the server.")
    if state.owner is None:
        what = "is no login of this server: connectors/sql/10_capture_on.sql fails with 15517 or 22830"
        yield error(f"{_ABOUT}: database owner", what, "ALTER AUTHORIZATION ON DATABASE::<name> TO sa.")
    if state.published:
        what = "publishes this database: its log reader captures, and a capture job is not allowed"
        yield warning(f"{_ABOUT}: replication", what, "Keep the Log Reader Agent running; leave the capture job out.")
