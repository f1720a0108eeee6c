"""Polls during open transactions of a point of sale, on the T-SQL server that TEST_TSQL_DSN names.

SQL Server passes over locked rows where it is asked to (READPAST); a server with row versions reads the last committed
one. Neither may wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pyodbc
import pytest

from streams.documents.sale import SALE
from streams.stores.new_documents import NewDocuments
from streams.stores.sales_db import SalesDb
from tests.contract.stores.point_of_sale import PointOfSale
from tests.contract.stores.tsql_database import Tsql

pytestmark = pytest.mark.parametrize("database", ["tsql"], indirect=True)


@pytest.fixture
def slow(database: Tsql) -> Iterator[pyodbc.Connection]:
    """A connection whose transaction stays open."""
    with closing(database.connect()) as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


async def test_a_sale_that_is_committed_late_is_found_although_its_id_is_lower(
    db: SalesDb, point_of_sale: PointOfSale, slow: pyodbc.Connection
) -> None:
    documents = NewDocuments(db, SALE)
    slow.execute(
        "INSERT INTO dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, status, "
        "created_at, updated_at) VALUES (1, 'HD-1', '79-1', 'S', GETDATE(), 'PENDING_SYNC', GETDATE(), GETDATE())"
    )
    await point_of_sale.sell(2)
    assert (await documents.find(10, 0)).unseen == [2]
    announced, _ = await documents.announce([2], 45_000)
    assert [each.id for each in announced] == [2]
    slow.commit()
    assert (await documents.find(10, 0)).unseen == [1]


async def test_a_row_that_is_being_changed_delays_no_other(
    db: SalesDb, point_of_sale: PointOfSale, slow: pyodbc.Connection
) -> None:
    documents = NewDocuments(db, SALE)
    await point_of_sale.sell(1, 2)
    slow.execute("UPDATE dbo.SalesInvoices SET customer_name = 'x' WHERE id = 1")
    assert (await documents.find(10, 0)).unseen in ([2], [1, 2])
    slow.rollback()
    assert (await documents.find(10, 0)).unseen == [1, 2]


async def test_a_locked_state_row_delays_no_other_document(
    db: SalesDb, point_of_sale: PointOfSale, slow: pyodbc.Connection
) -> None:
    documents = NewDocuments(db, SALE)
    await point_of_sale.sell(1, 2)
    slow.execute("INSERT INTO dbo.SaleSync (document_type, id) VALUES ('sale', 1)")
    announced, error = await documents.announce([1, 2], 45_000)
    slow.rollback()
    assert [each.id for each in announced] == [2]
    assert error is not None
