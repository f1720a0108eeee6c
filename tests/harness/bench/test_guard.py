"""Tests in a short benchmark that the worker has not become much slower, compared with a bare client in the same
minute.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.real.stack import RealStack
from tests.harness.bench.measure import Effort, measure
from tests.harness.bench.peers import HttpxRoofline, Worker
from tests.harness.bench.results import OURS, Results
from tests.harness.bench.servers import Servers

_RECORDED = Path(__file__).parents[3] / "docs" / "benchmarks.json"
_LATENCY_MS = 50
_SALES = 6000


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with RealStack(tmp_path_factory.mktemp("guard")) as stack, Servers(stack) as servers:
        yield servers


@pytest.mark.timeout(240)
def test_the_worker_reaches_half_of_its_recorded_share_of_the_roofline(servers: Servers) -> None:
    recorded = Results.model_validate_json(_RECORDED.read_bytes())
    then = statistics.median(dict(recorded.ratios())[f"{OURS} / {HttpxRoofline.name} {_LATENCY_MS}ms"])
    effort = Effort(sales=_SALES, with_latency=False)
    worker = measure(servers, Worker(), _LATENCY_MS, effort)
    roofline = measure(servers, HttpxRoofline(), _LATENCY_MS, effort)
    assert not worker.problem
    assert not roofline.problem
    now = worker.sales_per_s / roofline.sales_per_s
    say = f"worker {worker.sales_per_s:.0f}/s, httpx roofline {roofline.sales_per_s:.0f}/s"
    sys.stderr.write(f"{say}: {now:.2f}, recorded {then:.2f}\n")
    assert now > then / 2, f"worker / httpx roofline is {now:.2f}, less than half of the recorded {then:.2f}"
