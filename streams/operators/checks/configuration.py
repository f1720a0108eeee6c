"""Settings that are valid each by itself, and still wrong. (Invalid or missing ones end every command with code 2.)"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import SecretStr

from streams.operators.checks import Finding, error, ok, warning
from streams.runtime.open_files import most_allowed, needed
from streams.settings import Settings

_FILES = ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile", "sales_db_attach")
_WATCHDOG_LEAST = 120


def judge_settings(
    settings: Settings, env: Path = Path(".env"), *, files: Callable[[], int | None] = most_allowed
) -> list[Finding]:
    """`settings`: as they were read; a copy counts what was changed in it as set. `files`: how many a process of this
    account may have open; None: without end."""
    own = sorted(settings.model_fields_set)
    defaults = sorted(type(settings).model_fields.keys() - settings.model_fields_set)
    return [
        ok("settings set", f"{len(own)}: {', '.join(name.upper() for name in own)}"),
        ok("settings by default", f"{len(defaults)}: {', '.join(_with_default(name) for name in defaults)}"),
        *_wrong(settings, env, files()),
    ]


def _with_default(name: str) -> str:
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if isinstance(default, SecretStr):  # it stands in .env.example, too
        default = default.get_secret_value()
    return f"{name.upper()}={'' if default is None else default}"


def _wrong(settings: Settings, env: Path, allowed: int | None) -> Iterator[Finding]:
    for name in _FILES:
        path: Path | None = getattr(settings, name)
        if path is not None and not path.is_file():
            yield error(f"settings {name.upper()}", "there is no such file", "Correct the path, or put the file there.")
    if env.is_file() and env.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) and settings.stack == "production":
        action = "chmod 600 .env, and give it to the worker's account."
        yield warning("settings .env", "others than its owner can read it; it holds passwords", action)
    if settings.max_in_flight_per_shop > settings.max_in_flight:
        yield warning(
            "settings MAX_IN_FLIGHT_PER_SHOP",
            f"is above MAX_IN_FLIGHT ({settings.max_in_flight}): one shop may hold up all others",
            "Set it to a small share of MAX_IN_FLIGHT.",
        )
    wanted = needed(settings)
    if allowed is not None and allowed < wanted:
        yield warning(
            "settings MAX_IN_FLIGHT",
            f"{settings.max_in_flight} sales at once and what else a worker opens are up to {wanted} files and "
            f"connections; it may have {allowed}",
            f"Allow the worker's account more open files (LimitNOFILE={2 * wanted} in systemd, ulimit -Hn), or lower "
            "MAX_IN_FLIGHT.",
        )
    if 0 < settings.watchdog_after < _WATCHDOG_LEAST:
        yield warning(
            "settings WATCHDOG_AFTER",
            f"is below {_WATCHDOG_LEAST} s: a slow server would be taken for a worker that stands still",
            "Set it to 300; 0 switches the watchdog off.",
        )
    if settings.kafka_security_protocol == "SASL_PLAINTEXT":
        yield warning(
            "settings KAFKA_SECURITY_PROTOCOL",
            "SASL_PLAINTEXT sends the password readable",
            "Use SASL_SSL unless the network is closed.",
        )
