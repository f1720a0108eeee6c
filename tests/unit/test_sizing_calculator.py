"""Tests the sizing calculator and that the settings it prints exist."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from streams.operators.commands import sizing
from streams.settings import Settings


def planned(sales_per_day: int, latency_s: float = 0.2, *, spare: int = 1) -> sizing.SizingPlan:
    return sizing.plan(sales_per_day, latency_s, peak=4, outage_h=8, per_shop=16, spare=spare)


def test_a_small_chain_gets_the_smallest_plan() -> None:
    plan = planned(20_000)
    assert (plan.workers, plan.partitions, plan.max_in_flight) == (2, 8, 50)


def test_all_pharmacies_of_a_country_get_more_workers_and_partitions() -> None:
    plan = planned(60_000 * 200)
    assert plan.peak_per_s == pytest.approx(555.6, abs=0.1)
    assert planned(4 * 60_000 * 200).workers > plan.workers
    assert plan.partitions >= 4 * plan.workers


@pytest.mark.parametrize("latency_s", [0.05, 0.2, 2.0])
def test_the_plan_carries_the_peak_at_twice_the_latency(latency_s: float) -> None:
    plan = planned(5_000_000, latency_s)
    busy = plan.workers - 1
    assert busy * plan.max_in_flight / (2 * latency_s + sizing.OWN_LATENCY_S) >= plan.peak_per_s


def test_catching_up_takes_longer_after_a_longer_outage_and_always_ends() -> None:
    short, long = (
        sizing.plan(1_000_000, 0.2, peak=4, outage_h=hours, per_shop=16, spare=1).catch_up_s for hours in (1, 10)
    )
    assert 0 < short < long < 10 * 3600


def test_the_plan_names_only_existing_settings() -> None:
    assert {name.lower() for name in planned(1).settings()} <= Settings.model_fields.keys()


def test_the_calculator_prints_the_settings_of_the_plan() -> None:
    said = CliRunner().invoke(sizing.main, ["--sales-per-day", "200000"])
    assert said.exit_code == 0
    assert "TOPIC_PARTITIONS=8" in said.output
    assert "caught up in" in said.output
