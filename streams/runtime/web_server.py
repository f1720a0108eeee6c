"""The worker's web server with a budget of its own: whoever connects to it takes nothing from the sales."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import ClientConnectionResetError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from faust.types import AppT
from faust.web.drivers.aiohttp import Web

MOST_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one server lets itself be asked for. Times in seconds."""

    connections: int = MOST_CONNECTIONS
    head: float = 10
    """From a connection to its first whole head."""
    grace: float = 0.25
    """Nobody has to give way sooner: many are accepted at a stroke, before any of them is read."""
    idle: float = 75
    """Between two requests, and for an answer to be taken: longer than proxies keep a connection by default."""
    request: float = 120
    """From a head to its answer."""
    linger: float = 1
    """For the rest of a body that nobody wants, so that the answer is seen."""
    shutdown: float = 2
    """For requests in work when the worker ends."""


class Connection(RequestHandler):
    """One, from its first moment known to the budget."""

    def __init__(self, server: BoundedServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._budget = server.budget
        self._wire: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._is_admitted = self._budget.admit(self)
        if self._is_admitted:
            super().connection_made(transport)
        else:
            self.end()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.ends_after(None)
        self._budget.forget(self)
        if self._is_admitted:
            super().connection_lost(exc)

    def ends_after(self, seconds: float | None) -> None:
        """Unless something else is said of it by then. None: it may stay."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.end)

    def log_exception(self, *args: Any, **options: Any) -> None:
        """What is no HTTP, and who hangs up before the answer, is no mistake of ours: whoever likes could fill the log
        with it."""
        if isinstance(options.get("exc_info"), HttpProcessingError | ClientConnectionResetError):
            self.log_debug(*args, **options)
        else:
            super().log_exception(*args, **options)

    def end(self) -> None:
        """At once: what waits to be taken by the other side is dropped, and would keep the file open else."""
        if self._wire is not None:
            self._wire.abort()


class Budget:
    """Who is connected. Where there is no room the one that has been silent for longest gives way, so that the few who
    ask something are served however many only hold a connection. Where nobody can give way the newcomer goes."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: set[Connection] = set()
        self._silent: dict[Connection, float] = {}
        """No head has come yet. Since when, the oldest first, here and below."""
        self._idle: dict[Connection, float] = {}
        """Between two requests."""

    def admit(self, connection: Connection) -> bool:
        if len(self._known) >= self._bounds.connections:
            longest = self._silent_for_longest()
            if longest is None:
                return False
            self.forget(longest)
            longest.end()
        self._known.add(connection)
        self._silent[connection] = _now()
        connection.ends_after(self._bounds.head)
        return True

    def begins(self, connection: Connection) -> None:
        """A request."""
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)
        connection.ends_after(self._bounds.request)

    def ends(self, connection: Connection) -> None:
        if connection in self._known:
            self._idle[connection] = _now()
            connection.ends_after(self._bounds.idle)

    def forget(self, connection: Connection) -> None:
        self._known.discard(connection)
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)

    def _silent_for_longest(self) -> Connection | None:
        latest = _now() - self._bounds.grace
        for those in (self._silent, self._idle):
            for oldest, since in those.items():
                if since <= latest:
                    return oldest
                break
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()


class BoundedServer(web.Server):
    def __init__(self, made: web.Server, bounds: Bounds) -> None:
        """`made`: as aiohttp makes it for an application."""
        self.budget = Budget(bounds)
        self._options = dict(made._kwargs)
        super().__init__(self._counted(made.request_handler), request_factory=made.request_factory, **self._options)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)

    def _counted(self, handler: Any) -> Any:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            connection = cast(Connection, request.protocol)
            self.budget.begins(connection)
            try:
                response: web.StreamResponse = await handler(request)
                return response
            finally:
                self.budget.ends(connection)

        return handle


class BoundedRunner(web.AppRunner):
    def __init__(self, app: web.Application, bounds: Bounds | None = None) -> None:
        self._bounds = bounds = bounds or Bounds()
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,  # what is packed may be a thousand times as large, and nobody needs to send it
            keepalive_timeout=bounds.idle,
            lingering_time=bounds.linger,
            shutdown_timeout=bounds.shutdown,
        )

    async def _make_server(self) -> web.Server:
        return BoundedServer(await super()._make_server(), self._bounds)


class BoundedWeb(Web):
    """As Faust takes it, without the pages that Faust adds of its own: they show what nobody needs to see."""

    default_blueprints = ()
    production_blueprints = ()
    debug_blueprints = ()
    optional_blueprints = ()

    def __init__(self, app: AppT, **options: Any) -> None:
        super().__init__(app, **options)
        self._runner = BoundedRunner(self.web_app)
