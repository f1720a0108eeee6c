"""Certificates of the tests' own servers."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
    """Key (PKCS 8) and certificate, PEM files in `folder`, for a day."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    _certify(key, certificate, host)
    return key, certificate


def signed(folder: Path, host: str) -> tuple[Path, Path, Path]:
    """Key and certificate of a server, and the certificate of the authority that signed it; PEM files in `folder`."""
    house = folder / "authority"
    house.mkdir()
    authority_key, authority = self_signed(house, "authority")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    _certify(key, certificate, host, "-CA", authority, "-CAkey", authority_key, "-addext", "basicConstraints=CA:FALSE")
    return key, certificate, authority


def _certify(key: Path, certificate: Path, host: str, *more: str | Path) -> None:
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={host}"]
    names = ["-addext", f"subjectAltName={'IP' if host[0].isdigit() else 'DNS'}:{host}"]
    subprocess.run(
        ["openssl", *made, *names, *more, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
