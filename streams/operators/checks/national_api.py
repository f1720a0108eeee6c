"""Checks of the national API: whether the worker's own way to it works, and whether it accepts a shop's log-in."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from streams.domain.account import Account
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS
from streams.domain.sale_status import problem_text
from streams.national_api.call_result import CallResult
from streams.national_api.client import NationalApi
from streams.national_api.own_form import Answer
from streams.national_api.token_cache import TokenCache
from streams.national_api.transport import Transport
from streams.operators.checks import Finding, error, ok, skipped, warning
from streams.operators.checks.api_route import Route, judge_route, probe_route
from streams.operators.checks.certificates import TLS_ACTIONS, describe_certificates
from streams.operators.command_line import explain_store_error, open_sales_db
from streams.settings import Settings
from streams.stores.sales_db import StoreError
from streams.stores.source_rows import SourceRows

_TIMEOUT = 5.0


async def probe_api(settings: Settings, path: str) -> tuple[CallResult, Route]:
    """Call the API as the worker does, but without a log-in, since any answer shows that it is reachable.

    Returns the result, and what was found on the way.
    """
    transport = Transport(settings, connections=1, clock=time.time)
    try:
        result = await transport.call("GET", path, retry_if=lambda _: False)
    finally:
        await transport.aclose()
    return result, await probe_route(settings, path, _TIMEOUT)


def judge_api(result: CallResult, settings: Settings, route: Route) -> list[Finding]:
    """Return the findings about what `probe_api` returned."""
    about = "national API"
    if not isinstance(result, Answer):
        return [_judge_failure(result.reason, settings, route)]
    if result.status >= 500:
        action = "Nothing to do: sales wait until it works again."
        return [warning(about, f"answers with HTTP {result.status}", action), *_judge_way(route)]
    return [ok(about, f"answers at {urlsplit(settings.api_url).netloc}"), *_judge_way(route)]


def _judge_way(route: Route) -> list[Finding]:
    if route.failed_at is not None:  # the worker's own call went well
        return [skipped("national API: way", f"could not be examined: {route.cause}")]
    return judge_route(route)


def _judge_failure(reason: Reason, settings: Settings, route: Route) -> Finding:
    about = "national API"
    if reason.code in TLS_PROBLEMS:
        [broken] = reason.details
        what = f"{reason.code}: {problem_text(reason).en.removesuffix(';')}"
        if broken.rule == "not_agreed" and route.tls and settings.national_api_transport == "fast":
            return error(about, f"{what}. OpenSSL agrees on {route.tls}", "Set NATIONAL_API_TRANSPORT=compatible.")
        description = describe_certificates(route.certificates, broken.rule)
        action = TLS_ACTIONS.get(broken.rule, REASON_TEXTS[reason.code].action_en)
        return error(about, f"{what}. {description}" if description else what, action)
    if route.failed_at is not None:
        [found] = judge_route(route)
        return found
    action = "Check NATIONAL_API_URL, the network and the firewall. Sales are waiting; none is lost."
    return error(about, f"cannot be reached ({reason.code})", action)


async def probe_log_in(settings: Settings, shop: str) -> TryLater | str | None:
    """Log in with the shop's account, in one attempt.

    A refusal is shared with the workers through Redis: within LOGIN_RETRY_DELAY (one hour) a refused account is not
    tried again. Returns None if the log-in succeeded, a text that says why it was not attempted, or the failure.
    """
    try:
        async with open_sales_db(settings) as db:
            [accounts] = await SourceRows(db).accounts([shop])
    except StoreError as store_error:
        return explain_store_error(store_error)
    if len(accounts) != 1:
        return f"the shop has {len(accounts)} active accounts in AccountShop; it must have exactly one"
    return await _log_in(settings, accounts[0])


async def _log_in(settings: Settings, account: Account) -> TryLater | None:
    api = NationalApi(
        settings, TokenCache(settings.redis_url, settings.deployment, refused_for=settings.login_retry_delay)
    )
    try:
        return await api.token_ready(account)
    finally:
        await api.aclose()


def judge_log_in(result: TryLater | str | None, shop: str) -> list[Finding]:
    about = f"log-in of shop {shop}"
    if result is None:
        return [ok(about, "is accepted")]
    if isinstance(result, str):
        return [error(about, f"was not attempted: {result}", "Correct AccountShop: one row with status = 1.")]
    what = problem_text(result.reason).en.removesuffix(";")
    return [error(about, f"{result.reason.code}: {what}", REASON_TEXTS[result.reason.code].action_en)]
