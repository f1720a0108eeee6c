"""Tests that docker-compose.yml and the Dockerfile are valid and agree with settings, connector and scripts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.documents import DOCUMENT_TYPES
from streams.local.simulator import __main__ as simulator
from streams.local.simulator.messages import ACCOUNTS
from streams.settings import Settings
from tests.contract.stores.databases import settings_for
from tests.support.compose_files import PINNED, compose_tools, loaded
from tests.support.connector_files import CONFIG, README, values

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
TEXT = COMPOSE.read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ONCE = {"sqlserver-init", "connectors", "till"}


@pytest.fixture(scope="session")
def tools() -> Path:
    return compose_tools()


@pytest.fixture(scope="session")
def compose(tools: Path) -> dict[str, Any]:
    return loaded(tools, TEXT)


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def with_passwords(text: str) -> str:
    return re.sub(r"\$\{(\w+):\?\}", r"Password1\1", text).replace("$$", "$")


def texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from texts(each)
        case list():
            for each in value:
                yield from texts(each)


# ---- the file itself ----


WORKER_ALONE = ROOT / "docs/compose/worker.yml"
DATABASES = ROOT / "docs/compose/databases.yml"
SERVERS = ROOT / "docs/compose/servers.yml"


@pytest.mark.parametrize("file", [COMPOSE, WORKER_ALONE, DATABASES, SERVERS], ids=lambda file: file.name)
def test_a_compose_file_is_valid(tools: Path, file: Path) -> None:
    check = [str(tools / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)]
    ran = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_both_compose_files_run_the_worker_alike(tools: Path, services: dict[str, dict[str, Any]]) -> None:
    alone = loaded(tools, WORKER_ALONE.read_text(encoding="utf-8"))["services"]
    worker = alone["worker"]
    for key in ("image", "read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit", "ulimits"):
        assert worker[key] == services["worker"][key], key
    assert alone["connectors"]["command"] == services["connectors"]["command"]
    assert float(worker["stop_grace_period"].removesuffix("s")) >= Settings.model_fields["drain_timeout"].default + 15
    assert worker["ports"] == [f"127.0.0.1:{worker['environment']['WEB_PORT']}:{worker['environment']['WEB_PORT']}"]
    assert "/livez'" in worker["healthcheck"]["test"][-1]
    # The settings' file lies where the worker looks for it, and git and the image pass it over.
    assert worker["volumes"] == ["./worker.env:/app/.env:ro"]
    assert "\nWORKDIR /app\n" in DOCKERFILE
    assert "worker.env" in (ROOT / ".gitignore").read_text().split()


def test_the_worker_of_each_database_runs_as_the_worker_alone_with_settings_of_its_own(tools: Path) -> None:
    text = DATABASES.read_text(encoding="utf-8")
    document = loaded(tools, text)
    alone = loaded(tools, WORKER_ALONE.read_text(encoding="utf-8"))["services"]["worker"]
    own = ("volumes", "secrets", "ports")
    assert len(document["services"]) > 1
    for number, (name, service) in enumerate(document["services"].items()):
        assert {k: v for k, v in service.items() if k not in own} == {k: v for k, v in alone.items() if k not in own}
        assert service["volumes"] == [f"./databases/{name}.env:/app/.env:ro"]
        assert service["secrets"] == [{"source": f"{name}_password", "target": "sales_db_password"}]
        assert document["secrets"][f"{name}_password"] == {"file": f"./secrets/{name}_password"}
        assert service["ports"] == [f"127.0.0.1:{6066 + number}:{alone['environment']['WEB_PORT']}"]
        # Its name is to serve as its TOPIC_PREFIX.
        settings_for(topic_prefix=name)
        assert f"run --rm {name} faust -A streams.app topics deploy" in text
    assert document["name"] != loaded(tools, WORKER_ALONE.read_text(encoding="utf-8"))["name"]
    assert {"/databases/", "/secrets/"} <= set((ROOT / ".gitignore").read_text().split())


def test_every_image_is_pinned_to_one_version(services: dict[str, dict[str, Any]]) -> None:
    images = [service["image"] for service in services.values()]
    for file in (WORKER_ALONE, DATABASES, SERVERS):
        images += re.findall(r"(?m)^\s*image: *(\S+)", file.read_text(encoding="utf-8"))
    bases = re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)
    assert [image for image in (*images, *bases) if not PINNED.fullmatch(image)] == []
    assert len(set(bases)) == 1
    version = streams.__version__
    assert {service["image"] for service in services.values() if "build" in service} == {
        f"pharmacy-sale-streams:{version}"
    }


def test_the_production_guide_says_how_to_pin_images_by_digest() -> None:
    page = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    assert "docker compose --env-file .local/compose.env config --resolve-image-digests" in page


def test_lasting_services_have_a_health_check_limits_and_a_restart_policy(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert name in ONCE or service["healthcheck"]["test"], name


def test_every_published_port_is_on_the_loopback_address(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []
    assert not [name for name, service in services.items() if service.get("privileged") or "devices" in service]
    assert {service.get("network_mode") for service in services.values()} == {None, "service:national-api"}


def test_every_password_is_a_required_variable(compose: dict[str, Any]) -> None:
    references = re.findall(r"(?<!\$)\$\{([^}]*)\}", TEXT)
    assert [each for each in references if not re.fullmatch(r"\w+:\?", each)] == []  # no default that works
    names = {each.removesuffix(":?") for each in references} | {
        secret["environment"] for secret in compose["secrets"].values()
    }
    head = TEXT.split("\nname:")[0]
    assert set(re.findall(r"\b\w+_(?:PASSWORD|TOKEN)\b", head)) == names
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert re.fullmatch(r"\$\{\w+:\?\}", value), f"{name}: {variable}"


def test_the_compose_file_contains_no_password(compose: dict[str, Any]) -> None:
    for text in (re.sub(r"\$\$?\{?\w+(:\?\})?", "$", text) for text in texts(compose)):
        assert not re.search(
            r"(?i)\b(?:pwd|password|requirepass)\b(?>[\"']?[=:\s]\s*[\"']?)(?!\$|process\.env)\S", text
        ), text
        assert not re.search(r"://[^/\s]*:(?!\$)[^@/\s]+@", text), text
        assert not re.search(r"(?:^|\s)-P\s*\S", text), text


# ---- the worker ----


def test_the_workers_environment_consists_of_valid_settings(services: dict[str, dict[str, Any]]) -> None:
    for name in ("worker", "connectors"):
        environment = services[name]["environment"]
        assert environment.keys() <= {field.upper() for field in Settings.model_fields}, name
        Settings.model_validate({key.lower(): with_passwords(value) for key, value in environment.items()})
    required = {field.upper() for field, info in Settings.model_fields.items() if info.is_required()}
    assert required <= services["worker"]["environment"].keys()


def test_worker_and_connector_use_the_same_topic_and_database(services: dict[str, dict[str, Any]]) -> None:
    database = services["connect"]["environment"]["PHARMACY_DB_NAME"]
    told = services["worker"]["environment"]
    assert told["SALES_CHANGE_TOPIC"] == f"{CONFIG['topic.prefix']}.{database}.dbo.{DOCUMENT_TYPES[0].table}"
    assert database == told["SALES_DB_DATABASE"]
    assert {services[name]["environment"]["PHARMACY_DB_NAME"] for name in ("sqlserver-init", "till")} == {database}


def test_only_the_worker_reaches_the_simulator_over_their_shared_loopback(
    services: dict[str, dict[str, Any]],
) -> None:
    _, _, module, *arguments = services["national-api"]["command"]
    assert module == "streams.local.simulator"
    options = simulator._options().parse_args(arguments)
    assert services["worker"]["network_mode"] == "service:national-api"
    assert services["worker"]["environment"]["NATIONAL_API_URL"] == f"http://{options.host}:{options.port}"
    assert options.host == "127.0.0.1"
    assert {f"{item['source']}:{item['target']}" for item in services["national-api"]["configs"]} == {
        f"sample_shops:{options.shops}"
    }


def test_the_simulator_knows_the_accounts_of_the_sample_shops(compose: dict[str, Any]) -> None:
    known = ACCOUNTS.validate_json(with_passwords(compose["configs"]["sample_shops"]["content"]))
    password = with_passwords(compose["services"]["till"]["environment"]["SAMPLE_SHOP_PASSWORD"])
    assert {account.pwd.get_secret_value() for account in known} == {password}
    assert {account.usr for account in known} == {row["account"] for row in values(0)}


def test_the_workers_port_is_published_by_the_service_whose_network_it_shares(
    services: dict[str, dict[str, Any]],
) -> None:
    port = services["worker"]["environment"].get("WEB_PORT", str(Settings.model_fields["web_port"].default))
    assert services["national-api"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert port in " ".join(services["worker"]["healthcheck"]["test"])


def test_the_page_requires_a_token_in_a_container(tools: Path, services: dict[str, dict[str, Any]]) -> None:
    """Within a container every browser has Docker's address."""
    environment = services["worker"]["environment"]
    assert environment["WEB_HOST"] == "0.0.0.0"  # noqa: S104
    assert environment["PAGE_TOKEN"] == "${PAGE_TOKEN:?}"
    assert [name for name, service in services.items() if "PAGE_TOKEN" in service.get("environment", {})] == ["worker"]
    text = WORKER_ALONE.read_text(encoding="utf-8")
    assert loaded(tools, text)["services"]["worker"]["environment"]["WEB_HOST"] == environment["WEB_HOST"]
    assert "until worker.env has PAGE_TOKEN" in text.split("\nname:")[0]


def test_the_health_checks_use_the_workers_own_pages(services: dict[str, dict[str, Any]]) -> None:
    """Services that depend on the worker wait for /readyz; whatever restarts containers checks /livez."""
    assert ":6066/readyz'" in services["worker"]["healthcheck"]["test"][-1]
    (command,) = re.findall(r"HEALTHCHECK (?:.|\n)*?CMD (\[(?:.|\n)*?\])\n", DOCKERFILE)
    python, flag, code = json.loads(command.replace("\\\n", ""))
    assert (python, flag) == ("python", "-c")
    assert "/livez'" in code
    compile(code, "HEALTHCHECK", "exec")
    pages = (ROOT / "streams/app.py").read_text(encoding="utf-8")
    assert '@app.page("/livez")' in pages
    assert '@app.page("/readyz")' in pages


def test_the_container_gives_the_worker_time_to_drain(services: dict[str, dict[str, Any]]) -> None:
    grace = float(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace >= Settings.model_fields["drain_timeout"].default + 15


def test_each_service_starts_after_the_services_that_it_needs(services: dict[str, dict[str, Any]]) -> None:
    needs = {
        name: {other: on["condition"].removeprefix("service_") for other, on in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    ended = "completed_successfully"
    assert needs == {
        "sqlserver": {},
        "kafka": {},
        "redis": {},
        "mongo": {},
        "national-api": {},
        "sqlserver-init": {"sqlserver": "healthy"},
        "connect": {"kafka": "healthy"},
        "connectors": {"kafka": "healthy", "connect": "healthy", "sqlserver-init": ended},
        "worker": {
            "national-api": "healthy",
            "kafka": "healthy",
            "redis": "healthy",
            "mongo": "healthy",
            "sqlserver-init": ended,
            "connectors": ended,
        },
        "till": {"worker": "healthy"},
    }


# ---- SQL Server and Connect ----


def test_the_sample_database_runs_the_production_scripts_in_their_order(
    services: dict[str, dict[str, Any]],
) -> None:
    init = services["sqlserver-init"]
    (listed,) = re.findall(r"for script in (.*);", init["entrypoint"][-1])
    assert [f"{name}.sql" for name in listed.split()] == [
        "sample/tables.sql",
        *(name for name in re.findall(r"(?m)^sqlcmd .* -i (\S+)$", README) if name != "00_check.sql"),
    ]
    assert services["sqlserver"]["environment"]["MSSQL_AGENT_ENABLED"] == "true"
    for script in ("sample/database.sql", *(f"{name}.sql" for name in listed.split())):
        used = re.findall(r"\$\((\w+)\)", (ROOT / "connectors/sql" / script).read_text(encoding="utf-8"))
        assert set(used) <= init["environment"].keys(), script
    logins = init["environment"]
    assert services["connect"]["environment"]["PHARMACY_DB_USER"] == logins["DEBEZIUM_LOGIN"]
    worker = services["worker"]["environment"]
    assert (worker["SALES_DB_USER"], worker["SALES_DB_PASSWORD"]) == (logins["WORKER_LOGIN"], logins["WORKER_PASSWORD"])


def test_kafka_connect_can_read_only_the_variables_that_the_connector_file_uses(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    connect = services["connect"]
    properties = {
        name.removeprefix("CONNECT_").lower().replace("_", "."): value for name, value in connect["environment"].items()
    }
    allowed = properties["config.providers.env.param.allowlist.pattern"]
    places = set(re.findall(r"\$\{env:(\w+)\}", " ".join(CONFIG.values())))
    assert {name for name in connect["environment"] if re.fullmatch(allowed, name)} == places
    assert re.findall(r"config\.providers\.env\.param\.allowlist\.pattern` \| `(.*?)` ", README) == [
        allowed.replace("|", "\\|")
    ]
    folder, secret = CONFIG["database.password"].removeprefix("${directory:").removesuffix("}").split(":")
    assert properties["config.providers.directory.param.allowed.paths"] == folder == "/run/secrets"
    assert connect["secrets"] == [secret]
    assert (
        f"${{{compose['secrets'][secret]['environment']}:?}}"
        == services["sqlserver-init"]["environment"]["DEBEZIUM_PASSWORD"]
    )


def test_the_images_have_the_versions_that_the_connector_configuration_was_checked_with(
    services: dict[str, dict[str, Any]],
) -> None:
    assert services["connect"]["image"].endswith("debezium/connect:3.6.1.Final")
    assert services["kafka"]["image"] == "apache/kafka:4.3.1"
    assert "Debezium 3.6.1 in Kafka Connect 4.3.1" in README


# ---- the image ----


def test_the_image_runs_the_worker_without_root_and_passes_signals_on() -> None:
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.search(r"(?m)^USER (?!root|0)\w+$", last)
    assert '\nENTRYPOINT ["/usr/bin/tini", "--"]\n' in last
    assert '\nCMD ["faust", "-A", "streams.app", "worker"]\n' in last
    assert "\nHEALTHCHECK " in last


def test_the_image_installs_only_locked_versions() -> None:
    commands = re.findall(r"pip install(?:\\\n|[^\n&])*", DOCKERFILE)
    assert len(commands) == 2
    assert [command for command in commands if "--require-hashes" not in command] == []


def test_the_image_installs_microsofts_driver_by_its_hash() -> None:
    extra, _ = re.findall(r"--extra (\w+)", DOCKERFILE)
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name.split("==")[0] for name in offered[extra]] == ["mssql-python-odbc"]
    assert re.search(r"(?m)^mssql-python-odbc==18\.", (ROOT / ".ci/requirements.lock").read_text())


def test_the_image_has_the_extra_that_tracing_needs() -> None:
    """The setting TRACING_ENDPOINT needs an extra."""
    assert "tracing" in re.findall(r"--extra (\w+)", DOCKERFILE)


def test_the_image_is_not_built_without_a_driver_that_can_be_loaded() -> None:
    """The command of the Dockerfile, run here; nothing in it names a version or a path of the driver."""
    [program] = re.findall(r'(?m)^RUN \["python", "-c", "(.*microsoft_driver.*)"\]$', DOCKERFILE)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    assert "libmsodbcsql-18" in done.stdout
    assert "msodbcsql" not in DOCKERFILE
    assert "odbcinst.ini" not in DOCKERFILE


def test_the_worker_alone_reads_its_secrets_from_files(tools: Path) -> None:
    alone = loaded(tools, WORKER_ALONE.read_text(encoding="utf-8"))
    for name in ("worker", "connectors"):
        service = alone["services"][name]
        files = {key: value for key, value in service["environment"].items() if key.endswith("_FILE")}
        assert {key.lower() for key in files} <= Settings.model_fields.keys()
        assert sorted(files.values()) == sorted(f"/run/secrets/{secret}" for secret in service["secrets"])
        assert set(service["secrets"]) <= alone["secrets"].keys()
    for secret in alone["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "/secrets/" in (ROOT / ".gitignore").read_text().split()


def test_the_build_context_contains_what_the_image_copies_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:].split("/*")[0] for line in ignored if line.startswith("!")}
    copied = re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", DOCKERFILE)
    assert {path for line in copied for path in line.split()} == {
        ".ci/bootstrap.lock",
        ".ci/requirements.lock",
        "pyproject.toml",
        "streams",
        "connectors",
        "house-ca",
    }
    assert let_in == {".ci", "pyproject.toml", "streams", "connectors", "house-ca"}


def test_what_a_house_signs_is_trusted_while_the_image_is_built_and_when_it_runs() -> None:
    trusted = r"COPY house-ca /usr/local/share/ca-certificates\nRUN update-ca-certificates\n"
    build, run = DOCKERFILE.split("\nFROM ")[1:]
    assert len(re.findall(trusted, build)) == len(re.findall(trusted, run)) == 1
    assert re.search(trusted, build).start() < build.index("RUN pip install")  # type: ignore[union-attr]
    bundle = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
    assert build.index(bundle) < build.index("RUN pip install")
    assert bundle in run
    assert run.index("update-ca-certificates") < run.index("\nUSER ")
    assert "house-ca/*.crt" in (ROOT / ".gitignore").read_text().split()
    assert (ROOT / "house-ca/README.md").is_file()  # the folder is there for COPY, however empty
