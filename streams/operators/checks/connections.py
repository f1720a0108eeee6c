"""What the program made of the settings of the stores: where it connects to, and as whom. Nothing here is secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import uri_parser
from pymongo.errors import PyMongoError
from redis.asyncio.connection import parse_url

from streams.credentials.connection_strings import odbc_keywords
from streams.operators.checks import Finding, error, ok, skipped
from streams.settings import Settings
from streams.stores.odbc_driver import DriverMissing, find_driver

_SHOWN = {
    "server": "server",
    "port": "port",
    "database": "database",
    "uid": "user",
    "encrypt": "encryption",
    "servercertificate": "certificate",
    "multisubnetfailover": "multi-subnet failover",
}
"""Keyword of ODBC -> how it is called."""
_ESCAPED = "A character of its password may need %-encoding: set {} and the parts beside it instead, as they are."


def judge_connections(settings: Settings) -> list[Finding]:
    """Describe each connection as the settings name it. Nothing is connected to."""
    return [*_describe_sales_db(settings), _describe_redis(settings), _describe_mongo(settings)]


def _describe_sales_db(settings: Settings) -> Iterable[Finding]:
    keywords = odbc_keywords(settings.sales_db_dsn.get_secret_value())
    about = "settings sales database"
    trusts = keywords.get("trustservercertificate", "no").lower() in ("yes", "true", "1")
    shown = _listed({name: keywords.get(keyword) for keyword, name in _SHOWN.items()})
    yield ok(about, f"{shown}, any certificate is trusted" if trusts else shown)
    try:
        driver = find_driver(settings)
    except DriverMissing:
        yield skipped(f"{about}: driver", "cannot be used: see the sales database")
        return
    by = f", named in {driver.named_in}" if driver.named_in else ", found by the program"
    version = f", version {driver.version}" if driver.version else ""
    yield ok(f"{about}: driver", f"{driver.file or driver.name or 'of the data source'}{version}{by}")


def _describe_redis(settings: Settings) -> Finding:
    about = "settings Redis"
    try:
        options: Mapping[str, Any] = parse_url(settings.redis_url.get_secret_value())
    except ValueError:
        return error(about, "REDIS_URL cannot be read as a URL", _ESCAPED.format("REDIS_HOST"))
    is_encrypted = "SSL" in getattr(options.get("connection_class"), "__name__", "")
    place = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    password = "with a password" if options.get("password") else "without a password"
    shown = {"server": place, "database": options.get("db"), "user": options.get("username")}
    return ok(about, f"{_listed(shown)}, {password}, {'TLS' if is_encrypted else 'no TLS'}")


def _describe_mongo(settings: Settings) -> Finding:
    about = "settings MongoDB"
    url = settings.mongo_url.get_secret_value()
    if url.startswith("mongodb+srv"):
        return skipped(about, "not read: its servers are found in DNS")
    try:
        parsed = uri_parser.parse_uri(url, warn=False)
    except (PyMongoError, ValueError):
        return error(about, "MONGO_URL cannot be read as a URL", _ESCAPED.format("MONGO_HOSTS"))
    servers = ", ".join(f"{host}:{port}" for host, port in parsed["nodelist"])
    options: Mapping[str, Any] = parsed["options"]
    shown = {
        "server": servers,
        "database": settings.mongo_database,
        "user": parsed["username"],
        "log-in against": options.get("authSource") or parsed["database"],
    }
    return ok(about, f"{_listed(shown)}, {'TLS' if options.get('tls') else 'no TLS'}")


def _listed(shown: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value not in (None, ""))
