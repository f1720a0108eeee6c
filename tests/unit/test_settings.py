"""A wrong setting is named in one line, with its remedy and without its value; exit code 2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.documents import DOCUMENT_TYPES
from streams.operators.commands import commands
from streams.settings import Settings, explain, read_settings
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


def test_right_ones_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    ],
)
def test_a_wrong_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str | None, says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        read(monkeypatch, tmp_path, **{name: value})
    [line] = explain(caught.value)
    assert name in line or says in line
    assert says in line
    assert ".env.example" in line, "the remedy"
    assert "hunter2" not in line + str(caught.value)


def test_plain_http_is_for_this_machine_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read(monkeypatch, tmp_path, NATIONAL_API_URL="http://127.0.0.1:8000").api_url == "http://127.0.0.1:8000"


def test_the_local_stack_goes_before_env_and_the_environment_before_both(
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


def test_the_worker_ends_with_code_2_and_one_line_a_problem(tmp_path: Path) -> None:
    ended = start_faust(tmp_path, "worker", **RIGHT | {"MAX_IN_FLIGHT": "many", "REDIS_URL": "hunter2"})
    assert ended.returncode == 2
    assert [line.split(":")[1].strip() for line in ended.stderr.splitlines()] == ["REDIS_URL", "MAX_IN_FLIGHT"]
    assert "hunter2" not in ended.stdout + ended.stderr


def test_the_help_of_faust_lists_our_commands_without_any_settings(tmp_path: Path) -> None:
    ended = start_faust(tmp_path, "--help", MAX_IN_FLIGHT="many")
    assert (ended.returncode, ended.stderr) == (0, "")
    listed = set(re.findall(r"(?m)^  ([a-z-]+)", ended.stdout))
    assert {"worker"} | {command.name for command in commands(settings(), DOCUMENT_TYPES)} <= listed
