"""The screens: what is looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from aiohttp import web

from streams.operators.desk.desk import Desk
from streams.operators.desk.figures import FinalCount, Now, waits_for
from streams.operators.desk.sale_card import OneSale
from streams.operators.desk.search import DocumentState
from streams.operators.page.chart import chart
from streams.operators.page.page import DOCUMENT_TYPE, Page, Starting
from streams.operators.page.query_cache import Unanswered
from streams.operators.page.request_params import REASONS, STATES, Filter, PageAction, after_of, id_of
from streams.operators.page.servers import parts
from streams.operators.page.texts import Translation
from streams.operators.page.timeline import timeline
from streams.stores.sales_db import StoreError

T = TypeVar("T")
U = TypeVar("U")

_HOURS_EVERY = 15.0
_LONGEST = 100


class Screens:
    def __init__(self, page: Page) -> None:
        self._page = page

    def add_to(self, routes: web.RouteTableDef) -> None:
        for place in self._page.places:
            routes.get(f"{place}/")(self.now)
            routes.get(f"{place}/failures")(self.failures)
            routes.get(f"{place}/waiting")(self.waiting)
            routes.get(f"{place}/shops")(self.shops)
            routes.get(f"{place}/sale")(self.find)
            routes.get(f"{place}/sale/{{id}}")(self.sale)

    async def now(self, request: web.Request) -> web.Response:
        page = self._page
        gate = page.sight.admission.gate
        say = Translation(page.language(request), request[DOCUMENT_TYPE])
        figures: tuple[Now, Sequence[FinalCount]] | None = None
        trouble = ""
        try:
            desk = self._desk(request)
            figures = await _both(
                self._ask(request, "now", desk.figures.now),
                self._ask(request, "hours", desk.figures.last_day, every=_HOURS_EVERY),
            )
        except Starting:
            trouble = "starting"
        except (StoreError, Unanswered):
            trouble = "database"
        now, hours = figures or (None, [])
        return page.render(
            request,
            "now.html",
            now=now,
            chart=chart(hours),
            trouble=trouble,
            parts=parts(
                page.sight,
                say,
                say.closed(gate.latest),
                await page.sight.connector() if page.sight.has_connector else None,
            ),
            now_ms=now.at_ms if now else int(time.time() * 1000),
            answering_for=page.sight.admission.answering_for if gate.is_open else None,
            capture_delay=page.sight.capture_delay(request[DOCUMENT_TYPE]),
        )

    async def failures(self, request: web.Request) -> web.Response:
        return await self._list(request, "again")

    async def waiting(self, request: web.Request) -> web.Response:
        return await self._list(request, "now")

    async def _list(self, request: web.Request, action: PageAction) -> web.Response:
        standing = STATES[action]
        sought = Filter.of(request.query)
        search, after = sought.search, after_of(request.query)
        desk = self._desk(request)
        found, counts = await _both(
            self._ask(request, (standing, search, after), lambda: desk.sales.page(standing, search, after=after)),
            self._ask(request, ("counts", standing, search), lambda: desk.sales.count(standing, search)),
        )
        return self._page.render(
            request,
            "list.html",
            action=action,
            standing=standing,
            filter=sought,
            day=search.day,
            after=after,
            found=found,
            total=sum(counts.values()),
            counts=by_reason(standing, counts),
            reasons=REASONS[standing],
            now_ms=int(time.time() * 1000),
        )

    async def shops(self, request: web.Request) -> web.Response:
        sought = request.query.get("q", "").replace("\0", "").strip()[:_LONGEST]
        after = request.query.get("after", "").replace("\0", "")[:_LONGEST]
        desk = self._desk(request)
        found = await self._ask(request, ("shops", sought, after), lambda: desk.shops.page(search=sought, after=after))
        return self._page.render(request, "shops.html", found=found, sought=sought, after=after)

    async def find(self, request: web.Request) -> web.Response:
        code = request.query.get("code", "").replace("\0", "").strip()[:_LONGEST]
        desk = self._desk(request)
        ids = await self._ask(request, ("find", code), lambda: desk.card.find(code)) if code else []
        if len(ids) == 1:
            raise web.HTTPSeeOther(f"{self._page.base(request[DOCUMENT_TYPE])}sale/{ids[0]}")
        if not ids:
            return self._page.sorry(request, "no_such", 404)
        found = [
            sale for id_ in ids[:20] if (sale := await self._ask(request, ("sale", id_), self._reading(desk, id_)))
        ]
        return self._page.render(request, "found.html", code=code, sales=found)

    async def sale(self, request: web.Request) -> web.Response:
        id_, desk = id_of(request.match_info["id"]), self._desk(request)
        sale = await self._ask(request, ("sale", id_), self._reading(desk, id_))
        if sale is None:
            return self._page.sorry(request, "no_such", 404)
        reason = sale.known.reason if sale.known else None
        return self._page.render(
            request,
            "sale.html",
            sale=sale,
            reason=waits_for(reason) if sale.status == "PENDING_SYNC" else reason,
            moments=timeline(sale),
            now_ms=int(time.time() * 1000),
        )

    def _reading(self, desk: Desk, id_: int) -> Callable[[], Awaitable[OneSale | None]]:
        return lambda: desk.card.read(id_)

    def _desk(self, request: web.Request) -> Desk:
        desk = self._page.sight.desk(request[DOCUMENT_TYPE])
        if desk is None:
            raise Starting
        return desk

    async def _ask(
        self, request: web.Request, key: Hashable, question: Callable[[], Awaitable[T]], *, every: float | None = None
    ) -> T:
        """A question that meets a till's lock is asked once more."""

        async def ask() -> T:
            try:
                return await question()
            except StoreError as error:
                if not error.is_lock:
                    raise
                return await question()

        return await self._page.shared.ask(
            (request[DOCUMENT_TYPE].name, key), ask, every=every, who=self._page.who(request)
        )


async def _both(one: Awaitable[T], other: Awaitable[U]) -> tuple[T, U]:
    """At once. Where one fails the other is awaited as well: the next to ask begins anew, and joins no old question."""
    asked = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await asyncio.gather(*asked, return_exceptions=True)
    return asked[0].result(), asked[1].result()


def by_reason(standing: DocumentState, counts: dict[str | None, int]) -> dict[str | None, int]:
    """The most first. What was asked for again waits for nothing yet."""
    found: dict[str | None, int] = {}
    for code, count in counts.items():
        why = waits_for(code) if standing == "PENDING_SYNC" else code
        found[why] = found.get(why, 0) + count
    return dict(sorted(found.items(), key=lambda each: -each[1]))
