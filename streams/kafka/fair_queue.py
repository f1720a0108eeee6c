"""Decides which work starts next: one attempt at a time per sale, a share of the slots per shop, lanes by weight.

    enqueue ─▶ behind its sale ─▶ behind its shop ─▶ next() gives it a slot ─▶ release()

This is bookkeeping only, without tasks and without waiting; `streams.kafka.in_order_window` drives it. Every step takes
constant time however many tickets wait: each ticket is in one ordered queue from which it can be removed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

DEFAULT_WEIGHTS: Mapping[str, int] = {"new": 4, "due": 1}


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """A piece of work that waits for a slot. Only `FairQueue` writes the fields below `lane_name`."""

    order_key: Hashable | None
    """Tickets with the same key run one at a time. None: there is no order to keep."""
    shop_name: str | None
    """The shop whose share of the slots is used. Tickets without a shop share one."""
    lane_name: str
    overdue: bool = False
    """Its shop stayed full until the timeout: the ticket gets a slot only to be deferred."""
    queue: _Queue | None = None
    """The queue it waits in; None once it has a slot or has left."""
    shop: _Shop | None = None
    """The shop whose slot it waits for or holds; None while it waits behind its sale."""
    times_out_at: float = 0.0
    """When it becomes overdue, by the queue's clock."""

    @property
    def waiting(self) -> bool:
        return self.queue is not None


_Queue: TypeAlias = OrderedDict[Ticket, None]
T = TypeVar("T", bound=Ticket)


@dataclass(eq=False, slots=True)
class _Lane:
    weight: int
    max_waiting: int
    waiting: int = 0
    credit: int = 0
    shops: OrderedDict[_Shop, None] = field(default_factory=OrderedDict)
    """Shops that have work in this lane and are within their share. They take turns."""
    full_shops: OrderedDict[_Shop, None] = field(default_factory=OrderedDict)
    """Shops that have work in this lane and whose whole share is running."""


@dataclass(eq=False, slots=True)
class _Shop:
    name: str | None
    running: int = 0
    waiting: dict[_Lane, _Queue] = field(default_factory=dict)


class FairQueue(Generic[T]):
    """Hands out up to `max_running` slots, of which `max_running_per_shop` are one shop's share.

    burst_below: while fewer slots than this are taken, and no shop within its share has work waiting, a full shop gets
    another slot, so that a lone shop's backlog is not slow and newcomers still find free slots. 0: never.

    max_waiting: how many tickets may wait, divided among the lanes by weight, so that a backlog in one lane does not
    block the other.

    start_timeout: seconds that a ticket waits for a full shop before it is overdue. Waiting for any slot at all, or
    behind the same sale, does not count. Overdue tickets share `max_running_per_shop` slots of their own, since their
    shop has none free.

    weights: the shares of the lanes while both have work to start.
    """

    def __init__(
        self,
        *,
        max_running: int = 200,
        max_running_per_shop: int = 16,
        burst_below: int = 0,
        max_waiting: int = 2_000,
        start_timeout: float = 5.0,
        weights: Mapping[str, int] = DEFAULT_WEIGHTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(max_running, max_running_per_shop, *weights.values()) < 1:
            raise ValueError("max_running, max_running_per_shop and each weight must be at least 1")
        if max_waiting < len(weights):
            raise ValueError(f"max_waiting is {max_waiting}: each of the {len(weights)} lanes needs room for one")
        self._max_running = max_running
        self._max_running_per_shop = max_running_per_shop
        self._burst_below = min(burst_below, max_running)
        self._start_timeout = start_timeout
        self._clock = clock
        spare, total = max_waiting - len(weights), sum(weights.values())
        self._lanes = {name: _Lane(weight, max_waiting=1 + spare * weight // total) for name, weight in weights.items()}
        self._behind: dict[Hashable, _Queue] = {}
        """For each order key that runs or waits at its shop: the tickets that wait behind it."""
        self._shops: dict[str | None, _Shop] = {}
        """The shops with work waiting or running."""
        self._deferring = _Shop(None)
        self._timed: _Queue = OrderedDict()
        """The tickets that wait for their shop, ordered by `times_out_at`."""
        self.running = 0

    @property
    def waiting(self) -> int:
        """Tickets that are enqueued and have no slot yet."""
        return sum(lane.waiting for lane in self._lanes.values())

    @property
    def running_per_shop(self) -> dict[str | None, int]:
        """Running tickets by shop, without those that are only being deferred."""
        return {name: shop.running for name, shop in self._shops.items() if shop.running}

    @property
    def times_out_at(self) -> float | None:
        """When `time_out` is to be called next, by the clock; None: nothing can time out."""
        return next(iter(self._timed)).times_out_at if self._timed else None

    def has_room(self, lane_name: str) -> bool:
        """Return whether another ticket may be enqueued in this lane."""
        lane = self._lanes[lane_name]
        return lane.waiting < lane.max_waiting

    def enqueue(self, ticket: T) -> None:
        """Let `ticket` wait behind its sale, or at its shop. The caller has checked `has_room`."""
        self._lanes[ticket.lane_name].waiting += 1
        key = ticket.order_key
        if key is not None and (behind := self._behind.get(key)) is not None:
            _append(behind, ticket)
            return
        if key is not None:
            self._behind[key] = OrderedDict()
        self._enqueue_at_shop(ticket)

    def next(self) -> T | None:
        """Give a slot to the ticket whose turn it is and return it; None when no ticket can start now."""
        if self.running >= self._max_running:
            return None
        if lane := self._next_lane([lane for lane in self._lanes.values() if lane.shops]):
            shop, _ = lane.shops.popitem(last=False)  # _update_lanes puts it back at the end
        elif self.running < self._burst_below and (
            lane := self._next_lane([lane for lane in self._lanes.values() if lane.full_shops])
        ):
            shop, _ = lane.full_shops.popitem(last=False)
        else:
            return None
        ticket: T = next(iter(shop.waiting[lane]))  # type: ignore[assignment] # `enqueue` adds nothing else
        lane.waiting -= 1
        shop.running += 1
        self.running += 1
        self._leave_queue(ticket)
        return ticket

    def release(self, ticket: T) -> None:
        """Free the slot of `ticket`, whose work has ended, and let the next ticket of its sale wait at its shop."""
        self.running -= 1
        if ticket.shop is not None:
            ticket.shop.running -= 1
            self._update_lanes(ticket.shop)
        self._free_order_key(ticket)

    def drop(self, ticket: T) -> None:
        """Remove `ticket`, which has no slot."""
        self._lanes[ticket.lane_name].waiting -= 1
        self._leave_queue(ticket)
        if ticket.shop is not None:
            self._free_order_key(ticket)

    def time_out(self) -> None:
        """Mark the tickets as overdue that have timed out while their shop is full."""
        now = self._clock()
        while self._timed and (ticket := next(iter(self._timed))).times_out_at <= now:
            if ticket.shop is not None and ticket.shop.running >= self._max_running_per_shop:
                self._leave_queue(ticket)
                ticket.overdue = True
                self._enqueue_at_shop(ticket)
            else:  # all slots are taken: that slows the intake down; deferring would only add work
                ticket.times_out_at = now + self._start_timeout
                self._timed.move_to_end(ticket)

    def _enqueue_at_shop(self, ticket: Ticket) -> None:
        name, lane = ticket.shop_name, self._lanes[ticket.lane_name]
        shop = self._deferring if ticket.overdue else self._shops.setdefault(name, _Shop(name))
        ticket.shop = shop
        _append(shop.waiting.setdefault(lane, OrderedDict()), ticket)
        if not ticket.overdue:
            ticket.times_out_at = self._clock() + self._start_timeout
            self._timed[ticket] = None
        self._update_lanes(shop)

    def _leave_queue(self, ticket: Ticket) -> None:
        if ticket.queue is not None:
            del ticket.queue[ticket]
            ticket.queue = None
        self._timed.pop(ticket, None)
        if ticket.shop is not None:
            self._update_lanes(ticket.shop)

    def _free_order_key(self, ticket: Ticket) -> None:
        key = ticket.order_key
        if key is None:
            return
        if behind := self._behind[key]:
            following, _ = behind.popitem(last=False)
            self._enqueue_at_shop(following)
        else:
            del self._behind[key]

    def _update_lanes(self, shop: _Shop) -> None:
        """List `shop` in the lanes in which it could start work, now that its slots or queues have changed."""
        is_full = shop.running >= self._max_running_per_shop
        for lane, queue in shop.waiting.items():
            _set_listed(lane.shops, shop, bool(queue) and not is_full)
            _set_listed(lane.full_shops, shop, bool(queue) and is_full and shop is not self._deferring)
        if not shop.running and not any(shop.waiting.values()) and self._shops.get(shop.name) is shop:
            del self._shops[shop.name]

    def _next_lane(self, ready: Sequence[_Lane]) -> _Lane | None:
        """Choose a lane by weight among those with work to start: smooth weighted round robin, as in nginx.

        Credit changes only while lanes compete, so the share of an idle lane goes to the other and is not saved up.
        """
        if not ready:
            return None
        for lane in ready:
            lane.credit += lane.weight
        chosen = max(ready, key=lambda lane: lane.credit)
        chosen.credit -= sum(lane.weight for lane in ready)
        return chosen


def _set_listed(shops: OrderedDict[_Shop, None], shop: _Shop, belongs: bool) -> None:
    if belongs:
        shops.setdefault(shop)
    else:
        shops.pop(shop, None)


def _append(queue: _Queue, ticket: Ticket) -> None:
    queue[ticket] = None
    ticket.queue = queue
