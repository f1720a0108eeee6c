"""Kafka Connect's REST interface, as far as the commands need it. Every answer is awaited for a bounded time."""

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

_CALL = 10.0
_VALIDATING = 95.0
"""A plugin connects to its database as it validates; Kafka Connect itself gives up after 90 s."""
_PAUSE = 0.5

T = TypeVar("T")


class Rebalancing(Problem):
    """409: the workers of Kafka Connect are sharing out their work anew. Worth asking again."""


class NotThere(Problem):
    """404 of Kafka Connect itself."""


@dataclass(frozen=True, slots=True)
class TaskState:
    state: str
    """RUNNING, FAILED, PAUSED, STOPPED, UNASSIGNED or RESTARTING."""
    worker: str
    trace: str


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    connector: TaskState
    tasks: Mapping[int, TaskState]

    @property
    def all(self) -> list[TaskState]:
        return [self.connector, *self.tasks.values()]

    @property
    def has_failed(self) -> bool:
        return any(part.state == "FAILED" for part in self.all)

    @property
    def runs(self) -> bool:
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
    """`patience`: seconds for which a rebalance is waited out, in each call.

    All methods raise `Problem`, with the address but never with what logs in there.
    """

    def __init__(self, url: SecretStr, *, patience: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        parts = urlsplit(url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        self.address = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        """Without user name and password: may be shown."""
        self._patience = patience
        # A server of the house: no proxy in between, and no passwords from ~/.netrc.
        self._client = httpx.AsyncClient(
            auth=httpx.BasicAuth(unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
            transport=transport or httpx.AsyncHTTPTransport(),
            trust_env=False,
            timeout=None,  # noqa: S113 - the whole call has one, below
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, document_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def about(self) -> tuple[str, str]:
        """Its version, and the id of the Kafka cluster that it works with."""
        about = await self._call("GET", "/")
        if not isinstance(about, dict) or "kafka_cluster_id" not in about:
            raise self._stranger()
        return str(about.get("version")), str(about["kafka_cluster_id"])

    async def plugins(self) -> list[str]:
        """The classes of the connectors that it could run."""
        return sorted(plugin.name for plugin in self._read(_PLUGINS, await self._call("GET", "/connector-plugins")))

    async def validate(self, config: Mapping[str, str]) -> list[str]:
        """What the plugin finds wrong: ``field: error``, each once. Never the value of a password.

        `config`: with `name` and `connector.class`.
        """
        plugin = config["connector.class"]
        if plugin not in (plugins := await self.plugins()):
            raise Problem(
                f"connector.class: {plugin} is no plugin of the Kafka Connect at {self.address}. Correct it, or "
                f"install the plugin there. It has: {', '.join(plugins) or 'none'}."
            )
        path = f"/connector-plugins/{quote(plugin, safe='')}/config/validate"
        answer = await self._call("PUT", path, json=config, limit=_VALIDATING, secrets=plain_secrets(config))
        return _errors(self._read(_VALIDATED, answer), config)

    async def config(self, name: str) -> dict[str, str] | None:
        """As it was put, references unresolved. None where there is no such connector."""
        try:
            config = self._read(_CONFIG, await self._call("GET", f"{_path(name)}/config"))
        except NotThere:
            return None
        return {field: value for field, value in config.items() if value is not None}

    async def put_config(self, name: str, config: Mapping[str, str]) -> None:
        secrets = plain_secrets(config)
        await self._call("PUT", f"{_path(name)}/config", json=config, limit=_VALIDATING, secrets=secrets)

    async def status(self, name: str) -> ConnectorStatus | None:
        """None where there is none yet, or no such connector."""
        try:
            found = self._read(_PARTS, await self._call("GET", f"{_path(name)}/status"))
        except NotThere:
            return None
        return ConnectorStatus(_state(found.connector), {task.id: _state(task) for task in found.tasks})

    async def restart(self, name: str) -> None:
        """Connector and tasks, whatever their state. Raises `NotThere`."""
        await self._call("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=false")

    async def restart_failed(self, name: str) -> None:
        """What is FAILED of it, and nothing else. Raises `NotThere`."""
        await self._call("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=true")

    async def delete(self, name: str) -> None:
        """Raises `NotThere`."""
        await self._call("DELETE", _path(name))

    async def _call(
        self, method: str, path: str, *, json: object = None, limit: float = _CALL, secrets: Iterable[str] = ()
    ) -> Any:
        until = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await self._once(method, path, json, limit, secrets)
            except Rebalancing:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_PAUSE)

    async def _once(self, method: str, path: str, json: object, limit: float, secrets: Iterable[str]) -> Any:
        try:
            async with asyncio.timeout(limit):
                answer = await self._client.request(method, self.address + path, json=json)
        except TimeoutError:
            raise self._away(f"does not answer within {limit:g} s") from None
        except httpx.TransportError as error:
            raise self._away(f"cannot be reached ({type(error).__name__})") from None
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
            raise self._stranger(answer.status_code)
        message = shorten(mask(str(body["message"]), secrets))
        if answer.status_code == 404:
            raise NotThere(f"Kafka Connect at {self.address}: {message}")
        if answer.status_code == 409:
            raise Rebalancing(
                f"Kafka Connect at {self.address} still shares out its work after {self._patience:g} s ({message}). "
                "Try again; if it lasts, look at its log."
            )
        action = "Look at its log" if answer.is_server_error else "Correct what it names"
        raise Problem(f"Kafka Connect at {self.address}: HTTP {answer.status_code}, {message}. {action}.")

    def _read(self, form: TypeAdapter[T], body: Any) -> T:
        """Whoever answers at the address may answer anything. Raises `Problem` where it has not the form."""
        try:
            return form.validate_python(body)
        except ValidationError:
            raise self._stranger() from None

    def _away(self, what: str) -> Problem:
        return Problem(f"Kafka Connect at {self.address} {what}. Start it, or correct CONNECT_URL.")

    def _stranger(self, status: int = 200) -> Problem:
        return Problem(
            f"{self.address} answers (HTTP {status}), but not as Kafka Connect does. "
            "Wait until it has started, or correct CONNECT_URL."
        )


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def _state(found: _Part) -> TaskState:
    return TaskState(found.state, found.worker_id or "", found.trace or "")


def _errors(answer: _Validated, config: Mapping[str, str]) -> list[str]:
    found: dict[str, None] = {}  # in order, each once
    secrets = plain_secrets(config)
    for entry in answer.configs:
        value = entry.value or _Value()
        hidden = is_secret(value.name) or (entry.definition or {}).get("type") == "PASSWORD"
        for error in value.errors or ():
            reference = config.get(value.name, "")
            where = f". It is {reference}: look where Kafka Connect finds that" if is_reference(reference) else ""
            found[f"{value.name}: {_hidden(value) if hidden else shorten(mask(error, secrets))}{where}"] = None
    return list(found)


def _hidden(value: _Value) -> str:
    """Of a password that was given, the error's text may be a quotation."""
    return "is not valid (the text is not shown: it may quote it)" if value.value else "a value is required"
