"""The screens: figures, lists, shops and single sales."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from aiohttp import web

from streams.documents.document import DocumentType
from streams.domain.document_status import PENDING
from streams.domain.stored_particulars import read_particulars
from streams.operators.desk.desk import Desk
from streams.operators.desk.figures import CurrentFigures, FinalCount, waiting_reason
from streams.operators.desk.sale_card import SaleDetails
from streams.operators.desk.search import DocumentState
from streams.operators.page.chart import chart
from streams.operators.page.page import DOCUMENT_TYPE, Page, Starting
from streams.operators.page.query_cache import Unanswered
from streams.operators.page.request_params import MAX_LENGTH, REASONS, STATES, Filter, PageAction, after_of, id_of
from streams.operators.page.servers import parts
from streams.operators.page.texts import Translation
from streams.operators.page.timeline import timeline
from streams.operators.retry_on_lock import retry_on_lock
from streams.stores.sales_db import StoreError

T = TypeVar("T")
U = TypeVar("U")

_CHART_TTL = 15.0
"""Seconds for which the counts of the last 24 hours are reused."""
_MAX_FOUND = 20


class Screens:
    def __init__(self, page: Page) -> None:
        self._page = page

    def add_to(self, routes: web.RouteTableDef) -> None:
        for prefix in self._page.path_prefixes:
            routes.get(f"{prefix}/")(self.now)
            routes.get(f"{prefix}/failures")(self.failures)
            routes.get(f"{prefix}/waiting")(self.waiting)
            routes.get(f"{prefix}/changed")(self.changed)
            routes.get(f"{prefix}/shops")(self.shops)
            routes.get(f"{prefix}/sale")(self.find)
            routes.get(f"{prefix}/sale/{{id}}")(self.sale)

    async def now(self, request: web.Request) -> web.Response:
        """Show the present figures, the chart of the last 24 hours, and the state of the servers."""
        page = self._page
        gate = page.worker_view.admission.gate
        translation = Translation(page.language(request), request[DOCUMENT_TYPE])
        figures: tuple[CurrentFigures, Sequence[FinalCount]] | None = None
        problem = ""
        try:
            desk = self._desk(request)
            figures = await _both(
                self._query(request, "now", desk.figures.now),
                self._query(request, "hours", desk.figures.last_day, ttl=_CHART_TTL),
            )
        except Starting:
            problem = "starting"
        except (StoreError, Unanswered):
            problem = "database"
        now, hours = figures or (None, [])
        others = [] if problem else await self._others(request)
        return page.render(
            request,
            "now.html",
            now=now,
            others=others,
            chart=chart(hours),
            problem=problem,
            parts=parts(
                page.worker_view,
                translation,
                translation.closed(gate.latest),
                await page.worker_view.connector() if page.worker_view.has_connector else None,
                polled := page.worker_view.polled(request[DOCUMENT_TYPE]) if page.worker_view.polled else None,
            ),
            polled=polled,
            now_ms=now.at_ms if now else int(time.time() * 1000),
            answering_for=page.worker_view.admission.answering_for if gate.is_open else None,
            capture_delay=page.worker_view.capture_delay(request[DOCUMENT_TYPE]),
        )

    async def _others(self, request: web.Request) -> list[tuple[DocumentType, CurrentFigures]]:
        """Return the present figures of the other document types, without those that the database does not answer
        for."""
        found = []
        for document_type in self._page.document_types:
            desk = self._page.worker_view.desk(document_type)
            if document_type is request[DOCUMENT_TYPE] or desk is None:
                continue
            try:
                figures = await self._query(request, "now", desk.figures.now, document_type=document_type)
            except (StoreError, Unanswered):
                continue
            found.append((document_type, figures))
        return found

    async def failures(self, request: web.Request) -> web.Response:
        return await self._list(request, "again")

    async def waiting(self, request: web.Request) -> web.Response:
        return await self._list(request, "now")

    async def changed(self, request: web.Request) -> web.Response:
        return await self._list(request, "changed")

    async def _list(self, request: web.Request, action: PageAction) -> web.Response:
        status = STATES[action]
        filter_ = Filter.of(request.query)
        search, after = filter_.search, after_of(request.query)
        desk = self._desk(request)
        found, counts = await _both(
            self._query(request, (status, search, after), lambda: desk.sales.page(status, search, after=after)),
            self._query(request, ("counts", status, search), lambda: desk.sales.count(status, search)),
        )
        return self._page.render(
            request,
            "list.html",
            action=action,
            document_status=status,
            filter=filter_,
            day=search.day,
            after=after,
            found=found,
            total=sum(counts.values()),
            counts=by_reason(status, counts),
            reasons=REASONS[status],
            now_ms=int(time.time() * 1000),
        )

    async def shops(self, request: web.Request) -> web.Response:
        search = request.query.get("q", "").replace("\0", "").strip()[:MAX_LENGTH]
        after = request.query.get("after", "").replace("\0", "")[:MAX_LENGTH]
        desk = self._desk(request)
        found = await self._query(
            request, ("shops", search, after), lambda: desk.shops.page(search=search, after=after)
        )
        return self._page.render(request, "shops.html", found=found, search=search, after=after)

    async def find(self, request: web.Request) -> web.Response:
        """Redirect to the sale with the given code, or list the sales if several pharmacies have this code."""
        code = request.query.get("code", "").replace("\0", "").strip()[:MAX_LENGTH]
        desk = self._desk(request)
        ids = await self._query(request, ("find", code), lambda: desk.card.find(code)) if code else []
        if len(ids) == 1:
            raise web.HTTPSeeOther(f"{self._page.base(request[DOCUMENT_TYPE])}sale/{ids[0]}")
        if not ids:
            return self._page.error_page(request, "no_such", 404)
        found = [
            sale
            for id_ in ids[:_MAX_FOUND]
            if (sale := await self._query(request, ("sale", id_), self._reading(desk, id_)))
        ]
        return self._page.render(request, "found.html", code=code, sales=found)

    async def sale(self, request: web.Request) -> web.Response:
        id_, desk = id_of(request.match_info["id"]), self._desk(request)
        sale = await self._query(request, ("sale", id_), self._reading(desk, id_))
        if sale is None:
            return self._page.error_page(request, "no_such", 404)
        reason = sale.sync.reason if sale.sync else None
        reason = waiting_reason(reason) if sale.status in PENDING.values() else reason
        return self._page.render(
            request,
            "sale.html",
            sale=sale,
            reason=reason,
            particulars=read_particulars(sale.message, reason, request[DOCUMENT_TYPE].lines_field),
            moments=timeline(sale),
            now_ms=int(time.time() * 1000),
        )

    def _reading(self, desk: Desk, id_: int) -> Callable[[], Awaitable[SaleDetails | None]]:
        return lambda: desk.card.read(id_)

    def _desk(self, request: web.Request) -> Desk:
        desk = self._page.worker_view.desk(request[DOCUMENT_TYPE])
        if desk is None:
            raise Starting
        return desk

    async def _query(
        self,
        request: web.Request,
        key: Hashable,
        query: Callable[[], Awaitable[T]],
        *,
        ttl: float | None = None,
        document_type: DocumentType | None = None,
    ) -> T:
        """Return the result of `query`, which is repeated once if a point of sale keeps a row locked. It is about
        `document_type`, by default the one that the path names."""

        key = (document_type or request[DOCUMENT_TYPE]).name, key
        person = self._page.person_name(request)
        return await self._page.query_cache.get(key, lambda: retry_on_lock(query, attempts=2), ttl=ttl, person=person)


async def _both(one: Awaitable[T], other: Awaitable[U]) -> tuple[T, U]:
    """Run two queries concurrently, and wait for both even if one fails.

    Otherwise the next request would join the remaining query instead of starting a new one.
    """
    tasks = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await asyncio.gather(*tasks, return_exceptions=True)
    return tasks[0].result(), tasks[1].result()


def by_reason(status: DocumentState, counts: dict[str | None, int]) -> dict[str | None, int]:
    """Return counts by the reason to show, largest first; see `waiting_reason` for pending sales."""
    found: dict[str | None, int] = {}
    for code, count in counts.items():
        reason = waiting_reason(code) if status == "PENDING_SYNC" else code
        found[reason] = found.get(reason, 0) + count
    return dict(sorted(found.items(), key=lambda each: -each[1]))
