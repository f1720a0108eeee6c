"""Tests that a reader of the broker gets new clients after any failure."""

from __future__ import annotations

import pytest

from streams.kafka.lag import LagMeter, Measured
from tests.contract.stores.databases import settings_for


async def test_a_failed_measurement_of_the_lag_closes_its_clients() -> None:
    """Promise 4. Broken by: after a measurement of the lag that failed the next one has the same broken clients."""

    class Failing(LagMeter):
        closed = 0

        async def _measure(self) -> Measured:
            raise KeyError

        async def close(self) -> None:
            self.closed += 1

    meter = Failing(settings_for(), {})
    with pytest.raises(KeyError):
        await meter.measure()
    assert meter.closed == 1
