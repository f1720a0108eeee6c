"""Checks files of certificates and keys when the settings are read: a mistake in one ends the start, not a sale.

The error texts contain no path: somebody may have put the key itself where its path belongs.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def require_readable(path: Path) -> None:
    """Raise `ValueError` unless the file can be read."""
    try:
        path.read_bytes()
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from None


def require_certificates(path: Path) -> None:
    """Raise `ValueError` unless `path` is a PEM file with certificates."""
    require_readable(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:  # `ssl.SSLError` is one
        raise ValueError("must be a PEM file with certificates (-----BEGIN CERTIFICATE-----)") from None


def require_identity(certificate: Path, key: Path) -> None:
    """Raise `ValueError` unless the PEM files hold a certificate and the private key that belongs to it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=_no_password)
    except OSError:
        raise ValueError(
            "NATIONAL_API_CLIENT_CERT and NATIONAL_API_CLIENT_KEY must be PEM files: a certificate, followed by its "
            "intermediate certificates, and the private key that belongs to it, without a password"
        ) from None


def _no_password() -> bytes:
    """Keep OpenSSL from asking on the terminal for the password of an encrypted key."""
    return b""
