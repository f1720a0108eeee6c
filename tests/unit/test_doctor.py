"""Tests the findings of `doctor` where no test server can be broken that way, and with servers that are away."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.documents.sale import SALE
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.operators.checks import Finding, Level
from streams.operators.checks.configuration import judge_settings
from streams.operators.checks.database import judge_database
from streams.operators.checks.national_api import judge_log_in
from streams.operators.checks.polling import Poll
from streams.operators.checks.servers import ConnectorReport, judge_connect, judge_worker
from streams.operators.checks.triggers import judge_triggers
from streams.stores.capture_setup import Capture
from streams.stores.triggers import Trigger, Triggers
from tests.support.command_line import invoke_faust
from tests.support.right_settings import RIGHT
from tests.support.sound_database import CAPTURE, NO_CAPTURE, SOUND
from tests.unit.played_connect import TRACE, settings, status


def bad(findings: list[Finding]) -> list[tuple[Level, str, str, str]]:
    return [(f.level, f.about, f.what, f.action) for f in findings if f.level in (Level.ERROR, Level.WARNING)]


def test_doctor_finds_nothing_wrong_with_a_healthy_sql_server() -> None:
    assert bad(judge_database(SOUND, SALE)) == []


@pytest.mark.parametrize(
    ("change", "level", "what", "action"),
    [
        ({"capture": replace(CAPTURE, database=False)}, Level.ERROR, "is off in this database", "10_capture_on.sql"),
        (
            {"capture": replace(CAPTURE, table=False)},
            Level.ERROR,
            "does not capture dbo.SalesInvoices",
            "10_capture_on.sql",
        ),
        ({"capture": replace(CAPTURE, job=False)}, Level.ERROR, "capture job does not run", "Start SQL Server Agent"),
        ({"capture": replace(CAPTURE, kept_days=3.0)}, Level.WARNING, "keeps changes for 3 days", "sets 14 days"),
        ({"capture": replace(CAPTURE, snapshots=False)}, Level.WARNING, "snapshot isolation", "10_capture_on.sql"),
        ({"ahead_s": -400.0}, Level.WARNING, "6 min 40 s behind", "NTP"),
    ],
)
def test_doctor_reports_each_fault_of_sql_server_with_an_action(
    change: dict[str, Any], level: Level, what: str, action: str
) -> None:
    [found] = bad(judge_database(replace(SOUND, **change), SALE))
    assert found[0] is level
    assert what in found[2]
    assert action in found[3]


def test_doctor_says_when_the_login_may_not_see_the_capture_job() -> None:
    found = judge_database(replace(SOUND, capture=replace(CAPTURE, job=None, kept_days=None)), SALE)
    assert bad(found) == []
    assert [f.what for f in found if f.about.endswith("job")] == [
        "this login may not see its job; connectors/README.md, Is it working?, says how to examine it"
    ]


def test_with_polling_doctor_reports_the_mark_and_the_time_and_no_missing_capture() -> None:
    found = judge_database(
        replace(SOUND, capture=replace(CAPTURE, database=False), polls=True, poll=Poll(0.003, 1200)), SALE
    )
    assert bad(found) == []
    assert [finding.what for finding in found if finding.about == "polling"] == [
        "asking for new sales takes 3 ms",
        "sales above id 1200 are new and sent without a look-up; others are looked up first",
    ]


@pytest.mark.parametrize(
    ("poll", "capture", "says"),
    [
        (Poll(0.003, None), NO_CAPTURE, "no worker has asked yet"),
        (Poll(2, 1200), NO_CAPTURE, "asking for new sales takes 2000 ms"),
        (Poll(0.003, 1200), CAPTURE, "is on in this database, although CAPTURE=polling"),
    ],
)
def test_a_missing_mark_a_slow_poll_and_unused_capture_are_warnings(poll: Poll, capture: Capture, says: str) -> None:
    [(level, _, what, _)] = bad(judge_database(replace(SOUND, capture=capture, polls=True, poll=poll), SALE))
    assert level is Level.WARNING
    assert says in what


def test_with_polling_doctor_misses_no_connector() -> None:
    [found] = judge_connect(None, "sales")
    assert found.level is Level.SKIPPED
    assert not settings(capture="polling").has_connector
    assert settings().has_connector
    unread = replace(SOUND, capture=NO_CAPTURE, polls=True, poll=None)
    assert bad(judge_database(unread, SALE)) == []


def test_doctor_reports_a_failed_or_paused_connector_without_passwords() -> None:
    failed = ConnectorReport(status("RUNNING", "FAILED", trace=TRACE), ["hunter2"])
    [(level, _, what, action)] = bad(judge_connect(failed, "sales"))
    assert level is Level.ERROR
    assert "Tolerance exceeded" in what
    assert "hunter2" not in what
    assert "connectors restart" in action
    [(_, _, what, action)] = bad(judge_connect(ConnectorReport(status("PAUSED", "PAUSED"), []), "sales"))
    assert "is paused" in what
    assert "/connectors/sales/resume" in action
    assert bad(judge_connect(ConnectorReport(status("RUNNING", "RUNNING"), []), "sales")) == []


def test_doctor_reports_a_refused_log_in_and_a_waiting_worker_with_their_actions() -> None:
    [(level, about, what, action)] = bad(judge_log_in(TryLater(Reason(Code.LOGIN_REFUSED)), "SHOP-1"))
    assert (level, about) == (Level.ERROR, "log-in of shop SHOP-1")
    assert what.startswith("login_refused: ")
    assert "AccountShop" in action
    reason = {"part": "gate", "what": "closed", "since": "", "action": "check the line"}
    found = bad(judge_worker({"status": "not_ready", "reasons": [reason]}))
    assert found == [(Level.ERROR, "worker: gate", "closed", "check the line")]


def test_doctor_reports_settings_that_do_not_fit_together(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("x")
    env.chmod(0o644)
    wrong = settings(KAFKA_SSL_CAFILE=str(tmp_path / "no.pem"), MAX_IN_FLIGHT="5", WATCHDOG_AFTER="60")
    assert [about for _, about, _, _ in bad(judge_settings(wrong, env))] == [
        "settings KAFKA_SSL_CAFILE",
        "settings .env",
        "settings MAX_IN_FLIGHT_PER_SHOP",
        "settings WATCHDOG_AFTER",
    ]


def test_doctor_lists_default_settings_as_defaults(tmp_path: Path) -> None:
    """The command itself uses shorter timeouts than a worker, and still lists the defaults."""
    ended = invoke_faust(tmp_path, "doctor", "--json", "--timeout", "1", **AWAY, MAX_IN_FLIGHT="300")
    found = {finding["about"]: finding["what"] for finding in json.loads(ended.stdout)["findings"]}
    number, _, names = found["settings set"].partition(": ")
    assert set(names.split(", ")) == {*AWAY, "MAX_IN_FLIGHT"}
    assert int(number) == len(AWAY) + 1
    defaults = found["settings by default"]
    assert "API_CALL_DEADLINE=15," in defaults
    assert "SALES_DB_TIMEOUT=15," in defaults
    assert "KAFKA_SASL_PASSWORD=," in defaults
    assert "MAX_IN_FLIGHT=" not in defaults.replace("MAX_IN_FLIGHT_PER_SHOP", "")


PASSWORDS = {"SALES_DB_PASSWORD": "hunter2};", "REDIS_PASSWORD": "hunter2/@", "MONGO_PASSWORD": "hunter2:#"}
PARTS = {
    "SALES_DB_SERVER": "127.0.0.1",
    "SALES_DB_PORT": "9",
    "SALES_DB_DATABASE": "chain",
    "SALES_DB_USER": "worker",
    "REDIS_HOST": "127.0.0.1",
    "REDIS_PORT": "9",
    "REDIS_USER": "cache",
    "MONGO_HOSTS": "127.0.0.1:9",
    "MONGO_USER": "journal",
    "NATIONAL_API_URL": "http://127.0.0.1:9",
    "CONNECT_URL": "http://127.0.0.1:9",
    "WEB_PORT": "9",
}


def test_doctor_says_what_was_put_together_without_the_passwords(tmp_path: Path) -> None:
    """Broken by: a password is among the keywords that are shown."""
    whole = {"SALES_DB_DSN": "", "REDIS_URL": "", "MONGO_URL": ""}
    ended = invoke_faust(tmp_path, "doctor", "--json", "--timeout", "1", **RIGHT | whole | PARTS | PASSWORDS)
    found = {finding["about"]: finding["what"] for finding in json.loads(ended.stdout)["findings"]}
    server = "server tcp:127.0.0.1,9, database chain, user worker, encryption yes"
    assert found["settings sales database"] == server
    assert re.search(r"libmsodbcsql-18\S+, version 18\.[\d.]+, found by", found["settings sales database: driver"])
    assert found["settings Redis"] == "server 127.0.0.1:9, database 0, user cache, with a password, no TLS"
    assert found["settings MongoDB"].startswith("server 127.0.0.1:9, database pharmacy, user journal, log-in against")
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("changed", "about", "what"),
    [
        ({"SALES_DB_TRUST_CERTIFICATE": "true"}, "settings sales database", "any certificate is trusted"),
        ({"REDIS_TLS": "true"}, "settings Redis", ", TLS"),
        ({"MONGO_TLS": "true"}, "settings MongoDB", ", TLS"),
        ({"SALES_DB_DRIVER": "nowhere"}, "settings sales database: driver", "cannot be used"),
    ],
)
def test_doctor_says_how_it_would_be_encrypted(tmp_path: Path, changed: dict[str, str], about: str, what: str) -> None:
    whole = {"SALES_DB_DSN": "", "REDIS_URL": "", "MONGO_URL": ""}
    given = RIGHT | whole | PARTS | PASSWORDS | changed
    ended = invoke_faust(tmp_path, "doctor", "--json", "--timeout", "1", **given)
    found = {finding["about"]: finding["what"] for finding in json.loads(ended.stdout)["findings"]}
    assert what in found[about]


AWAY = RIGHT | {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "REDIS_URL": "redis://127.0.0.1:9",
    "MONGO_URL": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500",
    "NATIONAL_API_URL": "http://127.0.0.1:9",
    "CONNECT_URL": "http://127.0.0.1:9",
    "WEB_PORT": "9",
}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("status",), "sales database: has no driver that can be used"),
        (("failures",), "sales database: has no driver that can be used"),
        (("resend", "--all"), "sales database: has no driver that can be used"),
        (("send-now", "--all"), "sales database: has no driver that can be used"),
        (("lookup", "HD-1"), "sales database: has no driver that can be used"),
        (("tail",), "Kafka: no proper answer from 127.0.0.1:9"),
        (("replay",), "Kafka: no proper answer from 127.0.0.1:9"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_ends_with_one_sentence_when_its_server_is_away(
    tmp_path: Path, command: tuple[str, ...], says: str
) -> None:
    ended = invoke_faust(tmp_path, *command, **AWAY)
    assert (ended.returncode, ended.stdout) == (2 if "driver" in says else 1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(says)
    assert "hunter2" not in line


def test_doctor_names_every_server_that_is_away(tmp_path: Path) -> None:
    ended = invoke_faust(tmp_path, "doctor", "--json", "--timeout", "1", **AWAY)
    assert (ended.returncode, ended.stderr) == (1, "")
    said = json.loads(ended.stdout)
    wrong = {f["about"]: f["action"] for f in said["findings"] if f["level"] == "error"}
    assert wrong.keys() == {"sales database", "Kafka", "Kafka Connect", "Redis", "MongoDB", "national API"}
    assert all(wrong.values())
    assert said["errors"] == len(wrong)


@pytest.mark.parametrize(("value", "says"), [("hunter2", "must start with mongodb://"), ("", "is not set")])
def test_doctor_names_a_wrong_or_missing_setting_before_it_calls_any_server(
    tmp_path: Path, value: str, says: str
) -> None:
    ended = invoke_faust(tmp_path, "doctor", **RIGHT | {"MONGO_URL": value})
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"settings: MONGO_URL: {says}")
    assert "Set it in the environment or in .env" in line


@pytest.mark.parametrize(
    ("triggers", "rows", "level", "says"),
    [
        (Triggers(), 128, Level.OK, "none runs when a result is written"),
        (Triggers([Trigger("TR", reaches_out=False)]), 128, Level.WARNING, "TR; up to 128 rows are changed by one"),
        (Triggers([Trigger("TR", reaches_out=False)]), 1, Level.OK, "WRITE_BACK_ROWS=1, so each runs for one row"),
        (Triggers([Trigger("TR", reaches_out=True)]), 1, Level.WARNING, "TR may use another database"),
        (Triggers(hidden=2), 128, Level.WARNING, "2 whose names this login may not see"),
    ],
)
def test_doctor_judges_triggers_by_the_rows_that_one_statement_changes(
    triggers: Triggers, rows: int, level: Level, says: str
) -> None:
    [found] = judge_triggers(triggers, SALE.table, rows_per_update=rows)
    assert found.level is level
    assert says in found.what
    assert ("WRITE_BACK_ROWS=1" in found.action) == (level is Level.WARNING and rows > 1)
