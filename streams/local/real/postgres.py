"""PostgreSQL from Debian: the sales database behind ODBC, with a log that Debezium reads; and FerretDB's store."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.local.database import SALES, Rows
from streams.local.debian import PackagesMissing, odbc_driver
from streams.local.processes import Process
from streams.local.servers import PortGiven

if TYPE_CHECKING:
    import pyodbc

PACKAGES = ("postgresql", "odbc-postgresql")
OWNER = "postgres"
"""The role that may do everything; and the system account that the package made, since root may not run a server."""

_SCHEMA = Path(__file__).with_name("schema.sql")
_NOBODY_ELSE = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_HOMES = "streams-postgres-"
_ROLES = {
    # The first two have the rights that connectors/sql gives on SQL Server; schema.sql names them.
    "worker": "",
    "debezium": "REPLICATION",
    "mongo": "CREATEDB",
}
_SETTINGS = {
    "wal_level": "logical",
    "track_commit_timestamp": "on",  # `make latency` reads them
    "max_connections": "200",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    # What only a crash of the whole machine could lose is not what these servers are for.
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Statistics follow a table that grows from nothing, as SQL Server's do by themselves: without them a list of ids is
    # looked for in the whole table.
    "autovacuum_naptime": "1s",
    "autovacuum_analyze_threshold": "500",
}


class Postgres(PortGiven):
    name = "postgres"
    stopped_by = signal.SIGINT  # ends the sessions, keeps what is committed

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings`: the server's own, before ours."""
        super().__init__(folder)
        self._settings = _SETTINGS | dict(settings or {})
        self._passwords = {role: secrets.token_urlsafe(12) for role in (OWNER, *_ROLES)}
        self._binaries = _binaries()
        self._home: Path | None = None
        self.account = _account()

    def prepare(self) -> None:
        if self._home is None:
            self._home = self._initialized()

    def command(self) -> Sequence[str | Path]:
        host, _, port = self.address.rpartition(":")
        options = {**self._settings, "listen_addresses": host, "port": port, "unix_socket_directories": ""}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [self._binaries / "postgres", "-D", f"{self._home}/data", *arguments]

    def answers(self) -> bool | None:
        import pyodbc

        try:
            with closing(self.connect("postgres")) as owner:
                self._make_roles(owner)
        except pyodbc.Error as error:
            raise OSError(str(error)) from None
        return True

    def remove(self) -> None:
        """Its files, once it is stopped."""
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def password(self, role: str) -> str:
        return self._passwords[role]

    def url(self, role: str, database: str) -> str:
        return f"postgres://{role}:{self._passwords[role]}@{self.address}/{database}"

    def dsn(self, role: str, database: str) -> str:
        """For ODBC. An error rolls the whole transaction back, as XACT_ABORT does on SQL Server."""
        host, _, port = self.address.rpartition(":")
        driver = odbc_driver("psqlodbcw.so", "odbc-postgresql")
        place = f"Driver={driver};Server={host};Port={port};Database={database}"
        return f"{place};UID={role};PWD={self._passwords[role]};Protocol=7.4-1"

    def connect(self, database: str, role: str = OWNER) -> pyodbc.Connection:
        """In autocommit."""
        return _connection(self.dsn(role, database))

    def create(self, database: str, *, owner: str = OWNER) -> None:
        with closing(self.connect("postgres")) as connection:
            connection.execute(f'CREATE DATABASE "{database}" OWNER {owner}')

    def create_sales_database(self, name: str) -> PostgresDatabase:
        self.create(name)
        with closing(self.connect(name)) as connection:
            connection.execute(_SCHEMA.read_text(encoding="utf-8"))
        return PostgresDatabase(
            place=f"PostgreSQL at {self.address}, database {name}",
            tills_dsn=self.dsn(OWNER, name),
            settings={"SALES_DB_DSN": self.dsn("worker", name)},
        )

    def empty_sales_database(self, name: str) -> None:
        """Ends its sessions and makes its tables anew, which takes a tenth of what another database takes."""
        with closing(self.connect(name)) as connection:
            connection.execute(_NOBODY_ELSE)
            connection.execute("DROP PUBLICATION pharmacy; DROP SCHEMA dbo CASCADE")
            connection.execute(_SCHEMA.read_text(encoding="utf-8"))

    def drop(self, database: str) -> None:
        with closing(self.connect("postgres")) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _make_roles(self, owner: pyodbc.Connection) -> None:
        there = {name for (name,) in owner.execute("SELECT rolname FROM pg_roles").fetchall()}
        for role, rights in _ROLES.items():
            if role not in there:
                owner.execute(f"CREATE ROLE {role} LOGIN {rights} PASSWORD '{self._passwords[role]}'")

    def _initialized(self) -> Path:
        _remove_orphans()
        home = Path(tempfile.mkdtemp(prefix=f"{_HOMES}{os.getpid()}-"))  # the server's account must reach it
        password = home / "password"
        password.write_text(self._passwords[OWNER])
        if self.account:
            for place in (home, password):
                shutil.chown(place, self.account, self.account)
        data = home / "data"
        arguments = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        Process(
            "making PostgreSQL's folder",
            [self._binaries / "initdb", "-D", data, "-U", OWNER, *arguments],
            log=self.folder / "logs" / "initdb.log",
            folder=home,
            account=self.account,
        ).succeed(60)
        password.unlink()
        return home


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """One database with the till's tables and ours."""

    place: str
    tills_dsn: str
    settings: Mapping[str, str]

    def connect(self) -> PostgresTill:
        return PostgresTill(_connection(self.tills_dsn))


class PostgresTill:
    def __init__(self, connection: pyodbc.Connection) -> None:
        self._connection = connection
        connection.execute("SET search_path = dbo")
        self.close = connection.close

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        rows: Rows = self._connection.execute(sql, *parameters)
        return rows

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        with closing(self._connection.cursor()) as cursor:
            for row in rows:
                cursor.execute(sql, *row)
        return None

    @contextmanager
    def selling(self, table: str = SALES) -> Iterator[int]:
        self.execute("BEGIN")
        try:
            self.execute("SELECT pg_advisory_xact_lock(1)")  # one seller at a time, and nobody else is held up
            last, used = self.execute(f"SELECT last_value, is_called FROM {table}_id_seq").fetchone()  # noqa: S608
            yield int(last) if used in (True, "1") else 0
            self.execute("COMMIT")
        except BaseException:
            self.execute("ROLLBACK")
            raise

    def used(self, last_id: int, table: str = SALES) -> None:
        self.execute(f"SELECT setval('{table.lower()}_id_seq', ?)", (last_id,))


def _connection(dsn: str) -> pyodbc.Connection:
    import pyodbc  # not before Debian has brought the library that it needs

    pyodbc.pooling = False  # as in streams.stores.sales_db
    return pyodbc.connect(dsn, autocommit=True, timeout=5)


def _remove_orphans() -> None:
    """What runs left that were killed."""
    for home in Path(tempfile.gettempdir()).glob(f"{_HOMES}*-*"):
        if not Path("/proc", home.name.removeprefix(_HOMES).partition("-")[0]).exists():
            shutil.rmtree(home, ignore_errors=True)


def _account() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(OWNER).pw_name
    except KeyError:
        raise PackagesMissing(f"there is no account {OWNER}: install the package postgresql") from None


def _binaries(root: Path = Path("/usr/lib/postgresql")) -> Path:
    found = sorted(root.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise PackagesMissing(f"no server in {root}/*/bin: install the package postgresql")
    return found[-1].parent
