"""Tests how connection strings are built from their parts, how secrets are read from files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.credentials.connection_strings import odbc_keywords
from streams.settings import Settings, explain, read_settings
from tests.certificates import self_signed
from tests.support.command_line import start_faust
from tests.support.right_settings import RIGHT

WHOLE = {"SALES_DB_DSN": "", "REDIS_URL": "", "MONGO_URL": ""}
SALES_DB = {
    "SALES_DB_SERVER": "sql01",
    "SALES_DB_DATABASE": "chain",
    "SALES_DB_USER": "worker",
    "SALES_DB_PASSWORD": "hunter2}; #'${X}",
}
PARTS = RIGHT | WHOLE | SALES_DB | {"REDIS_HOST": "redis01", "MONGO_HOSTS": "mongo01"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def read(environment: pytest.MonkeyPatch, **given: str) -> Settings:
    for name, value in given.items():
        environment.setenv(name, value)
    return read_settings()


def refused(environment: pytest.MonkeyPatch, **given: str) -> str:
    with pytest.raises(ValidationError) as caught:
        read(environment, **given)
    [line] = explain(caught.value)
    assert "hunter2" not in line + str(caught.value)
    return line


def dsn(settings: Settings) -> dict[str, str]:
    return odbc_keywords(settings.sales_db_dsn.get_secret_value())


# ---- the sales database ----


def test_a_connection_string_is_built_encrypted_and_verified_by_default(environment: pytest.MonkeyPatch) -> None:
    settings = read(environment, **PARTS)
    assert dsn(settings) == {
        "server": "tcp:sql01,1433",
        "database": "chain",
        "uid": "worker",
        "pwd": "hunter2}; #'${X}",
        "encrypt": "yes",
        "trustservercertificate": "no",
    }
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "keywords"),
    [
        ({"SALES_DB_PORT": "14330"}, {"server": "tcp:sql01,14330"}),
        ({"SALES_DB_SERVER": "10.0.0.7"}, {"server": "tcp:10.0.0.7,1433"}),
        # The driver asks SQL Server Browser for the port of an instance.
        ({"SALES_DB_SERVER": "sql01\\SQLEXPRESS"}, {"server": "sql01\\SQLEXPRESS"}),
        ({"SALES_DB_SERVER": "sql01\\SQL2", "SALES_DB_PORT": "1500"}, {"server": "tcp:sql01,1500"}),
        ({"SALES_DB_TRUST_CERTIFICATE": "true"}, {"trustservercertificate": "yes"}),
        ({"SALES_DB_MULTI_SUBNET_FAILOVER": "yes"}, {"multisubnetfailover": "yes"}),
        ({"SALES_DB_ENCRYPT": "strict"}, {"encrypt": "strict"}),
    ],
)
def test_each_setting_becomes_its_keyword_in_the_connection_string(
    environment: pytest.MonkeyPatch, given: dict[str, str], keywords: dict[str, str]
) -> None:
    assert keywords.items() <= dsn(read(environment, **PARTS | given)).items()


def test_the_servers_own_certificate_goes_with_strict_encryption(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, certificate = self_signed(tmp_path, "sql01")
    given = {"SALES_DB_SERVER_CERTIFICATE": certificate.name}
    settings = read(environment, **PARTS | given | {"SALES_DB_ENCRYPT": "strict"})
    assert dsn(settings)["servercertificate"] == str(certificate)
    assert "SALES_DB_ENCRYPT=strict" in refused(environment, **given | {"SALES_DB_ENCRYPT": "yes"})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"SALES_DB_DSN": "PWD=hunter2"}, "SALES_DB_DSN: is given, and so is SALES_DB_DATABASE, SALES_DB_PASSWORD, "),
        ({"SALES_DB_PASSWORD": ""}, "SALES_DB_DSN: cannot be put together: SALES_DB_PASSWORD is not set"),
        ({"SALES_DB_USER": ""}, "SALES_DB_USER is not set"),
        ({"SALES_DB_SERVER": ""}, "is not set, and neither is SALES_DB_SERVER; without it SALES_DB_DATABASE, "),
        ({"SALES_DB_SERVER": "sql01,1433"}, "SALES_DB_SERVER: must be the name or address of a host"),
        ({"SALES_DB_SERVER": "tcp:sql01"}, "the port is a setting of its own"),
        ({"SALES_DB_PASSWORD": "hunter2" + "𝄞" * 61}, "SALES_DB_PASSWORD: has more than 128 characters"),
        ({"SALES_DB_ENCRYPT": "maybe"}, "'yes', 'strict' or 'no'"),
        ({"SALES_DB_CA_FILE": "/house-ca.pem"}, "SALES_DB_CA_FILE: Microsoft's driver takes no file with authorities"),
        ({"SALES_DB_TRUST_CERTIFICATE": "true", "SALES_DB_ENCRYPT": "strict"}, "has no effect"),
        ({"SALES_DB_SERVER_CERTIFICATE": "/nowhere", "SALES_DB_ENCRYPT": "strict"}, "the file cannot be read"),
        ({"REDIS_URL": "redis://redis01"}, "REDIS_URL: is given, and so is REDIS_HOST"),
        ({"REDIS_HOST": "redis01:6379"}, "REDIS_HOST: must be the name or address of a host"),
        ({"REDIS_USER": "worker"}, "REDIS_PASSWORD is not set"),
        ({"REDIS_CA_FILE": "ca.pem"}, "no effect without REDIS_TLS=true"),
        ({"REDIS_HOST": ""}, "REDIS_URL: is not set, and neither is REDIS_HOST."),
        ({"MONGO_URL": "mongodb://mongo01"}, "MONGO_URL: is given, and so is MONGO_HOSTS"),
        ({"MONGO_HOSTS": "mongo01;mongo02"}, "MONGO_HOSTS: must be a list"),
        ({"MONGO_PASSWORD": "hunter2"}, "MONGO_USER is not set"),
        # In a URL of one's own, what is not encoded is found before anything is connected.
        ({"REDIS_HOST": "", "REDIS_URL": "redis://:hunter2/x@host:6379"}, "REDIS_URL: cannot be read"),
        ({"REDIS_HOST": "", "REDIS_URL": "redis://:hunter2#x@host"}, "has to be %-encoded"),
        ({"REDIS_HOST": "", "REDIS_URL": "redis://host:99x"}, "or a host or port is wrong"),
        ({"MONGO_HOSTS": "", "MONGO_URL": "mongodb://u:hunter2%@host"}, "MONGO_URL: cannot be read"),
        ({"MONGO_HOSTS": "", "MONGO_URL": "mongodb://u:hunter2@x@host"}, "has to be %-encoded"),
        ({"MONGO_HOSTS": "", "MONGO_URL": "mongodb://u:hunter2:x@host"}, "has to be %-encoded"),
    ],
)
def test_settings_that_do_not_fit_together_cause_one_line(
    environment: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    assert says in refused(environment, **PARTS | given)


@pytest.mark.parametrize("driver", ["Driver={ODBC Driver 17 for SQL Server};", "DSN=chain;", ""])
def test_the_driver_is_named_in_one_setting_only(environment: pytest.MonkeyPatch, driver: str) -> None:
    given = RIGHT | {"SALES_DB_DSN": f"{driver}Server=sql01;PWD=hunter2", "SALES_DB_DRIVER": "FreeTDS"}
    if driver:
        assert "SALES_DB_DSN: names a driver, and so does SALES_DB_DRIVER" in refused(environment, **given)
    else:
        assert read(environment, **given).sales_db_driver == "FreeTDS"


# ---- Redis and MongoDB ----


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "redis://redis01:6379/0"),
        ({"REDIS_PASSWORD": "a b/@:?#%+é"}, "redis://:a%20b%2F%40%3A%3F%23%25%2B%C3%A9@redis01:6379/0"),
        ({"REDIS_USER": "w:x", "REDIS_PASSWORD": "p", "REDIS_PORT": "7"}, "redis://w%3Ax:p@redis01:7/0"),
        ({"REDIS_HOST": "::1", "REDIS_DATABASE": "2"}, "redis://[::1]:6379/2"),
        ({"REDIS_TLS": "true", "REDIS_CA_FILE": "a b.pem"}, "rediss://redis01:6379/0?ssl_ca_certs=a%20b.pem"),
    ],
)
def test_the_url_of_redis_is_built_from_its_parts(
    environment: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], url: str
) -> None:
    self_signed(tmp_path, "authority")[1].rename(tmp_path / "a b.pem")
    assert read(environment, **PARTS | given).redis_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "mongodb://mongo01/"),
        (
            {"MONGO_USER": "w@x", "MONGO_PASSWORD": "a b/@:?#%+", "MONGO_DATABASE": "sales"},
            "mongodb://w%40x:a%20b%2F%40%3A%3F%23%25%2B@mongo01/?authSource=sales",
        ),
        (
            {"MONGO_HOSTS": "a:1, [::1]:2", "MONGO_REPLICA_SET": "rs", "MONGO_TLS": "true", "MONGO_CA_FILE": "a b.pem"},
            "mongodb://a:1,[::1]:2/?replicaSet=rs&tls=true&tlsCAFile=a%20b.pem",
        ),
        (
            {"MONGO_USER": "w", "MONGO_PASSWORD": "p", "MONGO_AUTH_SOURCE": "admin"},
            "mongodb://w:p@mongo01/?authSource=admin",
        ),
    ],
)
def test_the_url_of_mongodb_is_built_from_its_parts(
    environment: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], url: str
) -> None:
    self_signed(tmp_path, "authority")[1].rename(tmp_path / "a b.pem")
    assert read(environment, **PARTS | given).mongo_url.get_secret_value() == url


def test_the_local_stack_replaces_the_parts_in_the_env_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts = PARTS | {"SALES_DB_PASSWORD": "hunter2"}
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in parts.items() if value))
    (tmp_path / ".local").mkdir()
    local = {name: RIGHT[name] for name in WHOLE}
    (tmp_path / ".local/stack.env").write_text("\n".join(f"{name}={value}" for name, value in local.items()))
    settings = read(environment, STACK="local")
    assert settings.sales_db_dsn.get_secret_value() == RIGHT["SALES_DB_DSN"]
    assert settings.redis_url.get_secret_value() == RIGHT["REDIS_URL"]
    environment.delenv("STACK")
    assert read(environment).redis_url.get_secret_value() == "redis://redis01:6379/0"


# ---- secrets from files ----

SECRETS = [
    "KAFKA_SASL_PASSWORD",
    "CONNECT_URL",
    "SALES_DB_PASSWORD",
    "REDIS_PASSWORD",
    "MONGO_PASSWORD",
    "NATIONAL_API_PROXY",
    "PAGE_TOKEN",
]


def test_every_secret_has_a_setting_for_its_file() -> None:
    names = Settings.secret_names()
    assert {name.upper() for name in names} == {*SECRETS, *WHOLE}
    assert {f"{name}_file" for name in names} <= Settings.model_fields.keys()


@pytest.mark.parametrize("written", ["{}", "{}\n", "{}\r\n", "\ufeff{}\r\n"])
def test_a_secret_is_read_from_its_file_without_its_line_end(
    environment: pytest.MonkeyPatch, tmp_path: Path, written: str
) -> None:
    secret = " $hunter2 #{}' "
    (tmp_path / "secret").write_text(written.replace("{}", secret), encoding="utf-8", newline="")
    settings = read(environment, **PARTS | {"SALES_DB_PASSWORD": "", "SALES_DB_PASSWORD_FILE": "secret"})
    assert dsn(settings)["pwd"] == secret


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    value = "http://u:hunter2@host:8083" if name in ("CONNECT_URL", "NATIONAL_API_PROXY") else "hunter2-hunter2-hunter2"
    (tmp_path / "secret").write_text(f"{value}\n")
    given = PARTS | {"MONGO_USER": "worker", "MONGO_PASSWORD": "p", name: "", f"{name}_FILE": "secret"}
    settings = read(environment, **given)
    assert getattr(settings, name.lower()).get_secret_value() == value
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "names does not exist"),
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"hunter2\n\n", "must have one line"),
        ("hunter2".encode("utf-16"), "is not UTF-8 text"),
        (b"hunter2\tx", "has a control character"),
        (b"hunter2" * 20_000, "must have one line"),
    ],
)
def test_a_secret_file_without_a_secret_causes_one_line(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    line = refused(environment, **PARTS | {"SALES_DB_PASSWORD": "", "SALES_DB_PASSWORD_FILE": "secret"})
    assert line.startswith("settings: SALES_DB_PASSWORD: ")
    assert says in line


def test_a_secret_file_that_cannot_be_read_causes_one_line(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    line = refused(environment, **PARTS | {"SALES_DB_PASSWORD": "", "SALES_DB_PASSWORD_FILE": "secret"})
    assert "the file that SALES_DB_PASSWORD_FILE names cannot be read" in line


@pytest.mark.parametrize("name", ["SALES_DB_PASSWORD", "sales_db_password"])
def test_a_credential_of_systemd_is_read_by_its_settings_name(
    environment: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("hunter2\n")
    environment.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert dsn(read(environment, **PARTS | {"SALES_DB_PASSWORD": ""}))["pwd"] == "hunter2"
    line = refused(environment, SALES_DB_PASSWORD="hunter2x")
    assert f"given more than once: in SALES_DB_PASSWORD and in $CREDENTIALS_DIRECTORY/{name}" in line


def test_a_secret_and_its_file_cannot_both_be_set(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    line = refused(environment, **PARTS | {"SALES_DB_PASSWORD_FILE": "secret"})
    assert "SALES_DB_PASSWORD: is given more than once: in SALES_DB_PASSWORD and in SALES_DB_PASSWORD_FILE" in line


@pytest.mark.parametrize("value", ["hunter2\r", "hunter2\n", "hunter2\x1b", "hunter2\udcff"])
def test_a_control_character_in_a_secret_is_refused(environment: pytest.MonkeyPatch, value: str) -> None:
    assert "has a control character" in refused(environment, **PARTS | {"SALES_DB_PASSWORD": value})


# --- the app itself, as a process of its own


def test_a_missing_secret_file_ends_the_worker_with_code_2(tmp_path: Path) -> None:
    given = PARTS | {"SALES_DB_PASSWORD": "", "SALES_DB_PASSWORD_FILE": "/run/secrets/nowhere"}
    ended = start_faust(tmp_path, "worker", **given)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("settings: SALES_DB_PASSWORD: the file that SALES_DB_PASSWORD_FILE names does not exist")


def test_a_missing_driver_ends_the_worker_with_code_2_before_it_waits_for_any_server(tmp_path: Path) -> None:
    """A service manager does not start it again (RestartPreventExitStatus=2)."""
    ended = start_faust(tmp_path, "worker", **PARTS | {"SALES_DB_DRIVER": "/nowhere/libmsodbcsql-18.so"})
    assert ended.returncode == 2
    said = "sales database: SALES_DB_DRIVER: the ODBC driver /nowhere/libmsodbcsql-18.so does not exist"
    assert ended.stderr.splitlines() == [said]
    assert "hunter2" not in ended.stdout + ended.stderr
