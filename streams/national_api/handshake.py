"""Turn a failed TLS handshake into a reason for people, from the errors of the two TLS libraries.

Those of rustls are known by their texts (`Display` of `rustls::Error`), those of OpenSSL by their codes and names.
Tests over real sockets verify them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Final

from streams.domain.outcome import BrokenRule, Reason
from streams.domain.reasons import Code

_RUSTLS_CERTIFICATE: Final = "invalid peer certificate: "
_RUSTLS_CERTIFICATE_RULES: Final = (
    ("UnknownIssuer", "unknown_issuer"),  # also when the server does not send its intermediate certificate
    ("certificate expired", "expired"),
    ("certificate not valid yet", "not_yet_valid"),
    ("certificate not valid for name", "wrong_name"),
    ("Other(OtherError(CaUsedAsEndEntity))", "not_for_servers"),  # e.g. self-signed with `openssl req -x509`
    ("Other(OtherError(EkuError))", "not_for_servers"),
)
_RUSTLS_TLS_RULES: Final = (
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
_OPENSSL_CERTIFICATE_RULES: Final = {  # X509_V_ERR_*
    2: "unknown_issuer",
    9: "not_yet_valid",
    10: "expired",
    18: "not_for_servers",  # signed by itself
    19: "unknown_issuer",
    20: "unknown_issuer",  # also when the server does not send its intermediate certificate
    21: "unknown_issuer",
    26: "not_for_servers",
    62: "wrong_name",
    64: "wrong_name",
}
_OPENSSL_TLS_RULES: Final = (
    (r"WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE", "no_tls"),
    (
        r".*_ALERT_(NO_CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REQUIRED|UNKNOWN_CA"
        r"|ACCESS_DENIED|CERTIFICATE_UNKNOWN)",
        "client_certificate",
    ),
    (
        r".*_(ALERT_HANDSHAKE_FAILURE|ALERT_PROTOCOL_VERSION|ALERT_INSUFFICIENT_SECURITY|ALERT_INAPPROPRIATE_FALLBACK"
        r"|ALERT_NO_APPLICATION_PROTOCOL|UNRECOGNIZED_NAME|ALERT_ILLEGAL_PARAMETER)",
        "not_agreed",
    ),
    (
        r"UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|NO_CIPHERS_AVAILABLE|WRONG_CIPHER_RETURNED|UNKNOWN_CIPHER_RETURNED"
        r"|WRONG_SIGNATURE_TYPE|DH_KEY_TOO_SMALL|UNSAFE_LEGACY_RENEGOTIATION_DISABLED|WRONG_SSL_VERSION",
        "not_agreed",
    ),
)
# A server that closes the connection, or reports an internal error, is in no table: it may recover within a minute.


def handshake_problem(error: BaseException) -> Reason | None:
    """Return the TLS problem for which a connection was not made, so that nothing was sent. None: it is not TLS."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            return _of_openssl(cause)
    return _of_rustls(str(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, what it was raised from or while handling, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_openssl(error: ssl.SSLError) -> Reason | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(_OPENSSL_CERTIFICATE_RULES.get(error.verify_code, "other"))
    name = error.reason or ""
    return next((_tls(rule) for pattern, rule in _OPENSSL_TLS_RULES if re.fullmatch(pattern, name)), None)


def _of_rustls(text: str) -> Reason | None:
    if text.startswith(_RUSTLS_CERTIFICATE):
        detail = text.removeprefix(_RUSTLS_CERTIFICATE)
        return _certificate(
            next((rule for prefix, rule in _RUSTLS_CERTIFICATE_RULES if detail.startswith(prefix)), "other")
        )
    return next((_tls(rule) for pattern, rule in _RUSTLS_TLS_RULES if re.match(pattern, text)), None)


def _certificate(rule: str) -> Reason:
    return Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", rule),))


def _tls(rule: str) -> Reason:
    return Reason(Code.TLS_FAILED, details=(BrokenRule("tls", rule),))
