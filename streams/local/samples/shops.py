"""The chain's shops and the accounts that log them in."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

from streams.local.samples.catalogue import FAMILY_NAMES, MEN, PHARMACIES, PROVINCES, WOMEN


class Account(TypedDict):
    """One log-in that the national system knows, as the simulator is told of it."""

    usr: str
    pwd: str
    shop: str
    """shop_pharmacy_code."""


class Trouble(StrEnum):
    """What is wrong with a shop's account, until it is mended."""

    UNKNOWN = "unknown"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a kind of trouble
    TWO_ACCOUNTS = "two_accounts"


@dataclass(frozen=True, slots=True)
class Shop:
    code: str
    """shop_pharmacy_code."""
    pharmacy_code: str
    name: str
    account: str
    password: str = field(repr=False)
    """The right one, whatever stands in the database."""
    sellers: tuple[str, ...]
    trouble: Trouble | None = None

    def as_account(self) -> Account:
        return {"usr": self.account, "pwd": self.password, "shop": self.code}


def make_shops(seed: int, count: int) -> list[Shop]:
    """`count` shops in order, and behind them one for each `Trouble`. The same for the same arguments."""
    troubles: list[Trouble | None] = [None] * count
    return [_shop(random.Random(f"shop {seed} {n}"), n, trouble) for n, trouble in enumerate([*troubles, *Trouble], 1)]


def full_name(rng: random.Random) -> str:
    middle, given = rng.choice((WOMEN, MEN))
    return f"{rng.choice(FAMILY_NAMES)} {rng.choice(middle)} {rng.choice(given)}"


def _shop(rng: random.Random, number: int, trouble: Trouble | None) -> Shop:
    province, place = PROVINCES[number % len(PROVINCES)]
    return Shop(
        code=f"SHOP-{number:02d}",
        pharmacy_code=f"{province}-{number:05d}",
        name=f"Nhà thuốc {PHARMACIES[number % len(PHARMACIES)]} – {place} {number}",
        account=f"nhathuoc{province}{number:04d}",
        password="".join(rng.choices(string.ascii_letters + string.digits, k=16)),
        sellers=tuple(f"DS. {full_name(rng)}" for _ in range(rng.randint(2, 4))),
        trouble=trouble,
    )
