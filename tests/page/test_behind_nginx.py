"""Tests the page behind a real nginx, with the file of docs/nginx: TLS, log-in, forms, and which browser is which."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar, TCPConnector
from pydantic import SecretStr

from streams.local.processes import Process, connect, free_port
from streams.operators.page.access import FORM, SESSION, Access
from streams.operators.page.sign_in_attempts import SignInAttempts
from tests.certificates import self_signed
from tests.contract.stores.databases import settings_for
from tests.debian_binary import debian_binary
from tests.page.visitor import Place, Visitor, visiting
from tests.support.page_requests import TOKEN
from tests.support.repository import ROOT

FILE = ROOT / "docs/nginx/pharmacy-page.conf"
_MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {paths}
    {servers}
}}
"""


@dataclass(frozen=True)
class Nginx:
    plain: int
    """The port without TLS."""
    tls: int
    trusted: ssl.SSLContext


@dataclass(frozen=True)
class Site:
    nginx: Nginx
    worker: str
    attempts: SignInAttempts

    @asynccontextmanager
    async def browser(self, address: str = "127.0.0.2") -> AsyncIterator[Visitor]:
        """Open a browser that has this address."""
        connector = TCPConnector(ssl=self.nginx.trusted, local_addr=(address, 0))
        async with ClientSession(connector=connector, cookie_jar=CookieJar(unsafe=True)) as session:
            yield Visitor(session, f"https://127.0.0.1:{self.nginx.tls}")


@contextmanager
def running_nginx(folder: Path, worker: int) -> Iterator[Nginx]:
    """Run nginx with the documented file, on other ports and with a certificate of its own."""
    key, certificate = self_signed(folder, "127.0.0.1")
    plain, tls = free_port(), free_port()
    servers = FILE.read_text(encoding="utf-8")
    for documented, here in (
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
        ("/etc/nginx/pharmacy-page.crt", str(certificate)),
        ("/etc/nginx/pharmacy-page.key", str(key)),
        ("http://127.0.0.1:6066;", f"http://127.0.0.1:{worker};"),
    ):
        assert documented in servers
        servers = servers.replace(documented, here)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    main = folder / "nginx.conf"
    main.write_text(_MAIN.format(folder=folder, paths=paths, servers=servers))
    binary = debian_binary("nginx", "usr/sbin/nginx")
    command: list[str | Path] = [binary, "-p", folder, "-c", main, "-e", "stderr"]
    process = Process("nginx", command, log=folder / "nginx.log")
    try:
        process.ready(partial(_connected, f"127.0.0.1:{tls}"))
        yield Nginx(plain, tls, ssl.create_default_context(cafile=str(certificate)))
    finally:
        process.terminate(10)


def _connected(address: str) -> bool:
    connect(address)
    return True


@pytest.fixture
async def site(place: Place, tmp_path: Path) -> AsyncIterator[Site]:
    attempts = SignInAttempts(lambda: 0.0)
    settings = settings_for(page_token=SecretStr(TOKEN), page_trusted_proxies=("127.0.0.1",))
    async with visiting(settings, place, access=Access(settings, attempts=attempts)) as direct:
        with running_nginx(tmp_path, int(direct.origin.rpartition(":")[2])) as nginx:
            yield Site(nginx, direct.origin, attempts)


async def test_a_person_signs_in_over_tls_and_the_cookies_stay_with_tls(site: Site) -> None:
    async with site.browser() as browser:
        answer, _ = await browser.get()
        assert answer.status == 401
        assert answer.headers["Strict-Transport-Security"]
        answer = await browser.sign_in("Lan", TOKEN)
        assert answer.status == 303
        cookies = {name: cookie for name, cookie in answer.cookies.items() if name in (SESSION, FORM)}
        assert SESSION in cookies
        for cookie in cookies.values():
            assert cookie["secure"]
            assert cookie["httponly"]
            assert cookie["path"] == "/page/"
        answer, text = await browser.get()
        assert answer.status == 200
        assert "Lan" in text


async def test_a_form_from_another_site_is_refused(site: Site) -> None:
    async with site.browser() as browser:
        fields = {"form": await browser.form(), "name": "Lan", "token": TOKEN}
        answer, _ = await browser.post("sign-in", fields, Origin="https://evil.example")
        assert answer.status == 403


async def test_plain_http_is_sent_on_to_tls(site: Site) -> None:
    async with ClientSession() as session:
        url = f"http://127.0.0.1:{site.nginx.plain}/page/?q=1"
        async with session.get(url, allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"] == "https://127.0.0.1/page/?q=1"


@pytest.mark.parametrize(
    ("path", "status"), [("", 302), ("readyz", 404), ("livez", 404), ("metrics", 404), ("page", 301), (".env", 404)]
)
async def test_only_the_page_goes_through(site: Site, path: str, status: int) -> None:
    async with site.browser() as browser:
        url = f"https://127.0.0.1:{site.nginx.tls}/{path}"
        async with browser.session.get(url, allow_redirects=False) as answer:
            assert answer.status == status
            assert status == 404 or answer.headers["Location"].endswith("/page/")


async def test_wrong_codes_are_counted_for_each_browser_whatever_it_says_of_itself(site: Site) -> None:
    """Promise 7. Broken by: behind nginx, a browser that guesses the code may say each time that it is another one."""
    async with site.browser("127.0.0.2") as guesser:
        for number in range(5):
            fields = {"form": await guesser.form(), "name": "X", "token": "khong-phai-ma-nay"}
            forged = {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": "for=192.0.2.9"}
            answer, _ = await guesser.post("sign-in", fields, **forged)
            assert answer.status == 403
    waits = {address: site.attempts.take(ip_address(address)) for address in ("127.0.0.2", "127.0.0.3", "192.0.2.0")}
    assert waits["127.0.0.2"], "five wrong codes"
    assert waits["127.0.0.3"] == waits["192.0.2.0"] == 0
    async with site.browser("127.0.0.3") as other:
        assert (await other.sign_in("Lan", TOKEN)).status == 303
