"""``faust -A streams.app page``: prints the address of this worker's page, and the access code that it requires."""

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
class PageAccess:
    address: str
    code: str | None
    """The access code that the worker has generated; None: it uses another kind of authentication."""
    requires: str
    """What a visitor needs to sign in."""


def page(settings: Settings, _: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""

    @click.command("page")
    @JSON
    def command(as_json: bool) -> None:
        """Print the address of the page of this machine's worker, and the access code that the worker has generated.

        Run it with the worker's account and WEB_PORT: the code is in a file that nobody else can read. If PAGE_TOKEN or
        PAGE_USER_HEADER is set there is no such code, and the output names the setting that applies.

        Exit codes: 0 printed; 1 no worker of this account has generated a code here; 2 wrong usage or settings.
        """

        async def work() -> None:
            access = page_access(settings)
            if as_json:
                show_json({"address": access.address, "code": access.code, "requires": access.requires})
            else:
                show(access.address)
                show(f"access code: {access.code}" if access.code else f"requires: {access.requires}")

        run(work())

    return command


def page_access(settings: Settings) -> PageAccess:
    """Return how to open the page. Raises `Problem` if it requires a generated code that cannot be read."""
    address = f"http://{_host(settings.web_host)}:{settings.web_port}{PREFIX}"
    if settings.page_token is not None:
        return PageAccess(address, None, "the value of PAGE_TOKEN")
    if settings.page_user_header is not None:
        return PageAccess(address, None, "nothing: it is open only through the proxies of PAGE_TRUSTED_PROXIES")
    file = code_file(settings)
    code = read_code(file)
    if code is None:
        raise Problem(
            f"the page: no code in {file}. Start the worker first, and run this with its account and its WEB_PORT "
            "(in a container: in that container)."
        )
    return PageAccess(address, code, "the generated code")


def _host(bound: str) -> str:
    """Return the host to connect to, for the address that the worker listens at."""
    try:
        address = ip_address(bound)
    except ValueError:
        return bound
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)
