"""The control API's server side, `/_control/…`, JSON. `control.Control` is its client.

| method and path | body | answer |
| --- | --- | --- |
| PUT accounts | list of `Account` | |
| GET logins | | account → asked, granted |
| POST expire-tokens `?account=` | | how many |
| GET, PATCH behaviour | some settings | `Behaviour` |
| POST kinds | list of `Kind` | |
| GET, POST, DELETE rules `?id=` | `match`, `fault` | the rules; the new one's id |
| GET ledger `?code=`, standing `?code=`, summary | | |
| GET requests `?code=`, counts | | |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from streams.local.simulator import messages
from streams.local.simulator.api import NationalApi
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.messages import PREFIX


def add(app: web.Application, api: NationalApi) -> None:
    routes = _Routes(api)
    for method, name, handler in (
        ("PUT", "accounts", routes.put_accounts),
        ("GET", "logins", routes.logins),
        ("POST", "expire-tokens", routes.expire_tokens),
        ("GET", "behaviour", routes.behaviour),
        ("PATCH", "behaviour", routes.change_behaviour),
        ("POST", "kinds", routes.put_kinds),
        ("GET", "rules", routes.rules),
        ("POST", "rules", routes.add_rule),
        ("DELETE", "rules", routes.clear_rules),
        ("GET", "ledger", routes.ledger),
        ("GET", "standing", routes.standing),
        ("GET", "summary", routes.summary),
        ("GET", "requests", routes.requests),
        ("GET", "counts", routes.counts),
    ):
        app.router.add_route(method, f"{PREFIX}/{name}", _answering_422(handler))


_Handler = Callable[[web.Request], Awaitable[web.Response]]


def _answering_422(handler: _Handler) -> _Handler:
    """Make the handler answer a request that is not valid with 422 and what is wrong with it."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ValidationError as error:
            # Without the input: it may be a password.
            return web.Response(status=422, text=error.json(include_input=False, include_url=False))

    return handle


def _json(adapter: TypeAdapter[Any], value: Any) -> web.Response:
    return web.Response(body=adapter.dump_json(value), content_type="application/json")


def _nothing() -> web.Response:
    return web.Response(status=204)


class _Routes:
    def __init__(self, api: NationalApi) -> None:
        self._api = api

    async def put_accounts(self, request: web.Request) -> web.Response:
        self._api.accounts.put(messages.ACCOUNTS.validate_json(await request.read()))
        return _nothing()

    async def logins(self, _: web.Request) -> web.Response:
        return _json(messages.LOGINS, self._api.accounts.logins)

    async def expire_tokens(self, request: web.Request) -> web.Response:
        return _json(messages.NUMBER, self._api.accounts.expire_tokens(request.query.get("account")))

    async def behaviour(self, _: web.Request) -> web.Response:
        return web.Response(body=self._api.behaviour.model_dump_json().encode(), content_type="application/json")

    async def change_behaviour(self, request: web.Request) -> web.Response:
        changes = messages.CHANGES.validate_json(await request.read())
        self._api.behaviour = Behaviour.model_validate({**self._api.behaviour.model_dump(), **changes})
        return await self.behaviour(request)

    async def put_kinds(self, request: web.Request) -> web.Response:
        self._api.put_kinds(messages.KINDS.validate_json(await request.read()))
        return _nothing()

    async def rules(self, _: web.Request) -> web.Response:
        return _json(messages.RULES, self._api.faults.rules())

    async def add_rule(self, request: web.Request) -> web.Response:
        new = messages.NewRule.model_validate_json(await request.read())
        return _json(messages.NUMBER, self._api.faults.add(new.match, new.fault))

    async def clear_rules(self, request: web.Request) -> web.Response:
        rule_id = request.query.get("id")
        self._api.faults.clear(None if rule_id is None else messages.NUMBER.validate_strings(rule_id))
        return _nothing()

    async def ledger(self, request: web.Request) -> web.Response:
        return _json(messages.ENTRIES, self._api.ledger.entries(request.query.get("code")))

    async def standing(self, request: web.Request) -> web.Response:
        return _json(messages.STANDING, self._api.ledger.standing(request.query.get("code")))

    async def summary(self, _: web.Request) -> web.Response:
        return _json(messages.SUMMARY, self._api.ledger.summary())

    async def requests(self, request: web.Request) -> web.Response:
        return _json(messages.SEEN, self._api.seen.of(request.query.get("code")))

    async def counts(self, _: web.Request) -> web.Response:
        return _json(messages.COUNTS, self._api.seen.counts)
