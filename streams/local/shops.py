"""The sample shops on a running stack: the national API knows their accounts, and learns when one is mended."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr

from streams.local.database import SalesDatabase
from streams.local.samples import REFUSED_DRUG_CODE, Account, Seller
from streams.local.simulator import accounts as national
from streams.local.simulator.control import Control, ask


def open_shops(database: SalesDatabase, simulator_url: str, *, seed: int = 1) -> Seller:
    """A seller whose shops can log in, those apart whose accounts are wrong on purpose. Close it."""
    seller = Seller(database, seed=seed)

    async def prepare(control: Control) -> None:
        await control.set_accounts(_known(seller.accounts))
        # Whoever sends a sale twice makes two of it, so that the ledger shows it.
        await control.change_behaviour(refused_drugs=[REFUSED_DRUG_CODE], second_create="another")

    ask(simulator_url, prepare)
    return seller


def mend_accounts(seller: Seller, simulator_url: str) -> list[str]:
    """Puts the wrong accounts right, on both sides. What was done, for a person."""
    mended = seller.mend()
    ask(simulator_url, lambda control: control.set_accounts(_known(mended.accounts)))
    return mended.words


def _known(accounts: Iterable[Account]) -> list[national.Account]:
    return [national.Account(usr=account["usr"], pwd=SecretStr(account["pwd"])) for account in accounts]
