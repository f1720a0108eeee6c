"""Tests which settings fit a copy of the sales database, and how the settings of a rehearsal are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import HttpUrl, SecretStr

from streams.operators import Problem
from streams.operators.checks import Level
from streams.operators.checks.copy_mark import Marked, judge_copy_mark
from streams.operators.rehearsal_settings import Copy, env_text, rehearsal_settings
from streams.pipeline.rehearsal import mark_problem
from streams.settings import Settings
from streams.stores.copy_mark import CopyMark
from tests.contract.stores.databases import settings_for
from tests.support.command_line import invoke_faust
from tests.support.connector_files import batches, script, without_comments
from tests.support.marked_copy import SIMULATOR
from tests.support.right_settings import RIGHT

MARK = CopyMark((SIMULATOR,))
REHEARSAL = {"national_api_url": HttpUrl(SIMULATOR), "topic_prefix": "rehearsal"}
REAL = {"national_api_url": HttpUrl("https://api.example/v1")}
MARK_SCRIPT = "70_mark_copy.sql"


@pytest.mark.parametrize(
    ("mark", "changed", "says"),
    [
        (None, REAL, None),
        (None, REAL | {"topic_prefix": "shop-12"}, None),
        (None, {}, None),  # the simulator of a developer's own stack
        (None, REHEARSAL, "is not marked as a copy"),
        (None, REHEARSAL | REAL, "is not marked as a copy"),
        (None, REHEARSAL | {"topic_prefix": "rehearsal-shop-12"}, "is not marked as a copy"),
        (None, REAL | {"topic_prefix": "rehearsals"}, None),
        (MARK, REHEARSAL, None),
        (MARK, REHEARSAL | {"topic_prefix": "rehearsal-shop-12"}, None),
        (MARK, REAL, "NATIONAL_API_URL is https://api.example/v1"),
        (MARK, REHEARSAL | REAL, "NATIONAL_API_URL is https://api.example/v1"),
        (MARK, REHEARSAL | {"national_api_url": HttpUrl("http://127.0.0.1:8001")}, "NATIONAL_API_URL is http://127."),
        (MARK, REHEARSAL | {"national_api_proxy": SecretStr("http://u:hunter2@proxy:3128")}, "NATIONAL_API_PROXY"),
        (MARK, REHEARSAL | {"topic_prefix": ""}, "without TOPIC_PREFIX=rehearsal"),
        (MARK, REHEARSAL | {"topic_prefix": "shop-12"}, "without TOPIC_PREFIX=rehearsal"),
        (CopyMark(()), REHEARSAL, "no address, or the mark cannot be read"),
    ],
)
def test_a_copy_and_a_rehearsal_fit_each_other_and_nothing_else(
    mark: CopyMark | None, changed: dict[str, Any], says: str | None
) -> None:
    """Promise 3. Broken by: the sales of a copy are sent to another address than its mark names.

    Promise 2. Broken by: the simulator's answers are recorded in a database that is not marked as a copy.
    """
    problem = mark_problem(mark, settings_for(**changed))
    if says is None:
        assert problem is None
        return
    assert problem is not None
    assert says in str(problem)
    assert "hunter2" not in f"{problem}{problem.action}"
    if mark is None:
        assert "70_mark_copy.sql" in problem.action
    else:
        assert "DROP TABLE dbo.SaleSyncCopy" in problem.action


def levels(found: Marked | None, **changed: Any) -> list[Level]:
    findings = judge_copy_mark(found, settings_for(**changed))
    assert all(each.action for each in findings if each.level in (Level.WARNING, Level.ERROR))
    return [each.level for each in findings]


def test_doctor_says_whether_the_database_is_a_copy_and_what_does_not_fit() -> None:
    assert levels(None) == []
    assert levels(Marked(None, None), **REAL) == [Level.OK]
    assert levels(Marked(None, None)) == [Level.WARNING], (
        "an API on this machine, and nothing says that it is a rehearsal"
    )
    assert levels(Marked(None, None), stack="local") == [Level.OK]
    assert levels(Marked(None, None), **REHEARSAL) == [Level.ERROR]
    assert levels(Marked(MARK, 0), **REHEARSAL) == [Level.OK]
    assert levels(Marked(MARK, None), **REHEARSAL) == [Level.OK]
    assert levels(Marked(MARK, 3), **REHEARSAL) == [Level.OK, Level.WARNING]
    assert levels(Marked(MARK, 0), **REAL) == [Level.ERROR]


# ---- the script for SQL Server ----


def test_the_script_changes_only_a_database_that_is_named_as_a_copy() -> None:
    text = without_comments(script(MARK_SCRIPT))
    changing = [
        batch for batch in batches(MARK_SCRIPT) if any(word in batch for word in ("UPDATE", "CREATE", "INSERT"))
    ]
    assert len(changing) == 1
    assert without_comments(changing[0]).strip().startswith("IF DB_NAME() LIKE N'%[_]rehearsal'\nBEGIN\n")
    assert text.index("CREATE TABLE dbo.SaleSyncCopy") < text.index("UPDATE dbo.AccountShop") < text.index("COMMIT;")
    assert text.count("BEGIN TRANSACTION;") == text.count("COMMIT;") == 1


def test_the_script_lets_every_login_read_the_mark_and_names_the_simulators_address() -> None:
    text = without_comments(script(MARK_SCRIPT))
    assert "GRANT SELECT ON dbo.SaleSyncCopy TO public;" in text
    assert f"VALUES (N'{SIMULATOR}')" in text
    assert "DECLARE @account NVARCHAR(50) = N'rehearsal';" in text


# ---- the settings of a rehearsal ----

PRODUCTION = """
# of production
KAFKA_BOOTSTRAP_SERVERS=kafka01:9092
SALES_CHANGE_TOPIC=pharmacy.chain.dbo.SalesInvoices
SALES_DB_SERVER=sql01
SALES_DB_DATABASE=chain
SALES_DB_USER=pharmacy_worker
SALES_DB_PASSWORD='real # one'
SALES_DB_TRUST_CERTIFICATE=true
REDIS_HOST=127.0.0.1
REDIS_PASSWORD='a # b'
MONGO_HOSTS=127.0.0.1:27017
NATIONAL_API_URL=https://api.example
NATIONAL_API_PROXY=http://u:hunter2@proxy:3128
NATIONAL_API_BIND_ADDRESS=10.0.0.5
CONNECT_URL=http://connect:8083
RATE_LIMIT=5
MAX_IN_FLIGHT=
#WEB_PORT=6066
KAFKA_SSL_CAFILE=house.pem
"""


def made(tmp_path: Path, copy: Copy, text: str = PRODUCTION) -> Settings:
    before = tmp_path / "production.env"
    before.write_text(text)
    changed = rehearsal_settings(Settings(_env_file=(before,)), copy, api_url=SIMULATOR, web_port=6070)
    after = tmp_path / "rehearsal.env"
    after.write_text(env_text(text, changed))
    return Settings(_env_file=(after,))


def own_copy(tmp_path: Path, **changed: Any) -> Copy:
    password = tmp_path / "a password"
    password.write_text("of its own # 1")
    return Copy("chain_rehearsal", user="pharmacy_rehearsal", password_file=password, **changed)


def test_a_rehearsal_has_productions_settings_but_for_database_api_and_prefix(tmp_path: Path) -> None:
    settings = made(tmp_path, own_copy(tmp_path))
    dsn = settings.sales_db_dsn.get_secret_value()
    assert "{tcp:sql01,1433}" in dsn
    assert "{chain_rehearsal}" in dsn
    assert "{pharmacy_rehearsal}" in dsn
    assert "{of its own # 1}" in dsn
    assert settings.sales_db_trust_certificate
    assert (settings.api_url, settings.national_api_proxy, settings.national_api_bind_address) == (
        SIMULATOR,
        None,
        None,
    )
    assert (settings.topic_prefix, settings.capture, settings.web_port) == ("rehearsal", "polling", 6070)
    assert settings.sales_change_topic == "rehearsal.chain_rehearsal.dbo.SalesInvoices"
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == "a # b"
    assert settings.rate_limit == 5
    assert settings.kafka_ssl_cafile == Path("house.pem").resolve()
    text = (tmp_path / "rehearsal.env").read_text()
    assert "real" not in text.replace("rehearsal", "")
    assert "hunter2" not in text


def test_the_copy_may_be_on_another_server_and_of_one_of_several_databases(tmp_path: Path) -> None:
    copy = own_copy(tmp_path, server="sql02")
    text = PRODUCTION + "TOPIC_PREFIX=shop-12\n"
    settings = made(tmp_path, copy, text)
    assert "sql02" in settings.sales_db_dsn.get_secret_value()
    assert settings.topic_prefix == "rehearsal-shop-12"
    assert settings.sales_change_topic.startswith("rehearsal-shop-12.")


def test_a_connection_string_replaces_all_parts_of_productions(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("Driver=x;Database=chain_rehearsal")
    settings = made(tmp_path, Copy("chain_rehearsal", dsn_file=file))
    assert settings.sales_db_dsn.get_secret_value() == "Driver=x;Database=chain_rehearsal"
    assert settings.sales_db_server is None


def test_a_name_that_no_topic_may_have_is_written_as_debezium_would(tmp_path: Path) -> None:
    copy = own_copy(tmp_path)
    settings = made(tmp_path, Copy("Nhà thuốc_rehearsal", user=copy.user, password_file=copy.password_file))
    assert settings.source_database == "Nh__thu_c_rehearsal"
    assert "{Nhà thuốc_rehearsal}" in settings.sales_db_dsn.get_secret_value()


def test_a_rehearsal_is_not_made_from_a_rehearsals_settings(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="rehearsal's settings already"):
        made(tmp_path, own_copy(tmp_path), PRODUCTION + "TOPIC_PREFIX=rehearsal\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give either --user, or --dsn-file"),
        (["--user", "u", "--dsn-file", __file__], "give either --user, or --dsn-file"),
        (["--server", "s", "--dsn-file", __file__], "give either --user, or --dsn-file"),
    ],
)
def test_the_command_requires_one_way_to_log_in(tmp_path: Path, arguments: list[str], says: str) -> None:
    ended = invoke_faust(tmp_path, "rehearse", str(tmp_path), "--database", "chain_rehearsal", *arguments, **RIGHT)
    assert ended.returncode == 2
    assert says in ended.stderr


def test_the_command_requires_a_file_with_the_password_where_there_is_no_terminal(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(PRODUCTION.replace("KAFKA_SSL_CAFILE=house.pem\n", ""))
    arguments = ["--database", "chain_rehearsal", "--user", "pharmacy_rehearsal"]
    ended = invoke_faust(tmp_path, "rehearse", str(tmp_path / "r"), *arguments)
    assert ended.returncode == 1
    assert ended.stderr.endswith("and stdin is not a terminal. Use --password-file.\n")


def test_the_command_without_a_file_of_settings_says_where_to_run_it(tmp_path: Path) -> None:
    arguments = ["--database", "chain_rehearsal", "--dsn-file", __file__]
    ended = invoke_faust(tmp_path, "rehearse", str(tmp_path / "r"), *arguments, **RIGHT)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(".env: cannot be read")
    assert not (tmp_path / "r").exists()
