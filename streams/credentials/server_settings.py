"""The settings of the sales database, Redis and MongoDB: for each a connection string, or the parts of one."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from streams.credentials.certificate_files import require_certificates
from streams.credentials.connection_strings import mongo_url, odbc_keywords, odbc_string, redis_url
from streams.credentials.credential_settings import CredentialSettings
from streams.credentials.refusal import Refusal

NOT_GIVEN = SecretStr("")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+")
_HOSTS = re.compile(
    r"(([^:@/?#%\s]|%[0-9A-Fa-f]{2})*(:([^:@/?#%\s]|%[0-9A-Fa-f]{2})*)?@)?"
    r"([^:@/?#,\s]+|\[[^@/?#,\s]*\])(:\d+)?(,([^:@/?#,\s]+|\[[^@/?#,\s]*\])(:\d+)?)*([/?].*)?"
)
"""What follows the scheme of a URL: ``user:password@host:port,host:port/...``."""

_LONGEST = 128
"""UTF-16 units in a name or password of SQL Server. The driver would refuse a longer one at each try to connect."""

Name = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class ServerSettings(CredentialSettings):
    """What belongs together has one prefix. A connection string and parts of the same one are never mixed."""

    # SQL Server
    sales_db_server: str | None = None
    sales_db_port: int | None = Field(None, ge=1, le=65535)
    sales_db_database: Name | None = None
    sales_db_user: Name | None = None
    sales_db_password: SecretStr | None = None
    sales_db_password_file: Path | None = None
    sales_db_encrypt: Literal["yes", "strict", "no"] = "yes"
    sales_db_trust_certificate: bool = False
    sales_db_server_certificate: Path | None = None
    sales_db_ca_file: str | None = None
    sales_db_multi_subnet_failover: bool = False
    sales_db_driver: str | None = None
    sales_db_dsn_file: Path | None = None
    sales_db_dsn: SecretStr = Field(NOT_GIVEN, validate_default=True)
    """Without ``Driver=`` where `sales_db_driver` is to be found by the program."""

    # Redis
    redis_host: str | None = None
    redis_port: int = Field(6379, ge=1, le=65535)
    redis_database: int = Field(0, ge=0)
    redis_user: str | None = None
    redis_password: SecretStr | None = None
    redis_password_file: Path | None = None
    redis_tls: bool = False
    redis_ca_file: Path | None = None
    redis_url_file: Path | None = None
    redis_url: SecretStr = Field(NOT_GIVEN, validate_default=True)

    # MongoDB
    mongo_database: str = Field("pharmacy", min_length=1)
    mongo_hosts: str | None = None
    mongo_user: str | None = None
    mongo_password: SecretStr | None = None
    mongo_password_file: Path | None = None
    mongo_auth_source: str | None = None
    mongo_replica_set: str | None = None
    mongo_tls: bool = False
    mongo_ca_file: Path | None = None
    mongo_url_file: Path | None = None
    mongo_url: SecretStr = Field(NOT_GIVEN, validate_default=True)

    @classmethod
    def connection_strings(cls) -> dict[str, Collection[str]]:
        return {whole: parts_of(whole) for whole in ("sales_db_dsn", "redis_url", "mongo_url")}

    @field_validator("sales_db_server", "redis_host")
    @classmethod
    def _require_host(cls, host: str | None, info: ValidationInfo) -> str | None:
        plain, backslash, instance = (host or "").partition("\\")
        is_sales_db = info.field_name == "sales_db_server"
        if host is None or (_HOST.fullmatch(plain) and (not backslash or (is_sales_db and instance.isalnum()))):
            return host
        instances = ", or host\\instance" if is_sales_db else ""
        raise ValueError(f"must be the name or address of a host{instances}; the port is a setting of its own")

    @field_validator("sales_db_password")
    @classmethod
    def _require_length(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and len(password.get_secret_value().encode("utf-16-le")) > 2 * _LONGEST:
            raise ValueError(f"has more than {_LONGEST} characters, and SQL Server takes no more")
        return password

    @field_validator("mongo_hosts")
    @classmethod
    def _require_hosts(cls, hosts: str | None) -> str | None:
        for host in hosts.split(",") if hosts is not None else ():
            if not re.fullmatch(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", host.strip()):
                raise ValueError("must be a list host:port,host:port")
        return hosts

    @field_validator("sales_db_ca_file")
    @classmethod
    def _refuse_ca_file(cls, file: str | None) -> str | None:
        if file is not None:
            raise ValueError(
                "Microsoft's driver takes no file with authorities: it trusts those of the system. Add yours there "
                "(update-ca-certificates), or, with SALES_DB_ENCRYPT=strict, name the server's own certificate in "
                "SALES_DB_SERVER_CERTIFICATE"
            )
        return file

    @field_validator("sales_db_trust_certificate")
    @classmethod
    def _refuse_trust_with_strict(cls, trusts: bool, info: ValidationInfo) -> bool:
        if trusts and info.data.get("sales_db_encrypt") == "strict":
            raise ValueError("has no effect with SALES_DB_ENCRYPT=strict: name the certificate instead")
        return trusts

    @field_validator("sales_db_server_certificate")
    @classmethod
    def _require_strict_with_certificate(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("sales_db_encrypt") != "strict":
            raise ValueError(
                "Microsoft's driver compares it only with SALES_DB_ENCRYPT=strict (SQL Server 2022 or later)"
            )
        if file is not None:
            require_certificates(file)
        return file

    @field_validator("sales_db_dsn", mode="before")
    @classmethod
    def _put_sales_db_together(cls, given: Any, info: ValidationInfo) -> Any:
        # A driver goes with either form, so it is no part.
        parts = _Parts(given, info, "sales_db_server", apart={"sales_db_driver"})
        if parts.are_used and parts.are_valid:
            parts.require("sales_db_database", "sales_db_user", "sales_db_password")
            return SecretStr(_sales_db_dsn(info.data))
        dsn = parts.given
        if dsn and info.data.get("sales_db_driver") and {"driver", "dsn", "filedsn"} & odbc_keywords(dsn).keys():
            raise ValueError("names a driver, and so does SALES_DB_DRIVER. Leave one")
        return given

    @field_validator("redis_url", mode="before")
    @classmethod
    def _put_redis_together(cls, given: Any, info: ValidationInfo) -> Any:
        parts = _Parts(given, info, "redis_host")
        if not (parts.are_used and parts.are_valid):
            return given
        part = info.data
        if part["redis_user"]:
            parts.require("redis_password")
        return SecretStr(
            redis_url(
                part["redis_host"],
                part["redis_port"],
                part["redis_database"],
                user=part["redis_user"],
                password=_plain(part["redis_password"]),
                tls=part["redis_tls"],
                ca_file=str(part["redis_ca_file"]) if part["redis_ca_file"] else None,
            )
        )

    @field_validator("mongo_url", mode="before")
    @classmethod
    def _put_mongo_together(cls, given: Any, info: ValidationInfo) -> Any:
        parts = _Parts(given, info, "mongo_hosts")
        if not (parts.are_used and parts.are_valid):
            return given
        part = info.data
        if part["mongo_user"] or part["mongo_password"]:
            parts.require("mongo_user", "mongo_password")
        options = {
            "authSource": (part["mongo_auth_source"] or part["mongo_database"]) if part["mongo_user"] else None,
            "replicaSet": part["mongo_replica_set"],
            "tls": "true" if part["mongo_tls"] else None,
            "tlsCAFile": str(part["mongo_ca_file"]) if part["mongo_ca_file"] else None,
        }
        hosts = [host.strip() for host in part["mongo_hosts"].split(",")]
        return SecretStr(
            mongo_url(
                hosts,
                user=part["mongo_user"],
                password=_plain(part["mongo_password"]),
                options={name: value for name, value in options.items() if value},
            )
        )

    @field_validator("redis_ca_file", "mongo_ca_file")
    @classmethod
    def _require_tls_with_ca_file(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        name = (info.field_name or "").removesuffix("_ca_file")
        if file is not None and not info.data.get(f"{name}_tls"):
            raise ValueError(f"has no effect without {name.upper()}_TLS=true")
        if file is not None:
            require_certificates(file)
        return file

    @field_validator("redis_url")
    @classmethod
    def _require_redis_scheme(cls, url: SecretStr) -> SecretStr:
        return _with_scheme(url, "redis", "rediss", "unix")

    @field_validator("mongo_url")
    @classmethod
    def _require_mongo_scheme(cls, url: SecretStr) -> SecretStr:
        return _with_scheme(url, "mongodb", "mongodb+srv")

    # Defined last, so that pydantic asks it first.
    @field_validator("*", mode="before")
    @classmethod
    def _raise_refusal(cls, value: Any) -> Any:
        if isinstance(value, Refusal):
            raise ValueError(value.reason)
        return value


class _Parts:
    """The parts of one connection string, as far as they are validated when it is its turn."""

    def __init__(self, given: Any, info: ValidationInfo, main: str, apart: Collection[str] = ()) -> None:
        """`main`: the part without which there are none. Raises `ValueError` if the string and parts are mixed."""
        self._info = info
        self.given = given.get_secret_value() if isinstance(given, SecretStr) else given
        whole = info.field_name or ""
        names = parts_of(whole) - set(apart) - {f"{whole}_file"}
        self.are_valid = names <= info.data.keys()
        """Otherwise one of them is refused itself, and this one is no further trouble."""
        fields = ServerSettings.model_fields
        used = sorted(name.upper() for name in names & info.data.keys() if info.data[name] != fields[name].default)
        self.are_used = main in info.data and info.data[main] is not None
        if self.given and used:
            raise ValueError(f"is given, and so is {', '.join(used)}. Give either this one or those")
        if not self.given and self.are_valid and not self.are_used:
            alone = f"; without it {', '.join(used)} says nothing" if used else ""
            raise ValueError(f"is not set, and neither is {main.upper()}{alone}")

    def require(self, *names: str) -> None:
        for name in names:
            if not self._info.data[name]:
                raise ValueError(f"cannot be put together: {name.upper()} is not set")


def _sales_db_dsn(part: dict[str, Any]) -> str:
    server, port = part["sales_db_server"], part["sales_db_port"]
    # A named instance without a port is looked up by the driver.
    place = server if "\\" in server and port is None else f"tcp:{server.partition(chr(92))[0]},{port or 1433}"
    keywords = {
        "Server": place,
        "Database": part["sales_db_database"],
        "UID": part["sales_db_user"],
        "PWD": _plain(part["sales_db_password"]) or "",
        "Encrypt": part["sales_db_encrypt"],
        "TrustServerCertificate": "yes" if part["sales_db_trust_certificate"] else "no",
    }
    if part["sales_db_server_certificate"]:
        keywords["ServerCertificate"] = str(part["sales_db_server_certificate"].resolve())
    if part["sales_db_multi_subnet_failover"]:
        keywords["MultiSubnetFailover"] = "yes"
    return odbc_string(keywords)


def parts_of(whole: str) -> set[str]:
    """Return the settings that are replaced by the connection string `whole`."""
    prefix = whole.rpartition("_")[0]
    own = {name for name in ServerSettings.model_fields if name.startswith(f"{prefix}_")}
    return own - {whole, "mongo_database"}


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _with_scheme(url: SecretStr, *schemes: str) -> SecretStr:
    # urlsplit is not used here: its errors quote the value that they could not parse.
    if url == NOT_GIVEN:
        return url
    scheme, _, rest = url.get_secret_value().partition("://")
    if scheme not in schemes:
        raise ValueError("must start with " + " or ".join(f"{scheme}://" for scheme in schemes))
    if scheme != "unix" and not _HOSTS.fullmatch(rest):
        raise ValueError(
            "cannot be read: a character of its user or password has to be %-encoded, or a host or port is wrong. Its "
            "parts, like the password, may be settings of their own, written as they are"
        )
    return url
