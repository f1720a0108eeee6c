"""Makes the settings of a rehearsal from production's: a copy in place of the sales database, the simulator in place of
the national API, and a TOPIC_PREFIX of its own. Everything else is as in production, so that it is tried as it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from streams.credentials.server_settings import parts_of
from streams.operators import Problem
from streams.pipeline.rehearsal import PREFIX, is_rehearsal
from streams.settings import Settings

_HEAD = (
    "# The settings of a rehearsal, made by `faust -A streams.app rehearse`. docs/rehearsal.md says how it is run.\n"
)
_OF_THE_API = (
    *("national_api_url", "national_api_proxy", "national_api_proxy_file", "national_api_ca_file"),
    *("national_api_client_cert", "national_api_client_key", "national_api_bind_address"),
)
"""The simulator needs none of these, and none of them may lead to the authority."""
_LOG_IN = ("sales_db_database", "sales_db_user", "sales_db_password", "sales_db_password_file")
_LEFT_OUT = {*_OF_THE_API, *_LOG_IN, "sales_db_dsn", "sales_db_dsn_file", "sales_db_attach", "connect_url"}


@dataclass(frozen=True, slots=True)
class Copy:
    """Where the copy of the sales database is, and who logs in."""

    database: str
    server: str | None = None
    """None: production's."""
    user: str | None = None
    password_file: Path | None = None
    dsn_file: Path | None = None
    """In place of server, user and password."""


def rehearsal_settings(production: Settings, copy: Copy, *, api_url: str, web_port: int) -> dict[str, str]:
    """Return the settings that differ from production's. Raises `Problem`."""
    if is_rehearsal(production):
        raise Problem(
            f".env: TOPIC_PREFIX is {production.topic_prefix}, so these are a rehearsal's settings already. Run the "
            "command in the folder with production's settings."
        )
    prefix = f"{PREFIX}-{production.topic_prefix}" if production.topic_prefix else PREFIX
    *_, schema, table = production.sales_change_topic.split(".")
    changed = {
        "NATIONAL_API_URL": api_url,
        "TOPIC_PREFIX": prefix,
        "SALES_CHANGE_TOPIC": f"{prefix}.{_in_topic_names(copy.database)}.{schema}.{table}",
        "CAPTURE": "polling",
        "WEB_PORT": str(web_port),
    }
    if copy.dsn_file is not None:
        return changed | {"SALES_DB_DSN_FILE": str(copy.dsn_file)}
    changed |= {
        "SALES_DB_DATABASE": copy.database,
        "SALES_DB_USER": copy.user or "",
        "SALES_DB_PASSWORD_FILE": str(copy.password_file),
    }
    return changed | ({"SALES_DB_SERVER": copy.server} if copy.server else {})


def env_text(production: str, changed: Mapping[str, str]) -> str:
    """Return the text of the rehearsal's `.env`. `production`: the text of production's.

    Lines that stay are copied letter for letter, so that no password is misread.
    """
    left_out = _LEFT_OUT | {name.lower() for name in changed}
    if "SALES_DB_DSN_FILE" in changed:
        left_out |= parts_of("sales_db_dsn")
    lines = [*_kept(production, left_out), *(f"{name}={_quoted(value)}\n" for name, value in changed.items())]
    return _HEAD + "".join(lines)


def _kept(production: str, left_out: set[str]) -> Iterator[str]:
    known = Settings.model_fields
    for binding in parse_stream(io.StringIO(production)):
        name = (binding.key or "").lower()
        if name not in known or name in left_out or not binding.value:
            continue
        if "Path" in str(known[name].annotation):
            yield f"{name.upper()}={_quoted(str(Path(binding.value).resolve()))}\n"
        else:
            yield binding.original.string.strip("\r\n") + "\n"


def _quoted(value: str) -> str:
    return f"'{value}'" if re.search(r"[\s#]", value) else value


def _in_topic_names(database: str) -> str:
    """Return the name as it may be part of a topic's name."""
    return re.sub(r"[^\w\-]", "_", database, flags=re.ASCII)
