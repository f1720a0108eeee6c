"""Tests that decisions of a backlog in Kafka are written back while the rest is sent."""

from __future__ import annotations

from streams.local.real.stack import RealStack
from tests.pipeline.pipeline import Pipeline

_SALES = 4000


async def test_a_backlog_is_written_back_while_it_goes_out(real_stack: RealStack) -> None:
    async with Pipeline(real_stack) as pipeline:
        pipeline.seller.sell(_SALES)
        pipeline.start_worker()
        await pipeline.until(lambda: "SYNC_SUCCESS" in pipeline.counts(), "the first ends", 60)
        accepted = (await pipeline.control.summary()).accepted
        assert accepted < _SALES / 2, "most of it is still to be sent"
        await pipeline.until_decided(120)
        assert pipeline.counts() == {"SYNC_SUCCESS": _SALES}
        assert (await pipeline.control.counts())["create"] == _SALES
