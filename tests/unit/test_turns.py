"""A place without waiting; all else about turns is tested through the window that drives them."""

from __future__ import annotations

from streams.turns import Ticket, Turns


def ticket(shop: str, sale: str) -> Ticket:
    return Ticket(order_key=sale, shop_name=shop, lane_name="new")


def test_whoever_comes_to_free_places_has_one_at_once() -> None:
    turns = Turns[Ticket](max_running=2, max_running_per_shop=1)
    assert turns.at_once(ticket("A", "1"))
    assert not turns.at_once(ticket("A", "2")), "its shop is full"
    assert not turns.at_once(ticket("B", "1")), "the same sale is in work"
    assert turns.at_once(ticket("B", "3"))
    assert not turns.at_once(ticket("C", "4")), "all places are taken"
    assert turns.running_per_shop == {"A": 1, "B": 1}


def test_nobody_overtakes_whoever_waits() -> None:
    turns = Turns[Ticket](max_running=1)
    first, second, third = ticket("A", "1"), ticket("B", "2"), ticket("C", "3")
    assert turns.at_once(first)
    turns.take_in(second)
    turns.release(first)
    assert not turns.at_once(third)
    assert turns.next() is second
    turns.take_in(third)
    turns.release(second)
    assert turns.next() is third
    turns.release(third)
    assert (turns.running, turns.waiting) == (0, 0)
