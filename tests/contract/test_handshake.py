"""Tests, over real TLS, that a connection without encryption or a trusted certificate is reported with its cause."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams.domain.outcome import BrokenRule, Reason, TryLater
from streams.domain.reasons import Code
from streams.local.servers import Valkey
from streams.national_api.answers import NoAnswer
from streams.national_api.own_form import Answer
from streams.operators.checks import Level
from streams.operators.checks.national_api import judge_api, probe_api
from tests.certificates import Authority, self_signed
from tests.contract.redis_servers import url_of
from tests.contract.scripted_server import ScriptedServer, serving
from tests.contract.workers import ACCOUNT, BODY, DONE, SALES, MakeApi, workers
from tests.unit.played_connect import settings

PAST, FUTURE = "20210101000000Z", "20480101000000Z"


def certificate(rule: str) -> TryLater:
    return TryLater(Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", rule),)))


def tls_failed(rule: str) -> TryLater:
    return TryLater(Reason(Code.TLS_FAILED, details=(BrokenRule("tls", rule),)))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Create a certificate authority that the machine trusts."""
    root = Authority.root(tmp_path, "root")
    monkeypatch.setenv("SSL_CERT_FILE", str(root.certificate))
    return root


@pytest.fixture
async def make_api(valkey: Valkey, national_api_transport: str) -> AsyncIterator[MakeApi]:
    async with workers(ScriptedServer(), url_of(valkey), national_api_transport=national_api_transport) as make:
        yield make


async def met_by(make_api: MakeApi, tls: ssl.SSLContext) -> object:
    """Return the outcome of a sale, which is that of the log-in where the log-in fails."""
    async with serving(ScriptedServer(tls=True), tls) as server:
        api = make_api(national_api_url=server.url)
        outcome = await api.create(ACCOUNT, SALES, BODY)
        if outcome != DONE:
            assert isinstance(outcome, TryLater)
            assert server.requests == [], "it was never sent"
            assert await api.token_ready(ACCOUNT) == outcome
            assert await api.look_up(ACCOUNT, SALES, "CS", "HD") == NoAnswer(outcome.reason)
            assert await api._transport.call("POST", "/x", retry_if=lambda _: False) == outcome
        return outcome


async def test_a_complete_certificate_chain_is_accepted(make_api: MakeApi, root: Authority) -> None:
    middle = root.intermediate("middle")
    assert await met_by(make_api, middle.server("server", middle)) == DONE


async def test_a_missing_intermediate_certificate_is_reported_as_such(make_api: MakeApi, root: Authority) -> None:
    assert await met_by(make_api, root.intermediate("middle").server("server")) == certificate("unknown_issuer")


async def test_a_missing_intermediate_certificate_can_be_added_to_the_machines_trust_store(
    make_api: MakeApi, root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = root.intermediate("middle")
    monkeypatch.setenv("SSL_CERT_FILE", str(middle.certificate))
    assert await met_by(make_api, middle.server("server")) == DONE


async def test_a_wrong_intermediate_certificate_is_reported_as_such(make_api: MakeApi, root: Authority) -> None:
    tls = root.intermediate("middle").server("server", root.intermediate("another"))
    assert await met_by(make_api, tls) == certificate("unknown_issuer")


@pytest.mark.parametrize("whole", [True, False], ids=["with its root", "alone"])
async def test_an_unknown_certificate_authority_is_reported(make_api: MakeApi, root: Authority, whole: bool) -> None:
    stranger = Authority.root(root.folder, "stranger")
    tls = stranger.server("server", *([stranger] if whole else []))
    assert await met_by(make_api, tls) == certificate("unknown_issuer")


async def test_an_expired_certificate_is_reported(make_api: MakeApi, root: Authority) -> None:
    """Promise 1. Broken by: a certificate that is not accepted is reported as an API that cannot be reached."""
    assert await met_by(make_api, root.server("server", ends=PAST)) == certificate("expired")


async def test_an_expired_intermediate_certificate_is_reported(make_api: MakeApi, root: Authority) -> None:
    middle = root.intermediate("middle", ends=PAST)
    assert await met_by(make_api, middle.server("server", middle)) == certificate("expired")


async def test_a_certificate_that_is_not_yet_valid_is_reported(make_api: MakeApi, root: Authority) -> None:
    assert await met_by(make_api, root.server("server", starts=FUTURE)) == certificate("not_yet_valid")


async def test_a_certificate_for_another_name_is_reported(make_api: MakeApi, root: Authority) -> None:
    tls = root.server("server", san="DNS:other.example")
    assert await met_by(make_api, tls) == certificate("wrong_name")


async def test_a_certificate_that_is_not_for_servers_is_reported(make_api: MakeApi, root: Authority) -> None:
    assert await met_by(make_api, root.server("server", purpose="clientAuth")) == certificate("not_for_servers")


async def test_a_self_signed_certificate_is_reported(make_api: MakeApi, root: Authority) -> None:
    key, own = self_signed(root.folder, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own, key)
    assert await met_by(make_api, tls) == certificate("not_for_servers")


async def test_a_certificate_with_any_other_fault_is_reported(make_api: MakeApi, root: Authority) -> None:
    assert await met_by(make_api, root.server("server", bits=1024)) == certificate("other")


# --- TLS that cannot be agreed

ALERT = b"\x15\x03\x03\x00\x02\x02"


@asynccontextmanager
async def answering(said: bytes) -> AsyncIterator[str]:
    """Serve clients: read their first bytes, write this, and close the connection."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", tls_failed("no_tls")),
        (b"SSH-2.0-OpenSSH_9.6\r\n", tls_failed("no_tls")),
        (ALERT + b"\x28", tls_failed("not_agreed")),  # handshake_failure: no cipher in common
        (ALERT + b"\x46", tls_failed("not_agreed")),  # protocol_version
        (ALERT + b"\x47", tls_failed("not_agreed")),  # insufficient_security
        (ALERT + b"\x70", tls_failed("not_agreed")),  # unrecognized_name
        (ALERT + b"\x2a", tls_failed("client_certificate")),  # bad_certificate
        (ALERT + b"\x74", tls_failed("client_certificate")),  # certificate_required
        (ALERT + b"\x50", TryLater(Reason(Code.UNREACHABLE))),  # internal_error
        (b"", TryLater(Reason(Code.UNREACHABLE))),  # as a balancer does that has nobody behind it
    ],
)
async def test_a_server_without_common_encryption_is_reported(make_api: MakeApi, said: bytes, means: TryLater) -> None:
    """Promise 1. Broken by: a server with which no encryption is agreed is reported as an API that cannot be
    reached."""
    async with answering(said) as url:
        transport = make_api(national_api_url=url)._transport
        assert await transport.call("POST", "/x", content=b"pwd", retry_if=lambda _: False) == means


async def test_a_certificate_problem_at_the_log_in_is_reported_as_such(make_api: MakeApi) -> None:
    """Promise 1. Broken by: a certificate problem at the log-in is reported as a refused log-in."""
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert await make_api(national_api_url=url).token_ready(ACCOUNT) == tls_failed("no_tls")


# --- doctor


async def found_by_doctor(tls: ssl.SSLContext) -> tuple[Level, str, str]:
    async with serving(ScriptedServer(tls=True), tls) as server:
        answered, shown = await probe_api(of_api := settings(NATIONAL_API_URL=server.url), "/x")
    assert not isinstance(answered, Answer)
    [found] = judge_api(answered, of_api, shown)
    return found.level, found.what, found.action


async def test_doctor_names_a_missing_intermediate_certificate(root: Authority) -> None:
    level, what, action = await found_by_doctor(root.intermediate("Middle CA").server("api.example"))
    assert level is Level.ERROR
    assert what.startswith("certificate: ")
    assert "the certificate of api.example for 127.0.0.1, issued by Middle CA, valid from Jan  1 00:00:00 2020" in what
    assert (
        "The certificate of Middle CA, which signed that of api.example, is neither sent nor known to this machine"
        in what
    )
    assert "send the complete chain, with the intermediate certificate" in action


async def test_doctor_names_the_end_of_an_untrusted_certificate_chain(root: Authority) -> None:
    stranger = Authority.root(root.folder, "stranger")
    middle = stranger.intermediate("middle")
    _, what, _ = await found_by_doctor(middle.server("server", middle, stranger))
    assert what.endswith("The chain ends with stranger, which this machine does not trust")
    _, what, _ = await found_by_doctor(middle.server("another", middle))
    assert "The certificate of stranger, which signed that of middle, is neither sent" in what


async def test_doctor_names_the_expired_certificate_of_a_chain(root: Authority) -> None:
    middle = root.intermediate("middle", ends=PAST)
    _, what, action = await found_by_doctor(middle.server("server", middle))
    assert what.endswith("the certificate of middle, valid from Jan  1 00:00:00 2020 GMT to Jan  1 00:00:00 2021 GMT")
    assert action.startswith("Check the clock of this machine.")


async def test_doctor_lists_the_names_of_a_certificate_for_another_name(root: Authority) -> None:
    _, what, action = await found_by_doctor(root.server("server", san="DNS:other.example"))
    assert "for other.example, issued by root" in what
    assert "NATIONAL_API_URL" in action
