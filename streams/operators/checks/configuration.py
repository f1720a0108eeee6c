"""Checks for settings that are valid by themselves but wrong together.

An invalid or missing setting ends every command with exit code 2 before any check.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import SecretStr

from streams.operators.checks import Finding, error, ok, warning
from streams.runtime.open_files import max_open_files, open_files_needed
from streams.settings import Settings

_FILES = ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile", "sales_db_attach")
_MIN_WATCHDOG_S = 120


def judge_settings(
    settings: Settings, env: Path = Path(".env"), *, files: Callable[[], int | None] = max_open_files
) -> list[Finding]:
    """Return the findings about the settings: which are set, which have their default, and what is wrong.

    `settings` must be as they were read: in a changed copy, what was changed counts as set. `files` returns how many
    files a process of this account may have open; None: without a limit.
    """
    own = sorted(settings.model_fields_set)
    defaults = sorted(type(settings).model_fields.keys() - settings.model_fields_set)
    return [
        ok("settings set", f"{len(own)}: {', '.join(name.upper() for name in own)}"),
        ok("settings by default", f"{len(defaults)}: {', '.join(_with_default(name) for name in defaults)}"),
        *_wrong(settings, env, files()),
    ]


def _with_default(name: str) -> str:
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if isinstance(default, SecretStr):  # it is public: .env.example has it
        default = default.get_secret_value()
    return f"{name.upper()}={'' if default is None else default}"


def _wrong(settings: Settings, env: Path, allowed: int | None) -> Iterator[Finding]:
    for name in _FILES:
        path: Path | None = getattr(settings, name)
        if path is not None and not path.is_file():
            yield error(f"settings {name.upper()}", "there is no such file", "Correct the path, or put the file there.")
    if env.is_file() and env.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) and settings.stack == "production":
        action = "chmod 600 .env, and give it to the worker's account."
        yield warning("settings .env", "can be read by others than its owner, and contains passwords", action)
    if settings.max_in_flight_per_shop > settings.max_in_flight:
        yield warning(
            "settings MAX_IN_FLIGHT_PER_SHOP",
            f"is above MAX_IN_FLIGHT ({settings.max_in_flight}): one shop may delay all others",
            "Set it to a small share of MAX_IN_FLIGHT.",
        )
    wanted = open_files_needed(settings)
    if allowed is not None and allowed < wanted:
        yield warning(
            "settings MAX_IN_FLIGHT",
            f"{settings.max_in_flight} sales at once and everything else that a worker opens need up to {wanted} files "
            f"and connections; its limit is {allowed}",
            f"Allow the worker's account more open files (LimitNOFILE={2 * wanted} in systemd, ulimit -Hn), or lower "
            "MAX_IN_FLIGHT.",
        )
    if 0 < settings.watchdog_after < _MIN_WATCHDOG_S:
        yield warning(
            "settings WATCHDOG_AFTER",
            f"is below {_MIN_WATCHDOG_S} s: the worker would count as stalled when a server is only slow",
            "Set it to 300; 0 switches the watchdog off.",
        )
    if settings.kafka_security_protocol == "SASL_PLAINTEXT":
        yield warning(
            "settings KAFKA_SECURITY_PROTOCOL",
            "SASL_PLAINTEXT sends the password unencrypted",
            "Use SASL_SSL unless the network is isolated.",
        )
