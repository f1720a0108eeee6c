"""Tests how Microsoft's driver treats encryption and certificates: the facts behind the settings ``SALES_DB_...``.

The server of the tests runs in a thread and speaks TLS as SQL Server does: within TDS's own packets
(``Encrypt=yes``), or before TDS starts (``Encrypt=strict``). It refuses every log-in; what counts is whether one is
tried.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyodbc
import pytest

from streams.credentials.connection_strings import odbc_string
from streams.stores.odbc_driver import connection_string
from tests.certificates import self_signed, signed
from tests.contract.stores.databases import settings_for
from tests.contract.tds_server import LOGIN, PRELOGIN, error, prelogin

_HEADER = struct.Struct(">BBHHBB")
_ENCRYPTION_ON = 1


@dataclass
class EncryptedServer:
    context: ssl.SSLContext
    strict: bool
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    log_ins: int = 0

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            connection.settimeout(5)
            with connection:
                try:
                    self._talk(connection)
                except (OSError, EOFError):  # ssl.SSLError is an OSError
                    continue

    def _talk(self, plain: socket.socket) -> None:
        if self.strict:
            with self.context.wrap_socket(plain, server_side=True) as encrypted:
                assert _packet(encrypted)[0] == PRELOGIN
                _send(encrypted, 0x04, prelogin())
                packet_type, _ = _packet(encrypted)
                self.log_ins += packet_type == LOGIN
                _send(encrypted, 0x04, error(18456, "Login failed.", level=14))
            return
        assert _packet(plain)[0] == PRELOGIN
        _send(plain, 0x04, prelogin(_ENCRYPTION_ON))
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        encrypted_half = self.context.wrap_bio(arrived, leaving, server_side=True)
        while True:
            try:
                encrypted_half.do_handshake()
            except ssl.SSLWantReadError:
                if waiting := leaving.read():
                    _send(plain, PRELOGIN, waiting)
                arrived.write(_packet(plain)[1])
            else:
                break
        _send(plain, PRELOGIN, leaving.read())
        while True:
            try:
                request = encrypted_half.read(65536)
            except ssl.SSLWantReadError:
                arrived.write(plain.recv(65536))
            else:
                self.log_ins += request[0] == LOGIN
                return


def _packet(connection: socket.socket) -> tuple[int, bytes]:
    content = b""
    while True:
        packet_type, status, length, *_ = _HEADER.unpack(_exactly(connection, _HEADER.size))
        content += _exactly(connection, length - _HEADER.size)
        if status & 1:
            return packet_type, content


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = connection.recv(size - len(content))
        if not more:
            raise EOFError
        content += more
    return content


def _send(connection: socket.socket, packet_type: int, content: bytes) -> None:
    connection.sendall(_HEADER.pack(packet_type, 1, len(content) + _HEADER.size, 0, 1, 0) + content)


@dataclass(frozen=True)
class Certificates:
    own: Path
    """Self-signed."""
    signed: Path
    authority: Path
    another: Path
    key_of: dict[Path, Path]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    key, own = self_signed(tmp_path_factory.mktemp("own"), "localhost")
    signed_key, signed_one, authority = signed(tmp_path_factory.mktemp("signed"), "localhost")
    _, another = self_signed(tmp_path_factory.mktemp("another"), "localhost")
    return Certificates(own, signed_one, authority, another, {own: key, signed_one: signed_key})


@contextmanager
def encrypted_server(certificate: Path, key: Path, *, strict: bool) -> Iterator[EncryptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # as SQL Server has it within TDS's packets
    if strict:
        context.set_alpn_protocols(["tds/8.0"])
    server = EncryptedServer(context, strict)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()


Try = Callable[..., bool]


@pytest.fixture
def logs_in(certificates: Certificates) -> Try:
    """Say whether the driver trusts a server with this certificate so far that it sends a log-in."""

    def attempt(certificate: Path, encrypt: str, **keywords: str) -> bool:
        with encrypted_server(certificate, certificates.key_of[certificate], strict=encrypt == "strict") as server:
            place = {"Server": f"tcp:localhost,{server.port}", "UID": "sa", "PWD": "pwd-secret", "Encrypt": encrypt}
            settings = settings_for(sales_db_dsn=odbc_string(place | keywords))
            with pytest.raises(pyodbc.Error):
                pyodbc.connect(connection_string(settings), timeout=4)
            return server.log_ins > 0

    return attempt


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_a_certificate_that_the_system_does_not_trust_is_refused(
    logs_in: Try, certificates: Certificates, encrypt: str
) -> None:
    assert not logs_in(certificates.own, encrypt)
    assert not logs_in(certificates.signed, encrypt)


def test_trusting_any_certificate_has_no_effect_with_strict_encryption(
    logs_in: Try, certificates: Certificates
) -> None:
    """Therefore SALES_DB_TRUST_CERTIFICATE is refused together with it."""
    assert logs_in(certificates.own, "yes", TrustServerCertificate="yes")
    assert not logs_in(certificates.own, "strict", TrustServerCertificate="yes")


def test_one_certificate_is_accepted_with_strict_encryption_alone(logs_in: Try, certificates: Certificates) -> None:
    """Therefore SALES_DB_SERVER_CERTIFICATE is refused without it."""
    own = str(certificates.own)
    assert logs_in(certificates.own, "strict", ServerCertificate=own)
    assert not logs_in(certificates.own, "yes", ServerCertificate=own)
    assert not logs_in(certificates.own, "strict", ServerCertificate=str(certificates.another))


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_no_keyword_of_the_driver_accepts_an_authority_file(
    logs_in: Try, certificates: Certificates, encrypt: str
) -> None:
    """Therefore SALES_DB_CA_FILE is refused: the authority has to be one of the system's."""
    assert not logs_in(certificates.signed, encrypt, ServerCertificate=str(certificates.authority))


def test_a_certificate_of_a_system_authority_is_trusted(certificates: Certificates) -> None:
    """The driver gets the system's store from OpenSSL, which reads another file here in a process of its own."""
    with encrypted_server(certificates.signed, certificates.key_of[certificates.signed], strict=False) as server:
        place = {"Server": f"tcp:localhost,{server.port}", "UID": "sa", "PWD": "pwd-secret", "Encrypt": "yes"}
        dsn = connection_string(settings_for(sales_db_dsn=odbc_string(place)))
        program = "import pyodbc, sys\ntry: pyodbc.connect(sys.argv[1], timeout=4)\nexcept pyodbc.Error: pass"
        environment = os.environ | {"SSL_CERT_FILE": str(certificates.authority)}
        subprocess.run([sys.executable, "-c", program, dsn], env=environment, check=True, timeout=30)
        assert server.log_ins == 1
