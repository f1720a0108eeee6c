"""Tests order, shares, timeout and revocation of the window, by example and in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.unit.virtual_time import in_virtual_time, settle
from tests.unit.window_bench import Bench

NEVER = 1_000.0


@in_virtual_time
async def test_events_are_acknowledged_in_the_order_of_delivery() -> None:
    """Promise 4. Broken by: an event is acknowledged as soon as it ends, past those before it that still run."""
    bench = Bench()
    await bench.deliver_all("abc")
    await bench.finish("c", "b")
    assert bench.acknowledged == []
    assert bench.window.finished_unacknowledged == 2
    await bench.finish("a")
    assert bench.acknowledged == ["a", "b", "c"]
    assert bench.idle
    assert bench.window.finished_total == 3


@in_virtual_time
async def test_partitions_do_not_wait_for_each_other() -> None:
    bench = Bench()
    await bench.deliver_all("a", partition="p")
    await bench.deliver_all("b", partition="q")
    await bench.finish("b")
    assert bench.acknowledged == ["b"]


@in_virtual_time
async def test_events_of_one_sale_run_one_at_a_time_across_partitions_and_lanes() -> None:
    bench = Bench()
    bench.deliver("first", "p", key="sale")
    bench.deliver("second", "q", key="sale", lane="due")
    bench.deliver("third", "p", key="sale")
    bench.deliver("other", "p", key="another sale")
    await settle()
    assert bench.started == ["first", "other"]
    await bench.finish("first")
    assert bench.started == ["first", "other", "second"]
    await bench.finish("second")
    assert bench.started == ["first", "other", "second", "third"]


@in_virtual_time
async def test_events_without_an_order_key_run_at_the_same_time() -> None:
    bench = Bench()
    await bench.deliver_all("abc", key=None)
    assert bench.running == set("abc")


@in_virtual_time
async def test_a_shop_at_its_limit_delays_no_other_shop() -> None:
    bench = Bench(max_running_per_shop=2)
    await bench.deliver_all("abcd", shop="A")
    await bench.deliver_all("x", shop="X")
    assert bench.running == set("abx")
    assert bench.window.running_per_shop == {"A": 2, "X": 1}
    assert bench.window.waiting == 2
    await bench.finish("b")
    assert bench.running == set("acx")


@in_virtual_time
async def test_a_lone_shop_may_burst_while_enough_places_are_free() -> None:
    bench = Bench(max_running=6, max_running_per_shop=1, burst_below=3)
    await bench.deliver_all("abcde", shop="A")
    assert bench.running == set("abc"), "whoever comes finds the other places free"
    await bench.deliver_all("xy", shop="X")
    assert bench.running == set("abcx"), "its own share, and nothing is left to lend"
    await bench.finish("a")
    assert bench.running == set("bcx")
    await bench.finish("b")
    assert bench.running == set("cxd")
    await bench.finish("c")
    assert bench.running == set("xdy"), "full shops take turns"


@in_virtual_time
async def test_shops_within_their_share_go_before_a_burst() -> None:
    bench = Bench(max_running=3, max_running_per_shop=1, burst_below=3)
    await bench.deliver_all("abc", shop="A")
    assert bench.running == set("abc")
    await bench.deliver_all("d", shop="A")
    await bench.deliver_all("x", shop="X")
    await bench.finish("a")
    assert bench.running == set("bcx")


@in_virtual_time
async def test_overdue_deliveries_get_no_burst() -> None:
    bench = Bench(max_running=9, max_running_per_shop=1, burst_below=3, start_timeout=5.0)
    await bench.deliver_all("abc", shop="A")
    await bench.deliver_all("x", shop="X")
    await bench.deliver_all("defg", shop="A")
    await asyncio.sleep(5.1)
    await settle()
    assert bench.overdue == ["d"], "those that are put off have a share as large as a shop's, and no larger"


@in_virtual_time
async def test_finished_work_frees_its_place_before_it_is_acknowledged() -> None:
    bench = Bench(max_running=2)
    await bench.deliver_all("abc")
    assert bench.running == set("ab")
    await bench.finish("b")  # finished, though not acknowledged
    assert bench.running == set("ac")
    assert bench.acknowledged == []


@in_virtual_time
async def test_intake_stops_when_too_much_waits_and_resumes_by_itself() -> None:
    bench = Bench(max_running=1, max_waiting=2, weights={"new": 1})
    await bench.deliver_all("abcd")
    assert [bench.admits[name].done() for name in "abcd"] == [True, True, True, False]
    assert bench.window.waiting == 2
    await bench.finish("a")
    assert bench.admits["d"].done()


@in_virtual_time
async def test_a_backlog_in_one_lane_does_not_block_the_other() -> None:
    bench = Bench(max_running=1, max_waiting=10)
    await bench.deliver_all("abcdefghijklm", partition="retry", lane="due")
    assert not bench.admits["m"].done()
    assert bench.deliver("sale", "change").done() is False
    await settle()
    assert bench.admits["sale"].done()
    await bench.finish("a")
    assert bench.started == ["a", "sale"]


@in_virtual_time
async def test_intake_stops_when_too_much_is_finished_behind_unfinished_work() -> None:
    bench = Bench(max_unacknowledged=2)
    await bench.deliver_all("abc")
    await bench.finish("b", "c")
    bench.deliver("d")
    await settle()
    assert not bench.admits["d"].done()
    await bench.finish("a")
    assert bench.admits["d"].done()
    assert bench.running == {"d"}


@in_virtual_time
async def test_an_event_without_work_needs_no_place_and_is_acknowledged_in_order() -> None:
    bench = Bench(max_running=1, max_waiting=2)
    await bench.deliver_all("abc")
    assert not bench.admits["c"].done(), "no place, and as many wait as may"
    await bench.deliver_all("x", nothing_to_do=True)
    assert bench.admits["x"].result()
    await bench.deliver_all("y", partition="q", nothing_to_do=True)
    assert bench.acknowledged == ["y"], "x stands behind a in its partition"
    await bench.finish("a")
    assert bench.acknowledged == ["y", "a"], "b was taken in before x"
    await bench.finish("b")
    assert bench.acknowledged == ["y", "a", "b", "x"]
    await bench.finish("c")
    assert bench.idle


@in_virtual_time
async def test_events_without_work_also_wait_when_too_much_is_unacknowledged() -> None:
    bench = Bench(max_unacknowledged=2)
    await bench.deliver_all("a")
    await bench.deliver_all("xyz", nothing_to_do=True)
    assert [bench.admits[name].done() for name in "xyz"] == [True, True, False]
    bench.window.revoke(["p"])
    await settle()
    assert not bench.admits["z"].result(), "it will be delivered again"
    await bench.finish("a")
    assert bench.acknowledged == []
    assert bench.idle


async def starts_of(bench: Bench, count: int) -> str:
    """Finish the running work one by one, and return the first letters of the names in the order of their starts."""
    while len(bench.started) < count:
        await bench.finish(min(bench.running))
    return "".join(name[0] for name in bench.started[:count])


@in_virtual_time
@pytest.mark.parametrize("shop", [None, "the only one"])
async def test_lanes_share_by_weight_while_both_have_work(shop: str | None) -> None:
    bench = Bench(max_running=1, max_waiting=200)
    for number in range(40):
        bench.deliver(f"new {number}", "change", shop=shop)
        bench.deliver(f"due {number}", "retry", shop=shop, lane="due")
    await settle()
    starts = await starts_of(bench, 41)
    for at in range(1, 41, 5):  # the first had no competition yet
        assert Counter(starts[at : at + 5]) == {"n": 4, "d": 1}


@in_virtual_time
async def test_lanes_share_the_places_of_one_busy_shop_by_weight() -> None:
    bench = Bench(max_running_per_shop=1, max_waiting=200, start_timeout=NEVER)
    for number in range(20):
        bench.deliver(f"due {number}", "retry", shop="A", lane="due")
        bench.deliver(f"new {number}", "change", shop="A")
    await settle()
    assert Counter((await starts_of(bench, 21))[1:]) == {"n": 16, "d": 4}


@in_virtual_time
async def test_an_idle_lane_gives_up_its_share_and_accumulates_no_credit() -> None:
    bench = Bench(max_running=1, max_waiting=200)
    for number in range(20):
        bench.deliver(f"due {number}", "retry", lane="due")
    await settle()
    assert await starts_of(bench, 12) == "d" * 12
    for number in range(8):
        bench.deliver(f"new {number}", "change")
    await settle()
    assert Counter((await starts_of(bench, 22))[12:]) == {"n": 8, "d": 2}


@in_virtual_time
async def test_shops_are_served_alternately() -> None:
    bench = Bench(max_running=1)
    for number in range(3):
        bench.deliver(f"a{number}", shop="A")
    for number in range(3):
        bench.deliver(f"b{number}", shop="B")
    await settle()
    assert await starts_of(bench, 6) == "aababb"  # the second place was given before B came


@in_virtual_time
async def test_a_delivery_that_its_shop_has_no_place_for_becomes_overdue_at_the_timeout() -> None:
    bench = Bench(max_running_per_shop=1, start_timeout=5.0)
    await bench.deliver_all("abc", shop="A")
    await asyncio.sleep(4.9)
    assert bench.overdue == []
    await asyncio.sleep(0.2)
    await settle()
    assert bench.overdue == ["b"]  # those that are put off have a share as large as a shop's, and no larger
    await bench.finish("b")
    assert bench.overdue == ["b", "c"]
    assert bench.window.running_per_shop == {"A": 1}
    await bench.finish("c", "a")
    assert bench.acknowledged == ["a", "b", "c"]
    assert bench.idle


@in_virtual_time
async def test_a_delivery_that_waits_for_any_place_does_not_become_overdue() -> None:
    bench = Bench(max_running=1, start_timeout=5.0)
    await bench.deliver_all("ab")
    await asyncio.sleep(60)
    await bench.finish("a")
    assert bench.running == {"b"}
    assert bench.overdue == []


@in_virtual_time
async def test_a_delivery_that_waits_for_its_own_sale_does_not_become_overdue() -> None:
    bench = Bench(max_running_per_shop=1, start_timeout=5.0)
    await bench.deliver_all("ab", key="sale", shop="A")
    await asyncio.sleep(60)
    assert bench.running == {"a"}
    await bench.finish("a")
    assert bench.running == {"b"}
    assert bench.overdue == []


@in_virtual_time
async def test_the_window_knows_the_age_of_the_oldest_unfinished_event() -> None:
    bench = Bench()
    await bench.deliver_all("a")
    await asyncio.sleep(3)
    await bench.deliver_all("b")
    await asyncio.sleep(4)
    assert bench.window.oldest_unfinished_age == pytest.approx(7)
    await bench.finish("a")
    assert bench.window.oldest_unfinished_age == pytest.approx(4)


@in_virtual_time
async def test_only_events_of_a_revoked_partition_get_no_acknowledgement() -> None:
    bench = Bench(max_running=3)
    await bench.deliver_all("ab", partition="p")
    await bench.deliver_all("x", partition="q")
    await bench.deliver_all("c", partition="p")
    await bench.finish("b")
    assert (bench.window.finished_unacknowledged, bench.running) == (1, set("acx"))
    await bench.deliver_all("d", partition="p")
    bench.window.revoke(["p", "never seen"])
    assert (bench.window.finished_unacknowledged, bench.window.waiting) == (0, 0)
    await bench.finish("a", "c", "x")
    assert bench.started == ["a", "b", "x", "c"]
    assert bench.acknowledged == ["x"]


@in_virtual_time
async def test_events_of_a_revoked_partition_that_had_not_started_leave_every_queue() -> None:
    bench = Bench(max_running_per_shop=1)
    bench.deliver("a", "p", key="sale", shop="A")
    bench.deliver("waits for its shop", "p", key="another", shop="A")
    bench.deliver("waits for its sale", "p", key="sale", shop="A")
    bench.deliver("waits for the forgotten sale", "q", key="another", shop="B")
    await settle()
    assert bench.started == ["a"]
    bench.window.revoke(["p"])
    await settle()
    assert bench.started == ["a", "waits for the forgotten sale"]
    await bench.finish("a", "waits for the forgotten sale")
    assert bench.acknowledged == ["waits for the forgotten sale"]
    assert bench.idle


@in_virtual_time
async def test_a_redelivered_event_waits_for_its_earlier_delivery_and_is_acknowledged_itself() -> None:
    bench = Bench()
    bench.deliver("old 5", offset=5, key="sale 5")
    bench.deliver("old 6", offset=6, key="sale 6")
    await settle()
    bench.window.revoke(["p"])
    bench.deliver("new 5", offset=5, key="sale 5")
    bench.deliver("new 6", offset=6, key="sale 6")
    await settle()
    assert bench.started == ["old 5", "old 6"]
    await bench.finish("old 6")
    assert bench.running == {"old 5", "new 6"}
    await bench.finish("new 6")
    assert bench.acknowledged == []
    await bench.finish("old 5")
    assert bench.acknowledged == []
    await bench.finish("new 5")
    assert bench.acknowledged == ["new 5", "new 6"]
    assert bench.idle


@in_virtual_time
async def test_a_delivery_not_yet_admitted_is_dropped_with_its_partition() -> None:
    bench = Bench(max_running=1, max_waiting=1, weights={"new": 1})
    await bench.deliver_all("ab", partition="p")
    await bench.deliver_all("c", partition="p")
    bench.window.revoke(["p"])
    await settle()
    assert bench.admits["c"].result() is False
    await bench.finish("a")
    assert bench.started == ["a"]
    assert bench.idle


@in_virtual_time
async def test_a_caller_that_is_cancelled_before_admission_leaves_nothing_behind() -> None:
    bench = Bench(max_running=1, max_waiting=1, weights={"new": 1})
    await bench.deliver_all("abc")
    bench.admits["c"].cancel()
    await settle()
    await bench.finish("a", "b")
    assert bench.started == ["a", "b"]
    assert bench.idle
