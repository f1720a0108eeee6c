"""Tests that a wrong setting ends the process with code 2 and one line that names it and the action, without its
value.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.documents import DOCUMENT_TYPES
from streams.kafka.topics import own_topics
from streams.operators.commands import commands
from streams.runtime.logs import Secrets
from streams.settings import Settings, explain, read_settings
from tests.certificates import self_signed
from tests.support.command_line import start_faust
from tests.support.right_settings import RIGHT
from tests.unit.played_connect import settings


def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changed: str | None) -> Settings:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in (RIGHT | changed).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return read_settings()


def test_valid_settings_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = read(monkeypatch, tmp_path, RETRY_DELAYS="[1, 2.5]", NOT_STORED_PHRASES='["không tìm thấy"]')
    assert settings.api_url == "https://api.example"
    assert settings.source_database == "chain"
    assert settings.lease == 105
    assert list(settings.retry_delays) == [1, 2.5]
    assert settings.not_stored_phrases == ("không tìm thấy",)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", None, "is not set"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:99999999", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092,", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "[kafka:9092", "host:port"),
        ("SALES_CHANGE_TOPIC", "SalesInvoices", "as Debezium names it"),
        ("SALES_CHANGE_TOPIC", "pharmacy..dbo.SalesInvoices", "as Debezium names it"),
        ("CAPTURE", "triggers", "'cdc' or 'polling'"),
        ("POLL_INTERVAL", "0.1", "greater than or equal to 0.2"),
        ("SALES_DB_DSN", None, "is not set"),
        ("SALES_DB_DSN", "", "is not set"),
        ("REDIS_URL", "", "is not set"),
        ("REDIS_URL", "redi://:hunter2\u2100@host", "must start with redis://"),  # urlsplit would quote it
        ("REDIS_URL", "//[hunter2", "must start with redis://"),
        ("REDIS_URL", "http://:hunter2@host", "must start with redis://"),
        ("MONGO_URL", "hunter2", "must start with mongodb://"),
        ("CONNECT_URL", "hunter2:8083", "http://host:port"),
        ("CONNECT_URL", "ftp://u:hunter2@host", "http://host:port"),
        ("CONNECT_URL", "http://u:hunter2@host:99999", "http://host:port"),
        ("CONNECT_URL", "http://[hunter2", "http://host:port"),
        ("CONNECT_URL", "http://host/?token=hunter2", "http://host:port"),
        ("NATIONAL_API_URL", "http://api.example", "https"),
        ("NATIONAL_API_URL", "https://u:hunter2@api.example", "no user name or password"),
        ("NATIONAL_API_URL", "hunter2", "URL"),
        ("NATIONAL_API_TRANSPORT", "hunter2", "'fast' or 'compatible'"),
        ("NATIONAL_API_PROXY", "proxy:3128", "http://host:port"),
        ("NATIONAL_API_PROXY", "ftp://u:hunter2@proxy", "http://host:port"),
        ("NATIONAL_API_PROXY", "http://u:hunter2#@proxy:3128", "written like %40"),
        ("NATIONAL_API_PROXY", "http://u:hunter2@proxy:99999", "http://host:port"),
        ("NATIONAL_API_PROXY", "socks5://[hunter2", "http://host:port"),
        ("NATIONAL_API_CA_FILE", "hunter2.pem", "cannot be read (No such file or directory)"),
        ("NATIONAL_API_CA_FILE", "/", "cannot be read (Is a directory)"),
        ("NATIONAL_API_CA_FILE", __file__, "PEM file with certificates"),
        ("NATIONAL_API_CLIENT_CERT", "hunter2.pem", "cannot be read (No such file or directory)"),
        ("NATIONAL_API_CLIENT_KEY", "hunter2.pem", "cannot be read (No such file or directory)"),
        ("NATIONAL_API_CLIENT_CERT", __file__, "only valid together"),
        ("NATIONAL_API_BIND_ADDRESS", "hunter2", "an IP address of this machine"),
        ("MAX_IN_FLIGHT", "hunter2", "integer"),
        ("MAX_IN_FLIGHT", "0", "greater than or equal to 1"),
        ("API_CALL_DEADLINE", "21", "less than or equal to 20"),
        ("API_CALL_DEADLINE", "0.05", "greater than or equal to 0.1"),
        ("ATTEMPT_DEADLINE", "0.05", "greater than or equal to 0.1"),
        ("RETRY_DELAYS", "30,120", "JSON list"),
        ("RETRY_DELAYS", "[]", "at least 1"),
        ("RETRY_DELAYS", "[30, 0]", "greater than 0"),
        ("RETRY_DELAYS", "[30, Infinity]", "finite"),
        ("NOT_STORED_PHRASES", "hunter2", "JSON list"),
        ("LOGIN_RETRY_DELAY", "nan", "finite"),
        ("TIME_LIMIT", "inf", "finite"),
        ("SALES_DB_TIMEZONE", "Hanoi", "Asia/Ho_Chi_Minh"),
        ("SALES_DB_TIMEZONE", "../hunter2", "Asia/Ho_Chi_Minh"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ("PAGE_TOKEN", "hunter2", "at least 16"),
        ("PAGE_USER_HEADER", "X-User: hunter2", "name of an HTTP header"),
        ("PAGE_USER_HEADER", "X-User", "PAGE_TRUSTED_PROXIES is required"),
        ("PAGE_TRUSTED_PROXIES", '["hunter2"]', "addresses or networks"),
        ("LOG_FORMAT", "xml", "'json' or 'text'"),
        ("EMPTY_DOSAGE", "hunter2\nsau", "a text in one line"),
        ("EMPTY_DOSAGE", "hunter2" * 20, "at most 100"),
        ("FRACTIONAL_QUANTITIES", "round", "'send' or 'refuse'"),
        ("DOCUMENT_ORDER_WAIT", "-1", "greater than or equal to 0"),
        ("DOCUMENT_ORDER_WAIT", "7200", "less than or equal to 3600"),
    ],
)
def test_an_invalid_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str | None, says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, tmp_path, **{name: value})
    [line] = explain(caught.value)
    assert name in line or says in line
    assert says in line
    assert ".env.example" in line, "the remedy"
    assert "hunter2" not in line + str(caught.value)


def test_plain_http_is_accepted_only_for_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read(monkeypatch, tmp_path, NATIONAL_API_URL="http://127.0.0.1:8000").api_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "MAX_IN_FLIGHT must be at most 64"),
        (
            {
                "MAX_IN_FLIGHT": "32",
                "NATIONAL_API_PROXY": "http://u:hunter2@proxy:3128",
                "NATIONAL_API_BIND_ADDRESS": "10.0.0.5",
            },
            "NATIONAL_API_BIND_ADDRESS and NATIONAL_API_PROXY cannot be used together",
        ),
    ],
    ids=["many in flight", "proxy and address"],
)
def test_what_the_compatible_transport_cannot_do_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, str], says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, tmp_path, NATIONAL_API_TRANSPORT="compatible", **changed)
    [line] = explain(caught.value)
    assert says in line
    assert "hunter2" not in line + str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_may_have_a_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str) -> None:
    proxy = f"{scheme}://user:hunter2%23@proxy.example:3128"
    settings = read(monkeypatch, tmp_path, NATIONAL_API_PROXY=proxy)
    assert settings.national_api_proxy is not None
    assert settings.national_api_proxy.get_secret_value() == proxy
    assert "hunter2" not in repr(settings)
    assert Secrets(settings).without(f"{proxy} hunter2%23 hunter2#") == "[secret] [secret] [secret]"


def test_a_certificate_and_its_key_are_read_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path, "worker")
    settings = read(
        monkeypatch,
        tmp_path,
        NATIONAL_API_CA_FILE=str(certificate),
        NATIONAL_API_CLIENT_CERT=str(certificate),
        NATIONAL_API_CLIENT_KEY=str(key),
    )
    assert settings.national_api_client_key == key


@pytest.mark.parametrize("wrong", ["another key", "a key with a password"])
def test_a_key_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str) -> None:
    key, certificate = self_signed(tmp_path, "worker")
    if wrong == "another key":
        (tmp_path / "other").mkdir()
        key, _ = self_signed(tmp_path / "other", "other")
    else:
        locked = tmp_path / "locked.pem"
        encrypt = ["openssl", "pkey", "-aes256", "-passout", "pass:hunter2", "-in", str(key), "-out", str(locked)]
        subprocess.run(encrypt, check=True, capture_output=True)
        key = locked
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, tmp_path, NATIONAL_API_CLIENT_CERT=str(certificate), NATIONAL_API_CLIENT_KEY=str(key))
    [line] = explain(caught.value)
    assert "the private key that belongs to it, without a password" in line


def test_the_environment_overrides_the_local_stack_which_overrides_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("NATIONAL_API_URL=https://production.example\nMAX_IN_FLIGHT=7\n")
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/stack.env").write_text("NATIONAL_API_URL=http://127.0.0.1:1\nREDIS_URL=redis://local\n")
    settings = read(monkeypatch, tmp_path, STACK="local", NATIONAL_API_URL=None)
    assert settings.api_url == "http://127.0.0.1:1"
    assert settings.max_in_flight == 7
    assert settings.redis_url.get_secret_value() == RIGHT["REDIS_URL"]
    monkeypatch.delenv("STACK")
    assert read(monkeypatch, tmp_path, NATIONAL_API_URL=None).api_url == "https://production.example"


# --- the app itself, as a process of its own: what `invoke_faust` cannot show


def test_the_worker_ends_with_code_2_and_one_line_for_each_wrong_setting(tmp_path: Path) -> None:
    ended = start_faust(tmp_path, "worker", **RIGHT | {"MAX_IN_FLIGHT": "many", "REDIS_URL": "hunter2"})
    assert ended.returncode == 2
    assert [line.split(":")[1].strip() for line in ended.stderr.splitlines()] == ["REDIS_URL", "MAX_IN_FLIGHT"]
    assert "hunter2" not in ended.stdout + ended.stderr


def test_the_help_of_faust_lists_our_commands_without_any_settings(tmp_path: Path) -> None:
    ended = start_faust(tmp_path, "--help", MAX_IN_FLIGHT="many")
    assert (ended.returncode, ended.stderr) == (0, "")
    listed = set(re.findall(r"(?m)^  ([a-z-]+)", ended.stdout))
    assert {"worker"} | {command.name for command in commands(settings(), DOCUMENT_TYPES)} <= listed


def test_a_topic_prefix_keeps_a_deployment_apart_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain, apart = read(monkeypatch, tmp_path), read(monkeypatch, tmp_path, TOPIC_PREFIX="chain-12")
    assert own_topics(plain) == ("sale-retry", "sale-status", "sale-dead-letter")
    assert own_topics(apart) == ("chain-12-sale-retry", "chain-12-sale-status", "chain-12-sale-dead-letter")
    assert (plain.deployment, plain.journal_database) == ("pharmacy-sale-streams", "pharmacy")
    assert (apart.deployment, apart.journal_database) == ("chain-12-pharmacy-sale-streams", "chain-12-pharmacy")


@pytest.mark.parametrize("prefix", ["Chain", "chain.12", "-chain", "chain-", "c" * 33, "chain 12"])
def test_a_topic_prefix_that_a_server_would_refuse_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, tmp_path, TOPIC_PREFIX=prefix)
    [line] = explain(caught.value)
    assert line.startswith("settings: TOPIC_PREFIX: must be at most 32 of a-z, 0-9 and '-'")
