"""Tests that the connector's file and the scripts for SQL Server agree with the code that relies on them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

import pytest
import sqlglot

from streams.documents import DOCUMENT_TYPES
from streams.documents.document import BrokenRules, DocumentType
from streams.documents.sale import SALE
from streams.domain.change_event import _Row
from streams.local.capture_triggers import capture_triggers
from streams.local.database import open_database
from streams.settings import Settings
from tests.support.connector_files import CONFIG, CONNECTORS, README, SQL, batches, script, values, without_comments
from tests.support.source_tables import POINT_OF_SALE_TABLES

SCRIPTS = sorted(str(path.relative_to(SQL)) for path in SQL.rglob("*.sql"))
CHECK, CAPTURE_ON, CONNECTOR_LOGIN, LOGINS, CAPTURE_OFF, INDEXES, AFTER_RESTORE, FORGET, MARK_COPY, INDEXES_OFF = (
    "00_check.sql",
    "10_capture_on.sql",
    "20_connector_login.sql",
    "40_worker_login.sql",
    "90_capture_off.sql",
    "30_indexes.sql",
    "50_after_restore.sql",
    "60_forget_archived.sql",
    "70_mark_copy.sql",
    "91_indexes_off.sql",
)
OURS = ("sale_sync.sql", "sale_action.sql")
TAKES = {
    CONNECTOR_LOGIN: {"DEBEZIUM_LOGIN", "DEBEZIUM_PASSWORD"},
    LOGINS: {"WORKER_LOGIN", "WORKER_PASSWORD"},
    CAPTURE_OFF: {"DEBEZIUM_LOGIN", "WORKER_LOGIN", "DROP_SALE_SYNC"},
    FORGET: {"KEEP_DAYS"},
    "sample/database.sql": {"PHARMACY_DB_NAME"},
    "sample/sales.sql": {"SAMPLE_SHOP_PASSWORD"},
}
NOT_UNDERSTOOD_BY_SQLGLOT = re.compile(r"EXEC sys\.\w+\s+@|WAITFOR|OUTPUT inserted")


def captured(document_type: DocumentType) -> list[str]:
    return ["id", document_type.document_code_column, "pharmacy_code", "shop_pharmacy_code", "status"]


# ---- the connector's file ----


def test_every_value_of_the_connector_file_is_a_string() -> None:
    assert {type(value) for value in CONFIG.values()} == {str}


def test_the_connector_captures_only_the_document_tables_and_no_personal_data() -> None:
    assert CONFIG["table.include.list"].split(",") == [f"dbo.{document_type.table}" for document_type in DOCUMENT_TYPES]
    assert CONFIG["column.include.list"].split(",") == [
        f"dbo.{document_type.table}.{column}" for document_type in DOCUMENT_TYPES for column in captured(document_type)
    ]


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda document_type: document_type.name)
def test_the_captured_columns_are_those_that_a_change_event_is_read_for(document_type: DocumentType) -> None:
    assert {*_Row.model_fields, document_type.document_code_column} == set(captured(document_type))


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES, ids=lambda document_type: document_type.name)
def test_change_data_capture_covers_the_columns_that_the_connector_captures(document_type: DocumentType) -> None:
    text = script(CAPTURE_ON)
    table = document_type.table
    enabled = rf"@source_name = N'{table}',\s+@capture_instance = N'dbo_{table}_1',\s+@role_name = N'sale_capture',"
    (columns,) = re.findall(enabled + r"\s+@captured_column_list = N'([^']*)'", text)
    assert columns.split(", ") == captured(document_type)
    assert f"(N'dbo.{document_type.table}', N'{document_type.document_code_column}')" in text
    (expected,) = re.findall(r"c\.column_name NOT IN \(([^)]*)\)", text)
    named = [document_type.document_code_column if name == "d.code" else name[2:-1] for name in expected.split(", ")]
    assert named == captured(document_type)


@pytest.mark.parametrize("document_type", DOCUMENT_TYPES[1:], ids=lambda document_type: document_type.name)
def test_the_scripts_skip_the_tables_of_receipts_and_issues_where_they_are_missing(document_type: DocumentType) -> None:
    """Only the tables of the sale are in every chain's database."""
    for name in (CAPTURE_ON, CONNECTOR_LOGIN, INDEXES, LOGINS, AFTER_RESTORE):
        for batch in map(without_comments, batches(name)):
            for table in (document_type.table, document_type.lines_table):
                if re.search(rf"dbo\.{table}\b(?!')", batch) or f"@source_name = N'{table}'" in batch:
                    assert batch.lstrip().startswith("IF OBJECT_ID(N'dbo."), batch
                    assert f"OBJECT_ID(N'dbo.{table}', N'U') IS NOT NULL" in batch, batch


def test_the_local_stack_captures_the_columns_that_the_connector_captures() -> None:
    for document_type in DOCUMENT_TYPES:
        images = re.findall(r"json_object\((.*?)\)", capture_triggers(document_type))
        assert [re.findall(r"'(\w+)',", image) for image in images] == [captured(document_type)] * 4


def test_the_connector_file_has_the_values_that_the_worker_relies_on() -> None:
    expected = {
        "connector.class": "io.debezium.connector.sqlserver.SqlServerConnector",
        "tasks.max": "1",
        "snapshot.mode": "no_data",
        "snapshot.isolation.mode": "snapshot",
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "heartbeat.interval.ms": "10000",
        "skip.messages.without.change": "true",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "errors.tolerance": "none",
        "errors.log.include.messages": "false",
        "event.processing.failure.handling.mode": "fail",
        "topic.creation.default.partitions": str(Settings.model_fields["topic_partitions"].default),
    }
    assert {name: CONFIG.get(name) for name in expected} == expected


def test_hosts_are_placeholders_and_kafka_connect_reads_the_password_from_a_file() -> None:
    assert {name for name in CONFIG if re.search("password|jaas|secret|token", name)} == {"database.password"}
    assert CONFIG["database.password"] == "${directory:/run/secrets:debezium_password}"
    for name in ("database.hostname", "database.port", "database.names", "database.user"):
        assert re.fullmatch(r"\$\{env:PHARMACY_DB_[A-Z]+\}", CONFIG[name]), name
    assert CONFIG["schema.history.internal.kafka.bootstrap.servers"] == "${env:KAFKA_BOOTSTRAP_SERVERS}"


def test_the_readme_explains_every_line_and_placeholder_of_the_connector_file() -> None:
    cells = re.findall(r"(?m)^\| (`[^|]*?) \|", README)
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    patterns = [f"*{name}" if name.startswith(".") else name.replace("…", "*") for name in named]
    assert [name for name in CONFIG if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    places = re.findall(r"\$\{env:(\w+)\}", " ".join(CONFIG.values()))
    assert [place for place in places if f"`{place}" not in README] == []


# ---- the scripts ----


CHANGING = [name for name in SCRIPTS if name != CHECK]
"""tests/unit/test_check_script.py has the one that only reads."""


@pytest.mark.parametrize("name", CHANGING)
def test_every_script_is_valid_t_sql(name: str) -> None:
    for batch in batches(name):
        tokens = [token.text.upper() for token in sqlglot.tokenize(batch, read="tsql")]
        assert tokens.count("(") == tokens.count(")"), batch
        begun = tokens.count("BEGIN") - (", ".join(tokens)).count("BEGIN, TRANSACTION") + tokens.count("CASE")
        assert begun == tokens.count("END"), batch
        if not NOT_UNDERSTOOD_BY_SQLGLOT.search(batch):
            sqlglot.parse(batch.replace(" WITH NOWAIT", ""), read="tsql", error_level=sqlglot.ErrorLevel.IMMEDIATE)


@pytest.mark.parametrize("name", CHANGING)
def test_every_script_may_be_run_again(name: str) -> None:
    for batch in map(without_comments, batches(name)):
        for found in re.finditer(r"\b(CREATE|DROP|ALTER DATABASE|ALTER LOGIN|EXEC) .*", batch):
            before = batch[: found.start()]
            within = len(re.findall(r"\b(?:BEGIN|CASE)\b", before)) > len(re.findall(r"\bEND\b", before))
            guarded = re.search(r"\bIF\b[^;]*$", before) or " IF EXISTS " in found[0]
            assert within or guarded, found[0]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_uses_only_the_variables_that_its_head_names(name: str) -> None:
    used = set(re.findall(r"\$\((\w+)\)", script(name)))
    assert used == TAKES.get(name, set())
    head = script(name).split("\n\n", 1)[0] + (script(LOGINS) if name == CAPTURE_OFF else "")
    assert all(variable in head for variable in used)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_contains_a_password(name: str) -> None:
    text = without_comments(script(name))
    assert re.findall(r"(?i)password\s*=\s*N?'(?!\$\(| \+ QUOTENAME\(N'\$\()[^']*'", text) == []
    assert re.findall(r"(?i)PWDCOMPARE\(N?'(?!\$\()", text) == []


@pytest.mark.parametrize("name", [name for name in CHANGING if not name.startswith("sample/")])
def test_the_head_of_every_script_says_what_it_locks(name: str) -> None:
    head = script(name).split("\n\n", 1)[0]
    assert "\n-- Locks: " in head


@pytest.mark.parametrize("name", [CAPTURE_ON, INDEXES, FORGET, INDEXES_OFF])
def test_scripts_that_may_wait_for_a_point_of_sale_stop_after_five_seconds(name: str) -> None:
    assert "SET LOCK_TIMEOUT 5000;" in script(name).partition("GO\n")[0]


def test_indexes_are_created_online_where_the_edition_supports_it() -> None:
    text = without_comments(script(INDEXES))
    online = (
        "CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END"
    )
    statements = re.findall(r"N'(CREATE INDEX .*)'\n +\+ (.*);", text)
    assert {said for _, said in statements} == {online}
    assert len(statements) == text.count("EXEC sys.sp_executesql @sql;")
    for made, _ in statements:
        sqlglot.parse(f"{made} WITH (ONLINE = ON)", read="tsql", error_level=sqlglot.ErrorLevel.IMMEDIATE)


@pytest.mark.parametrize(("name", "login"), [(CONNECTOR_LOGIN, "DEBEZIUM"), (LOGINS, "WORKER")])
def test_a_login_has_the_same_sid_on_every_replica(name: str, login: str) -> None:
    text = script(name)
    assert f"CAST(HASHBYTES('SHA1', N'sale streams/' + LOWER(N'$({login}_LOGIN)')) AS BINARY(16))" in text
    assert f"CREATE LOGIN [$({login}_LOGIN)] WITH SID = '\n        + CONVERT(NVARCHAR(100), @sid, 1)" in text
    assert without_comments(text).count("CREATE LOGIN") == 1


def test_no_capture_job_is_made_where_the_log_reader_captures_and_a_job_that_ended_is_started() -> None:
    text = without_comments(script(CAPTURE_ON))
    for made in re.finditer(r"EXEC sys\.sp_cdc_add_job @job_type = N'capture'", text):
        assert text[: made.start()].rstrip().endswith("WHERE database_id = DB_ID() AND is_published = 0)")
    assert text.count("EXEC sys.sp_cdc_start_job @job_type = N'capture';") == 2


@pytest.mark.parametrize("name", [AFTER_RESTORE, FORGET])
def test_scripts_on_many_rows_go_in_bounded_steps(name: str) -> None:
    text = without_comments(script(name))
    assert int(re.findall(r"TOP \((\d+)\)", text)[0]) <= 5000
    changed = re.findall(r"(?m)^ +((?:UPDATE|DELETE FROM|INSERT INTO) dbo\.SaleSync\b[^;]*);", text)
    assert len(changed) == {AFTER_RESTORE: 1 + len(DOCUMENT_TYPES), FORGET: 2 * len(DOCUMENT_TYPES)}[name]
    assert all("id > @from AND" in statement and "id <= @to" in statement for statement in changed)
    assert text.count("SET @from = @to;") == text.count("IF @to IS NULL BREAK;")


def test_only_archived_sales_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    """Promise 3. Broken by: a sale that is still there is forgotten, and sent once more without a look-up."""
    text = without_comments(script(FORGET)).replace("dbo.", "")
    raising, deleting, *_ = re.findall(r"(?m)^ +((?:INSERT INTO|DELETE FROM) SaleSync\b[^;]*);", text)
    old, recent = 1_000, 9_000
    rows = [
        (1, old, None, None, 0),  # archived
        (2, recent, None, None, 0),  # archived, but sent not long ago
        (3, old, None, None, 0),  # still there
        (4, old, None, 5, 0),  # due
        (5, old, None, None, 77),  # claimed
        (6, None, old, None, 0),  # archived, refused without being sent
        (7, None, None, None, 0),
        (1001, old, None, None, 0),  # of the next step
    ]
    with closing(open_database(tmp_path / "chain.db")) as database:
        database.execute("INSERT INTO SaleSync (document_type, id) VALUES ('sale:new', 2)")
        for row in rows:
            database.execute(
                "INSERT INTO SaleSync (document_type, id, sent_at, attempts_since, next_attempt_at, lease_until) "
                "VALUES ('sale', ?, ?, ?, ?, ?)",
                row,
            )
        database.execute(
            "INSERT INTO SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, status, created_at, "
            "updated_at, sale_date) VALUES (3, 'HD-3', 'P', 'S', 'SYNC_SUCCESS', '2026', '2026', '2026')"
        )
        for statement in (raising, deleting):
            statement = re.sub(r"\bN'", "'", statement)
            values = {"from": 0, "to": 1000, "before": 5_000}
            database.execute(re.sub(r"@(\w+)", r":\1", statement), values)
        left = database.execute("SELECT document_type, id FROM SaleSync ORDER BY document_type, id").fetchall()
    assert [id_ for kind, id_ in left if kind == "sale"] == [2, 3, 4, 5, 7, 1001]
    assert max(id_ for kind, id_ in left if kind == "sale:new") == 1000, "put back, they are looked up first"


@pytest.mark.parametrize("name", [name for name in SCRIPTS if not name.startswith("sample/")])
def test_scripts_for_real_databases_are_ascii(name: str) -> None:
    assert script(name).isascii()


def test_the_readme_runs_all_scripts_in_the_order_of_their_dependencies() -> None:
    scripts = [CHECK, CAPTURE_ON, CONNECTOR_LOGIN, *OURS, INDEXES, LOGINS]
    assert re.findall(r"(?m)^sqlcmd .* -i (\S+)$", README) == scripts
    assert set(SCRIPTS) == {*scripts, AFTER_RESTORE, FORGET, MARK_COPY, CAPTURE_OFF, INDEXES_OFF} | {
        f"sample/{name}.sql" for name in ("database", "tables", "sales")
    }


def test_change_data_capture_keeps_changes_for_a_fortnight_and_reads_every_second() -> None:
    text = script(CAPTURE_ON)
    (retention,) = re.findall(r"@retention = (\d+)", text)
    assert int(retention) == 14 * 24 * 60
    settings = dict(re.findall(r"@(pollinginterval|maxtrans|maxscans) = (\d+)", text))
    assert settings == {"pollinginterval": "1", "maxtrans": "5000", "maxscans": "10"}
    # The guard asks for the same numbers that are set, or the job would be restarted at every run.
    assert dict(re.findall(r"(pollinginterval|maxtrans|maxscans) <> (\d+)", text)) == settings
    assert f"retention < {retention}" in text
    for value in (*settings.values(), retention):
        assert re.search(rf"(?m)^-- The jobs:.*\b{value}\b", README)


def test_one_role_guards_the_captured_changes() -> None:
    (role,) = set(re.findall(r"@role_name = N'(\w+)'", script(CAPTURE_ON)))
    assert f"ALTER ROLE {role} ADD MEMBER [$(DEBEZIUM_LOGIN)]" in script(CONNECTOR_LOGIN)
    assert f"DROP ROLE {role};" in script(CAPTURE_OFF)
    assert f"role_name = N'{role}'" in script(CAPTURE_OFF)
    assert f"@role_name = N'{role}'" in README


def test_our_tables_are_dropped_only_on_an_explicit_request() -> None:
    guards = re.findall(r"IF (.*)\n +DROP TABLE", script(CAPTURE_OFF))
    assert [guard.partition(" AND ")[0] for guard in guards] == ["N'$(DROP_SALE_SYNC)' = N'yes'"] * 2
    dropped = re.findall(r"(?m)DROP TABLE .*", "".join(map(script, CHANGING)))
    assert dropped == ["DROP TABLE dbo.SaleSync;", "DROP TABLE dbo.SaleAction;"]


# ---- indexes and tables ----


def indexes_of(database: sqlite3.Connection) -> dict[str, list[str]]:
    made = database.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {
        f"{table}.{name}": [row[2] for row in database.execute(f"PRAGMA index_info({name})")]
        for name, table in made.fetchall()
        if table not in ("SaleSync", "SaleAction")
    }


def test_the_index_script_creates_the_indexes_of_the_local_database(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "chain.db")) as database:
        local = indexes_of(database)
    text = without_comments(script(INDEXES))
    made = re.findall(r"N'CREATE INDEX (\w+) ON dbo\.(\w+) \(([^)]*)\)( INCLUDE \([\w, ]+\))?'\n", text)
    assert {f"{table}.{name}": columns.split(", ") for name, table, columns, _ in made} == local
    assert text.count("CREATE ") == len(made)  # filtered ones would have a WHERE, and not be found above
    column, second = r"COL_NAME\(.*?\) = N'(\w+)'", r"(?: AND COL_NAME\(b.*?\) = N'(\w+)')?"
    guards = re.findall(rf"N'dbo\.(\w+)'\) AND (?:a\.)?key_ordinal = 1\s+AND {column}{second}", text)
    first = [(table, *columns.split(", ")[:2]) for _, table, columns, _ in made]
    assert [tuple(filter(None, guard)) for guard in guards] == first


def test_every_index_that_was_created_can_be_dropped_again() -> None:
    created = re.findall(r"CREATE INDEX (\w+ ON dbo\.\w+) ", script(INDEXES))
    assert re.findall(r"    DROP INDEX (\w+ ON dbo\.\w+);", script(INDEXES_OFF)) == created


def test_the_index_of_an_earlier_version_is_dropped_after_its_replacement_exists() -> None:
    text = without_comments(script(INDEXES))
    (dropped,) = re.findall(r"DROP INDEX (\w+) ON dbo\.SalesInvoices;", text)
    assert text.index("DROP INDEX") > text.rindex("CREATE INDEX IX_SalesInvoices_")
    local = (CONNECTORS.parent / "streams/local/schema.sql").read_text()
    assert f"DROP INDEX IF EXISTS {dropped};" in local


@pytest.mark.parametrize("table", POINT_OF_SALE_TABLES)
def test_the_sample_script_creates_the_tables_of_a_real_point_of_sale(table: str) -> None:
    body = without_comments(script("sample/tables.sql")).split(f"CREATE TABLE dbo.{table} (")[1].split("\n);")[0]
    columns = dict(re.findall(r"(?m)^    ([a-z_]+) +([A-Z].*? (?:NOT )?NULL)", body))
    there = {
        name: re.sub(" +", " ", document_type).replace("NVARCHAR(MAX)", "TEXT")
        for name, document_type in columns.items()
    }
    if "id" in there:
        assert there["id"] == "INT IDENTITY NOT NULL"
        there["id"] = "INTEGER NULL"  # as SQLite puts it
    assert there == POINT_OF_SALE_TABLES[table]


# ---- the sample's sales ----


def test_three_sample_sales_are_valid_and_one_lacks_its_lot_number() -> None:
    accounts, sales, lines = values(0), values(1), values(2)
    assert {(sale["shop"], sale["place"]) for sale in sales} == {(a["shop"], a["place"]) for a in accounts}
    broken = {}
    for sale in sales:
        header = {
            "local_invoice_id": "HD-1",
            "pharmacy_code": sale["place"],
            "sale_date": "2026-11-23 08:00:00",
            "seller_name": sale["seller"],
            "customer_name": sale["customer"],
        }
        try:
            SALE.transform(
                header, [_line(line) for line in lines if line["number"] == sale["number"]], date(2026, 11, 23)
            )
        except BrokenRules as error:
            broken[sale["number"]] = [(rule.field, rule.rule) for rule in error.rules]
    assert broken == {"4": [("hoa_don_chi_tiet[1].so_lo", "required")]}


def _line(line: dict[str, object]) -> dict[str, object]:
    return {
        "drug_code": line["code"],
        "drug_name": line["name"],
        "lot_number": line["lot"],
        "expiry_date": "2028-01-01",
        "unit": line["unit"],
        "concentration": line["strength"],
        "dosage": line["dosage"],
        "registration_number": line["registration"],
        "quantity": line["quantity"],
        "unit_price": line["price"],
        "line_total": line["price"],
        "conversion_ratio": line["ratio"],
    }
