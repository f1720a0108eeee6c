"""Whose turn it is: the same sale one at a time, a share of the places per shop, lanes by weight.

    take_in ─▶ behind its sale ─▶ behind its shop ─▶ next() gives it a place ─▶ release()

Bookkeeping only, no tasks and no waiting: `streams.kafka.in_order_window` drives it. Every step costs the same, however
many wait: each stands in one ordered queue from which it can be taken out."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

DEFAULT_WEIGHTS: Mapping[str, int] = {"new": 4, "due": 1}


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """Something that waits its turn. Only `FairQueue` writes below the first three."""

    order_key: Hashable | None
    """One at a time; None: no order to keep."""
    shop_name: str | None
    """Whose share of the places is used. Those without a shop share one."""
    lane_name: str
    overdue: bool = False
    """Its shop stayed full until patience ran out; it has a place only to be put off."""
    queue: _Queue | None = None
    """Where it waits; None when it has a place, or has left."""
    shop: _Shop | None = None
    """Whose place it waits for or holds; None while it waits behind its sale."""
    times_out_at: float = 0.0

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
    """Those that could start something of this lane now, within their share. They take turns."""
    full_shops: OrderedDict[_Shop, None] = field(default_factory=OrderedDict)
    """Those that have something of this lane waiting and their whole share running."""


@dataclass(eq=False, slots=True)
class _Shop:
    name: str | None
    running: int = 0
    waiting: dict[_Lane, _Queue] = field(default_factory=dict)


class FairQueue(Generic[T]):
    """Up to max_running places, of which max_running_per_shop are one shop's share.

    lend_below: while fewer places than this are taken, and no shop within its share has anything waiting, a full shop
    gets another place: a lone shop's backlog need not be slow, and whoever comes finds places free. 0: never.
    max_waiting: who may wait, split over the lanes by weight, so that a backlog in one does not close the other.
    patience: seconds that a ticket waits for a full shop before it is overdue. Waiting for a place among all, or
    behind the same sale, does not count. Overdue tickets share max_running_per_shop places of their own, since
    their shop has none. weights: the lanes' shares while both could start something.
    """

    def __init__(
        self,
        *,
        max_running: int = 200,
        max_running_per_shop: int = 16,
        burst_below: int = 0,
        max_waiting: int = 2_000,
        patience: float = 5.0,
        weights: Mapping[str, int] = DEFAULT_WEIGHTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(max_running, max_running_per_shop, *weights.values()) < 1:
            raise ValueError("max_running, max_running_per_shop and each weight must be at least 1")
        if max_waiting < len(weights):
            raise ValueError(f"max_waiting is {max_waiting}: each of the {len(weights)} lanes needs room for one")
        self._max_running = max_running
        self._max_running_per_shop = max_running_per_shop
        self._lend_below = min(burst_below, max_running)
        self._patience = patience
        self._clock = clock
        spare, total = max_waiting - len(weights), sum(weights.values())
        self._lanes = {name: _Lane(w, max_waiting=1 + spare * w // total) for name, w in weights.items()}
        self._behind: dict[Hashable, _Queue] = {}  # sales in work or in a shop's queue, and who waits behind each
        self._shops: dict[str | None, _Shop] = {}  # those with something waiting or running
        self._putting_off = _Shop(None)
        self._patient: _Queue = OrderedDict()  # who waits for its shop, by patient_until
        self.running = 0

    @property
    def waiting(self) -> int:
        return sum(lane.waiting for lane in self._lanes.values())

    @property
    def running_per_shop(self) -> dict[str | None, int]:
        """Without what is only being put off."""
        return {name: shop.running for name, shop in self._shops.items() if shop.running}

    @property
    def times_out_at(self) -> float | None:
        """When `time_out` is next worth calling."""
        return next(iter(self._patient)).times_out_at if self._patient else None

    def has_room(self, lane_name: str) -> bool:
        lane = self._lanes[lane_name]
        return lane.waiting < lane.max_waiting

    def take_in(self, ticket: T) -> None:
        self._lanes[ticket.lane_name].waiting += 1
        key = ticket.order_key
        if key is not None and (behind := self._behind.get(key)) is not None:
            _stand_in(behind, ticket)
            return
        if key is not None:
            self._behind[key] = OrderedDict()
        self._wait_for_shop(ticket)

    def next(self) -> T | None:
        """Give a place to whoever's turn it is; None when nobody can start now."""
        if self.running >= self._max_running:
            return None
        if lane := self._next_of([lane for lane in self._lanes.values() if lane.shops]):
            shop, _ = lane.shops.popitem(last=False)  # _offer puts it back at the end
        elif self.running < self._lend_below and (
            lane := self._next_of([lane for lane in self._lanes.values() if lane.full_shops])
        ):
            shop, _ = lane.full_shops.popitem(last=False)
        else:
            return None
        ticket: T = next(iter(shop.waiting[lane]))  # type: ignore[assignment] # take_in lets in nothing else
        lane.waiting -= 1
        shop.running += 1
        self.running += 1
        self._leave_queue(ticket)
        return ticket

    def release(self, ticket: T) -> None:
        """Its work is over: the place is free, and so is its sale."""
        self.running -= 1
        if ticket.shop is not None:
            ticket.shop.running -= 1
            self._offer(ticket.shop)
        self._free_order_key(ticket)

    def drop(self, ticket: T) -> None:
        """It leaves without having had a place."""
        self._lanes[ticket.lane_name].waiting -= 1
        self._leave_queue(ticket)
        if ticket.shop is not None:
            self._free_order_key(ticket)

    def time_out(self) -> None:
        """Whoever's patience is over while its shop is full becomes overdue."""
        now = self._clock()
        while self._patient and (ticket := next(iter(self._patient))).times_out_at <= now:
            if ticket.shop is not None and ticket.shop.running >= self._max_running_per_shop:
                self._leave_queue(ticket)
                ticket.overdue = True
                self._wait_for_shop(ticket)
            else:  # all places are taken: that slows the intake; putting off would only add work
                ticket.times_out_at = now + self._patience
                self._patient.move_to_end(ticket)

    def _wait_for_shop(self, ticket: Ticket) -> None:
        name, lane = ticket.shop_name, self._lanes[ticket.lane_name]
        shop = self._putting_off if ticket.overdue else self._shops.setdefault(name, _Shop(name))
        ticket.shop = shop
        _stand_in(shop.waiting.setdefault(lane, OrderedDict()), ticket)
        if not ticket.overdue:
            ticket.times_out_at = self._clock() + self._patience
            self._patient[ticket] = None
        self._offer(shop)

    def _leave_queue(self, ticket: Ticket) -> None:
        if ticket.queue is not None:
            del ticket.queue[ticket]
            ticket.queue = None
        self._patient.pop(ticket, None)
        if ticket.shop is not None:
            self._offer(ticket.shop)

    def _free_order_key(self, ticket: Ticket) -> None:
        key = ticket.order_key
        if key is None:
            return
        if behind := self._behind[key]:
            following, _ = behind.popitem(last=False)
            self._wait_for_shop(following)
        else:
            del self._behind[key]

    def _offer(self, shop: _Shop) -> None:
        """Note in which lanes this shop could start something, now that its places or queues have changed."""
        is_full = shop.running >= self._max_running_per_shop
        for lane, queue in shop.waiting.items():
            _list(lane.shops, shop, bool(queue) and not is_full)
            _list(lane.full_shops, shop, bool(queue) and is_full and shop is not self._putting_off)
        if not shop.running and not any(shop.waiting.values()) and self._shops.get(shop.name) is shop:
            del self._shops[shop.name]

    def _next_of(self, ready: Sequence[_Lane]) -> _Lane | None:
        """By weight among those that could start something: smooth weighted round robin, as nginx has it.

        Credit moves only while lanes compete, so an idle lane's share goes to the other and is not saved up.
        """
        if not ready:
            return None
        for lane in ready:
            lane.credit += lane.weight
        chosen = max(ready, key=lambda lane: lane.credit)
        chosen.credit -= sum(lane.weight for lane in ready)
        return chosen


def _list(shops: OrderedDict[_Shop, None], shop: _Shop, belongs: bool) -> None:
    if belongs:
        shops.setdefault(shop)
    else:
        shops.pop(shop, None)


def _stand_in(queue: _Queue, ticket: Ticket) -> None:
    queue[ticket] = None
    ticket.queue = queue
