"""Tests the production configuration with the real plugin for SQL Server; only the database itself is missing."""

from __future__ import annotations

import json
import re
import zipfile
from typing import Any

import httpx
import pytest

from streams.local.real.capture import SQL_SERVER
from streams.local.real.connect import Connect
from streams.local.real.java import Jars
from tests.unit.test_database_rights import grants

CLASS = "io.debezium.connector.sqlserver.SqlServerConnector"
PASSED_ON = (
    "driver.",  # to Microsoft's JDBC driver
    "schema.history.internal.",  # to what keeps the history
    "topic.creation.",  # Connect's own
    "skip.messages.without.change",  # known to the plugin, but not among what it lists
)


def configuration(connect: Connect) -> dict[str, str]:
    text = SQL_SERVER.read_text(encoding="utf-8")
    loaded: dict[str, str] = json.loads(text.replace("/run/secrets", str(connect.folder / "secrets")))
    return loaded | {"driver.loginTimeout": "2"}  # else it tries for 30 s whether somebody listens after all


def validated(connect: Connect, config: dict[str, str]) -> list[dict[str, Any]]:
    url = f"{connect.url}/connector-plugins/{CLASS}/config/validate"
    answer = httpx.put(url, json={**config, "name": "pharmacy-sales"}, timeout=60, trust_env=False)
    answer.raise_for_status()
    return [entry["value"] for entry in answer.json()["configs"] if entry["value"]]


def errors(values: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {value["name"]: value["errors"] for value in values if value["errors"]}


def test_the_sql_server_plugin_accepts_the_configuration_except_for_the_absent_server(connect: Connect) -> None:
    found = errors(validated(connect, configuration(connect)))
    assert found.keys() == {"database.hostname"}
    [error] = found["database.hostname"]
    assert "Unable to connect" in error, "it has got as far as the network, with host, port, user and password read"
    assert "mat-khau-debezium" not in error


def test_the_sql_server_plugin_knows_every_line_of_the_configuration(connect: Connect) -> None:
    known = {value["name"] for value in validated(connect, configuration(connect))}
    assert [name for name in configuration(connect) if name not in known and not name.startswith(PASSED_ON)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("snapshot.mode", "some_data"),
        ("snapshot.isolation.mode", "none"),
        ("decimal.handling.mode", "text"),
        ("time.precision.mode", "iso"),
        ("heartbeat.interval.ms", "soon"),
        ("tombstones.on.delete", "perhaps"),
        ("data.query.mode", "indirect"),
        ("column.include.list", "dbo.SalesInvoices.(id"),
        ("key.converter", "org.apache.kafka.connect.json.NoConverter"),
        ("errors.tolerance", "some"),
    ],
)
def test_the_sql_server_plugin_refuses_a_wrong_value(connect: Connect, name: str, value: str) -> None:
    assert name in configuration(connect), "a line of ours"
    assert name in errors(validated(connect, {**configuration(connect), name: value}))


def test_the_connectors_login_may_read_the_cdc_tables_that_the_plugins_statements_name(fetched: Jars) -> None:
    """A newer plugin whose statements name another table fails here."""
    [jar] = fetched.plugins.glob("*/debezium-connector-sqlserver-*.jar")
    with zipfile.ZipFile(jar) as plugin:
        text = plugin.read("io/debezium/connector/sqlserver/SqlServerConnection.class")
    named = {name.decode() for name in re.findall(rb"(?:FROM|JOIN|from) #db\.(cdc\.[\w#]+)", text)}
    # The last two: a capture's own table, which the script finds; and the function, which `direct` does without.
    assert named == {place for place in grants("DEBEZIUM_LOGIN")["SELECT"] if place.startswith("cdc.")} | {
        "cdc.#table",
        "cdc.#function",
    }
    assert json.loads(SQL_SERVER.read_text(encoding="utf-8"))["data.query.mode"] == "direct"
