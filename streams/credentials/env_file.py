"""Reads `.env`. A secret is taken letter for letter, or refused: nothing is cut off and nothing is replaced.

python-dotenv takes the text apart. By itself it would cut a value at `` #``, strip its spaces, decode escapes, replace
``${NAME}``, skip lines that it cannot read, and prefer the last of two lines for one setting.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dotenv.parser import Binding, parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from streams.credentials.refusal import Refusal


class EnvFileError(Exception):
    """A file of settings cannot be read. The text names the file and the line, never what the line says."""


class EnvFiles(PydanticBaseSettingsSource):
    """The settings in files, of which the later ones take precedence."""

    def __init__(
        self,
        settings: type[BaseSettings],
        files: Sequence[str | Path],
        *,
        literal: Collection[str],
        parts: Mapping[str, Collection[str]],
    ) -> None:
        """`literal`: the settings that are taken letter for letter. `parts`:
        for a connection string the settings that it replaces when a later file has it.
        """
        super().__init__(settings)
        self._files = files
        self._literal = literal
        self._parts = parts

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # `__call__` reads all fields at once

    def __call__(self) -> dict[str, Any]:
        """Raises `EnvFileError`."""
        merged: dict[str, Any] = {}
        for file in map(Path, self._files):
            values = dict(self._read(file)) if _exists(file) else {}
            for whole, parts in self._parts.items():
                if whole in values:
                    merged = {name: value for name, value in merged.items() if name not in parts}
            merged |= values
        return merged

    def _read(self, file: Path) -> Iterator[tuple[str, Any]]:
        known = self.settings_cls.model_fields
        seen = set()
        for binding in parse_stream(io.StringIO(_text(file))):
            if binding.error:
                raise EnvFileError(
                    f"{file}: line {_line(binding)} cannot be read. A setting is NAME=value; a value that begins with "
                    "a quote ends with the same one"
                )
            name = (binding.key or "").lower()
            refusal = _refusal(binding, name in self._literal)
            if name not in known or not (binding.value or refusal):
                continue
            if name in seen:
                refusal = Refusal(f"has two lines in {file.name}. Delete one")
            seen.add(name)
            yield name, refusal or binding.value


def _exists(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError as error:
        raise EnvFileError(f"{file}: cannot be read ({error.strerror})") from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EnvFileError(f"{file}: cannot be read ({error.strerror}): the account needs the right to") from None
    except UnicodeDecodeError:
        raise EnvFileError(f"{file}: is not UTF-8 text. Save it in UTF-8") from None


def _line(binding: Binding) -> int:
    written = binding.original.string
    return binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")


def _refusal(binding: Binding, is_literal: bool) -> Refusal | None:
    """Return why the value cannot be used; None if it can."""
    value = binding.value or ""
    written = binding.original.string.lstrip().partition("=")[2].rstrip("\r\n")
    if not written.strip():
        return None
    quote = written.lstrip()[:1]
    if is_literal and quote in ("'", '"') and not written.lstrip().startswith(f"{quote}{value}{quote}"):
        return Refusal(
            "has a backslash within quotes, which .env takes for an escape. Leave the quotes out, or put the value "
            "into a file, which the setting of this name and _FILE names"
        )
    if "\n" in value:
        return Refusal("goes on over several lines of .env: a quote is missing at the end of the first one")
    if is_literal and quote not in ("'", '"') and written != value:
        return Refusal(
            "would be cut in .env: it begins or ends with a space, or has one before a #. Put it into single quotes, "
            "or delete what is not part of it"
        )
    return None
