"""A connector's file: a flat JSON object of strings, as ``PUT /connectors/{name}/config`` takes it.

The file's name without its extension is the connector's name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.operators import Problem
from streams.operators.connect.masking import is_reference, is_secret

CONNECTOR = "pharmacy-sales"
"""The name of the connector that captures the sales database, and of its file in `connectors/`."""


@dataclass(frozen=True, slots=True)
class ConnectorFile:
    path: Path
    name: str
    config: dict[str, str]
    """The configuration including `name`, as Kafka Connect returns it."""

    @property
    def plugin(self) -> str:
        """The class of the connector plugin."""
        return self.config["connector.class"]

    @property
    def warnings(self) -> list[str]:
        """One warning for each password in plain text."""
        return [
            f"{field} is in plain text in {self.path}, and Kafka Connect shows it to every client. "
            "Write a reference, like ${env:NAME}, which Kafka Connect resolves itself."
            for field, value in self.config.items()
            if value and is_secret(field) and not is_reference(value)
        ]


def read_connector_file(path: Path) -> ConnectorFile:
    """Read a connector's file.

    Raises `Problem` with one line for each problem, without any value.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise Problem(
            f"{path}: cannot be read ({error.strerror}). Run this in the repository, or name the file with --file."
        ) from None
    except UnicodeDecodeError:
        raise Problem(f"{path}: is not UTF-8 text. Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Problem(f"{path}: is not JSON ({error.msg}, line {error.lineno}). Correct it there.") from None
    except _Repeated as field:
        raise Problem(f"{path}: {field} occurs twice, and one value would silently be ignored. Delete one.") from None
    if not isinstance(content, dict):
        raise Problem(f'{path}: is not a JSON object of strings. Write {{"connector.class": "...", ...}}.')
    if isinstance(content.get("config"), dict):
        raise Problem(f"{path}: wraps the configuration, as POST /connectors takes it. Leave only what is in `config`.")
    problems = [
        f"{path}: {field} is {_json_type(value)}; Kafka Connect takes strings. Put it in quotes."
        for field, value in content.items()
        if not isinstance(value, str)
    ]
    if "connector.class" not in content:
        problems.append(f"{path}: connector.class is missing: it names the plugin to run. Add it.")
    if content.get("name", path.stem) != path.stem:
        problems.append(
            f"{path}: name differs from that of the file. The connector is called {path.stem}: delete name."
        )
    if problems:
        raise Problem(*problems)
    return ConnectorFile(path, path.stem, {**content, "name": path.stem})


class _Repeated(Exception):
    pass


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for field, value in pairs:
        if field in seen:
            raise _Repeated(field)
        seen[field] = value
    return seen


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "empty (null)" if value is None else "a list or a map"
