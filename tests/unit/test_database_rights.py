"""Tests that the two scripts with logins grant each right that the connector or a statement needs, and no other."""

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

CONNECTOR, WORKER = "20_connector_login.sql", "40_worker_login.sql"
OURS = {"SaleSync", "SaleAction"}
"""Of these the whole table is the worker's."""
REAL_SCHEMA = Path(__file__).parents[2] / "streams/local/real/schema.sql"
_MARK = "SaleSyncCopy"
"""Only copies have this table, and every login may read it there."""
_DOCTORS = "WHERE 1 = 0"
"""In statements that ask whether columns are there, and for nothing else."""


def grants(login: str) -> dict[str, set[str]]:
    """Return what each right is granted on; a column-level right as ``table.column``."""
    found: dict[str, set[str]] = defaultdict(set)
    text = without_comments(script(CONNECTOR) + script(WORKER))
    for rights, on, columns in re.findall(
        rf"GRANT ([A-Z, ]+?)(?: ON (\S+)(?: \(([^)]*)\))?)?\s+TO \[\$\({login}\)\];", text
    ):
        for right in rights.split(", "):
            found[right] |= (
                {f"{on}.{column}" for column in re.split(r",\s+", columns)} if columns else {on or "database"}
            )
    return dict(found)


def test_every_right_belongs_to_one_of_the_two_logins() -> None:
    text = script(CONNECTOR) + script(WORKER)
    assert text.count("GRANT ") == 23
    assert set(re.findall(r"TO (\[.*\]);", script(CONNECTOR))) == {"[$(DEBEZIUM_LOGIN)]"}
    assert set(re.findall(r"TO (\[.*\]);", script(WORKER))) == {"[$(WORKER_LOGIN)]"}
    assert not re.search(r"db_owner|db_data|sysadmin|WITH GRANT|CONTROL|SERVER STATE|ALL ", text)


def test_the_connector_may_read_only_what_is_captured() -> None:
    tables_captured = {f"dbo.{document_type.table}" for document_type in DOCUMENT_TYPES}
    columns = {
        f"dbo.{document_type.table}.{column}" for document_type in DOCUMENT_TYPES for column in captured(document_type)
    }
    of_cdc = {"cdc.change_tables", "cdc.captured_columns", "cdc.lsn_time_mapping"}
    assert grants("DEBEZIUM_LOGIN") == {
        "SELECT": of_cdc | columns,
        "VIEW DEFINITION": tables_captured,
        "VIEW DATABASE STATE": {"database"},
    }


def test_the_connector_may_read_every_capture_of_its_tables() -> None:
    """A change table is named after its capture, and a table may have two captures, so the script searches for
    them.
    """
    text = script(CONNECTOR)
    assert "N'GRANT SELECT ON cdc.' + QUOTENAME(capture_instance + N'_CT') + N' TO [$(DEBEZIUM_LOGIN)]; '" in text
    assert "FROM cdc.change_tables\nWHERE role_name = N'sale_capture';" in text


def test_rights_that_an_earlier_version_granted_are_revoked_first() -> None:
    text = without_comments(script(CONNECTOR) + script(WORKER))
    for place in (
        "SCHEMA::cdc",
        *(f"dbo.{table}" for table in tables(DOCUMENT_TYPES[0]) if table not in OURS),
    ):
        revoked = text.index(f"REVOKE SELECT ON {place} FROM")
        assert not re.search(rf"GRANT SELECT ON {place}\b", text[:revoked]) or place == "dbo.SalesInvoices"
    assert text.index("BEGIN TRANSACTION;") < text.index("REVOKE SELECT ON dbo.") < text.index("COMMIT;")


def read_by(tree: exp.Expr) -> Iterator[tuple[str, str]]:
    """Yield table and column of everything that a statement reads."""
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


def test_the_worker_may_do_only_what_its_statements_do() -> None:
    read = {place for place in needed()["SELECT"] if place.split(".")[1] != _MARK}
    assert grants("WORKER_LOGIN") == needed() | {"SELECT": read}
    assert f"GRANT SELECT ON dbo.{_MARK} TO public;" in script("70_mark_copy.sql")


def test_doctor_checks_exactly_the_columns_that_the_statements_read() -> None:
    checked = {
        f"dbo.{table}.{column}"
        for document_type in DOCUMENT_TYPES
        for table, names in tables(document_type).items()
        for column in names
    }
    assert {place for place in checked if place.split(".")[1] not in OURS} == needed()["SELECT"] - {
        f"dbo.{_MARK}.api_url",
        *(f"dbo.{table}" for table in OURS),
    }


def test_every_statement_names_a_column_of_each_table_that_it_reads() -> None:
    """Where no column of a table is named, SQL Server would require a right on all of it."""
    for statement in statements():
        if statement.server != "Microsoft SQL Server":
            continue
        tree = parsed(statement.sql, statement.server)
        target = {tree.this.this.name} if isinstance(tree, exp.Insert) else set()
        named = {table.name for table in tree.find_all(exp.Table)} - target
        assert named <= {table for table, _ in read_by(tree)}, statement.sql


def test_the_tests_on_postgresql_grant_the_same_rights() -> None:
    """Every test on PostgreSQL then fails when a statement reads a column that the script does not name."""
    given: dict[str, set[str]] = defaultdict(set)
    text = re.sub(r"--.*", "", REAL_SCHEMA.read_text(encoding="utf-8"))
    for rights, columns, on in re.findall(r"GRANT ([A-Z, ]+?) ?(?:\(([^)]*)\)\s+)?ON (\w+) TO worker;", text):
        for right in rights.split(", "):
            places = {f"dbo.{on}.{column}" for column in re.split(r",\s+", columns)} if columns else {f"dbo.{on}"}
            given[right] |= places
    assert dict(given) == grants("WORKER_LOGIN")
