"""What keeps a connection from being encrypted: what the HTTP client says of it -> the reason that a person reads.

Its words are rustls' own (`Display` of `rustls::Error`); tests over real sockets hold them in place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code

_CERTIFICATE: Final = "invalid peer certificate: "
_CERTIFICATE_RULES: Final = (
    ("UnknownIssuer", "unknown_issuer"),  # also where the server leaves its intermediate certificate out
    ("certificate expired", "expired"),
    ("certificate not valid yet", "not_yet_valid"),
    ("certificate not valid for name", "wrong_name"),
    ("Other(OtherError(CaUsedAsEndEntity))", "not_for_servers"),  # as `openssl req -x509` signs one for itself
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
"""A server that only hangs up, or reports an error of its own, is left out: it may be well again in a minute."""


def handshake_problem(causes: Sequence[str]) -> Reason | None:
    """Of a call for which no connection was made, so that nothing was sent. None: its cause is another."""
    for cause in causes:
        if cause.startswith(_CERTIFICATE):
            said = cause.removeprefix(_CERTIFICATE)
            rule = next((rule for begins, rule in _CERTIFICATE_RULES if said.startswith(begins)), "other")
            return Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", rule),))
        for pattern, rule in _TLS_RULES:
            if re.match(pattern, cause):
                return Reason(Code.TLS_FAILED, details=(BrokenRule("tls", rule),))
    return None
