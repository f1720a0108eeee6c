"""Tests what `make bench` calculates and writes, without measuring anything."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.local.processes import NotReady, Process
from tests.harness.bench import report
from tests.harness.bench.peers import keep_to_one
from tests.harness.bench.results import Machine, Results, Row, say
from tests.harness.bench.servers import all_accepted, steady_per_s
from tests.harness.bench.soak import line_through

MACHINE = Machine(
    cpu="a processor",
    cores=2,
    memory_gb=8,
    kernel="Linux",
    python="3.11",
    packages={"httpx": "0.28.1"},
    load_before=0.1,
    measured_on="2026-01-01",
)


_SAYS_WHERE_ITS_THREADS_RUN = """
import json, os, sys, threading, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
say = lambda: print(json.dumps({"processors": sorted(os.sched_getaffinity(0))}), flush=True)
thread = threading.Thread(target=say)
thread.start()
thread.join()
"""


def row(peer: str, per_s: float, problem: str = "") -> Row:
    return Row(
        peer=peer,
        latency_ms=50,
        sales=10_000,
        sales_per_s=per_s,
        cpu_us_per_sale=900,
        peak_rss_mb=80,
        problem=problem,
    )


def results(*rows: Row) -> Results:
    return Results(machine=MACHINE, concurrency=400, quick=False, rows=list(rows))


def test_the_steady_rate_leaves_out_the_start_and_the_end_of_a_run() -> None:
    steady = [10 + n / 50 for n in range(80)]  # 50 a second
    slow_start, slow_end = [float(n) for n in range(10)], [20.0 + n for n in range(10)]
    assert steady_per_s([*slow_start, *steady, *slow_end]) == pytest.approx(50, rel=0.15)


@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_peer_and_its_threads_run_on_one_usable_processor(tmp_path: Path, number: int) -> None:
    go = tmp_path / "go"
    process = Process("peer", [sys.executable, "-c", _SAYS_WHERE_ITS_THREADS_RUN, go], log=tmp_path / "log")
    try:
        keep_to_one(process, number)
        go.touch()
        usable = sorted(os.sched_getaffinity(0))
        assert process.announced("processors") == [usable[number % len(usable)]]
    finally:
        process.kill()


def test_a_handful_of_sales_is_refused_as_a_measurement() -> None:
    with pytest.raises(NotReady, match="only 3"):
        steady_per_s([1.0, 2.0, 3.0])


def test_a_missing_or_duplicate_sale_is_reported() -> None:
    assert all_accepted([1.0, 2.0], 2) == ""
    assert all_accepted([1.0], 2) == "1 of 2 sales accepted"
    assert all_accepted([1.0, 1.0, 2.0], 2) == "3 of 2 sales accepted"


def test_a_fitted_line_has_the_slope_and_the_error_of_its_points() -> None:
    x = [float(n) for n in range(100)]
    straight = line_through(x, [3 + 0.5 * n for n in x])
    assert (straight.slope, straight.error, straight.deviation) == pytest.approx((0.5, 0, 0), abs=1e-9)
    rough = line_through(x, [3 + 0.5 * n + (-1) ** int(n) for n in x])
    assert rough.slope == pytest.approx(0.5, abs=0.01)
    assert rough.deviation == pytest.approx(1, abs=0.01)
    # Of 10 independent looks, evenly spread, each 1 off: 1 / sqrt(8) of what one of them would be off at the ends.
    assert rough.error == pytest.approx((100 / 83_325 / 8) ** 0.5, rel=0.01)


def test_the_worker_is_compared_with_every_peer() -> None:
    assert results(row("worker", 300), row("celery", 30), row("plain faust", 400)).ratios() == [
        ("worker / celery 50ms", [10]),
        ("worker / plain faust 50ms", [0.75]),
    ]


def test_the_worker_without_stand_ins_is_compared_only_with_bare_clients() -> None:
    rows = (row("worker", 300), row("worker, stand-ins out", 450), row("celery", 30), row("httpx roofline", 600))
    assert results(*rows).ratios() == [
        ("worker / celery 50ms", [10]),
        ("worker / httpx roofline 50ms", [0.5]),
        ("worker, stand-ins out / httpx roofline 50ms", [0.75]),
    ]


def test_each_round_is_compared_within_itself() -> None:
    first, second = (row("worker", 300), row("httpx roofline", 600)), (row("worker", 200), row("httpx roofline", 500))
    several = results(*first, row("celery", 30), *second)
    assert [say(ratio) for ratio in several.ratios()] == [
        "worker / httpx roofline 50ms: 0.45  (0.50, 0.40)",
        "worker / celery 50ms: 10.00",
    ]


def test_a_run_of_about_a_second_is_reported_as_doubtful() -> None:
    assert results(row("worker", 300), row("aiohttp roofline", 9000)).doubts == [
        "aiohttp roofline at 50 ms: its run was over in 1.1 s"
    ]


def test_the_report_writes_the_page_and_its_plot(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(results(row("worker", 300), row("celery", 30)).model_dump_json())
    written = CliRunner().invoke(report.main, [str(file), "--folder", str(tmp_path)])
    assert written.exit_code == 0, written.output
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| worker | 50 ms | 10000 | 300.0 |" in page
    assert "worker / celery 50ms: 10.00" in page
    bars = ET.fromstring((tmp_path / "benchmarks.svg").read_text()).iter("{http://www.w3.org/2000/svg}rect")  # noqa: S314
    assert [bar.get("width") for bar in bars] == ["100%", "420.0", "42.0"]


def test_the_report_refuses_doubtful_figures_or_marks_them(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(results(row("worker", 300, problem="99 of 10000 sales accepted")).model_dump_json())
    refused = CliRunner().invoke(report.main, [str(file), "--folder", str(tmp_path)])
    assert refused.exit_code == 1
    assert not (tmp_path / "benchmarks.md").exists()
    CliRunner().invoke(report.main, [str(file), "--folder", str(tmp_path), "--anyway"])
    assert "**Not to be relied upon:** worker at 50 ms: 99 of 10000" in (tmp_path / "benchmarks.md").read_text()
