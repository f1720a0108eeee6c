"""Certificates of the tests' own servers."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
    """Key (PKCS 8) and certificate, PEM files in `folder`, for a day."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={host}"]
    names = ["-addext", f"subjectAltName={'IP' if host[0].isdigit() else 'DNS'}:{host}"]
    subprocess.run(["openssl", *made, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate
