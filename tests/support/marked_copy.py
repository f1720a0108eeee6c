"""Marks a sales database as a copy, as connectors/sql/70_mark_copy.sql does on SQL Server."""

from __future__ import annotations

from streams.stores.sales_db import SalesDb, Transaction

SIMULATOR = "http://127.0.0.1:8000"


async def mark_as_copy(owner: SalesDb, *api_urls: str, readable: bool = True) -> None:
    """`owner`: with the rights of the tables' owner. `readable`: whether every login may read the mark."""

    def mark(tx: Transaction) -> None:
        tx.execute("CREATE TABLE dbo.SaleSyncCopy (api_url VARCHAR(400) NOT NULL)")
        for url in api_urls:
            tx.execute("INSERT INTO dbo.SaleSyncCopy (api_url) VALUES (?)", [url])
        if readable and tx.dialect.catalogue.may is not None:
            tx.execute("GRANT SELECT ON dbo.SaleSyncCopy TO PUBLIC")

    await owner.transaction(mark)
