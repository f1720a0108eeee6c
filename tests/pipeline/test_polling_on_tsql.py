"""The whole pipeline without change data capture, on the T-SQL server that TEST_TSQL_DSN names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.local.stack import LocalStack
from tests.pipeline.pipeline import Pipeline
from tests.pipeline.test_polling import sell_over_a_cut_over
from tests.tsql_server import TsqlSales, TsqlServer


class TsqlStack(LocalStack):
    """The local stack, its sales database apart."""

    def __init__(self, state: Path, sales: TsqlSales) -> None:
        super().__init__(state, latency_ms=20, capture="polling")
        self.database = sales


@pytest.fixture
def stack(tsql_server: TsqlServer, tmp_path: Path) -> Iterator[LocalStack]:
    sales = TsqlSales(tsql_server, tsql_server.create())
    tsql_server.fill(sales.name)
    with TsqlStack(tmp_path / "stack", sales) as stack:
        yield stack


@pytest.fixture
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack, fault_share=0.3) as pipeline:
        yield pipeline


@pytest.mark.timeout(300)
async def test_sales_on_a_tsql_server_get_the_end_that_is_right_for_each(pipeline: Pipeline) -> None:
    await sell_over_a_cut_over(pipeline)
