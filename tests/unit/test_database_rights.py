"""The rights that connectors/sql/40_logins.sql gives: each that the connector or a statement needs, and no other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from streams.documents import DOCUMENT_TYPES
from streams.stores.schema import tables
from tests.support.connector_files import script, without_comments
from tests.support.recorded_statements import parsed, statements
from tests.unit.test_connectors import captured

LOGINS = "40_logins.sql"
OURS = {"SaleSync", "SaleAction"}
"""Of these the whole table is the worker's."""
REAL_SCHEMA = Path(__file__).parents[2] / "streams/local/real/schema.sql"
_DOCTORS = "WHERE 1 = 0"
"""In statements that ask whether columns are there, and for nothing else."""


def grants(login: str) -> dict[str, set[str]]:
    """Right -> what on; a column-level right as ``table.column``."""
    found: dict[str, set[str]] = defaultdict(set)
    text = without_comments(script(LOGINS))
    for rights, on, columns in re.findall(
        rf"GRANT ([A-Z, ]+?)(?: ON (\S+)(?: \(([^)]*)\))?)?\s+TO \[\$\({login}\)\];", text
    ):
        for right in rights.split(", "):
            found[right] |= (
                {f"{on}.{column}" for column in re.split(r",\s+", columns)} if columns else {on or "database"}
            )
    return dict(found)


def test_every_right_is_one_of_the_two_logins() -> None:
    assert script(LOGINS).count("GRANT ") == 23
    assert set(re.findall(r"TO (\[.*\]);", script(LOGINS))) == {"[$(DEBEZIUM_LOGIN)]", "[$(WORKER_LOGIN)]"}
    assert not re.search(r"db_owner|db_data|sysadmin|WITH GRANT|CONTROL|SERVER STATE|ALL ", script(LOGINS))


def test_the_connector_may_read_what_is_captured_and_no_more() -> None:
    of_kinds = {f"dbo.{kind.table}" for kind in DOCUMENT_TYPES}
    columns = {f"dbo.{kind.table}.{column}" for kind in DOCUMENT_TYPES for column in captured(kind)}
    of_cdc = {"cdc.change_tables", "cdc.captured_columns", "cdc.lsn_time_mapping"}
    assert grants("DEBEZIUM_LOGIN") == {
        "SELECT": of_cdc | columns,
        "VIEW DEFINITION": of_kinds,
        "VIEW DATABASE STATE": {"database"},
    }


def test_the_connector_may_read_each_capture_of_its_tables() -> None:
    """A table of changes is named after its capture, and a second capture may come: the script looks."""
    text = script(LOGINS)
    assert "N'GRANT SELECT ON cdc.' + QUOTENAME(capture_instance + N'_CT') + N' TO [$(DEBEZIUM_LOGIN)]; '" in text
    assert "FROM cdc.change_tables\nWHERE role_name = N'sale_capture';" in text


def test_what_an_earlier_version_gave_is_taken_back_first() -> None:
    text = without_comments(script(LOGINS))
    for place in (
        "SCHEMA::cdc",
        *(f"dbo.{table}" for table in tables(DOCUMENT_TYPES[0]) if table not in OURS),
    ):
        revoked = text.index(f"REVOKE SELECT ON {place} FROM")
        assert not re.search(rf"GRANT SELECT ON {place}\b", text[:revoked]) or place == "dbo.SalesInvoices"
    assert text.index("BEGIN TRANSACTION;") < text.index("REVOKE SELECT ON dbo.") < text.index("COMMIT;")


def read_by(tree: exp.Expr) -> Iterator[tuple[str, str]]:
    """Table and column, of all that a statement has to see."""
    written = {id(each.this) for each in tree.expressions} if isinstance(tree, exp.Update) else set()
    if isinstance(tree, exp.Update):
        for column in tree.find_all(exp.Column):
            if id(column) not in written and column.find_ancestor(exp.Select) is None:
                yield tree.this.name, column.name
    for scope in scopes(tree):
        sources = {name: source for name, source in scope.sources.items() if isinstance(source, exp.Table)}
        for column in scope.columns:
            if column.table in sources:
                yield sources[column.table].name, column.name
            elif not column.table and len(scope.sources) == 1 and sources:
                yield next(iter(sources.values())).name, column.name


def scopes(tree: exp.Expr) -> Iterator[Scope]:
    for select in tree.find_all(exp.Select):
        if select.find_ancestor(exp.Select) is None:
            yield from traverse_scope(select)


@cache
def needed() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for statement in statements():
        if statement.server != "Microsoft SQL Server" or statement.sql.endswith(_DOCTORS):
            continue
        tree = parsed(statement.sql, statement.server)
        found["SELECT"] |= {
            f"dbo.{table}" if table in OURS else f"dbo.{table}.{column}" for table, column in read_by(tree)
        }
        if isinstance(tree, exp.Insert):
            found["INSERT"].add(f"dbo.{tree.this.this.name}")
        if isinstance(tree, exp.Update):
            table = tree.this.name
            columns = {f"dbo.{table}.{each.this.name}" for each in tree.expressions}
            found["UPDATE"] |= {f"dbo.{table}"} if table in OURS else columns
    return dict(found)


def test_the_worker_may_do_what_its_statements_do_and_no_more() -> None:
    assert grants("WORKER_LOGIN") == needed()


def test_doctor_asks_for_the_columns_that_are_read_and_for_no_other() -> None:
    asked = {
        f"dbo.{table}.{column}" for kind in DOCUMENT_TYPES for table, names in tables(kind).items() for column in names
    }
    assert {place for place in asked if place.split(".")[1] not in OURS} == needed()["SELECT"] - {
        f"dbo.{table}" for table in OURS
    }


def test_every_table_of_a_statement_is_read_by_at_least_one_column() -> None:
    """Where no column of a table is named, SQL Server would ask for a right on all of it."""
    for statement in statements():
        if statement.server != "Microsoft SQL Server":
            continue
        tree = parsed(statement.sql, statement.server)
        target = {tree.this.this.name} if isinstance(tree, exp.Insert) else set()
        named = {table.name for table in tree.find_all(exp.Table)} - target
        assert named <= {table for table, _ in read_by(tree)}, statement.sql


def test_the_real_servers_of_the_tests_give_the_same() -> None:
    """So that a column that a statement reads and the script does not name is seen by every test on PostgreSQL."""
    given: dict[str, set[str]] = defaultdict(set)
    text = re.sub(r"--.*", "", REAL_SCHEMA.read_text(encoding="utf-8"))
    for rights, columns, on in re.findall(r"GRANT ([A-Z, ]+?) ?(?:\(([^)]*)\)\s+)?ON (\w+) TO worker;", text):
        for right in rights.split(", "):
            places = {f"dbo.{on}.{column}" for column in re.split(r",\s+", columns)} if columns else {f"dbo.{on}"}
            given[right] |= places
    assert dict(given) == grants("WORKER_LOGIN")
