"""A client of Kafka Connect's REST API with the calls that the commands need. Every call ends in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit

import httpx
from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError

from streams.operators import Problem
from streams.operators.connect.masking import is_reference, is_secret, mask, plain_secrets, shorten

_CALL_TIMEOUT = 10.0
_VALIDATION_TIMEOUT = 95.0
"""Seconds. A plugin connects to its database to validate; Kafka Connect itself gives up after 90 s."""
_REBALANCE_PAUSE = 0.5

T = TypeVar("T")


class Rebalancing(Problem):
    """Kafka Connect is rebalancing its work among its workers (HTTP 409); the call can be repeated."""


class ConnectorNotFound(Problem):
    """Kafka Connect has no such connector, or no status of it yet (HTTP 404)."""


@dataclass(frozen=True, slots=True)
class TaskState:
    state: str
    """RUNNING, FAILED, PAUSED, STOPPED, UNASSIGNED or RESTARTING."""
    worker: str
    """Address of the Kafka Connect worker; empty if none has been assigned."""
    trace: str
    """The stack trace of a failure, else empty."""


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    connector: TaskState
    tasks: Mapping[int, TaskState]

    @property
    def all(self) -> list[TaskState]:
        """The state of the connector and those of its tasks."""
        return [self.connector, *self.tasks.values()]

    @property
    def has_failed(self) -> bool:
        """Whether the connector or one of its tasks is FAILED."""
        return any(part.state == "FAILED" for part in self.all)

    @property
    def runs(self) -> bool:
        """Whether the connector has tasks and everything is RUNNING."""
        return bool(self.tasks) and all(part.state == "RUNNING" for part in self.all)


class _Part(BaseModel):
    state: str
    worker_id: str | None = None
    trace: str | None = None


class _Task(_Part):
    id: int


class _Parts(BaseModel):
    connector: _Part
    tasks: list[_Task]


class _Plugin(BaseModel):
    name: Annotated[str, Field(alias="class")]


class _Value(BaseModel):
    name: str = ""
    value: Any = None
    errors: list[str] | None = None


class _Field(BaseModel):
    value: _Value | None = None
    definition: dict[str, Any] | None = None


class _Validated(BaseModel):
    configs: list[_Field]


_PLUGINS = TypeAdapter(list[_Plugin])
_CONFIG = TypeAdapter(dict[str, str | None])
_PARTS = TypeAdapter(_Parts)
_VALIDATED = TypeAdapter(_Validated)


class ConnectApi:
    """The client. All methods raise `Problem`, which names the address but never the credentials."""

    def __init__(
        self, url: SecretStr, *, rebalance_timeout: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`rebalance_timeout`: seconds for which each call waits for a rebalance to end."""
        parts = urlsplit(url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        self.address = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        """The URL without user name and password, so that it can be shown."""
        self._rebalance_timeout = rebalance_timeout
        # An internal server: no proxy from the environment, and no passwords from ~/.netrc.
        self._client = httpx.AsyncClient(
            auth=httpx.BasicAuth(unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
            transport=transport or httpx.AsyncHTTPTransport(),
            trust_env=False,
            timeout=None,  # noqa: S113 - `_call_once` limits the whole call
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def about(self) -> tuple[str, str]:
        """Return Kafka Connect's version and the id of its Kafka cluster."""
        about = await self._call("GET", "/")
        if not isinstance(about, dict) or "kafka_cluster_id" not in about:
            raise self._not_kafka_connect()
        return str(about.get("version")), str(about["kafka_cluster_id"])

    async def plugins(self) -> list[str]:
        """Return the classes of the installed connector plugins."""
        return sorted(plugin.name for plugin in self._read(_PLUGINS, await self._call("GET", "/connector-plugins")))

    async def validate(self, config: Mapping[str, str]) -> list[str]:
        """Return the errors that the plugin finds in `config`, each once, as ``field: error``, without passwords.

        `config` must contain `name` and `connector.class`.
        """
        plugin = config["connector.class"]
        if plugin not in (plugins := await self.plugins()):
            raise Problem(
                f"connector.class: {plugin} is not a plugin of the Kafka Connect at {self.address}. Correct it, or "
                f"install the plugin there. Installed are: {', '.join(plugins) or 'none'}."
            )
        path = f"/connector-plugins/{quote(plugin, safe='')}/config/validate"
        answer = await self._call("PUT", path, json=config, limit=_VALIDATION_TIMEOUT, secrets=plain_secrets(config))
        return _errors(self._read(_VALIDATED, answer), config)

    async def config(self, name: str) -> dict[str, str] | None:
        """Return the configuration as it was set, with references unresolved; None: there is no such connector."""
        try:
            config = self._read(_CONFIG, await self._call("GET", f"{_path(name)}/config"))
        except ConnectorNotFound:
            return None
        return {field: value for field, value in config.items() if value is not None}

    async def put_config(self, name: str, config: Mapping[str, str]) -> None:
        """Set the configuration; a connector that does not exist is created."""
        secrets = plain_secrets(config)
        await self._call("PUT", f"{_path(name)}/config", json=config, limit=_VALIDATION_TIMEOUT, secrets=secrets)

    async def status(self, name: str) -> ConnectorStatus | None:
        """Return the status; None: there is no such connector, or it has no status yet."""
        try:
            found = self._read(_PARTS, await self._call("GET", f"{_path(name)}/status"))
        except ConnectorNotFound:
            return None
        return ConnectorStatus(_state(found.connector), {task.id: _state(task) for task in found.tasks})

    async def restart(self, name: str) -> None:
        """Restart the connector and all its tasks. Raises `ConnectorNotFound`."""
        await self._call("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=false")

    async def restart_failed(self, name: str) -> None:
        """Restart those of the connector and its tasks that are FAILED. Raises `ConnectorNotFound`."""
        await self._call("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=true")

    async def delete(self, name: str) -> None:
        """Remove the connector. Raises `ConnectorNotFound`."""
        await self._call("DELETE", _path(name))

    async def _call(
        self, method: str, path: str, *, json: object = None, limit: float = _CALL_TIMEOUT, secrets: Iterable[str] = ()
    ) -> Any:
        """Make a call, again and again while Kafka Connect rebalances; return the body of the answer.

        `limit`: seconds for each try. `secrets`: texts that are masked where an error quotes them.
        """
        until = asyncio.get_running_loop().time() + self._rebalance_timeout
        while True:
            try:
                return await self._call_once(method, path, json, limit, secrets)
            except Rebalancing:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_REBALANCE_PAUSE)

    async def _call_once(self, method: str, path: str, json: object, limit: float, secrets: Iterable[str]) -> Any:
        try:
            async with asyncio.timeout(limit):
                answer = await self._client.request(method, self.address + path, json=json)
        except TimeoutError:
            raise self._unreachable(f"does not answer within {limit:g} s") from None
        except httpx.TransportError as error:
            raise self._unreachable(f"cannot be reached ({type(error).__name__})") from None
        if answer.status_code in (401, 403):
            raise Problem(
                f"Kafka Connect at {self.address} refuses the log-in (HTTP {answer.status_code}). "
                "Put user name and password into CONNECT_URL: https://user:password@host:port."
            )
        try:
            body = answer.json() if answer.content else None
        except (ValueError, RecursionError):
            body = answer.text
        if answer.is_success:
            return body
        if not isinstance(body, dict) or "message" not in body:
            raise self._not_kafka_connect(answer.status_code)
        message = shorten(mask(str(body["message"]), secrets))
        if answer.status_code == 404:
            raise ConnectorNotFound(f"Kafka Connect at {self.address}: {message}")
        if answer.status_code == 409:
            raise Rebalancing(
                f"Kafka Connect at {self.address} is still rebalancing after {self._rebalance_timeout:g} s "
                f"({message}). Try again; if it persists, look at its log."
            )
        action = "Look at its log" if answer.is_server_error else "Correct the field or value that it names"
        raise Problem(f"Kafka Connect at {self.address}: HTTP {answer.status_code}, {message}. {action}.")

    def _read(self, form: TypeAdapter[T], body: Any) -> T:
        """Read an answer, which may come from anything that listens at the address. Raises `Problem` where it does not
        have this form."""
        try:
            return form.validate_python(body)
        except ValidationError:
            raise self._not_kafka_connect() from None

    def _unreachable(self, what: str) -> Problem:
        return Problem(f"Kafka Connect at {self.address} {what}. Start it, or correct CONNECT_URL.")

    def _not_kafka_connect(self, status: int = 200) -> Problem:
        return Problem(
            f"{self.address} answers (HTTP {status}), but not as Kafka Connect does. "
            "Wait until it has started, or correct CONNECT_URL."
        )


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def _state(found: _Part) -> TaskState:
    return TaskState(found.state, found.worker_id or "", found.trace or "")


def _errors(answer: _Validated, config: Mapping[str, str]) -> list[str]:
    found: dict[str, None] = {}  # an ordered set
    secrets = plain_secrets(config)
    for entry in answer.configs:
        value = entry.value or _Value()
        hidden = is_secret(value.name) or (entry.definition or {}).get("type") == "PASSWORD"
        for error in value.errors or ():
            reference = config.get(value.name, "")
            where = (
                f". It is {reference}: check the place that Kafka Connect resolves it from"
                if is_reference(reference)
                else ""
            )
            found[f"{value.name}: {_hidden_error(value) if hidden else shorten(mask(error, secrets))}{where}"] = None
    return list(found)


def _hidden_error(value: _Value) -> str:
    """Return a text in place of the error about a password, which may quote the password."""
    return "is not valid (the text is not shown: it may quote it)" if value.value else "a value is required"
