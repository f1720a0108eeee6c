from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.real.stack import RealStack


@pytest.fixture
def real_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """One of the test's own."""
    with RealStack(tmp_path_factory.mktemp("stack"), latency_ms=20) as stack:
        yield stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers start and settle within a test here: on a busy machine that takes its time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
