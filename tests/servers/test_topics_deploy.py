"""`faust topics deploy` on a real Kafka: the topics that `connectors deploy` makes, without Kafka Connect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.deployment import Deployment
from tests.support.command_line import Ended, invoke_faust

DAY_MS = 86_400_000


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Deployment:
    """With the address of a Kafka Connect that nobody runs."""
    return Deployment("http://127.0.0.1:9", kafka_bootstrap, tmp_path)


def deploy(deployment: Deployment, folder: Path, *arguments: str, **changed: str) -> Ended:
    settings = deployment.settings(CAPTURE="polling", **changed)
    return invoke_faust(folder, "topics", "deploy", *arguments, **settings)


def test_topics_are_created_once_with_the_same_settings_as_by_connectors_deploy(
    deployment: Deployment, tmp_path: Path
) -> None:
    first = deploy(deployment, tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert f"topic {deployment.change_topic}: created, 8 partitions, kept for 14 days" in first.stdout.splitlines()
    made = deployment.topic(deployment.change_topic)
    assert {name: made[name] for name in ("partitions", "cleanup.policy", "retention.ms", "compression.type")} == {
        "partitions": "8",
        "cleanup.policy": "delete",
        "retention.ms": str(14 * DAY_MS),
        "compression.type": "uncompressed",
    }
    for topic in ("sale-retry", "sale-status", "sale-dead-letter"):
        assert f"topic {topic}: " in first.stdout
    again = deploy(deployment, tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert f"topic {deployment.change_topic}: exists, 8 partitions" in again.stdout.splitlines()
    assert "created" not in again.stdout


def test_a_dry_run_makes_nothing_and_says_what_is_missing(deployment: Deployment, tmp_path: Path) -> None:
    ended = deploy(deployment, tmp_path, "--dry-run")
    assert ended.returncode == 1
    missing = f"topic {deployment.change_topic}: is missing, and would be created, 8 partitions, kept for 14 days"
    assert missing in ended.stdout.splitlines()
    assert deployment.change_topic not in deployment.topics()
    answer = json.loads(deploy(deployment, tmp_path, "--dry-run", "--json").stdout)
    assert deployment.change_topic in answer["missing"]
    assert missing in answer["lines"]


def test_a_topic_that_differs_is_left_as_it_is_with_the_command_that_mends_it(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.make_topic(deployment.change_topic, 2, retention_ms="3600000")
    ended = deploy(deployment, tmp_path)
    assert ended.returncode == 0
    assert f"topic {deployment.change_topic}: has 2 partitions, TOPIC_PARTITIONS says 8" in ended.stdout
    assert "retention.ms=3600000" in ended.stdout
    assert f"--entity-name {deployment.change_topic} --add-config" in ended.stdout
    assert deployment.topic(deployment.change_topic)["partitions"] == "2"


def test_a_broker_that_is_away_is_named_in_one_line(tmp_path: Path) -> None:
    ended = deploy(Deployment("http://127.0.0.1:9", "127.0.0.1:9", tmp_path), tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Kafka: ")
    assert len(ended.stderr.splitlines()) == 1
