"""The worker's web server, with limits on connections and time, so that its clients cannot take resources that sending
sales needs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import ClientConnectionResetError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from faust.types import AppT
from faust.web.drivers.aiohttp import Web

MAX_CONNECTIONS = 100
"""Connections that are open at the same time, by default."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one server. Times are in seconds."""

    connections: int = MAX_CONNECTIONS
    head: float = 10
    """From accepting a connection to the complete head of its first request."""
    grace: float = 0.25
    """A connection is not closed for a new one before it has been idle for this long: many connections are accepted in
    one go, before any of them is read.
    """
    idle: float = 75
    """Between two requests, and for the client to read a response: longer than proxies keep an idle connection by
    default.
    """
    request: float = 120
    """From the complete head of a request to its response."""
    linger: float = 1
    """For reading the rest of a request body that is not needed, so that the client sees the response."""
    shutdown: float = 2
    """For finishing the current requests when the worker shuts down."""


class Connection(RequestHandler):
    """One connection. The budget counts it from the moment it is accepted."""

    def __init__(self, server: BoundedServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._budget = server.budget
        self._socket: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from asyncio.Transport
        self._is_admitted = self._budget.admit(self)
        if self._is_admitted:
            super().connection_made(transport)
        else:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.close_after(None)
        self._budget.forget(self)
        if self._is_admitted:
            super().connection_lost(exc)

    def close_after(self, seconds: float | None) -> None:
        """Close the connection after `seconds`, replacing any earlier deadline. None: there is no deadline."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.abort)

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Log an exception of a connection. A request that is not HTTP, or a client that hangs up before its answer, is
        not an error of this program, and anybody could fill the log with them: both are logged for debugging only.
        """
        if isinstance(options.get("exc_info"), HttpProcessingError | ClientConnectionResetError):
            self.log_debug(*args, **options)
        else:
            super().log_exception(*args, **options)

    def abort(self) -> None:
        """Close the connection at once. Data that the client has not read yet is dropped; waiting for it to be read
        would keep the file descriptor open.
        """
        if self._socket is not None:
            self._socket.abort()


class Budget:
    """Bounds the number of open connections. When the limit is reached, the connection that has been idle for longest
    is closed for the new one, so that real requests are served however many clients only hold a connection open. When
    no connection may be closed, the new one is rejected.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: set[Connection] = set()
        self._without_request: dict[Connection, float] = {}
        """Connections without a complete request head so far, and since when (loop time), oldest first."""
        self._idle: dict[Connection, float] = {}
        """Connections between two requests, and since when (loop time), oldest first."""

    def admit(self, connection: Connection) -> bool:
        """Count `connection`, closing an idle one if necessary. Return False if there is no room for it."""
        if len(self._known) >= self._bounds.connections:
            longest = self._longest_idle()
            if longest is None:
                return False
            self.forget(longest)
            longest.abort()
        self._known.add(connection)
        self._without_request[connection] = _now()
        connection.close_after(self._bounds.head)
        return True

    def request_started(self, connection: Connection) -> None:
        """Note that a request of `connection` has started, and set its deadline."""
        self._without_request.pop(connection, None)
        self._idle.pop(connection, None)
        connection.close_after(self._bounds.request)

    def request_ended(self, connection: Connection) -> None:
        """Note that the request of `connection` has been answered: the connection is idle now."""
        if connection in self._known:
            self._idle[connection] = _now()
            connection.close_after(self._bounds.idle)

    def forget(self, connection: Connection) -> None:
        """Stop counting `connection`."""
        self._known.discard(connection)
        self._without_request.pop(connection, None)
        self._idle.pop(connection, None)

    def _longest_idle(self) -> Connection | None:
        latest = _now() - self._bounds.grace
        for waiting in (self._without_request, self._idle):
            for oldest, since in waiting.items():
                if since <= latest:
                    return oldest
                break
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()


class BoundedServer(web.Server):
    """An aiohttp server whose connections are counted by a `Budget`."""

    def __init__(self, made: web.Server, bounds: Bounds) -> None:
        """`made`: the server that aiohttp creates for an application; its handler and options are taken over."""
        self.budget = Budget(bounds)
        self._options = dict(made._kwargs)
        super().__init__(self._counted(made.request_handler), request_factory=made.request_factory, **self._options)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)

    def _counted(self, handler: Any) -> Any:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            connection = cast(Connection, request.protocol)
            self.budget.request_started(connection)
            try:
                response: web.StreamResponse = await handler(request)
                return response
            finally:
                self.budget.request_ended(connection)

        return handle


class BoundedRunner(web.AppRunner):
    """Runs an aiohttp application on a `BoundedServer`."""

    def __init__(self, app: web.Application, bounds: Bounds | None = None) -> None:
        self._bounds = bounds = bounds or Bounds()
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,  # a compressed body may expand a thousandfold, and no client needs to send one
            keepalive_timeout=bounds.idle,
            lingering_time=bounds.linger,
            shutdown_timeout=bounds.shutdown,
        )

    async def _make_server(self) -> web.Server:
        return BoundedServer(await super()._make_server(), self._bounds)


class BoundedWeb(Web):
    """The web driver that Faust is given. It leaves out the pages that Faust adds by itself: they show internals that
    nobody needs to see.
    """

    default_blueprints = ()
    production_blueprints = ()
    debug_blueprints = ()
    optional_blueprints = ()

    def __init__(self, app: AppT, **options: Any) -> None:
        super().__init__(app, **options)
        self._runner = BoundedRunner(self.web_app)
