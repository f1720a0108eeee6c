"""The page's web application: authentication, language, headers and errors.

The handlers are in `Screens` and `Actions`.
"""

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
DOCUMENT_TYPE = web.RequestKey("document_type", DocumentType)
"""The document type that the request is about."""
PERSON: web.RequestKey[Person | None] = web.RequestKey("person", Person)
FORM_FIELDS: web.RequestKey[MultiDictProxy[str]] = web.RequestKey("form_fields", MultiDictProxy)
"""The fields of a form that was verified to come from our own page."""
FORM_VALUE = web.RequestKey("form_value", str)
"""The value of the `FORM` cookie."""
_FOLDER = Path(__file__).parent
_LANGUAGE = "sales_language"
_YEAR = 365 * 86_400
_FORM_VALUE = re.compile("[A-Za-z0-9_-]{20,100}")
"""The form of `secrets.token_urlsafe`; any other value of the cookie is not put into a page."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send no Origin with a form
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_MAX_ANONYMOUS_FORMS = 20
"""A fifth of the connections of the web server."""
_HSTS = f"max-age={_YEAR}"


class Starting(Exception):
    """The worker is starting or stopping and has no connection to the database."""


@cache
def _templates() -> Environment:
    """Compile all templates once in a process, so that the first visitor does not wait for it."""
    templates = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
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
    """The parts that all handlers share."""

    def __init__(
        self,
        settings: Settings,
        document_types: Sequence[DocumentType],
        worker_view: WorkerView,
        *,
        access: Access | None = None,
        cache_ttl: float = 2.0,
    ) -> None:
        """`cache_ttl`: seconds for which the result of a query is reused, for all visitors."""
        self.settings = settings
        self._wanted_types = document_types
        self.worker_view = worker_view
        self.access = access or Access(settings)
        self.query_cache = QueryCache(cache_ttl)
        self._anonymous_forms = 0
        self._templates = _templates()

    def application(self, routes: web.RouteTableDef) -> web.Application:
        """Return the application, which has to be added below `PREFIX`."""
        app = web.Application(middlewares=[self._answer])
        app.on_startup.append(self._open)
        app.add_routes(routes)
        app.router.add_static("/static/", _FOLDER / "static")
        return app

    @property
    def document_types(self) -> Sequence[DocumentType]:
        """Those that the worker carries; the first one always counts as carried."""
        first, *others = self._wanted_types
        return [first, *(each for each in others if self.worker_view.carries(each))]

    @property
    def path_prefixes(self) -> Sequence[str]:
        """The path prefixes below `PREFIX`: that of the first document type, and that of the others."""
        return ("", "/documents/{document_type}") if len(self._wanted_types) > 1 else ("",)

    def document_type(self, request: web.Request) -> DocumentType:
        """Return the document type that the path names. Raises `web.HTTPNotFound`."""
        name = request.match_info.get("document_type")
        for document_type in self.document_types:
            if name is None or (document_type.name == name and document_type is not self._wanted_types[0]):
                return document_type
        raise web.HTTPNotFound

    def base(self, document_type: DocumentType) -> str:
        """Return the start of the path of all screens of this document type."""
        return PREFIX if document_type is self._wanted_types[0] else f"{PREFIX}documents/{document_type.name}/"

    async def _open(self, _: web.Application) -> None:
        self.access.open()

    async def close(self) -> None:
        """Cancel running queries, and close the worker view."""
        await self.query_cache.close()
        self.worker_view.close()

    def language(self, request: web.Request) -> Language:
        """Return the language that the visitor has chosen, or else the browser's."""
        for language in LANGUAGES:
            if request.cookies.get(_LANGUAGE) == language:
                return language
        return "en" if request.headers.get("Accept-Language", "").lower().startswith("en") else "vi"

    def render(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Return the rendered template; all templates get the same values in addition to `values`."""
        document_type = request.get(DOCUMENT_TYPE, self._wanted_types[0])
        base = self.base(document_type)
        translation = Translation(self.language(request), document_type)
        person: Person | None = request.get(PERSON)
        text = self._templates.get_template(template).render(
            t=translation,
            fmt=Format(translation, self.settings.zone),
            person=person,
            form=request[FORM_VALUE],
            document_type=document_type,
            document_types=[(each, self.base(each)) for each in self.document_types],
            base=base,
            base_of=self.base,
            shows_changes=self.settings.corrections != "off",
            screen=request.path.removeprefix(base),
            other_language=request.rel_url.update_query(lang="en" if translation.language == "vi" else "vi"),
            **values,
        )
        return web.Response(text=text, content_type="text/html", status=status)

    def error_page(self, request: web.Request, what: str, status: int, *, text: str | None = None) -> web.Response:
        """Return a page about an error.

        `what`: the key of its heading in `texts.TEXTS`, without ``sorry_``. `text`: the key of the text below it, by
        default that of the heading with ``_says``.
        """
        values = {"heading": f"sorry_{what}", "text": text or f"sorry_{what}_says"}
        without_search = request.path if status == 400 and request.query_string else None
        return self.render(
            request, "error.html", status=status, keep_polling=status == 503, without_search=without_search, **values
        )

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(f"{PREFIX}static/"):
            response = await handler(request)
            response.headers.update(self._headers(request) | {"Cache-Control": "no-cache"})
            return response
        previous = request.cookies.get(FORM, "")
        request[FORM_VALUE] = previous if _FORM_VALUE.fullmatch(previous) else secrets.token_urlsafe()
        response = await self._guarded(request, handler)
        if not request.content.is_eof():  # an unread body is not read afterwards either
            response.force_close()
        if request[FORM_VALUE] != previous:
            self.access.set_cookie(request, response, FORM, request[FORM_VALUE])
        response.headers.update(self._headers(request))
        return response

    def _headers(self, request: web.Request) -> dict[str, str]:
        return _HEADERS | ({"Strict-Transport-Security": _HSTS} if self.access.is_secure(request) else {})

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if (chosen := request.query.get("lang")) in LANGUAGES:
                return self._choose_language(request, str(chosen))
            # Everything is decided by the headers first; a body is read last, and only if it will be used.
            request[PERSON] = self.access.identify(request)
            if request.method == "POST":
                self.access.check_origin(request)
            if request[PERSON] is None and request.path != f"{PREFIX}sign-in":
                return self.ask_to_sign_in(request)
            if request.match_info.http_exception is not None:
                raise request.match_info.http_exception
            request[DOCUMENT_TYPE] = self.document_type(request)
            if request.method == "POST":
                return await self._handle_form(request, handler)
            return await handler(request)
        except Forbidden as refusal:
            return self.error_page(request, str(refusal), 403)
        except NotUnderstood as refusal:
            return self.error_page(request, str(refusal), 400)
        except UnreadableForm as refusal:
            return self.error_page(request, "not_understood", refusal.status)
        except Starting:
            return self.error_page(request, "starting", 503)
        except Busy:
            return self._busy(request)
        except UnreadableRow:
            return self.error_page(request, "unreadable", 422)
        except (StoreError, Unanswered) as error:
            log.warning("page.unanswered", path=request.path, error=str(error) or type(error).__name__)
            text = "sorry_acting_says" if request.method == "POST" else None
            return self.error_page(request, "database", 503, text=text)
        except web.HTTPRedirection as redirection:
            return web.Response(status=redirection.status, headers={"Location": redirection.headers["Location"]})
        except web.HTTPException as refusal:
            return self.error_page(request, "lost" if refusal.status == 404 else "not_understood", refusal.status)
        except Exception as error:
            # The error's text and stack frames are not logged: they may contain a customer's name.
            log.error("page.failed", path=request.path, error=type(error).__name__)
            return self.error_page(request, "mistake", 500)

    async def _handle_form(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Read a form and call its handler.

        The number of concurrent forms from visitors who have not signed in is limited, since each may be sent slowly.
        Raises `Busy`.
        """
        anonymous = int(request[PERSON] is None)
        if anonymous and self._anonymous_forms >= _MAX_ANONYMOUS_FORMS:
            raise Busy
        self._anonymous_forms += anonymous
        try:
            request[FORM_FIELDS] = await read_form(request)
            self.access.check_form(request, request[FORM_FIELDS].get("form", ""))
            return await handler(request)
        finally:
            self._anonymous_forms -= anonymous

    def person_name(self, request: web.Request) -> str:
        """Return the visitor's name, by which `QueryCache` limits the queries of each person."""
        person = request[PERSON]
        return person.name if person else ""

    def _busy(self, request: web.Request) -> web.Response:
        response = self.error_page(request, "busy", 503)
        response.headers["Retry-After"] = "2"
        return response

    def ask_to_sign_in(
        self, request: web.Request, *, wrong: str | None = None, name: str = "", status: int = 401
    ) -> web.Response:
        """Return the sign-in page; `wrong` is the key in `texts.TEXTS` of what was wrong with the last attempt."""
        hint = "token_says_own" if self.access.generates_code else "token_says"
        return self.render(request, "sign_in.html", status=status, wrong=wrong, name=name, hint=hint)

    def _choose_language(self, request: web.Request, language: str) -> web.Response:
        response = web.Response(status=303, headers={"Location": str(request.rel_url.without_query_params("lang"))})
        self.access.set_cookie(request, response, _LANGUAGE, language, max_age=_YEAR)
        return response
