"""``faust -A streams.app page``: where the page of this machine's worker is, and the code that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import click

from streams.documents.document import DocumentType
from streams.operators import Problem
from streams.operators.command_line import JSON, run
from streams.operators.page.generated_code import code_file, read_code
from streams.operators.page.page import PREFIX
from streams.operators.terminal import show, show_json
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Way:
    address: str
    code: str | None
    """None: it is none of the worker's own making."""
    asks_for: str


def page(settings: Settings, _: Sequence[DocumentType]) -> click.Command:
    """The command, for Faust's command line."""

    @click.command("page")
    @JSON
    def command(as_json: bool) -> None:
        """Print the address of the page of this machine's worker, and the access code that it has made for itself.

        Run it as the worker's account, with its WEB_PORT: the code stands in a file that nobody else can read. Where
        PAGE_TOKEN or PAGE_USER_HEADER is set there is no such code, and it says which of them counts.

        Exit codes: 0 printed; 1 no worker of this account has made a code here; 2 wrong usage or settings.
        """

        async def work() -> None:
            way = way_in(settings)
            if as_json:
                show_json({"address": way.address, "code": way.code, "asks_for": way.asks_for})
            else:
                show(way.address)
                show(f"access code: {way.code}" if way.code else f"asks for: {way.asks_for}")

        run(work())

    return command


def way_in(settings: Settings) -> Way:
    """Raises `Problem`."""
    address = f"http://{_host(settings.web_host)}:{settings.web_port}{PREFIX}"
    if settings.page_token is not None:
        return Way(address, None, "PAGE_TOKEN, as it is set")
    if settings.page_user_header is not None:
        return Way(address, None, "nothing, behind the proxies of PAGE_TRUSTED_PROXIES; open it there")
    file = code_file(settings)
    code = read_code(file)
    if code is None:
        raise Problem(
            f"the page: no code in {file}. Start the worker first, and run this as its account and with its WEB_PORT "
            "(in a container: in that container)."
        )
    return Way(address, code, "its own code")


def _host(bound: str) -> str:
    """An address to go to, for one to listen at."""
    try:
        address = ip_address(bound)
    except ValueError:
        return bound
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)
