"""Plays Kafka Connect from prepared answers, and names the connector that the tests deploy."""

from __future__ import annotations

import json
from typing import Any

import httpx
from pydantic import SecretStr

from streams.operators.connect.api import ConnectApi, ConnectorStatus, TaskState
from streams.settings import Settings
from tests.support.right_settings import RIGHT

SQL_SERVER = "io.debezium.connector.sqlserver.SqlServerConnector"
READ = "pharmacy.chain.dbo.SalesInvoices"
CONFIG = {
    "connector.class": SQL_SERVER,
    "topic.prefix": "pharmacy",
    "database.names": "chain",
    "table.include.list": "dbo.SalesInvoices",
    "database.password": "${env:PASSWORD}",
}
TRACE = """org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded
\tat org.apache.kafka.connect.runtime.WorkerTask.run(WorkerTask.java:1)
Caused by: io.debezium.DebeziumException: jdbc:sqlserver://db;user=sa;password=hunter2;encrypt=true
\tat io.debezium.Something.run(Something.java:1)
\t... 13 more
"""


def settings(**changed: str) -> Settings:
    return Settings.model_validate({name.lower(): value for name, value in (RIGHT | changed).items()})


def error(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error_code": status, "message": message})


def shown(connector: str, *tasks: str, trace: str = "") -> httpx.Response:
    def part(state: str) -> dict[str, str]:
        return {"state": state, "worker_id": "w:1"} | ({"trace": trace} if state == "FAILED" else {})

    return httpx.Response(
        200, json={"connector": part(connector), "tasks": [{"id": n, **part(state)} for n, state in enumerate(tasks)]}
    )


GONE = error(404, "No status found for connector sales")
RUNNING = shown("RUNNING", "RUNNING")
FAILED = shown("RUNNING", "FAILED", trace=TRACE)


class Played:
    """Plays the answers to each call (``METHOD path``) one after the other, the last one forever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[httpx.Response]] = {
            "GET /connector-plugins": [httpx.Response(200, json=[{"class": SQL_SERVER}])],
            f"PUT /connector-plugins/{SQL_SERVER}/config/validate": [httpx.Response(200, json={"configs": []})],
            "GET /connectors/sales/config": [error(404, "Connector sales not found")],
            "PUT /connectors/sales/config": [httpx.Response(201, json={})],
            "GET /connectors/sales/status": [RUNNING],
        }
        self.calls: list[str] = []
        self.headers: list[httpx.Headers] = []
        self.bodies: list[Any] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        call = f"{request.method} {request.url.path}"
        self.calls.append(call)
        self.headers.append(request.headers)
        self.bodies.append(json.loads(request.content) if request.content else None)
        answers = self.answers[call]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def api(self, url: str = "http://connect:8083", rebalance_timeout: float = 60) -> ConnectApi:
        return ConnectApi(SecretStr(url), rebalance_timeout=rebalance_timeout, transport=httpx.MockTransport(self))


def status(connector: str, *tasks: str, trace: str = "") -> ConnectorStatus:
    def part(state: str) -> TaskState:
        return TaskState(state, "w:1", trace if state == "FAILED" else "")

    return ConnectorStatus(part(connector), {number: part(state) for number, state in enumerate(tasks)})
