"""Reads every setting from the environment; nothing else does. `.env.example` lists each setting with a comment."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from streams.credentials.connection_strings import is_address
from streams.credentials.env_file import EnvFileError
from streams.credentials.national_api_settings import NationalApiSettings
from streams.credentials.server_settings import ServerSettings

LOCAL_STACK_ENV = Path(".local/stack.env")
"""The settings of the local stack, which writes this file while it runs."""
_NO_LOCAL_STACK = (
    f"settings: STACK=local, and no local stack runs here: there is no {LOCAL_STACK_ENV}. Start one with `make local` "
    "in the repository; an installed package does not have it."
)

_MOST_WITH_COMPATIBLE = 64
"""Of MAX_IN_FLIGHT: each call takes httpcore time for each connection that is open (decision 0017)."""


class Settings(ServerSettings, NationalApiSettings):
    """The settings. Times are in seconds unless a name says otherwise.

    Those of the stores are in `ServerSettings`, and NATIONAL_API_* in `NationalApiSettings`.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        enable_decoding=False,  # the errors of decoding would not name the setting
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    stack: Literal["production", "local"] = "production"

    # documents, and what the national API may be picky about
    documents: tuple[str, ...] | None = None
    empty_dosage: str | None = Field(None, max_length=100)
    fractional_quantities: Literal["send", "refuse"] = "send"
    document_order_wait: float = Field(0, ge=0, le=3600)

    # Kafka
    kafka_bootstrap_servers: str
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_sasl_password_file: Path | None = None
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    kafka_session_timeout: float = Field(20, ge=6, le=300)
    app_id: str = "pharmacy-sale-streams"
    topic_prefix: str = ""
    sales_change_topic: str
    topic_partitions: int = Field(8, ge=1, le=256)
    topic_replication: int = Field(1, ge=1, le=9)

    # how new documents are found
    capture: Literal["cdc", "polling"] = "cdc"
    poll_interval: float = Field(1, ge=0.2, le=60)

    # Kafka Connect, for the commands and the metrics
    connect_url: SecretStr = SecretStr("http://127.0.0.1:8083")
    connect_url_file: Path | None = None

    # databases and caches, beside those of `ServerSettings`
    sales_db_attach: Path | None = None
    sales_db_connections: int = Field(8, ge=1, le=64)
    sales_db_timeout: float = Field(15, gt=0)
    sales_db_timezone: str = "Asia/Ho_Chi_Minh"
    write_back_rows: int = Field(128, ge=1, le=128)
    journal_keep_days: int = Field(90, ge=1)

    # the national API, in addition to `NationalApiSettings`
    api_connect_timeout: float = Field(5, gt=0)
    api_call_deadline: float = Field(15, ge=0.1, le=20)
    attempt_deadline: float = Field(45, ge=0.1, le=50)
    lease_grace: float = Field(60, ge=1)
    token_lifetime: float = Field(3600, gt=0)
    look_up_offered: bool = True
    not_stored_phrases: tuple[str, ...] = ()

    # concurrency and rate limits
    rate_limit: float = Field(0, ge=0)
    rate_limit_per_shop: float = Field(0, ge=0)
    max_in_flight: int = Field(200, ge=1, le=5000)
    max_in_flight_per_shop: int = Field(16, ge=1)
    max_unacknowledged: int = Field(20_000, ge=100)
    start_timeout: float = Field(5, gt=0)
    read_batch_wait: float = Field(0.004, ge=0, le=1)

    # retries, the scheduler and the outage gate
    retry_delays: tuple[Annotated[float, Field(gt=0)], ...] = Field((30, 120, 600, 3600), min_length=1)
    time_limit: float = Field(72 * 3600, gt=0)
    settle_after_outage: float = Field(900, ge=0)
    login_retry_delay: float = Field(3600, gt=0)
    lines_retry_delay: float = Field(5, gt=0)
    lines_timeout: float = Field(60, ge=0)
    settle_lines: float = Field(0, ge=0)
    due_interval: float = Field(1, gt=0)
    due_batch: int = Field(500, ge=1, le=5000)
    sweep_after: float = Field(120, gt=0)
    gate_failures: int = Field(5, ge=2)
    gate_longest_pause: float = Field(50, gt=0)
    drain_timeout: float = Field(25, gt=0)

    # documents that were changed after they were accepted
    corrections: Literal["off", "show", "send"] = "show"
    correction_days: float = Field(30, gt=0, le=3650)

    # the worker itself: watchdog, web server and log
    connector_restart_after: float = Field(300, ge=0)
    watchdog_after: float = Field(300, ge=0)
    web_host: str = "127.0.0.1"
    web_port: int = Field(6066, ge=1, le=65535)
    page_token: SecretStr | None = Field(None, min_length=16)
    page_token_file: Path | None = None
    page_user_header: str | None = None
    page_trusted_proxies: tuple[str, ...] = ()
    log_format: Literal["json", "text"] = "json"
    tracing_endpoint: HttpUrl | None = None
    tracing_share: float = Field(1, gt=0, le=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def has_connector(self) -> bool:
        """Whether a Debezium connector captures the changes; False on the local stack, where a feed replaces it, and
        with CAPTURE=polling.
        """
        if self.polls:
            return False
        return self.stack != "local" or "connect_url" in self.model_fields_set

    @property
    def polls(self) -> bool:
        """Whether the scheduler asks the point of sale's tables for new documents, instead of change data capture."""
        return self.capture == "polling"

    @property
    def lease(self) -> float:
        """Seconds for which a claim is valid: the deadline of an attempt and a grace period, so that two senders never
        overlap.
        """
        return self.attempt_deadline + self.lease_grace

    @property
    def deployment(self) -> str:
        """The name of this deployment: its consumer group, and the beginning of its keys in Redis."""
        return self.prefixed(self.app_id)

    @property
    def journal_database(self) -> str:
        """The MongoDB database of the journal."""
        return self.prefixed(self.mongo_database)

    def prefixed(self, name: str) -> str:
        """Return the name with TOPIC_PREFIX, which keeps deployments on the same servers apart."""
        return f"{self.topic_prefix}-{name}" if self.topic_prefix else name

    @property
    def source_database(self) -> str:
        """The database name in the change topic: Debezium names topics ``<prefix>.<database>.<schema>.<table>``."""
        return self.sales_change_topic.split(".")[-3]

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the sales database's local times."""
        return ZoneInfo(self.sales_db_timezone)

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _require_host_and_port(cls, servers: str) -> str:
        for server in servers.split(","):
            try:
                parts = urlsplit(f"//{server.strip()}")
                is_complete = parts.hostname and parts.port
            except ValueError:
                is_complete = None
            if not is_complete:
                raise ValueError("must be a list host:port,host:port")
        return servers

    @field_validator("topic_prefix")
    @classmethod
    def _require_plain_prefix(cls, prefix: str) -> str:
        if not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)?", prefix):
            raise ValueError("must be at most 32 of a-z, 0-9 and '-', with '-' neither first nor last, like chain-12")
        return prefix

    @field_validator("sales_change_topic")
    @classmethod
    def _require_change_topic(cls, topic: str) -> str:
        parts = topic.split(".")
        if len(parts) < 4 or not all(parts):
            raise ValueError("must be <prefix>.<database>.<schema>.<table>, as Debezium names it")
        return topic

    @field_validator("page_user_header")
    @classmethod
    def _require_header_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ValueError("must be the name of an HTTP header, like X-Forwarded-User")
        return name

    @field_validator("page_trusted_proxies")
    @classmethod
    def _require_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for proxy in proxies:
                ip_network(proxy)
        except ValueError:
            raise ValueError('must be a JSON list of addresses or networks, like ["10.0.0.5", "10.1.0.0/16"]') from None
        return proxies

    @field_validator("retry_delays", "not_stored_phrases", "page_trusted_proxies", mode="before")
    @classmethod
    def _parse_json_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON list, like [1, 2]") from None

    @field_validator("documents", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("documents")
    @classmethod
    def _require_a_name(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and not names:
            raise ValueError("must name document types with commas between them, like sale,purchase_receipt")
        return names

    @field_validator("empty_dosage")
    @classmethod
    def _require_a_dosage(cls, text: str | None) -> str | None:
        if text is not None and not (text.strip() and text.isprintable()):
            raise ValueError('must be a text in one line, like 0 or "Theo chỉ dẫn"')
        return text

    @field_validator("connect_url")
    @classmethod
    def _require_http_url(cls, url: SecretStr) -> SecretStr:
        if not is_address(url, "http", "https"):
            raise ValueError("must be http://host:port or https://host:port")
        return url

    @field_validator("tracing_endpoint")
    @classmethod
    def _require_collector(cls, url: HttpUrl | None) -> HttpUrl | None:
        if url is not None and (url.username or url.password):
            raise ValueError(
                "must contain no user name or password: send to a collector of your own, which forwards the spans"
            )
        if url is not None and find_spec("opentelemetry") is None:
            raise ValueError("requires OpenTelemetry: install the extra `tracing` of pharmacy-sale-streams")
        return url

    @field_validator("sales_db_timezone")
    @classmethod
    def _require_known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("must be a time zone name like Asia/Ho_Chi_Minh") from None
        return name

    @model_validator(mode="after")
    def _require_proxies_with_header(self) -> Settings:
        if self.page_user_header and not self.page_trusted_proxies:
            raise ValueError(
                "PAGE_TRUSTED_PROXIES is required with PAGE_USER_HEADER: anybody else could send that header"
            )
        return self

    @model_validator(mode="after")
    def _require_few_in_flight(self) -> Settings:
        if self.national_api_transport == "compatible" and self.max_in_flight > _MOST_WITH_COMPATIBLE:
            raise ValueError(
                f"MAX_IN_FLIGHT must be at most {_MOST_WITH_COMPATIBLE} with NATIONAL_API_TRANSPORT=compatible, which "
                "becomes slower with each connection; 32 is usually fastest"
            )
        return self

    @model_validator(mode="after")
    def _require_sasl_log_in(self) -> Settings:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are required with SASL")
        return self


def read_settings() -> Settings:
    """Return the settings from the environment, then from `.env`. With ``STACK=local`` the file of the running local
    stack takes precedence over `.env`. Raises `ValidationError` when a setting is missing or invalid, and
    `EnvFileError` when a file cannot be read.
    """
    if os.environ.get("STACK") == "local":
        return Settings(_env_file=(".env", LOCAL_STACK_ENV))
    return Settings()


def settings_or_exit() -> Settings:
    """Return the settings, or print one line per problem to stderr and exit with code 2.

    With ``--help`` alone it returns placeholders: Faust creates the app before it prints its help, and starts nothing
    then.
    """
    if "--help" in sys.argv:
        return Settings.model_construct(kafka_bootstrap_servers="127.0.0.1:9092", sales_change_topic="p.d.s.t")
    try:
        return read_settings()
    except EnvFileError as error:
        lines = [f"settings: {error}"]
    except ValidationError as error:
        lines = explain(error)
        if os.environ.get("STACK") == "local" and not LOCAL_STACK_ENV.exists():
            lines.insert(0, _NO_LOCAL_STACK)
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - logging is not set up yet
    raise SystemExit(2)


def exit_for(setting: str, problem: str) -> NoReturn:
    """Print a problem with a setting that only a later check can find, and exit with code 2."""
    print(_line(setting, problem), file=sys.stderr)  # noqa: T201 - logging is not set up yet
    raise SystemExit(2)


def explain(error: ValidationError) -> list[str]:
    """Return one line per problem: the setting, what is wrong with it, and what to do. No line contains a value, since
    it may be a secret.
    """
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = "_".join(str(part) for part in problem["loc"][:1]).upper() or "settings"
        what = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        lines.append(_line(name, what))
    return lines


def _line(setting: str, problem: str) -> str:
    return f"settings: {setting}: {problem}. Set it in the environment or in .env; .env.example explains each."
