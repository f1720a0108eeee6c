"""The actions of visitors: signing in and out, and, after a confirmation, sending again or now, and withdrawing."""

from __future__ import annotations

import asyncio

from aiohttp import web

from streams.operators.desk.action import MAX_SALES, BulkAction
from streams.operators.desk.desk import Desk
from streams.operators.page.page import DOCUMENT_TYPE, FORM_FIELDS, PERSON, PREFIX, Page, Starting
from streams.operators.page.query_cache import Busy
from streams.operators.page.request_params import STATES, Filter, PageAction, action_of, ids_of
from streams.operators.page.screens import by_reason

_MAX_CONCURRENT_ACTIONS = 3
"""Each action has a connection to the database while it runs."""
_LISTS = {"again": "failures", "now": "waiting", "changed": "changed", "withdraw": ""}


class Actions:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._running = 0

    def add_to(self, routes: web.RouteTableDef) -> None:
        routes.get("/sign-in")(self.to_first_screen)
        routes.post("/sign-in")(self.sign_in)
        routes.post("/sign-out")(self.sign_out)
        for prefix in self._page.path_prefixes:
            routes.post(f"{prefix}/confirm")(self.confirm)
            routes.post(f"{prefix}/send")(self.send)

    async def to_first_screen(self, request: web.Request) -> web.Response:
        raise web.HTTPSeeOther(PREFIX)

    async def sign_in(self, request: web.Request) -> web.Response:
        name, token = (request[FORM_FIELDS].get(field, "") for field in ("name", "token"))
        access = self._page.access
        wait = access.sign_in_delay(request)
        if wait is None:
            response = self._page.ask_to_sign_in(request, wrong="too_many", name=name, status=429)
            response.headers["Retry-After"] = "10"
            return response
        await asyncio.sleep(wait)
        if wrong := access.sign_in(request, name, token):
            return self._page.ask_to_sign_in(request, wrong=wrong, name=name, status=403)
        response = web.Response(status=303, headers={"Location": PREFIX})
        access.open_session(request, response, name)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": PREFIX})
        self._page.access.close_session(request, response)
        return response

    async def confirm(self, request: web.Request) -> web.Response:
        """Show how many sales the action would change, for the visitor to confirm."""
        fields = request[FORM_FIELDS]
        action = action_of(fields)
        filter_, ids = Filter.of(fields), ids_of(fields.getall("id", []))
        counts: dict[str | None, int] = {}
        if "all" in fields:
            search, day, bulk_action = filter_.search, filter_.search.day, self._bulk_action(request, action)
            # The key is unique, so that the count is not cached; the limits on concurrent queries still apply.
            found = await self._page.query_cache.get(
                object(), lambda: bulk_action.count(search), ttl=0, person=self._page.person_name(request)
            )
            counts, total = by_reason(STATES[action], found), sum(found.values())
        else:
            total, day = len(set(ids)), None
        return self._page.render(
            request,
            "confirm.html",
            action=action,
            total=total,
            most=MAX_SALES,
            counts=counts,
            everything="all" in fields,
            ids=ids,
            filter=filter_,
            day=day,
            back=self._list_address(request, action, filter_),
        )

    async def send(self, request: web.Request) -> web.Response:
        """Run the confirmed action, and show its report."""
        fields = request[FORM_FIELDS]
        action = action_of(fields)
        filter_, ids = Filter.of(fields), ids_of(fields.getall("id", []))
        person = request[PERSON]
        assert person is not None  # noqa: S101 - for the type checker; `Page` rejects everybody else
        bulk_action = self._bulk_action(request, action)
        if self._running >= _MAX_CONCURRENT_ACTIONS:
            raise Busy
        self._running += 1
        try:
            if "all" in fields:
                report = await bulk_action.apply_to_search(filter_.search, actor=person.name)
            else:
                report = await bulk_action.apply_to_ids(ids, actor=person.name)
        finally:
            self._running -= 1
            self._page.query_cache.clear()
        why = {
            passed.why: [each for each in report.passed_over if each.why is passed.why] for passed in report.passed_over
        }
        return self._page.render(
            request,
            "report.html",
            action=action,
            report=report,
            why=why,
            back=self._list_address(request, action, filter_),
        )

    def _bulk_action(self, request: web.Request, action: PageAction) -> BulkAction:
        desk: Desk | None = self._page.worker_view.desk(request[DOCUMENT_TYPE])
        if desk is None:
            raise Starting
        match action:
            case "again":
                return desk.again
            case "now":
                return desk.now
            case "changed":
                return desk.changed
            case "withdraw":
                return desk.withdraw

    def _list_address(self, request: web.Request, action: PageAction, filter_: Filter) -> str:
        base = self._page.base(request[DOCUMENT_TYPE])
        return f"{base}{_LISTS[action]}{filter_.address() if filter_.named else ''}"
