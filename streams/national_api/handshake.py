"""Turn a failed TLS handshake into a reason for people, from the error texts of the HTTP client.

The texts are those of rustls (`Display` of `rustls::Error`); tests over real sockets verify them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code

_CERTIFICATE: Final = "invalid peer certificate: "
_CERTIFICATE_RULES: Final = (
    ("UnknownIssuer", "unknown_issuer"),  # also when the server does not send its intermediate certificate
    ("certificate expired", "expired"),
    ("certificate not valid yet", "not_yet_valid"),
    ("certificate not valid for name", "wrong_name"),
    ("Other(OtherError(CaUsedAsEndEntity))", "not_for_servers"),  # e.g. self-signed with `openssl req -x509`
    ("Other(OtherError(EkuError))", "not_for_servers"),
)
_TLS_RULES: Final = (
    (r"received corrupt message", "no_tls"),  # plain HTTP, or another protocol
    (r"peer (is incompatible|misbehaved)", "not_agreed"),
    (
        r"received fatal alert: (HandshakeFailure|ProtocolVersion|InsufficientSecurity|InappropriateFallback"
        r"|NoApplicationProtocol|UnrecognisedName|IllegalParameter)$",
        "not_agreed",
    ),
    (
        r"received fatal alert: (NoCertificate|BadCertificate|UnsupportedCertificate|CertificateRequired|UnknownCA"
        r"|AccessDenied|CertificateUnknown)$",
        "client_certificate",
    ),
)
"""A server that closes the connection, or reports an internal error, is left out: it may recover within a minute."""


def handshake_problem(causes: Sequence[str]) -> Reason | None:
    """Return the TLS problem that kept a connection from being made, so that nothing was sent.

    `causes`: the error texts of the HTTP client, outermost first. None when the cause is not TLS.
    """
    for cause in causes:
        if cause.startswith(_CERTIFICATE):
            detail = cause.removeprefix(_CERTIFICATE)
            rule = next((rule for prefix, rule in _CERTIFICATE_RULES if detail.startswith(prefix)), "other")
            return Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", rule),))
        for pattern, rule in _TLS_RULES:
            if re.match(pattern, cause):
                return Reason(Code.TLS_FAILED, details=(BrokenRule("tls", rule),))
    return None
