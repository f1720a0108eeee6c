"""The certificates that a server sends, as they are: for naming the one that the worker does not accept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Certificate:
    subject: str
    issuer: str
    not_before: str
    not_after: str
    names: Sequence[str] = ()
    """Of the servers that it is for."""


async def shown_by(url: str, patience: float) -> Sequence[Certificate]:
    """In the order in which the server sends them, its own first. Nothing is verified and nothing sent. Empty where
    they cannot be seen."""
    address = urlsplit(url)
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(
                address.hostname, address.port or 443, ssl=_credulous(), server_hostname=address.hostname
            )
    except (OSError, ValueError):  # ssl.SSLError and TimeoutError are OSErrors
        return ()
    try:
        # Python 3.13 has a public name for it; what is older has this one since 3.10.
        connection: Any = getattr(writer.get_extra_info("ssl_object"), "_sslobj", None)
        sent = connection.get_unverified_chain() if hasattr(connection, "get_unverified_chain") else None
        return [_read(each.get_info()) for each in sent or ()]
    finally:
        writer.transport.abort()


def _credulous() -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # a key that is too short is to be seen too
    return tls


def _read(info: Mapping[str, Any]) -> Certificate:
    """From the form of `ssl.SSLSocket.getpeercert`."""
    return Certificate(
        _name(info.get("subject", ())),
        _name(info.get("issuer", ())),
        str(info.get("notBefore", "")),
        str(info.get("notAfter", "")),
        [str(name) for _, name in info.get("subjectAltName", ())],
    )


def _name(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    named = {key: value for part in parts for key, value in part}
    chosen = [named[key] for key in ("commonName", "organizationName") if key in named] or list(named.values())
    return _plain(", ".join(chosen)) or "(no name)"


def _plain(text: str) -> str:
    """It comes from whoever answers there: one short line."""
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def describe_shown(shown: Sequence[Certificate], rule: str) -> str:
    """Sentences: which certificate is meant. `rule`: one of `streams.domain.reasons.TLS_RULE_TEXTS`."""
    if not shown:
        return ""
    own = shown[0]
    names = f" for {_plain(', '.join(own.names[:5]))}" if own.names else ""
    said = [f"The server shows that of {own.subject}{names}, issued by {own.issuer}, {_valid(own)}"]
    if rule in ("expired", "not_yet_valid"):
        said += [f"It sends with it that of {each.subject}, {_valid(each)}" for each in shown[1:]]
    if rule == "unknown_issuer":
        said.append(_where_it_breaks(shown))
    return ". ".join(said)


def _valid(certificate: Certificate) -> str:
    return f"valid from {certificate.not_before} to {certificate.not_after}"


def _where_it_breaks(shown: Sequence[Certificate]) -> str:
    top = shown[0]
    for _ in shown:
        top = next((each for each in shown if each.subject == top.issuer), top)
    if top.issuer != top.subject:
        return (
            f"That of {top.issuer}, which signed that of {top.subject}, is neither sent nor known to this machine: an "
            "intermediate certificate that the server leaves out, or a root that is not trusted here"
        )
    if top == shown[0]:
        return "It signed itself"
    return f"The chain ends with {top.subject}, which this machine does not know"


REMEDIES: Mapping[str, str] = {
    "unknown_issuer": "Whoever runs the server has to send the whole chain, with the intermediate certificate. Until "
    "then, or where the authority is the house's own or that of a proxy that reads TLS, add the certificate that is "
    "missing to this machine's store (docs/production.md, TLS) and restart the worker.",
    "expired": "Check the clock of this machine. If it is right, whoever runs the server has to renew the certificate.",
    "not_yet_valid": "Check the clock of this machine. If it is right, whoever runs the server has to wait for the "
    "certificate's first day, or to show another.",
    "wrong_name": "Check the name in NATIONAL_API_URL, and whether DNS or a proxy leads to another server.",
}
"""Of the rules for which there is a shorter one than in `streams.domain.reasons`; for an administrator."""
