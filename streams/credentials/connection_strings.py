"""Puts connection strings together, so that no character of a password has to be escaped by hand; checks addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode, urlsplit

from pydantic import SecretStr

_KEYWORD = re.compile(r"\s*([^=;{}]+?)\s*=\s*(?:\{((?:[^}]|\}\})*)\}|([^;]*))\s*(?:;|$)")


def odbc_string(keywords: Mapping[str, str]) -> str:
    """Return an ODBC connection string. Within braces every character stands for itself, but for ``}``, which is
    doubled.
    """
    return ";".join(f"{keyword}={{{value.replace('}', '}}')}}}" for keyword, value in keywords.items())


def odbc_keywords(text: str) -> dict[str, str]:
    """Return the keywords of an ODBC connection string, in lower case, with their values. Of a keyword that is there
    twice the first value counts, as it does for drivers. Reading stops where the string is malformed.
    """
    keywords: dict[str, str] = {}
    at = 0
    while match := _KEYWORD.match(text, at):
        name, braced, plain = match.groups()
        keywords.setdefault(name.lower(), plain.strip() if braced is None else braced.replace("}}", "}"))
        at = match.end()
    return keywords


def url_host(host: str) -> str:
    """Return the host as a URL has it: an IPv6 address in brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def redis_url(
    host: str, port: int, database: int, *, user: str | None, password: str | None, tls: bool, ca_file: str | None
) -> str:
    login = f"{_quoted(user or '')}:{_quoted(password)}@" if password is not None else ""
    options = f"?{urlencode({'ssl_ca_certs': ca_file}, quote_via=quote)}" if ca_file else ""
    return f"{'rediss' if tls else 'redis'}://{login}{url_host(host)}:{port}/{database}{options}"


def mongo_url(hosts: Sequence[str], *, user: str | None, password: str | None, options: Mapping[str, str]) -> str:
    login = f"{_quoted(user or '')}:{_quoted(password)}@" if password is not None else ""
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"mongodb://{login}{','.join(hosts)}/{query}"


def is_address(url: SecretStr, *schemes: str) -> bool:
    """Whether `url` has one of the schemes and a host, and neither a query nor a fragment."""
    try:
        parts = urlsplit(url.get_secret_value())
        is_complete = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(is_complete) and not parts.query and not parts.fragment


def _quoted(text: str) -> str:
    return quote(text, safe="")
