"""Tests that docs/compose/servers.yml runs the servers as docker-compose.yml does, and for this machine alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from streams.settings import Settings
from tests.support.compose_files import compose_tools, loaded
from tests.support.repository import ROOT

TEXT = (ROOT / "docs/compose/servers.yml").read_text(encoding="utf-8")
HEAD = TEXT.split("\nname:")[0]


@pytest.fixture(scope="module")
def tools() -> Path:
    return compose_tools()


@pytest.fixture(scope="module")
def document(tools: Path) -> dict[str, Any]:
    return loaded(tools, TEXT)


@pytest.fixture(scope="module")
def whole_system(tools: Path) -> dict[str, Any]:
    found: dict[str, Any] = loaded(tools, (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return found


def test_the_servers_are_those_that_a_worker_needs_and_kafka_connect_is_optional(document: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles") for name, service in document["services"].items()}
    assert profiles == {"kafka": None, "redis": None, "mongo": None, "connect": ["cdc"]}


def test_every_server_starts_again_is_examined_and_limited(document: dict[str, Any]) -> None:
    for name, service in document["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"]), name


def test_the_servers_have_the_images_and_the_configuration_of_the_whole_system(
    document: dict[str, Any], whole_system: dict[str, Any]
) -> None:
    for name, service in document["services"].items():
        assert service["image"] == whole_system[name]["image"], name
        assert service["healthcheck"]["test"] == whole_system[name]["healthcheck"]["test"], name
    assert document["services"]["kafka"]["environment"] == whole_system["kafka"]["environment"]
    ours, theirs = (each["connect"]["environment"] for each in (document["services"], whole_system))
    places = {name for name in ours if name.startswith("PHARMACY_DB_")}
    assert ours.keys() == theirs.keys()
    assert {name: ours[name] for name in ours.keys() - places} == {n: theirs[n] for n in theirs.keys() - places}


def test_what_must_outlive_a_container_is_in_a_volume_with_a_fixed_name(document: dict[str, Any]) -> None:
    volumes = {
        name: [volume.split(":")[0] for volume in service.get("volumes", [])]
        for name, service in document["services"].items()
    }
    assert volumes == {"kafka": ["kafka-data"], "mongo": ["mongo-data"], "redis": [], "connect": []}
    assert {volume["name"] for volume in document["volumes"].values()} == {"pharmacy-kafka-data", "pharmacy-mongo-data"}


def test_every_password_of_the_servers_is_required_and_none_has_a_value(document: dict[str, Any]) -> None:
    body = TEXT.removeprefix(HEAD)
    required = set(re.findall(r"(?<!\$)\$\{(\w+):\?\}", body))
    assert required == {"REDIS_PASSWORD", "MONGO_ROOT_PASSWORD", "MONGO_PASSWORD"}
    assert all(name in HEAD for name in required)
    optional = dict(re.findall(r"(?<!\$)\$\{(\w+):-(\w*)\}", body))
    assert not [name for name in optional if re.search("PASSWORD|SECRET|TOKEN", name)]
    assert all(name in HEAD for name in [*optional, document["secrets"]["debezium_password"]["environment"]])
    assert "servers.env" in (ROOT / ".gitignore").read_text().split()


def test_settings_that_the_head_names_exist_and_lead_to_the_published_ports(document: dict[str, Any]) -> None:
    named = re.findall(r"\b((?:KAFKA|REDIS|MONGO|CONNECT)_[A-Z_]+)=(\S+?)[,.]?(?:\s|$)", HEAD)
    assert {name for name, _ in named} <= {field.upper() for field in Settings.model_fields}
    published = {str(port).rpartition(":")[0] for service in document["services"].values() for port in service["ports"]}
    settings = dict(reversed(named))
    assert settings["KAFKA_BOOTSTRAP_SERVERS"] in published
    assert settings["MONGO_HOSTS"] in published
    assert f"{settings['REDIS_HOST']}:{Settings.model_fields['redis_port'].default}" in published
    kafka = document["services"]["kafka"]
    assert kafka["ports"] == ["127.0.0.1:9092:9094"]
    assert "OUTSIDE://127.0.0.1:9092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_servers_and_worker_may_be_started_from_both_files_together(tools: Path, document: dict[str, Any]) -> None:
    worker = loaded(tools, (ROOT / "docs/compose/worker.yml").read_text(encoding="utf-8"))
    assert not worker["services"].keys() & document["services"].keys()
    assert not worker["secrets"].keys() & document["secrets"].keys()
    assert "-f docs/compose/servers.yml -f docs/compose/worker.yml --project-directory ." in HEAD


def test_the_workers_user_may_write_its_own_databases_alone(document: dict[str, Any]) -> None:
    roles = re.findall(r'\{role: "(\w+)", db: "([\w-]+)"\}', document["configs"]["mongo_user"]["content"])
    assert roles == [("readWrite", "pharmacy"), ("readWrite", "rehearsal-pharmacy")]
