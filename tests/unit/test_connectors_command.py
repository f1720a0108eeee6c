"""Tests how `faust connectors` deals with each answer of Kafka Connect, and its command line."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from streams.documents import DOCUMENT_TYPES
from streams.local.processes import free_port
from streams.operators import Problem
from streams.operators.commands.connectors import connectors
from streams.operators.connect.api import ConnectApi, ConnectorNotFound
from streams.operators.connect.connector_file import ConnectorFile
from streams.operators.connect.deploy import apply
from streams.operators.connect.wait_until_running import wait_until_running
from tests.support.command_line import invoke_faust
from tests.support.right_settings import RIGHT
from tests.unit.played_connect import (
    CONFIG,
    FAILED,
    GONE,
    READ,
    RUNNING,
    SQL_SERVER,
    TRACE,
    Played,
    error,
    settings,
    shown,
    status,
)
from tests.unit.virtual_time import in_virtual_time, running_loop

FILE = ConnectorFile(Path("sales.json"), "sales", {**CONFIG, "name": "sales"})


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_new_configuration_is_validated_applied_and_awaited() -> None:
    played = Played()
    played.answers["GET /connectors/sales/status"] = [GONE, GONE, shown("UNASSIGNED"), shown("RUNNING"), RUNNING]
    reported: list[str] = []
    await apply(played.api(), FILE, 60, reported.append)
    assert reported == [
        "configuration: valid",
        "configuration: applied",
        "connector: RUNNING on w:1",
        "task 0: RUNNING on w:1",
    ]
    put = played.calls.index("PUT /connectors/sales/config")
    assert played.calls.index(f"PUT /connector-plugins/{SQL_SERVER}/config/validate") < put
    assert played.bodies[put] == FILE.config
    assert now() >= 3, "RUNNING must last before it is believed"


@in_virtual_time
async def test_an_unchanged_configuration_is_not_applied_again() -> None:
    played = Played()
    played.answers["GET /connectors/sales/config"] = [httpx.Response(200, json=FILE.config)]
    reported: list[str] = []
    await apply(played.api(), FILE, 60, reported.append)
    assert "configuration: unchanged" in reported
    assert "PUT /connectors/sales/config" not in played.calls
    assert now() == 0


@in_virtual_time
async def test_an_invalid_configuration_is_not_applied_and_every_error_is_named() -> None:
    played = Played()

    def entry(field: str, value: str | None, *errors: str, field_type: str = "STRING") -> dict[str, Any]:
        return {"definition": {"type": field_type}, "value": {"name": field, "value": value, "errors": errors}}

    configs = [
        entry("topic.prefix", None, "A value is required"),
        entry("database.port", None, "An integer is expected", "An integer is expected"),
        entry("database.hostname", "h", "Unable to connect.\nLogin failed for jdbc:x;password=hunter2;"),
        entry("database.password", "hunter2", "Invalid value hunter2 for configuration database.password"),
        entry("key.store", "hunter2", "Invalid value hunter2", field_type="PASSWORD"),
        entry("other.password", None, "Missing required configuration"),
        entry("fine", "x"),
        {"definition": {"name": "x"}, "value": None},
    ]
    played.answers[f"PUT /connector-plugins/{SQL_SERVER}/config/validate"] = [
        httpx.Response(200, json={"configs": configs})
    ]
    with pytest.raises(Problem) as caught:
        await apply(played.api(), FILE, 60, print)
    assert caught.value.lines == (
        "sales.json: topic.prefix: A value is required",
        "sales.json: database.port: An integer is expected",
        "sales.json: database.hostname: Unable to connect. Login failed for jdbc:x;password=***;",
        "sales.json: database.password: is not valid (the text is not shown: it may quote it). "
        "It is ${env:PASSWORD}: check the place that Kafka Connect resolves it from",
        "sales.json: key.store: is not valid (the text is not shown: it may quote it)",
        "sales.json: other.password: a value is required",
        "sales: not applied. Correct the errors above, and deploy again.",
    )
    assert "PUT /connectors/sales/config" not in played.calls


@in_virtual_time
async def test_a_missing_plugin_is_named_together_with_the_installed_ones() -> None:
    with pytest.raises(Problem, match=f"no.such.Plugin is not a plugin .* Installed are: {SQL_SERVER}"):
        await Played().api().validate({"connector.class": "no.such.Plugin"})


@in_virtual_time
async def test_a_running_state_from_before_the_change_is_not_believed() -> None:
    played = Played()
    played.answers["GET /connectors/sales/status"] = [RUNNING] * 12 + [FAILED]
    with pytest.raises(Problem) as caught:
        await wait_until_running(played.api(), "sales", before=status("RUNNING", "RUNNING"), changed=True, timeout_s=60)
    assert caught.value.lines[:4] == (
        "sales: connector: RUNNING on w:1",
        "sales: task 0: FAILED on w:1",
        "sales:   org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded",
        "sales:   Caused by: io.debezium.DebeziumException: jdbc:sqlserver://db;user=sa;password=***;encrypt=true",
    )
    assert "connectors restart" in caught.value.lines[-1]


@in_virtual_time
async def test_a_failure_from_before_the_restart_is_not_believed() -> None:
    played = Played()
    played.answers["GET /connectors/sales/status"] = [FAILED] * 12 + [shown("RESTARTING", "RESTARTING"), RUNNING]
    before = status("RUNNING", "FAILED", trace=TRACE)
    assert (await wait_until_running(played.api(), "sales", before=before, changed=True, timeout_s=60)).runs


@in_virtual_time
async def test_a_failure_that_lasts_is_believed_after_ten_seconds() -> None:
    played = Played()
    played.answers["GET /connectors/sales/status"] = [FAILED]
    before = status("RUNNING", "FAILED", trace=TRACE)
    with pytest.raises(Problem, match="Tolerance exceeded"):
        await wait_until_running(played.api(), "sales", before=before, changed=True, timeout_s=60)
    assert 10 <= now() < 11


@in_virtual_time
async def test_deploy_stops_waiting_for_a_connector_that_never_runs() -> None:
    played = Played()
    for answer, says in (
        (GONE, "no status yet"),
        (shown("RUNNING"), "no tasks"),
        (shown("RUNNING", "RUNNING", "UNASSIGNED"), "task 1: UNASSIGNED"),
    ):
        played.answers["GET /connectors/sales/status"] = [answer]
        began = now()
        with pytest.raises(Problem, match=rf"does not run after 20 s .*{says}.*--timeout"):
            await wait_until_running(played.api(), "sales", before=None, changed=True, timeout_s=20)
        assert 20 <= now() - began < 21


@in_virtual_time
async def test_a_paused_connector_is_reported_with_the_way_to_resume_it() -> None:
    played = Played()
    played.answers["GET /connectors/sales/status"] = [shown("PAUSED", "PAUSED")]
    with pytest.raises(Problem, match=r"is PAUSED.*curl -X PUT http://connect:8083/connectors/sales/resume"):
        await wait_until_running(played.api(), "sales", before=None, changed=False, timeout_s=60)


@in_virtual_time
async def test_a_rebalance_of_kafka_connect_is_awaited_for_a_limited_time() -> None:
    played = Played()
    conflict = error(409, "Cannot complete request momentarily due to no known leader URL")
    played.answers["PUT /connectors/sales/config"] = [conflict, conflict, httpx.Response(200, json={})]
    await played.api().put_config("sales", FILE.config)
    assert played.calls == ["PUT /connectors/sales/config"] * 3
    played.answers["PUT /connectors/sales/config"] = [conflict]
    began = now()
    with pytest.raises(Problem, match=r"is still rebalancing after 7 s .*no known leader"):
        await played.api(rebalance_timeout=7).put_config("sales", FILE.config)
    assert 7 <= now() - began < 8


async def _raise_refused(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("http://user:hunter2@connect refused")


async def _never(_: httpx.Request) -> httpx.Response:
    await asyncio.sleep(10_000)
    raise AssertionError


def _always(response: httpx.Response) -> Callable[[httpx.Request], Any]:
    async def answer(_: httpx.Request) -> httpx.Response:
        return response

    return answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (_raise_refused, "cannot be reached (ConnectError). Start it, or correct CONNECT_URL"),
        (_never, "does not answer within 10 s. Start it, or correct CONNECT_URL"),
        (_always(error(500, "Request timed out; password=hunter2")), "HTTP 500, Request timed out; password=***. Look"),
        (_always(error(400, "nonsense")), "HTTP 400, nonsense. Correct"),
        (_always(httpx.Response(401)), "refuses the log-in (HTTP 401). Put user name and password into CONNECT_URL"),
        (_always(httpx.Response(502, text="<html>")), "answers (HTTP 502), but not as Kafka Connect does"),
        (_always(httpx.Response(404, text="<html>")), "answers (HTTP 404), but not as Kafka Connect does"),
        (_always(httpx.Response(200, text="<html>")), "answers (HTTP 200), but not as Kafka Connect does"),
        (_always(httpx.Response(200, json={})), "answers (HTTP 200), but not as Kafka Connect does"),
    ],
)
@in_virtual_time
async def test_a_problem_with_kafka_connect_is_one_line_without_secrets(
    answer: Callable[[httpx.Request], Any], says: str
) -> None:
    api = ConnectApi(
        SecretStr("http://user:hunter2@connect:8083/"), rebalance_timeout=5, transport=httpx.MockTransport(answer)
    )
    with pytest.raises(Problem) as caught:
        await api.about()
    [line] = caught.value.lines
    assert "http://connect:8083" in line
    assert says in line
    assert "hunter2" not in line
    assert running_loop().time() <= 10


@in_virtual_time
async def test_the_credentials_of_connect_url_are_sent() -> None:
    played = Played()
    played.answers["GET /base/connectors/sales/config"] = [httpx.Response(200, json={})]
    await played.api("https://us%40er:p%3Aw@connect/base/").config("sales")
    assert played.headers[0]["authorization"] == "Basic " + b64encode(b"us@er:p:w").decode()
    played.answers["DELETE /connectors/sales"] = [error(404, "Connector sales not found")]
    with pytest.raises(ConnectorNotFound):
        await played.api().delete("sales")
    assert "authorization" not in played.headers[1]


# --- the command ---------------------------------------------------------------------------------------------------


def invoke(*arguments: str, **changed: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    result = CliRunner().invoke(connectors(settings(**changed), DOCUMENT_TYPES), arguments)
    return result.exit_code, result.stdout, result.stderr


def test_every_connectors_command_reports_an_absent_kafka_connect_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sales.json").write_text(json.dumps(CONFIG))
    url = f"http://user:hunter2@127.0.0.1:{free_port()}"
    file = str(tmp_path / "sales.json")
    for arguments in (("deploy", "--file", file), ("status",), ("restart",), ("remove", "--yes")):
        code, _, stderr = invoke(*arguments, CONNECT_URL=url)
        assert code == 1
        assert len(stderr.splitlines()) == 1
        assert "cannot be reached" in stderr
        assert "hunter2" not in stderr


def test_deploy_stops_at_differing_topic_names_before_it_calls_any_server(tmp_path: Path) -> None:
    (tmp_path / "sales.json").write_text(json.dumps(CONFIG | {"topic.prefix": "till"}))
    code, _, stderr = invoke("deploy", "--file", str(tmp_path / "sales.json"), CONNECT_URL="http://127.0.0.1:1")
    assert code == 1
    assert READ in stderr
    assert "till.chain.dbo.SalesInvoices" in stderr


def test_remove_requires_a_confirmation() -> None:
    code, _, stderr = invoke("remove")
    assert code == 1
    assert "Use --yes" in stderr


@pytest.mark.parametrize("verb", [(), ("deploy",), ("status",), ("restart",), ("remove",)])
def test_help_of_the_connectors_commands_needs_no_settings(tmp_path: Path, verb: tuple[str, ...]) -> None:
    ended = invoke_faust(tmp_path, "connectors", *verb, "--help", CONNECT_URL="nonsense")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"connectors {' '.join((*verb, '[OPTIONS]'))}" in ended.stdout


def test_deploy_ends_with_one_line_for_a_wrong_file_or_setting(tmp_path: Path) -> None:
    ended = invoke_faust(tmp_path, "connectors", "deploy", **RIGHT)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("connectors/pharmacy-sales.json: cannot be read")
    ended = invoke_faust(tmp_path, "connectors", "deploy", **RIGHT | {"CONNECT_URL": "ftp://u:hunter2@host"})
    assert ended.returncode == 2
    assert ended.stderr.startswith("settings: CONNECT_URL: must be http://host:port")
    assert "hunter2" not in ended.stderr
