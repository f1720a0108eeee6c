"""Secrets that come from files: those that a setting names, as Docker's secrets are, and systemd's credentials.

A setting ``<NAME>_FILE`` names the file of the secret ``<NAME>``. In the folder ``$CREDENTIALS_DIRECTORY``, which
systemd makes for a service, a file is named like its setting.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.credentials.refusal import Refusal

_FILE = "_file"
_LONGEST = 65_536
"""Bytes. A longer file is no password, and is not read."""


def with_secrets_from_files(
    values: Mapping[str, Any], secrets: Collection[str], credentials: Path | None
) -> dict[str, Any]:
    """Return the values with those secrets that come from files, and a `Refusal` for each that cannot be used.

    `secrets` are names of settings. `credentials` is the folder with systemd's credentials.
    """
    merged = dict(values)
    for name in secrets:
        places = dict(_places(name, values, credentials))
        if _is_given(values.get(name)):
            places = {name.upper(): values[name], **places}
        if len(places) > 1:
            merged[name] = Refusal(f"is given more than once: in {' and in '.join(places)}. Leave one")
            continue
        for place, given in places.items():
            secret = _read(given, place) if isinstance(given, Path) else given
            merged[name] = _checked(secret)
    return merged


def _places(name: str, values: Mapping[str, Any], credentials: Path | None) -> Iterator[tuple[str, Path]]:
    if file := values.get(f"{name}{_FILE}"):
        yield f"{name.upper()}{_FILE.upper()}", Path(file)
    for spelling in (name, name.upper()):
        if credentials is not None and (credentials / spelling).exists():
            yield f"$CREDENTIALS_DIRECTORY/{spelling}", credentials / spelling


def _is_given(value: Any) -> bool:
    return value not in (None, "")


def _read(file: Path, place: str) -> str | Refusal:
    """Return the content without one newline at its end."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LONGEST + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return Refusal(f"the file that {place} names does not exist")
    except OSError:
        return Refusal(f"the file that {place} names cannot be read: the worker's account needs the right to")
    except UnicodeDecodeError:
        return Refusal(f"the file that {place} names is not UTF-8 text")
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        return Refusal(f"the file that {place} names is empty")
    if len(content) > _LONGEST or "\n" in secret:
        return Refusal(f"the file that {place} names must have one line, with the secret alone")
    return secret


def _checked(secret: Any) -> Any:
    """Return the secret, or a `Refusal` if it has a control character, which nobody types into a password: a carriage
    return is left from a line that Windows ended.
    """
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    if isinstance(text, str) and any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        return Refusal(
            "has a control character (a tab, or a carriage return from an editor on Windows), or is not UTF-8 text"
        )
    return secret
