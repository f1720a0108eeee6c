"""Tests that a password of any printable characters passes unchanged through the drivers' own parsers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pyodbc
import pytest
import redis
import redis.asyncio.connection
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymongo import uri_parser

from streams.credentials.connection_strings import odbc_keywords, odbc_string
from streams.local.real.postgres import Postgres
from streams.local.servers import Valkey
from streams.settings import Settings
from streams.stores.sales_db import SalesDb
from tests.contract.redis_servers import url_of
from tests.contract.tds_server import LOGIN, LogIn, error, log_in, tds_server
from tests.support.right_settings import RIGHT

PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60)
TRAPS = [
    "{",
    "}",
    "}}",
    "{a}",
    "a;b",
    "}};Server=elsewhere;PWD={x",
    "a=b",
    " a ",
    "a #b",
    "${HOME}",
    "%41",
    "a+b",
    "a/b?c#d@e:f",
    "a\\b",
    "'\"",
    "mật khẩu",
    "𝄞",
    "\ufeffa",
    "[::1",
]


def passwords(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run the test for each of the traps, and for others."""
    for trap in TRAPS:
        test = example(password=trap)(test)
    fixtures_are_kept = [HealthCheck.function_scoped_fixture]
    bounds = hypothesis_settings(deadline=None, max_examples=60, suppress_health_check=fixtures_are_kept)
    return bounds(given(password=PRINTABLE)(test))


def settings_of(**parts: str) -> Settings:
    """Return settings of a worker whose stores are given by their parts."""
    whole = {name.lower(): value for name, value in RIGHT.items()}
    own: dict[str, Any] = {
        "sales_db_server": "127.0.0.1",
        "sales_db_database": "chain",
        "sales_db_user": "worker",
        "sales_db_password": "x",
        "redis_host": "127.0.0.1",
        "mongo_hosts": "127.0.0.1",
    }
    return Settings(_env_file=None, **whole | {"sales_db_dsn": "", "redis_url": "", "mongo_url": ""} | own | parts)


# ---- SQL Server ----


@passwords
def test_a_password_reaches_sql_server(password: str) -> None:
    """Through the driver manager and Microsoft's driver. Broken by: a brace in a password is not doubled."""

    async def logged_in_with() -> LogIn:
        async with tds_server(login=error(18456, "Login failed.", level=14)) as server:
            parts = {"sales_db_port": str(server.port), "sales_db_encrypt": "no", "sales_db_timeout": "3"}
            names = {"sales_db_user": password, "sales_db_database": f"chain {password}"}
            db = SalesDb(settings_of(sales_db_password=password, **parts, **names))
            with pytest.raises(Exception, match="server error 18456"):
                await db.open()
            [content] = [content for packet_type, content in server.packets if packet_type == LOGIN]
        found = log_in(content)
        assert found.server == f"tcp:127.0.0.1,{server.port}"
        return found

    found = asyncio.run(logged_in_with())
    assert (found.user, found.password, found.database) == (password, password, f"chain {password}")


def test_the_longest_accepted_password_reaches_sql_server() -> None:
    test_a_password_reaches_sql_server.hypothesis.inner_test("}" * 122)  # type: ignore[attr-defined]


@given(keywords=st.dictionaries(st.sampled_from(["uid", "pwd", "server", "database", "x y"]), PRINTABLE))
def test_a_connection_string_built_from_parts_is_read_back_unchanged(keywords: dict[str, str]) -> None:
    assert odbc_keywords(odbc_string(keywords)) == keywords


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ("Server=tcp:a,1; Database = b ;UID=c;PWD=d", {"server": "tcp:a,1", "database": "b", "uid": "c", "pwd": "d"}),
        ("PWD={a;b}}c};Encrypt=yes;", {"pwd": "a;b}c", "encrypt": "yes"}),
        ("uid=a;UID=b", {"uid": "a"}),
        ("PWD=a{b};UID=c", {"pwd": "a{b}", "uid": "c"}),
        ("PWD={a;UID=b", {"pwd": "{a", "uid": "b"}),
        ("", {}),
        ("nonsense", {}),
    ],
)
def test_a_hand_written_connection_string_is_read(text: str, keywords: dict[str, str]) -> None:
    assert odbc_keywords(text) == keywords


# ---- PostgreSQL ----


@pytest.fixture(scope="module")
def role(postgres: Postgres) -> Iterator[Callable[[str], Callable[[str], pyodbc.Connection]]]:
    """Give the role a password, and return what logs in with one."""
    name = f"role_{uuid.uuid4().hex}"
    host, _, port = postgres.address.rpartition(":")
    driver = odbc_keywords(postgres.dsn("worker", "postgres"))["driver"]
    with closing(postgres.connect("postgres")) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN")

        def with_password(password: str) -> Callable[[str], pyodbc.Connection]:
            quoted = password.replace("'", "''")
            owner.execute("SET standard_conforming_strings = on")
            owner.execute(f"ALTER ROLE {name} PASSWORD '{quoted}'")

            def log_in_with(given: str) -> pyodbc.Connection:
                # This driver knows braces only around a password.
                place = f"Driver={driver};Server={host};Port={port};Database=postgres;UID={name}"
                return pyodbc.connect(f"{place};{odbc_string({'PWD': given})}", autocommit=True, timeout=5)

            return log_in_with

        yield with_password
        owner.execute(f"DROP ROLE {name}")


@passwords
def test_a_password_reaches_postgresql(
    role: Callable[[str], Callable[[str], pyodbc.Connection]], password: str
) -> None:
    log_in_with = role(password)
    with pytest.raises(pyodbc.Error):
        log_in_with(f"{password}x")
    log_in_with(password).close()


# ---- Redis ----


@passwords
def test_a_password_reaches_redis(redis_or_valkey: Valkey, password: str) -> None:
    host, _, port = redis_or_valkey.address.rpartition(":")
    parts = {"redis_host": host, "redis_port": port, "redis_user": "work er:@/"}
    with redis.Redis.from_url(url_of(redis_or_valkey).get_secret_value()) as owner:
        owner.acl_setuser("worker", enabled=True, reset=True, passwords=[f"+{password}"], commands=["+@all"])
        url = settings_of(**parts | {"redis_user": "worker"}, redis_password=password).redis_url
        with redis.Redis.from_url(url.get_secret_value()) as worker:
            assert worker.acl_whoami() in ("worker", b"worker")
        wrong = settings_of(**parts | {"redis_user": "worker"}, redis_password=f"{password}x").redis_url
        with redis.Redis.from_url(wrong.get_secret_value()) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


@given(user=PRINTABLE, password=PRINTABLE)
def test_user_and_password_are_read_from_a_url_of_redis(user: str, password: str) -> None:
    url = settings_of(redis_user=user, redis_password=password, redis_database="3").redis_url.get_secret_value()
    options = redis.asyncio.connection.parse_url(url)
    assert (options["username"], options["password"], options["db"]) == (user, password, 3)


# ---- MongoDB ----


@given(user=PRINTABLE, password=PRINTABLE)
@example(user="a@b", password="a b/+%41:?#@")
def test_user_and_password_are_read_from_a_url_of_mongodb(user: str, password: str) -> None:
    """The driver's parser reads them. The MongoDB of these tests, FerretDB 1, checks no password of its own."""
    settings = settings_of(mongo_user=user, mongo_password=password, mongo_hosts="a:1,[::1]:2")
    parsed = uri_parser.parse_uri(settings.mongo_url.get_secret_value())
    assert (parsed["username"], parsed["password"]) == (user, password)
    assert parsed["nodelist"] == [("a", 1), ("::1", 2)]
    assert parsed["options"]["authSource"] == "pharmacy"
