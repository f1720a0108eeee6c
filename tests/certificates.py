"""Certificates of the tests' own servers."""

from __future__ import annotations

import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
    """Write key (PKCS 8) and certificate as PEM files into `folder`, valid for a day."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    _certify(key, certificate, host)
    return key, certificate


def signed(folder: Path, host: str) -> tuple[Path, Path, Path]:
    """Write key and certificate of a server, and the certificate of the authority that signed it, as PEM files into
    `folder`.
    """
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


_STARTS, _ENDS = "20200101000000Z", "20490101000000Z"


@dataclass(frozen=True)
class Authority:
    """Signs any certificate that a test needs, with any validity, as PEM files in `folder`."""

    folder: Path
    name: str

    @classmethod
    def root(cls, folder: Path, name: str) -> Authority:
        made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
        _openssl(*made, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        return cls(folder, name)

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def intermediate(self, name: str, *, ends: str = _ENDS) -> Authority:
        self._sign(name, ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"], ends=ends)
        return Authority(self.folder, name)

    def server(
        self,
        name: str,
        *sent: Authority,
        san: str = "IP:127.0.0.1",
        purpose: str = "serverAuth",
        bits: int = 2048,
        starts: str = _STARTS,
        ends: str = _ENDS,
    ) -> ssl.SSLContext:
        """Create a server's certificate by this authority; `sent` are those whose certificates it sends too."""
        extensions = ["basicConstraints=CA:FALSE", f"subjectAltName={san}", f"extendedKeyUsage={purpose}"]
        self._sign(name, extensions, bits=bits, starts=starts, ends=ends)
        chain = self.folder / f"{name}.chain.pem"
        own = self.folder / f"{name}.pem"
        chain.write_text("".join(path.read_text() for path in (own, *(each.certificate for each in sent))))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that it takes whatever a test gives it
        tls.load_cert_chain(chain, self.folder / f"{name}.key")
        return tls

    def _sign(
        self,
        name: str,
        extensions: list[str],
        *,
        bits: int = 2048,
        starts: str = _STARTS,
        ends: str = _ENDS,
    ) -> None:
        house = self.folder / f"{name}.house"
        house.mkdir()
        wanted = house / "asked.csr"
        subject = ("-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key")
        _openssl("req", "-new", "-newkey", f"rsa:{bits}", "-nodes", *subject, "-out", wanted)
        (house / "index.txt").touch()
        (house / "serial").write_text(os.urandom(8).hex())
        (house / "extensions").write_text("\n".join(extensions))
        (house / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={house}/index.txt\nserial={house}/serial\nnew_certs_dir={house}\n"
            "default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
        )
        signer = ("-cert", self.certificate, "-keyfile", self.folder / f"{self.name}.key")
        when = ("-startdate", starts, "-enddate", ends, "-extfile", house / "extensions")
        written = ("-in", wanted, "-out", self.folder / f"{name}.pem")
        _openssl("ca", "-batch", "-notext", "-config", house / "ca.cnf", *signer, *when, *written)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
