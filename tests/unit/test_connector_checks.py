"""Tests the checks of a connector's file and topics that need no server, and what they mask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.documents import DOCUMENT_TYPES
from streams.kafka.topics import change_topics
from streams.operators import Problem
from streams.operators.connect.connector_file import read_connector_file
from streams.operators.connect.masking import is_secret, mask, reasons
from streams.operators.connect.topic_names import check_topic_names
from streams.operators.connect.topic_setup import history_topic, pipeline_topics
from tests.support.repository import ROOT
from tests.unit.played_connect import CONFIG, READ, SQL_SERVER, TRACE, settings


def test_a_connector_file_gives_the_name_and_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    path.write_text(json.dumps(CONFIG))
    file = read_connector_file(path)
    assert (file.name, file.plugin, file.warnings) == ("sales", SQL_SERVER, [])
    assert file.config == {**CONFIG, "name": "sales"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, ["No such file"]),
        (b"\xff", ["UTF-8"]),
        ("{", ["not JSON", "line 1"]),
        ("[]", ["not a JSON object"]),
        ('{"connector.class": "x", "a": "1", "a": "2"}', ["a occurs twice"]),
        ('{"name": "sales", "config": {"connector.class": "x"}}', ["wraps the configuration"]),
        ('{"tasks.max": 1, "a": true, "b": null, "c": ["hunter2"]}', ["tasks.max is a number", "a is true or false"]),
        ('{"tasks.max": 1, "b": null, "c": ["hunter2"]}', ["b is empty", "c is a list", "connector.class is missing"]),
        ('{"connector.class": "x", "name": "other"}', ["name differs", "called sales"]),
    ],
)
def test_every_error_of_a_connector_file_is_explained(
    tmp_path: Path, content: str | bytes | None, says: list[str]
) -> None:
    path = tmp_path / "sales.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Problem) as caught:
        read_connector_file(path)
    for line in caught.value.lines:
        assert line.startswith(f"{path}: ")
    for part in says:
        assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_password_in_the_connector_file_causes_a_warning_that_does_not_show_it(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    path.write_text(json.dumps({**CONFIG, "database.password": "hunter2"}))
    [warning] = read_connector_file(path).warnings
    assert warning.startswith("database.password is in plain text")
    assert "hunter2" not in warning


# --- topic names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"database.names": "${env:NAMES}"},
        {"topic.prefix": "${env:PREFIX}"},
        {"table.include.list": r"DBO\.SalesInvoices"},
        {"table.include.list": "dbo.Sales.*"},
        {"table.include.list": "${env:TABLES}"},
        {"table.include.list": "(?<name>dbo).SalesInvoices"},  # Java's, not Python's
        {"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "pharmacy.chain"},
    ],
)
def test_topic_names_that_agree_cause_no_error(changed: dict[str, str]) -> None:
    assert check_topic_names(CONFIG | changed, [READ]) == []


@pytest.mark.parametrize(
    ("changed", "written"),
    [
        ({"topic.prefix": "till"}, "till.chain.dbo.SalesInvoices"),
        ({"topic.prefix": "pharmac."}, "pharmac..chain.dbo.SalesInvoices"),
        ({"database.names": "other"}, "pharmacy.other.dbo.SalesInvoices"),
        ({"database.names": "other,third"}, "pharmacy.other.dbo.SalesInvoices, pharmacy.third.dbo.SalesInvoices"),
        ({"database.names": "${env:DB}", "topic.prefix": "phar"}, "phar.${env:DB}.dbo.SalesInvoices"),
        ({"table.include.list": r"dbo\.Invoices"}, "pharmacy.chain.dbo.Invoices"),
        ({"connector.class": "io.debezium.connector.postgresql.PostgresConnector"}, "pharmacy.dbo.SalesInvoices"),
    ],
)
def test_topic_names_that_differ_are_an_error_that_names_both(changed: dict[str, str], written: str) -> None:
    with pytest.raises(Problem) as caught:
        check_topic_names(CONFIG | changed, [READ])
    assert f"the workers read {READ} (SALES_CHANGE_TOPIC), but the connector writes {written} (" in str(caught.value)


def test_a_document_type_without_a_topic_is_an_error() -> None:
    with pytest.raises(Problem, match=r"workers read pharmacy\.chain\.dbo\.GoodsIssues"):
        check_topic_names(CONFIG, [READ, "pharmacy.chain.dbo.GoodsIssues"])


def test_a_captured_table_that_no_worker_reads_is_reported() -> None:
    [note] = check_topic_names(CONFIG | {"table.include.list": "dbo.SalesInvoices, dbo.GoodsIssues"}, [READ])
    assert note.startswith("pharmacy.chain.dbo.GoodsIssues would be written")


@pytest.mark.parametrize(
    "changed",
    [
        {"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector"},
        {"topic.prefix": "x", "transforms.r.type": "org.apache.kafka.connect.transforms.RegexRouter"},
        {"topic.prefix": "x", "topic.naming.strategy": "com.example.Mine"},
    ],
)
def test_topic_names_that_cannot_be_known_are_reported_as_not_compared(changed: dict[str, str]) -> None:
    [note] = check_topic_names(CONFIG | changed, [READ])
    assert "not compared" in note


# --- topics --------------------------------------------------------------------------------------------------------


def test_each_topic_is_created_with_its_retention_and_partitions() -> None:
    days = dict.fromkeys(change_topics(settings(), DOCUMENT_TYPES), 14)
    days |= {"sale-retry": 14, "sale-status": 30, "sale-dead-letter": 90}
    made = pipeline_topics(settings(TOPIC_PARTITIONS="6"), DOCUMENT_TYPES)
    assert {topic.name: int(topic.config["retention.ms"]) / 86_400_000 for topic in made} == days
    assert {topic.config["compression.type"] for topic in made} == {"uncompressed"}, "no small message grows in memory"
    assert {(topic.partitions, topic.config["cleanup.policy"], topic.strict) for topic in made} == {
        (6, "delete", False)
    }


def test_the_schema_history_topic_has_one_partition_and_keeps_everything() -> None:
    [history] = history_topic({"schema.history.internal.kafka.topic": "history"})
    assert (history.name, history.partitions, history.strict) == ("history", 1, True)
    assert history.config == {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    assert history_topic({}) == history_topic({"schema.history.internal.kafka.topic": "${env:X}"}) == []


# --- what is hidden ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "Password = hunter2; encrypt=true",
        'jaas: password="hunter2 x";',
        "pwd={hunter2;x};a=b",
        "http://user:hunter2@host/path",
        '{"database.password": "hunter2", "a": 1}',
    ],
)
def test_a_text_that_looks_like_a_secret_is_masked(text: str) -> None:
    assert "hunter2" not in mask(text)
    assert "***" in mask(text)


def test_a_known_secret_is_masked_anywhere_in_a_text() -> None:
    assert mask("Invalid value hunter2\n for hunter22", ["hunter2", "hunter22"]) == "Invalid value *** for ***"


def test_a_text_without_a_secret_is_left_unchanged() -> None:
    text = "Unable to connect: Login failed for user 'sa'. http://host:80/a@b"
    assert mask(text) == text


@pytest.mark.parametrize(
    ("field", "secret"),
    [
        ("database.password", True),
        ("ssl.keystore.key", True),
        ("schema.history.internal.consumer.sasl.jaas.config", True),
        ("basic.auth.user.info", True),
        ("message.key.columns", False),
        ("key.converter", False),
        ("tombstones.on.delete", False),
    ],
)
def test_secret_fields_are_recognized_by_name(field: str, secret: bool) -> None:
    assert is_secret(field) is secret


def test_a_java_stack_trace_is_reduced_to_its_first_line_and_its_causes() -> None:
    assert reasons(TRACE) == [
        "org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded",
        "Caused by: io.debezium.DebeziumException: jdbc:sqlserver://db;user=sa;password=***;encrypt=true",
    ]
    assert reasons("") == []
    long = reasons("first\n" + "".join(f"Caused by: {number} {'x' * 1000}\n" for number in range(20)))
    assert [line[:13] for line in long] == ["first", "Caused by: 0 ", "Caused by: 1 ", "Caused by: 2 ", "Caused by: 19"]
    assert max(map(len, long)) < 420


def test_the_connector_file_of_this_repository_writes_to_the_topic_that_workers_read() -> None:
    file = read_connector_file(ROOT / "connectors/pharmacy-sales.json")
    read = change_topics(settings(), DOCUMENT_TYPES)
    assert read[0] == READ
    assert (
        file.warnings
        == check_topic_names(file.config, read)
        == check_topic_names(file.config, read[:1], read[1:])
        == []
    )


def test_a_connector_without_the_tables_of_receipts_and_issues_is_deployed_with_a_warning() -> None:
    """As before there were receipts and issues."""
    read = change_topics(settings(), DOCUMENT_TYPES)
    config = CONFIG | {"table.include.list": "dbo.SalesInvoices"}
    notes = check_topic_names(config, read[:1], read[1:])
    assert [note.partition(" ")[0] for note in notes] == read[1:]
    assert all("would not be written" in note for note in notes)
