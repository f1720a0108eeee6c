"""The page's web application: who is let in, which language, and what every answer carries; `Screens` has the rest."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from multidict import MultiDictProxy

from streams.documents.document import DocumentType
from streams.operators.page.access import FORM, Access, Forbidden, Person
from streams.operators.page.form import UnreadableForm, read_form
from streams.operators.page.format import Format, pretty
from streams.operators.page.query_cache import Busy, QueryCache, Unanswered
from streams.operators.page.request_params import NotUnderstood
from streams.operators.page.texts import LANGUAGES, Language, Translation
from streams.operators.page.worker_view import WorkerView
from streams.settings import Settings
from streams.stores.sales_db import StoreError, UnreadableRow

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREFIX = "/page/"
DOCUMENT_TYPE = web.RequestKey("kind", DocumentType)
"""Which documents are looked at."""
PERSON: web.RequestKey[Person | None] = web.RequestKey("person", Person)
SENT: web.RequestKey[MultiDictProxy[str]] = web.RequestKey("sent", MultiDictProxy)
"""The fields of a form that came from a page of ours."""
FORM_VALUE = web.RequestKey("form_value", str)
_HERE = Path(__file__).parent
_LANGUAGE = "sales_language"
_YEAR = 365 * 86_400
_FORM_VALUE = re.compile("[A-Za-z0-9_-]{20,100}")
"""As `secrets` makes them. What else stands in the cookie is not put into a page."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without it no Origin comes with a form
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_MOST_STRANGERS = 20
"""A fifth of the connections that the web server has."""
_ONLY_TLS = f"max-age={_YEAR}"


class Starting(Exception):
    """The worker has no database yet, or no more."""


@cache
def _templates() -> Environment:
    """Once in a process, all of them: whoever comes first does not wait for it."""
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters["pretty"] = pretty
    for name in templates.list_templates():
        templates.get_template(name)
    return templates


class Page:
    """What all screens share."""

    def __init__(
        self,
        settings: Settings,
        document_types: Sequence[DocumentType],
        sight: WorkerView,
        *,
        access: Access | None = None,
        every: float = 2.0,
    ) -> None:
        """`every`: seconds for which an answer of the database is good for everybody."""
        self.settings = settings
        self.document_types = document_types
        self.sight = sight
        self.access = access or Access(settings)
        self.shared = QueryCache(every)
        self._strangers = 0
        self._templates = _templates()

    def application(self, routes: web.RouteTableDef) -> web.Application:
        """To be put below `PREFIX`."""
        app = web.Application(middlewares=[self._answer])
        app.on_startup.append(self._open)
        app.add_routes(routes)
        app.router.add_static("/static/", _HERE / "static")
        return app

    @property
    def places(self) -> Sequence[str]:
        """Where the screens stand below `PREFIX`: those of the first kind, and those of the others."""
        return ("", "/documents/{kind}") if len(self.document_types) > 1 else ("",)

    def document_type(self, request: web.Request) -> DocumentType:
        """The one that the address names. Raises `web.HTTPNotFound`."""
        name = request.match_info.get("kind")
        for document_type in self.document_types:
            if name is None or (document_type.name == name and document_type is not self.document_types[0]):
                return document_type
        raise web.HTTPNotFound

    def base(self, document_type: DocumentType) -> str:
        """What all addresses of its screens begin with."""
        return PREFIX if document_type is self.document_types[0] else f"{PREFIX}documents/{document_type.name}/"

    async def _open(self, _: web.Application) -> None:
        self.access.open()

    async def close(self) -> None:
        await self.shared.close()
        self.sight.close()

    def language(self, request: web.Request) -> Language:
        """The one that was chosen, else the browser's."""
        for language in LANGUAGES:
            if request.cookies.get(_LANGUAGE) == language:
                return language
        return "en" if request.headers.get("Accept-Language", "").lower().startswith("en") else "vi"

    def render(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        document_type = request.get(DOCUMENT_TYPE, self.document_types[0])
        base = self.base(document_type)
        say = Translation(self.language(request), document_type)
        person: Person | None = request.get(PERSON)
        text = self._templates.get_template(template).render(
            say=say,
            fmt=Format(say, self.settings.zone),
            person=person,
            form=request[FORM_VALUE],
            document_type=document_type,
            document_types=[(each, self.base(each)) for each in self.document_types],
            base=base,
            screen=request.path.removeprefix(base),
            other_language=request.rel_url.update_query(lang="en" if say.language == "vi" else "vi"),
            **values,
        )
        return web.Response(text=text, content_type="text/html", status=status)

    def sorry(self, request: web.Request, what: str, status: int, *, says: str | None = None) -> web.Response:
        """`what`, `says`: texts of `words.TEXTS`."""
        values = {"head": f"sorry_{what}", "says": says or f"sorry_{what}_says"}
        without_search = request.path if status == 400 and request.query_string else None
        return self.render(
            request, "sorry.html", status=status, keep_looking=status == 503, without_search=without_search, **values
        )

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(f"{PREFIX}static/"):
            response = await handler(request)
            response.headers.update(self._headers(request) | {"Cache-Control": "no-cache"})
            return response
        kept = request.cookies.get(FORM, "")
        request[FORM_VALUE] = kept if _FORM_VALUE.fullmatch(kept) else secrets.token_urlsafe()
        response = await self._guarded(request, handler)
        if not request.content.is_eof():  # what was not worth reading is not read afterwards either
            response.force_close()
        if request[FORM_VALUE] != kept:
            self.access.set_cookie(request, response, FORM, request[FORM_VALUE])
        response.headers.update(self._headers(request))
        return response

    def _headers(self, request: web.Request) -> dict[str, str]:
        return _HEADERS | ({"Strict-Transport-Security": _ONLY_TLS} if self.access.is_secure(request) else {})

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if (chosen := request.query.get("lang")) in LANGUAGES:
                return self._chosen(request, str(chosen))
            # Who asks, whence and for what: all of it from the headers. A body is read last, and only where it counts.
            request[PERSON] = self.access.who(request)
            if request.method == "POST":
                self.access.check_origin(request)
            if request[PERSON] is None and request.path != f"{PREFIX}sign-in":
                return self.ask_to_sign_in(request)
            if request.match_info.http_exception is not None:
                raise request.match_info.http_exception
            request[DOCUMENT_TYPE] = self.document_type(request)
            if request.method == "POST":
                return await self._take_form(request, handler)
            return await handler(request)
        except Forbidden as refusal:
            return self.sorry(request, str(refusal), 403)
        except NotUnderstood as refusal:
            return self.sorry(request, str(refusal), 400)
        except UnreadableForm as refusal:
            return self.sorry(request, "asked", refusal.status)
        except Starting:
            return self.sorry(request, "starting", 503)
        except Busy:
            return self._busy(request)
        except UnreadableRow:
            return self.sorry(request, "unreadable", 422)
        except (StoreError, Unanswered) as error:
            log.warning("page.unanswered", path=request.path, error=str(error) or type(error).__name__)
            says = "sorry_acting_says" if request.method == "POST" else None
            return self.sorry(request, "database", 503, says=says)
        except web.HTTPRedirection as elsewhere:
            return web.Response(status=elsewhere.status, headers={"Location": elsewhere.headers["Location"]})
        except web.HTTPException as refusal:
            return self.sorry(request, "lost" if refusal.status == 404 else "asked", refusal.status)
        except Exception as error:
            # Its text and its frames may hold a customer's name.
            log.error("page.failed", path=request.path, error=type(error).__name__)
            return self.sorry(request, "mistake", 500)

    async def _take_form(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Of those who are nobody yet there are only so many at a time: each may take its time with what it sends."""
        strangers = int(request[PERSON] is None)
        if strangers and self._strangers >= _MOST_STRANGERS:
            raise Busy
        self._strangers += strangers
        try:
            request[SENT] = await read_form(request)
            self.access.check_form(request, request[SENT].get("form", ""))
            return await handler(request)
        finally:
            self._strangers -= strangers

    def who(self, request: web.Request) -> str:
        """By name; for those places that each has."""
        person = request[PERSON]
        return person.name if person else ""

    def _busy(self, request: web.Request) -> web.Response:
        response = self.sorry(request, "busy", 503)
        response.headers["Retry-After"] = "2"
        return response

    def ask_to_sign_in(
        self, request: web.Request, *, wrong: str | None = None, name: str = "", status: int = 401
    ) -> web.Response:
        """`wrong`: a text of `words.TEXTS`."""
        says = "token_says_own" if self.access.makes_its_code else "token_says"
        return self.render(request, "sign_in.html", status=status, wrong=wrong, name=name, says=says)

    def _chosen(self, request: web.Request, language: str) -> web.Response:
        response = web.Response(status=303, headers={"Location": str(request.rel_url.without_query_params("lang"))})
        self.access.set_cookie(request, response, _LANGUAGE, language, life=_YEAR)
        return response
