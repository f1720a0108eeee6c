"""The settings of the way to the national API: its address, a proxy, certificates, and what is under the connection."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import HttpUrl, SecretStr, field_validator, model_validator

from streams.credentials.certificate_files import require_certificates, require_identity, require_readable
from streams.credentials.connection_strings import is_address
from streams.credentials.credential_settings import CredentialSettings

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class NationalApiSettings(CredentialSettings):
    national_api_url: HttpUrl
    national_api_transport: Literal["fast", "compatible"] = "fast"
    national_api_proxy: SecretStr | None = None
    national_api_proxy_file: Path | None = None
    national_api_ca_file: Path | None = None
    national_api_client_cert: Path | None = None
    national_api_client_key: Path | None = None
    national_api_bind_address: str | None = None

    @property
    def api_url(self) -> str:
        """The base URL of the national API, without a trailing slash."""
        return str(self.national_api_url).rstrip("/")

    @field_validator("national_api_url")
    @classmethod
    def _require_https(cls, url: HttpUrl) -> HttpUrl:
        if url.scheme != "https" and (url.host or "").strip("[]") not in _LOOPBACK:
            raise ValueError("passwords and sales may only be sent over https (plain http is for 127.0.0.1)")
        if url.username or url.password:
            raise ValueError("must contain no user name or password: each shop logs in with its own account")
        return url

    @field_validator("national_api_proxy")
    @classmethod
    def _require_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None and not is_address(proxy, "http", "https", "socks5", "socks5h"):
            raise ValueError(
                "must be http://host:port, https://, socks5:// or socks5h://, with user:password@ before the host if "
                "the proxy requires a log-in; there, characters other than letters and digits are written like %40"
            )
        return proxy

    @field_validator("national_api_ca_file")
    @classmethod
    def _require_certificates(cls, path: Path | None) -> Path | None:
        if path is not None:
            require_certificates(path)
        return path

    @field_validator("national_api_client_cert", "national_api_client_key")
    @classmethod
    def _require_readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            require_readable(path)
        return path

    @field_validator("national_api_bind_address")
    @classmethod
    def _require_ip_address(cls, address: str | None) -> str | None:
        try:
            return None if address is None else str(ip_address(address))
        except ValueError:
            raise ValueError("must be an IP address of this machine, like 10.0.0.5") from None

    @model_validator(mode="after")
    def _require_certificate_with_key(self) -> Self:
        certificate, key = self.national_api_client_cert, self.national_api_client_key
        if (certificate is None) != (key is None):
            raise ValueError("NATIONAL_API_CLIENT_CERT and NATIONAL_API_CLIENT_KEY are only valid together")
        if certificate is not None and key is not None:
            require_identity(certificate, key)
        return self

    @model_validator(mode="after")
    def _require_source_without_proxy(self) -> Self:
        if self.national_api_transport == "compatible" and self.national_api_proxy and self.national_api_bind_address:
            raise ValueError(
                "NATIONAL_API_BIND_ADDRESS and NATIONAL_API_PROXY cannot be used together with "
                "NATIONAL_API_TRANSPORT=compatible"
            )
        return self
