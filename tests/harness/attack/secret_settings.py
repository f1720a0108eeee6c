"""Every secret that the settings of a worker can have, in each way in which it can be given: taken from the settings
themselves, so that none is lacking.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streams.settings import Settings

WAYS = tuple(product(("whole", "parts"), ("given", "in files")))
"""Connection strings or their parts; as values or in files of their own."""

_OTHER_PARTS: dict[str, Any] = {
    **{"sales_db_server": "127.0.0.1", "sales_db_port": 9, "sales_db_database": "chain", "sales_db_user": "worker"},
    **{"redis_host": "127.0.0.1", "redis_port": 9, "redis_user": "worker"},
    **{"mongo_hosts": "127.0.0.1:9", "mongo_user": "worker"},
}


def _in_url(scheme: str) -> Callable[[str], str]:
    return lambda word: f"{scheme}://worker:{quote(word, safe='')}@127.0.0.1:9"


_AROUND: dict[str, Callable[[str], str]] = {
    "sales_db_dsn": lambda word: f"Driver=nowhere;UID=worker;PWD={{{word.replace('{', '').replace('}', '}}')}}}",
    "redis_url": _in_url("redis"),
    "mongo_url": _in_url("mongodb"),
    "connect_url": _in_url("http"),
    "national_api_proxy": _in_url("http"),
}
"""What is put around a secret word so that the setting is valid; nothing around any other."""


def secret_settings(
    word: Callable[[str], str], way: tuple[str, str] = ("whole", "given"), folder: Path | None = None
) -> dict[str, Any]:
    """Return settings in which each secret has its word. `word`: returns that of a setting. `folder`: for the files."""
    form, place = way
    secrets = {name: _AROUND.get(name, str)(word(name)) for name in secret_names(form)}
    if place == "in files":
        assert folder is not None
        for name, secret in secrets.items():
            (folder / name).write_text(f"{secret}\n", encoding="utf-8")
        secrets = {f"{name}_file": str(folder / name) for name in secrets}
    # Settings of tests have connection strings, which are empty where they come from elsewhere.
    empty = dict.fromkeys(Settings.connection_strings(), "")
    return {**empty, "kafka_sasl_username": "worker", **(_OTHER_PARTS if form == "parts" else {}), **secrets}


def secret_names(form: str) -> list[str]:
    """Return the settings that are secret, with connection strings or with their parts."""
    strings = Settings.connection_strings()
    left_out = set().union(*strings.values()) if form == "whole" else set(strings)
    return [name for name in Settings.secret_names() if name not in left_out]
