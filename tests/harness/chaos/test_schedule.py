"""Tests that the plan of faults is repeatable from its seed, complete, and never beyond what is promised."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.chaos.faults import DONE
from tests.harness.chaos.schedule import AT_ONCE, KINDS, LATEST, LEASE_GRACE, Fault, plan

KIND = {kind.name: kind for kind in KINDS}
seeds = st.integers(0, 2**32)
spans = st.floats(0, 300)


def in_force(faults: list[Fault], at: float) -> list[Fault]:
    return [fault for fault in faults if fault.at <= at < fault.until]


@given(seeds, spans)
def test_the_same_seed_gives_the_same_plan(seed: int, seconds: float) -> None:
    first = plan(seed, seconds)
    random.random()  # somebody else's draws change nothing
    assert plan(seed, seconds) == first


def test_another_seed_gives_another_plan() -> None:
    assert len({str(plan(seed, 60)) for seed in range(50)}) == 50


@given(seeds, spans)
def test_all_faults_are_in_order_and_end_in_time(seed: int, seconds: float) -> None:
    faults = plan(seed, seconds)
    assert all(earlier.at <= later.at for earlier, later in pairwise(faults))
    for fault in faults:
        shortest, longest = KIND[fault.kind].seconds
        assert fault.at >= 0
        assert fault.until <= seconds + 1e-6
        assert shortest <= fault.seconds <= longest


@given(seeds, spans)
def test_few_faults_run_at_once_and_one_at_each_target(seed: int, seconds: float) -> None:
    faults = plan(seed, seconds)
    for fault in faults:
        together = in_force(faults, fault.at)
        assert len(together) <= AT_ONCE
        targets = [KIND[each.kind].target for each in together]
        assert len(targets) == len(set(targets))


@given(seeds, spans)
def test_nothing_is_accepted_later_than_the_lease_allows(seed: int, seconds: float) -> None:
    faults = plan(seed, seconds)
    for fault in faults:
        assert sum(KIND[each.kind].latest for each in in_force(faults, fault.at)) <= LATEST < LEASE_GRACE


@given(seeds)
def test_parameters_of_faults_are_within_their_ranges(seed: int) -> None:
    for fault in plan(seed, 60):
        drawn = KIND[fault.kind].drawn
        assert fault.parameters.keys() == drawn.keys()
        for name, value in fault.parameters.items():
            assert drawn[name][0] <= value <= drawn[name][1]


@settings(max_examples=20)
@given(seeds)
def test_every_sort_of_fault_comes_before_any_is_repeated(seed: int) -> None:
    names = [fault.kind for fault in plan(seed, 300)]
    assert set(names[: len(KINDS)]) == KIND.keys()


def test_exactly_the_planned_sorts_of_faults_are_implemented() -> None:
    assert KIND.keys() == DONE.keys()
    assert len(KIND) == len(KINDS) >= 75
    readme = Path(__file__).parents[3] / "README.md"
    assert f"{len(KINDS)} kinds of trouble" in readme.read_text(encoding="utf-8").replace("\n", " ")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_one_sort_of_fault_alone_can_be_planned(kind: object) -> None:
    [chosen] = [each for each in KINDS if each is kind]
    assert {fault.kind for fault in plan(1, 30, [chosen])} == {chosen.name}
