"""What is done by people: signing in and out, and sending again or now, once it is confirmed."""

from __future__ import annotations

import asyncio

from aiohttp import web

from streams.operators.desk.action import MOST, BulkAction
from streams.operators.desk.desk import Desk
from streams.operators.page.page import DOCUMENT_TYPE, PERSON, PREFIX, SENT, Page, Starting
from streams.operators.page.query_cache import Busy
from streams.operators.page.request_params import STATES, Filter, PageAction, action_of, ids_of
from streams.operators.page.screens import by_reason

_DEEDS_AT_ONCE = 3
"""Each has a connection to the database while it lasts."""
LISTS = {"again": "failures", "now": "waiting"}


class Actions:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._at_work = 0

    def add_to(self, routes: web.RouteTableDef) -> None:
        routes.get("/sign-in")(self.to_first_screen)
        routes.post("/sign-in")(self.sign_in)
        routes.post("/sign-out")(self.sign_out)
        for place in self._page.places:
            routes.post(f"{place}/confirm")(self.confirm)
            routes.post(f"{place}/send")(self.send)

    async def to_first_screen(self, request: web.Request) -> web.Response:
        raise web.HTTPSeeOther(PREFIX)

    async def sign_in(self, request: web.Request) -> web.Response:
        name, token = (request[SENT].get(field, "") for field in ("name", "token"))
        access = self._page.access
        wait = access.has_to_wait(request)
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
        """How many it would be, for a person to say yes."""
        sent = request[SENT]
        action = action_of(sent)
        sought, ids = Filter.of(sent), ids_of(sent.getall("id", []))
        counts: dict[str | None, int] = {}
        if "all" in sent:
            search, day, acting = sought.search, sought.search.day, self._acting(request, action)
            # Counted anew for each who asks, and still not more at once than may be looked at.
            found = await self._page.shared.ask(
                object(), lambda: acting.count(search), every=0, who=self._page.who(request)
            )
            counts, total = by_reason(STATES[action], found), sum(found.values())
        else:
            total, day = len(set(ids)), None
        return self._page.render(
            request,
            "confirm.html",
            action=action,
            total=total,
            most=MOST,
            counts=counts,
            everything="all" in sent,
            ids=ids,
            filter=sought,
            day=day,
            back=self._list_of(request, action, sought),
        )

    async def send(self, request: web.Request) -> web.Response:
        sent = request[SENT]
        action = action_of(sent)
        sought, ids = Filter.of(sent), ids_of(sent.getall("id", []))
        person = request[PERSON]
        assert person is not None  # noqa: S101 - for the type checker; nobody else comes here
        acting = self._acting(request, action)
        if self._at_work >= _DEEDS_AT_ONCE:
            raise Busy
        self._at_work += 1
        try:
            if "all" in sent:
                report = await acting.all_that(sought.search, actor=person.name)
            else:
                report = await acting.these(ids, actor=person.name)
        finally:
            self._at_work -= 1
            self._page.shared.forget()
        why = {
            passed.why: [each for each in report.passed_over if each.why is passed.why] for passed in report.passed_over
        }
        return self._page.render(
            request, "report.html", action=action, report=report, why=why, back=self._list_of(request, action, sought)
        )

    def _acting(self, request: web.Request, action: PageAction) -> BulkAction:
        desk: Desk | None = self._page.sight.desk(request[DOCUMENT_TYPE])
        if desk is None:
            raise Starting
        return desk.again if action == "again" else desk.now

    def _list_of(self, request: web.Request, action: PageAction, sought: Filter) -> str:
        base = self._page.base(request[DOCUMENT_TYPE])
        return f"{base}{LISTS[action]}{sought.address() if sought.named else ''}"
