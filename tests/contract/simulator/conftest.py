from collections.abc import AsyncIterator

import httpx
import pytest

from streams.local.simulator.accounts import Accounts
from streams.local.simulator.api import NationalApi
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.control import Control
from streams.local.simulator.ledger import Ledger
from streams.local.simulator.server import serving
from tests.contract.simulator.shop import Shop, plain_http
from tests.support.moved_clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def url(clock: Clock) -> AsyncIterator[str]:
    """Run a simulator on a port of its own, without latency."""
    api = NationalApi(Accounts([], clock), Ledger(clock), clock, Behaviour(latency_ms=0))
    async with serving(api) as url:
        yield url


@pytest.fixture
async def control(url: str) -> AsyncIterator[Control]:
    async with Control(url) as control:
        await control.set_account("shop-1", "right")
        yield control


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with plain_http(url) as http:
        yield http


@pytest.fixture
async def shop(control: Control, http: httpx.AsyncClient) -> Shop:
    """Log in; `control` comes first, because it creates the account."""
    return await Shop(http).log_in()
