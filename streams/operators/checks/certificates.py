"""The certificates that a server presents, read without verification, to name the one that is not accepted."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Certificate:
    subject: str
    issuer: str
    not_before: str
    not_after: str
    names: Sequence[str] = ()
    """The host names that it is valid for."""

    @property
    def ends(self) -> datetime:
        """The last moment at which it is valid; the latest of all if the server wrote none that can be read."""
        try:
            return datetime.fromtimestamp(ssl.cert_time_to_seconds(self.not_after), UTC)
        except (ValueError, OverflowError):
            return datetime.max.replace(tzinfo=UTC)


def unverified_context() -> ssl.SSLContext:
    """Return the client's side of TLS that accepts every certificate: for looking at what a server presents."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # also shows certificates with too short a key
    return tls


def presented_certificates(connection: ssl.SSLObject) -> Sequence[Certificate]:
    """Return the certificates that the server has presented, in its order, its own first."""
    # Python 3.13 has a public method for this; older versions have this private one since 3.10.
    inner: Any = getattr(connection, "_sslobj", None)
    sent = inner.get_unverified_chain() if hasattr(inner, "get_unverified_chain") else None
    return [_read(each.get_info()) for each in sent or ()]


def _read(info: Mapping[str, Any]) -> Certificate:
    """Read a certificate in the form that `ssl.SSLSocket.getpeercert` returns."""
    return Certificate(
        _name(info.get("subject", ())),
        _name(info.get("issuer", ())),
        str(info.get("notBefore", "")),
        str(info.get("notAfter", "")),
        [str(name) for _, name in info.get("subjectAltName", ())],
    )


def _name(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    fields = {key: value for part in parts for key, value in part}
    chosen = [fields[key] for key in ("commonName", "organizationName") if key in fields] or list(fields.values())
    return _plain(", ".join(chosen)) or "(no name)"


def _plain(text: str) -> str:
    """Return text from an unverified server in one printable line of at most 200 characters."""
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def describe_certificates(certificates: Sequence[Certificate], rule: str) -> str:
    """Return sentences that say which certificate breaks `rule`, a key of `streams.domain.reasons.TLS_RULE_TEXTS`.

    `certificates`: as the server presented them; without any the text is empty.
    """
    if not certificates:
        return ""
    own = certificates[0]
    names = f" for {_plain(', '.join(own.names[:5]))}" if own.names else ""
    sentences = [f"The server presents the certificate of {own.subject}{names}, issued by {own.issuer}, {_valid(own)}"]
    if rule in ("expired", "not_yet_valid"):
        sentences += [f"It also sends the certificate of {each.subject}, {_valid(each)}" for each in certificates[1:]]
    if rule == "unknown_issuer":
        sentences.append(_where_chain_breaks(certificates))
    return ". ".join(sentences)


def _valid(certificate: Certificate) -> str:
    return f"valid from {certificate.not_before} to {certificate.not_after}"


def _where_chain_breaks(certificates: Sequence[Certificate]) -> str:
    top = certificates[0]
    for _ in certificates:
        top = next((each for each in certificates if each.subject == top.issuer), top)
    if top.issuer != top.subject:
        return (
            f"The certificate of {top.issuer}, which signed that of {top.subject}, is neither sent nor known to this "
            "machine: the server omits an intermediate certificate, or the root is not trusted here"
        )
    if top == certificates[0]:
        return "It is self-signed"
    return f"The chain ends with {top.subject}, which this machine does not trust"


TLS_ACTIONS: Mapping[str, str] = {
    "unknown_issuer": "The server's operator has to send the complete chain, with the intermediate certificate. Until "
    "then, or if the authority is your own or that of a proxy that inspects TLS, add the missing certificate to this "
    "machine's store (docs/production.md, TLS) and restart the worker.",
    "expired": "Check the clock of this machine. If it is right, the server's operator has to renew the certificate.",
    "not_yet_valid": "Check the clock of this machine. If it is right, the server's operator has to wait until the "
    "certificate is valid, or to use another one.",
    "wrong_name": "Check the name in NATIONAL_API_URL, and whether DNS or a proxy leads to another server.",
}
"""The actions for those rules for which an administrator needs another text than that in `streams.domain.reasons`."""
