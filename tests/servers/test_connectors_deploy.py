"""Tests `faust connectors` on a real Kafka Connect and a real Kafka.

What really runs is Kafka's own file source, which needs no database; the plugin for SQL Server validates for real.
"""

from __future__ import annotations

import json
import os
import pty
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from streams.local.processes import Process, free_port
from tests.servers.deployment import FAILS_AT_THE_FIRST_LINE, Deployment
from tests.support.repository import ROOT

DAY_MS = 86_400_000
SQL_SERVER = "io.debezium.connector.sqlserver.SqlServerConnector"


@pytest.fixture
def deployment(connect_url: str, kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(connect_url, kafka_bootstrap, tmp_path)
    yield deployment
    deployment.delete()


def test_deploying_an_unchanged_file_changes_nothing(deployment: Deployment) -> None:
    first = deployment.deploy()
    assert (first.code, first.err) == (0, "")
    for line in (
        f"topic {deployment.change_topic}: created, 8 partitions, kept for 14 days",
        f"topic {deployment.history}: created, 1 partition, kept forever",
        "configuration: valid",
        "configuration: applied",
    ):
        assert line in first.out.splitlines()
    assert "task 0: RUNNING on " in first.out
    applied = deployment.get("/config").json()
    assert applied == {**deployment.config, "name": deployment.name}
    end = deployment.end_of("connect-configs")

    again = deployment.deploy()
    assert (again.code, again.err) == (0, "")
    assert "configuration: unchanged" in again.out.splitlines()
    assert f"topic {deployment.change_topic}: exists, 8 partitions" in again.out.splitlines()
    assert "created" not in again.out
    assert deployment.get("/config").json() == applied
    assert deployment.end_of("connect-configs") == end, "nothing at all was told to Connect"


def test_deploying_a_changed_file_applies_it(deployment: Deployment) -> None:
    assert deployment.deploy().code == 0
    changed = deployment.deploy(batch__size="100")
    assert (changed.code, changed.err) == (0, "")
    assert "configuration: applied" in changed.out.splitlines()
    assert deployment.get("/config").json()["batch.size"] == "100"


def test_an_invalid_configuration_is_not_applied_and_every_error_is_named(deployment: Deployment) -> None:
    deployment.config = {
        "connector.class": SQL_SERVER,
        "topic.prefix": deployment.name,
        "table.include.list": "dbo.SalesInvoices",
        "database.port": "hunter2",
        "database.password": "hunter2",
        "poll.interval.ms": "-1",
    }
    ended = deployment.deploy()
    assert ended.code == 1
    named = [line.removeprefix(f"{deployment.file}: ").partition(":")[0] for line in ended.err.splitlines()[:-1]]
    assert sorted(named) == ["database.hostname", "database.names", "database.port", "poll.interval.ms"]
    assert "not applied" in ended.err.splitlines()[-1]
    assert "database.password is in plain text" in ended.out
    assert "hunter2" not in ended.out + ended.err
    assert deployment.get().status_code == 404


def test_an_invalid_change_leaves_the_running_connector_alone(deployment: Deployment) -> None:
    assert deployment.deploy().code == 0
    ended = deployment.deploy(tasks__max="many")
    assert ended.code == 1
    assert f"{deployment.file}: tasks.max: " in ended.err
    assert deployment.get("/config").json()["tasks.max"] == "1"
    assert deployment.run("status").code == 0


def test_a_plugin_that_is_not_installed_is_named(deployment: Deployment) -> None:
    ended = deployment.deploy(connector__class="io.debezium.connector.oracle.OracleConnector", topic__prefix="x")
    assert ended.code == 1  # stopped at the topic's name
    del deployment.config["topic.prefix"]
    ended = deployment.deploy()
    assert ended.code == 1
    assert "is not a plugin of the Kafka Connect at" in ended.err
    assert SQL_SERVER in ended.err


def test_a_failing_task_is_shown_with_its_reason_and_a_corrected_file_runs(deployment: Deployment) -> None:
    assert deployment.deploy().code == 0
    deployment.lines.write_text("one line\nanother one\n")
    good = dict(deployment.config)
    failed = deployment.deploy(**FAILS_AT_THE_FIRST_LINE)
    assert failed.code == 1
    assert "configuration: applied" in failed.out
    assert f"{deployment.name}: task 0: FAILED on " in failed.err
    assert "Only Struct objects supported for [field replacement]" in failed.err
    assert "\tat " not in failed.err
    assert "connectors restart" in failed.err.splitlines()[-1]

    again = deployment.deploy()
    assert again.code == 1, "unchanged, and failed still"
    assert "configuration: unchanged" in again.out

    status = deployment.run("status")
    assert status.code == 1
    assert f"{deployment.name}: task 0: FAILED on " in status.out
    assert "Only Struct objects supported" in status.out

    restarted = deployment.run("restart")
    assert restarted.code == 1, "the cause is still there"
    assert "Only Struct objects supported" in restarted.err

    deployment.config = good
    assert deployment.deploy().code == 0


def test_restart_starts_a_failed_task_when_its_cause_is_gone(deployment: Deployment) -> None:
    assert deployment.run("restart").err == f"{deployment.name}: is not deployed. Deploy it: `connectors deploy`.\n"
    assert deployment.deploy(**FAILS_AT_THE_FIRST_LINE).code == 1
    deployment.lines.write_text("")
    restarted = deployment.run("restart")
    assert (restarted.code, restarted.err) == (0, "")
    assert f"{deployment.name}: task 0: RUNNING on " in restarted.out


def test_status_is_shown_for_people_and_as_json(deployment: Deployment) -> None:
    absent = deployment.run("status")
    assert absent.code == 1
    assert f"{deployment.name}: is not deployed. Deploy it: `connectors deploy`" in absent.out
    assert f"topic {deployment.change_topic}: is missing. Create it: `connectors deploy`" in absent.out

    assert deployment.deploy().code == 0
    status = deployment.run("status")
    assert (status.code, status.err) == (0, "")
    assert f"{deployment.name}: connector: RUNNING on " in status.out
    assert f"topic {deployment.change_topic}: partitions 8, copies 1" in status.out
    assert f"topic {deployment.history}: partitions 1, copies 1" in status.out

    machine = json.loads(deployment.run("status", "--json").out)
    assert machine["runs"] is True
    assert machine["connector"]["state"] == machine["tasks"][0]["state"] == "RUNNING"
    assert {"name": deployment.history, "partitions": 1} in machine["topics"]

    httpx.put(f"{deployment.connect_url}/connectors/{deployment.name}/pause", timeout=30, trust_env=False)
    until(lambda: deployment.get("/status").json()["tasks"][0]["state"] == "PAUSED")
    assert deployment.run("status").code == 1
    paused = deployment.run("deploy")
    assert paused.code == 1
    assert "is PAUSED" in paused.err


def test_remove_deletes_the_connector(deployment: Deployment) -> None:
    assert deployment.deploy().code == 0
    assert deployment.run("remove").code == 1, "nobody there to ask"
    assert deployment.get().status_code == 200

    removed = deployment.run("remove", "--yes")
    assert (removed.code, removed.err) == (0, "")
    assert "Its topics and offsets are kept" in removed.out
    assert deployment.get().status_code == 404
    assert deployment.change_topic in deployment.topics()
    assert deployment.run("status").code == 1

    again = deployment.run("remove", "--yes")
    assert (again.code, again.out) == (0, f"{deployment.name}: is not deployed; nothing to remove\n")


@pytest.mark.parametrize(("answer", "stays"), [("n", True), ("y", False)])
def test_remove_requires_a_confirmation_on_a_terminal(
    deployment: Deployment, tmp_path: Path, answer: str, stays: bool
) -> None:
    assert deployment.deploy().code == 0
    terminal, theirs = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    faust = [sys.executable, "-m", "faust", "-A", "streams.app", "connectors", "remove", "--name", deployment.name]
    shell = f'exec "$@" <{os.ttyname(theirs)}'
    process = Process(
        "remove",
        ["sh", "-c", shell, "sh", *faust],
        log=tmp_path / "log",
        environment={**deployment.settings(), "PYTHONPATH": str(ROOT)},
        folder=tmp_path,
    )
    code = process.wait(60)
    os.close(terminal)
    os.close(theirs)
    assert (code, deployment.get().status_code) == ((1, 200) if stays else (0, 404)), process.tail()


def test_deploy_creates_topics_with_partitions_and_retention(deployment: Deployment) -> None:
    assert deployment.deploy().code == 0
    change = deployment.topic(deployment.change_topic)
    assert (change["partitions"], change["cleanup.policy"]) == ("8", "delete")
    assert int(change["retention.ms"]) == 14 * DAY_MS
    assert change["compression.type"] == "uncompressed"
    history = deployment.topic(deployment.history)
    assert (history["partitions"], history["cleanup.policy"]) == ("1", "delete")
    assert (history["retention.ms"], history["retention.bytes"]) == ("-1", "-1")
    assert {"sale-retry", "sale-status", "sale-dead-letter"} <= set(deployment.topics())


def test_a_history_topic_that_would_delete_records_is_corrected(deployment: Deployment) -> None:
    own = {"cleanup_policy": "compact", "retention_ms": str(7 * DAY_MS), "max_message_bytes": "2000000"}
    deployment.make_topic(deployment.history, 1, **own)
    ended = deployment.deploy()
    assert (ended.code, ended.err) == (0, "")
    [line] = [line for line in ended.out.splitlines() if "corrected" in line]
    assert "cleanup.policy=compact" in line
    assert f"retention.ms={7 * DAY_MS}" in line
    history = deployment.topic(deployment.history)
    assert (history["cleanup.policy"], history["retention.ms"]) == ("delete", "-1")
    assert history["max.message.bytes"] == "2000000", "what else was set stays"
    assert "corrected" not in deployment.deploy().out


def test_a_history_topic_of_several_partitions_is_refused(deployment: Deployment) -> None:
    deployment.make_topic(deployment.history, 3)
    ended = deployment.deploy()
    assert ended.code == 1
    assert f"topic {deployment.history}: has 3 partitions, must have 1" in ended.err
    assert "snapshot.mode=recovery" in ended.err
    assert deployment.get().status_code == 404


def test_a_pipeline_topic_that_differs_is_reported_and_left_unchanged(deployment: Deployment) -> None:
    deployment.make_topic(deployment.change_topic, 3, retention_ms="1000")
    ended = deployment.deploy()
    assert (ended.code, ended.err) == (0, "")
    assert f"warning: topic {deployment.change_topic}: has 3 partitions, TOPIC_PARTITIONS says 8" in ended.out
    assert f"--alter --topic {deployment.change_topic} --partitions 8" in ended.out
    assert (
        f"warning: topic {deployment.change_topic}: retention.ms=1000, compression.type=producer instead of"
        in ended.out
    )
    topic = deployment.topic(deployment.change_topic)
    assert (topic["partitions"], topic["retention.ms"]) == ("3", "1000")
    more = deployment.run("deploy", TOPIC_PARTITIONS="2")
    assert "Set TOPIC_PARTITIONS=3." in more.out


def test_more_replicas_than_brokers_are_an_error(deployment: Deployment) -> None:
    deployment.file.write_text(json.dumps(deployment.config))
    ended = deployment.run("deploy", TOPIC_REPLICATION="3")
    assert ended.code == 1
    assert f"topic {deployment.change_topic}: Kafka does not create it" in ended.err
    assert "TOPIC_REPLICATION" in ended.err
    assert deployment.get().status_code == 404


def test_differing_topic_names_are_refused_before_anything_is_created(deployment: Deployment) -> None:
    deployment.config["table.include.list"] = "dbo.SalesInvoices"
    ended = deployment.deploy(connector__class=SQL_SERVER, topic__prefix="other", database__names="chain")
    assert ended.code == 1
    assert deployment.change_topic in ended.err
    assert "other.chain.dbo.SalesInvoices" in ended.err
    assert deployment.change_topic not in deployment.topics()


def test_deploy_reports_an_absent_kafka_connect(deployment: Deployment) -> None:
    deployment.file.write_text(json.dumps(deployment.config))
    began = time.monotonic()
    ended = deployment.run("deploy", CONNECT_URL=f"http://u:hunter2@127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 15
    assert ended.code == 1
    [line] = ended.err.splitlines()
    assert "Start it, or correct CONNECT_URL." in line
    assert "hunter2" not in ended.out + ended.err
    assert deployment.change_topic not in deployment.topics()


@pytest.mark.parametrize("verb", ["deploy", "status"])
def test_deploy_reports_an_absent_kafka(deployment: Deployment, verb: str) -> None:
    deployment.file.write_text(json.dumps(deployment.config))
    away = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    ended = deployment.run(verb, KAFKA_BOOTSTRAP_SERVERS=away)
    assert time.monotonic() - began < 30
    assert ended.code == 1
    [line] = ended.err.splitlines()
    assert line.startswith(f"Kafka: no proper answer from {away}")
    assert "KAFKA_BOOTSTRAP_SERVERS" in line
    assert deployment.get().status_code == 404


def until(check: Callable[[], bool], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)
