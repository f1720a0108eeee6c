"""The mark of a copy of the sales database: the table `dbo.SaleSyncCopy`, which production does not have.

connectors/sql/70_mark_copy.sql creates it in a restored copy, and overwrites the shops' accounts there.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.stores.sales_db import SalesDb, StoreError, StoreUnavailable, Transaction

MARK = "SaleSyncCopy"
ACCOUNT = "rehearsal"
"""The name and password of every account in a copy."""


@dataclass(frozen=True, slots=True)
class CopyMark:
    api_urls: tuple[str, ...]
    """The only addresses to which the documents of this copy may be sent. Empty also if the mark cannot be read."""


async def read_copy_mark(db: SalesDb) -> CopyMark | None:
    """Return the mark; None: the database is not a copy.

    A mark that cannot be read, for want of a right or of its column, still is one. Raises `StoreUnavailable`.
    """
    absent = await db.transaction(lambda tx: tx.dialect.missing_table)

    def read(tx: Transaction) -> CopyMark:
        return CopyMark(tuple(_address(str(url)) for (url,) in tx.rows(_READ)))

    try:
        return await db.transaction(read)
    except StoreUnavailable:
        raise
    except StoreError as error:
        return None if absent & {error.state, error.native} else CopyMark(())


async def real_accounts(db: SalesDb) -> int:
    """Return how many rows of `dbo.AccountShop` are not overwritten. Raises `StoreError`."""
    rows = await db.transaction(lambda tx: tx.rows(_REAL_ACCOUNTS, [ACCOUNT, ACCOUNT]))
    return int(rows[0][0])


def _address(url: str) -> str:
    return url.strip().rstrip("/").lower()


# name: the mark of a copy
_READ = "SELECT c.api_url FROM dbo.SaleSyncCopy c"
# name: how many accounts are not overwritten
_REAL_ACCOUNTS = "SELECT COUNT(*) FROM dbo.AccountShop a WHERE a.account <> ? OR a.password <> ?"
