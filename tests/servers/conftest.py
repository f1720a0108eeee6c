from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.local.real.stack import RealStack


@pytest.fixture
def real_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """One of the test's own."""
    with RealStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack
