"""How a worker reaches the national API: through real proxies, with certificates of a house's own, from an address."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streams.domain.outcome import BrokenRule, InDoubt, Reason, TryLater
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS, Code
from streams.local.servers import Valkey
from tests.certificates import Authority
from tests.contract.redis_servers import url_of
from tests.contract.scripted_server import Request, ScriptedServer, respond, serving
from tests.contract.workers import ACCOUNT, BODY, DONE, OK, SALES, MakeApi, workers
from tests.proxies import PASSWORD, USER, http_proxy, socks_proxy

UNREACHABLE = TryLater(Reason(Code.UNREACHABLE))


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    """Trusted by the workers of `make_api`, and unknown to the machine."""
    return Authority.root(tmp_path, "root")


@pytest.fixture
async def server(root: Authority) -> AsyncIterator[ScriptedServer]:
    async with serving(ScriptedServer(tls=True), root.server("server", san="IP:127.0.0.1,DNS:localhost")) as server:
        yield server


@pytest.fixture
async def make_api(
    server: ScriptedServer, root: Authority, valkey: Valkey, national_api_transport: str
) -> AsyncIterator[MakeApi]:
    of_all = {"national_api_transport": national_api_transport, "national_api_ca_file": root.certificate}
    async with workers(server, url_of(valkey), **of_all) as make:
        yield make


async def unsent(make_api: MakeApi, **changed: object) -> object:
    """Return what a call that is not sent ends with."""
    return await make_api(**changed)._transport.call("POST", "/x", content=b"{}", retry_if=lambda _: False)


# --- certificates


async def test_an_authority_out_of_a_file_is_trusted_and_the_machines_are_still(
    make_api: MakeApi, root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Authority.root(root.folder, "machines")
    monkeypatch.setenv("SSL_CERT_FILE", str(machines.certificate))
    assert await make_api().create(ACCOUNT, SALES, BODY) == DONE
    async with serving(ScriptedServer(tls=True), machines.server("another")) as another:
        assert await make_api(national_api_url=another.url).create(ACCOUNT, SALES, BODY) == DONE
    async with serving(ScriptedServer(tls=True), Authority.root(root.folder, "x").server("y")) as strange:
        outcome = await unsent(make_api, national_api_url=strange.url)
        assert outcome == TryLater(Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", "unknown_issuer"),)))


async def test_an_intermediate_certificate_that_the_server_leaves_out(make_api: MakeApi, root: Authority) -> None:
    middle = root.intermediate("middle")
    async with serving(ScriptedServer(tls=True), middle.server("incomplete")) as incomplete:
        outcome = await unsent(make_api, national_api_url=incomplete.url)
        assert outcome == TryLater(Reason(Code.CERTIFICATE, details=(BrokenRule("certificate", "unknown_issuer"),)))
        assert incomplete.requests == []
        added = make_api(national_api_url=incomplete.url, national_api_ca_file=middle.certificate)
        assert await added.create(ACCOUNT, SALES, BODY) == DONE


def old_tls(root: Authority) -> ssl.SSLContext:
    """TLS 1.2 with the RSA key exchange alone."""
    tls = root.server("old")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
    return tls


@pytest.mark.parametrize("national_api_transport", ["compatible"])
async def test_the_compatible_transport_speaks_the_rsa_key_exchange(make_api: MakeApi, root: Authority) -> None:
    async with serving(ScriptedServer(tls=True), old_tls(root)) as old:
        assert await make_api(national_api_url=old.url).create(ACCOUNT, SALES, BODY) == DONE


@contextmanager
def refusing(tls: ssl.SSLContext) -> Iterator[str]:
    """What tells a client why it refuses it, which uvloop's servers do not."""

    def shake_hands() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with client, suppress(ssl.SSLError):
                    tls.wrap_socket(client, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=shake_hands, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("national_api_transport", ["fast"])
async def test_the_fast_transport_says_that_the_other_one_may_do_it(make_api: MakeApi, root: Authority) -> None:
    with refusing(old_tls(root)) as url:
        outcome = await unsent(make_api, national_api_url=url)
    assert outcome == TryLater(Reason(Code.TLS_FAILED, details=(BrokenRule("tls", "not_agreed"),)))
    for action in (REASON_TEXTS[Code.TLS_FAILED].action_vi, REASON_TEXTS[Code.TLS_FAILED].action_en):
        assert "NATIONAL_API_TRANSPORT=compatible" in action


async def test_a_certificate_of_our_own(make_api: MakeApi, root: Authority) -> None:
    root.server("worker", purpose="clientAuth")
    own = {
        "national_api_client_cert": root.folder / "worker.pem",
        "national_api_client_key": root.folder / "worker.key",
    }
    tls = root.server("strict")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 a client learns of it only when it has sent something
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(root.certificate)
    async with serving(ScriptedServer(tls=True), tls) as strict:
        assert await make_api(national_api_url=strict.url, **own).create(ACCOUNT, SALES, BODY) == DONE
    with refusing(tls) as url:
        outcome = await unsent(make_api, national_api_url=url)
    assert outcome == TryLater(Reason(Code.TLS_FAILED, details=(BrokenRule("tls", "not_agreed"),)))


# --- proxies


@contextmanager
def running(scheme: str, folder: Path) -> Iterator[str]:
    """A proxy's URL, with the password that it requires."""
    with (http_proxy if scheme == "http" else socks_proxy)(folder) as address:
        yield f"{scheme}://{USER}:{PASSWORD}@{address}"


SCHEMES = pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])


@SCHEMES
async def test_everything_goes_through_a_proxy(
    make_api: MakeApi, server: ScriptedServer, tmp_path: Path, scheme: str
) -> None:
    by_name = f"https://localhost:{server.port}"
    with running(scheme, tmp_path) as proxy:
        api = make_api(national_api_url=by_name, national_api_proxy=SecretStr(proxy))
        assert await api.create(ACCOUNT, SALES, BODY) == DONE
        assert server.log_ins == 1
    sent = len(server.requests)
    outcome = await unsent(make_api, national_api_url=by_name, national_api_proxy=SecretStr(proxy))
    assert outcome == UNREACHABLE, "and nothing directly when the proxy is away"
    assert len(server.requests) == sent


@SCHEMES
async def test_a_proxy_that_refuses_the_password_sends_nothing(
    make_api: MakeApi, server: ScriptedServer, tmp_path: Path, scheme: str
) -> None:
    """Promise 1. Broken by: a proxy that made no connection leaves a sale in doubt."""
    with running(scheme, tmp_path) as proxy:
        wrong = SecretStr(proxy.replace(PASSWORD, "wrong"))
        assert await unsent(make_api, national_api_proxy=wrong) == UNREACHABLE
    assert server.requests == []


@SCHEMES
async def test_a_proxy_that_cannot_reach_the_api_sends_nothing(make_api: MakeApi, tmp_path: Path, scheme: str) -> None:
    with socket.socket() as free, running(scheme, tmp_path) as proxy:
        free.bind(("127.0.0.1", 0))
        nobody = f"https://127.0.0.1:{free.getsockname()[1]}"
        assert await unsent(make_api, national_api_url=nobody, national_api_proxy=SecretStr(proxy)) == UNREACHABLE


@SCHEMES
async def test_a_proxy_that_hangs_up_at_once_leaves_in_doubt_what_nothing_proves(
    make_api: MakeApi, server: ScriptedServer, national_api_transport: str, scheme: str
) -> None:
    """httpcore reports it like a connection that was lost later; hyper knows."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as proxy:
        url = f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        outcome = await unsent(make_api, national_api_proxy=SecretStr(url))
    assert outcome == (UNREACHABLE if national_api_transport == "fast" else InDoubt(Reason(Code.CONNECTION_LOST)))
    assert server.requests == []


@SCHEMES
async def test_a_certificate_is_called_that_behind_a_proxy_too(
    make_api: MakeApi, root: Authority, tmp_path: Path, scheme: str
) -> None:
    stranger = Authority.root(root.folder, "stranger")
    with running(scheme, tmp_path) as proxy:
        async with serving(ScriptedServer(tls=True), stranger.server("strange")) as strange:
            outcome = await unsent(make_api, national_api_url=strange.url, national_api_proxy=SecretStr(proxy))
    assert isinstance(outcome, TryLater)
    assert outcome.reason.code in TLS_PROBLEMS
    assert outcome.reason.details == (BrokenRule("certificate", "unknown_issuer"),)


@asynccontextmanager
async def encrypted(address: str, tls: ssl.SSLContext) -> AsyncIterator[str]:
    """What stands before `address` and takes TLS."""
    host, _, port = address.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            writer.write(part)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer), return_exceptions=True)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_a_proxy_may_be_encrypted_itself(make_api: MakeApi, root: Authority, tmp_path: Path) -> None:
    with http_proxy(tmp_path) as plain:
        async with encrypted(plain, root.server("proxy")) as address:
            proxy = SecretStr(f"https://{USER}:{PASSWORD}@{address}")
            assert await make_api(national_api_proxy=proxy).create(ACCOUNT, SALES, BODY) == DONE


async def test_a_proxy_of_the_environment_is_not_used(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    assert await make_api().create(ACCOUNT, SALES, BODY) == DONE


@SCHEMES
@pytest.mark.parametrize("trouble", ["refused", "away", "strange"])
async def test_a_proxys_password_is_in_no_log_error_or_repr(
    make_api: MakeApi,
    server: ScriptedServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    scheme: str,
    trouble: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpcore")  # as in a worker: at DEBUG it logs the log-in at a SOCKS proxy
    secret = f"{PASSWORD}-wrong"
    with (
        running(scheme, tmp_path)
        if trouble == "refused"
        else nullcontext(f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:9") as proxy
    ):
        address = proxy.rpartition("@")[2] if trouble != "strange" else f"127.0.0.1:{server.port}"
        api = make_api(national_api_proxy=SecretStr(f"{scheme}://{USER}:{secret}@{address}"))
        with capture_logs() as logs:
            said = [await api.token_ready(ACCOUNT), await api._transport.call("GET", "/x", retry_if=lambda _: False)]
        request = httpx.Request("GET", f"{server.url}/x")
        with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it is
            async with asyncio.timeout(1):
                await api._transport._http.handle_async_request(request)
    text = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    text += f"{logs} {said} {caplog.text} {vars(api)} {vars(api._transport)} {vars(api._transport._http)}"
    assert secret not in text


# --- the source address


async def test_connections_come_from_the_address_that_is_set(make_api: MakeApi, server: ScriptedServer) -> None:
    seen: list[str] = []

    async def look(request: Request, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        await respond(200, OK)(request, writer)

    server.other = look
    assert await make_api(national_api_bind_address="127.0.0.2").create(ACCOUNT, SALES, BODY) == DONE
    assert seen == ["127.0.0.2"]


async def test_an_address_that_the_machine_does_not_have(make_api: MakeApi, server: ScriptedServer) -> None:
    assert await unsent(make_api, national_api_bind_address="192.0.2.1") == UNREACHABLE
    assert server.requests == []
