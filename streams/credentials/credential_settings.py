"""Where settings are read from, so that a secret arrives as somebody wrote it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from streams.credentials.env_file import EnvFiles
from streams.credentials.secret_files import with_secrets_from_files

_FILES: ContextVar[Sequence[str | Path]] = ContextVar("files of settings", default=())


class CredentialSettings(BaseSettings):
    """Reads the environment first, then the files of settings; and secrets from files of their own."""

    def __init__(self, _env_file: Sequence[str | Path] | None = (".env",), **values: Any) -> None:
        """`_env_file`: the files, of which the later ones take precedence. Raises `EnvFileError`."""
        # pydantic-settings must not see them: it would read them by python-dotenv's rules before anything else.
        token = _FILES.set(_env_file or ())
        try:
            super().__init__(_env_file=None, **values)
        finally:
            _FILES.reset(token)

    @classmethod
    def secret_names(cls) -> list[str]:
        """Return the names of the settings whose values are secret."""
        fields = cls.model_fields.items()
        return [name for name, field in fields if SecretStr in (field.annotation, *get_args(field.annotation))]

    @classmethod
    def connection_strings(cls) -> dict[str, Collection[str]]:
        """Return for each connection string the names of the settings that are replaced by it."""
        return {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what gives values, the first one first."""
        users = [name for name in cls.model_fields if name.endswith(("_user", "_username"))]
        files = EnvFiles(
            cls,
            _FILES.get(),
            literal=[*cls.secret_names(), *users],
            parts=cls.connection_strings(),
        )
        return init_settings, env_settings, files

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        return with_secrets_from_files(values, cls.secret_names(), Path(folder) if folder else None)
