from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from streams.local.stack import LocalStack
from tests.pipeline.pipeline import Pipeline
from tests.tsql_server import TSQL

collect_ignore = [] if TSQL else ["test_polling_on_tsql.py"]


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


@pytest.fixture
async def pipeline(stack: LocalStack) -> AsyncIterator[Pipeline]:
    async with Pipeline(stack) as pipeline:
        yield pipeline
