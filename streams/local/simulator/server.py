"""The simulator on a socket: HTTP in, `NationalApi` asked, the answer sent, or spoilt as a rule says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from streams.local.simulator import answers, control_routes
from streams.local.simulator.answers import Answer
from streams.local.simulator.api import NationalApi
from streams.local.simulator.calls import read_call
from streams.local.simulator.faults import Fault

LARGEST_BODY = 16 * 1024 * 1024
_LONGEST_WAIT_FOR_CLIENT_S = 60.0
_STOP_WITHIN_S = 0.5


@asynccontextmanager
async def serving(api: NationalApi, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves `api` and gives its URL. Port 0: any that is free. Raises `OSError` where it is taken."""
    app = web.Application(client_max_size=LARGEST_BODY)
    control_routes.add(app, api)
    handle = _national_routes(api)
    for path in api.kinds:
        app.router.add_route("*", path, handle)  # found at once, without trying the pattern
    app.router.add_route("*", "/{path:.*}", handle)
    # A request outlives its client here, as it may in the real API.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=_STOP_WITHIN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        yield f"http://{bound_host}:{bound_port}"
    finally:
        await runner.cleanup()


def _national_routes(api: NationalApi) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        account = _account(api, request.headers.get("Authorization", ""))
        call = read_call(request.method, request.rel_url.raw_path, raw, account, api.kinds)
        if isinstance(call, int):
            return _response(answers.not_served(call))
        seen = api.seen.add(call, api.clock(), cookie="Cookie" in request.headers)
        taken = api.faults.take(call)
        if api.behaviour.latency_ms:
            await asyncio.sleep(api.behaviour.latency_ms / 1000)
        if taken is None:
            answer: Answer | None = api.answer(call)
            fault = None
        else:
            seen.fault, fault = taken
            answer = await _go_wrong(fault, request, lambda: api.answer(call))
        if answer is None:
            return _cut(request)
        seen.status = answer.status
        if fault is not None and fault.drip_s:
            return await _drip(request, answer, fault.drip_s)
        return _response(answer)

    return handle


def _account(api: NationalApi, authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return (api.accounts.whose(token.strip()) or "") if scheme.lower() == "bearer" else ""


async def _go_wrong(fault: Fault, request: web.Request, deal_with_it: Callable[[], Answer]) -> Answer | None:
    """What goes out; None: the connection is to be cut."""
    if fault.until_gone:
        await _client_gone(request, _LONGEST_WAIT_FOR_CLIENT_S)
    if fault.wait_s:
        await asyncio.sleep(fault.wait_s)
    answer = deal_with_it() if fault.accept else answers.not_served(503)
    if fault.answer_wait_s:
        await _client_gone(request, fault.answer_wait_s)  # then nobody waits for the answer any more
    if fault.cut:
        return None
    if fault.status is not None:
        answer = Answer(fault.status, fault.body, fault.content_type, fault.headers)
    body = answer.body.ljust(fault.pad_to)
    if fault.keep_share < 1:
        body = body[: int(len(body) * fault.keep_share)]
    return Answer(answer.status, body, answer.content_type, answer.headers)


async def _client_gone(request: web.Request, longest_s: float) -> None:
    try:
        async with asyncio.timeout(longest_s):
            # aiohttp has no event for it.
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    except TimeoutError:
        return


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


async def _drip(request: web.Request, answer: Answer, seconds_per_byte: float) -> web.StreamResponse:
    headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    try:
        await response.prepare(request)
        for byte in answer.body:
            await response.write(bytes([byte]))
            await asyncio.sleep(seconds_per_byte)
        await response.write_eof()
    except ConnectionError:
        # The client had enough: that is what dripping is for.
        return response
    return response
