"""Decides what an attempt at a document is going to do, before it claims the document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import TypeAlias

import structlog

from streams.documents.document import Body, BrokenRules, DocumentType
from streams.domain.account import Account
from streams.domain.change_event import Origin, SendRequest
from streams.domain.document_codes import DocumentCodes
from streams.domain.document_status import Operation
from streams.domain.outcome import Reason, TryLater
from streams.domain.reasons import Code
from streams.pipeline.document_order import DocumentOrder
from streams.pipeline.open_documents import LOCKED, Accounts, Locked
from streams.runtime.frozen import frozen
from streams.settings import Settings
from streams.stores.isolation import Failed
from streams.stores.source_rows import FoundDocument

log = structlog.get_logger(__name__)

_REREAD_UNREADABLE_AFTER = 300.0
"""Seconds until an unreadable row is read again: somebody may have corrected it."""


@frozen
class Send:
    """The document is sent, if what may be stored already allows it."""

    body: Body
    account: Account


@frozen
class Withdraw:
    """The document is withdrawn."""

    stored_under: tuple[DocumentCodes, ...]
    """All codes under which it may be stored; none where another document is stored under the only ones."""
    account: Account


@frozen
class Refuse:
    """The document breaks one of our own rules. That counts once it is known what the national system stores."""

    reason: Reason
    account: Account | None
    """None: the shop has no usable account, so nothing can be looked up."""


@frozen
class Defer:
    """The document is tried later; it is claimed only to publish why."""

    outcome: TryLater
    is_api_answer: bool = False
    """Whether the API caused this, by its answer to a log-in or by giving none."""


Plan: TypeAlias = Send | Withdraw | Refuse | Defer


class Planner:
    """Plans the attempts at documents of one type."""

    def __init__(
        self,
        document_type: DocumentType,
        settings: Settings,
        *,
        token_ready: Callable[[Account], Awaitable[TryLater | None]],
        is_of_another: Callable[[DocumentCodes, int], Awaitable[bool | Locked]],
        today: Callable[[], date],
        order: DocumentOrder | None = None,
    ) -> None:
        """`token_ready`: logs in if necessary; returns None when the account is ready to send, or else why it is not.
        `is_of_another`: whether another document than that of an id was accepted under some codes. `today`: the present
        date at the points of sale. `order`: which documents wait for others; None: none does.
        """
        self._document_type = document_type
        self._settings = settings
        self._token_ready = token_ready
        self._is_of_another = is_of_another
        self._today = today
        self._order = order

    async def plan(
        self,
        request: SendRequest,
        found: FoundDocument,
        accounts: Accounts,
        waited_s: float,
        *,
        may_be_stored: bool = False,
    ) -> Plan:
        """Decide what the attempt is going to do. `waited_s`: seconds since the document was first seen pending.
        `may_be_stored`: whether an earlier attempt may have been accepted, so that it is too late to keep an order.
        """
        if not found.is_readable:
            return Defer(TryLater(Reason(Code.ROW_UNREADABLE), _REREAD_UNREADABLE_AFTER))
        if found.operation is Operation.WITHDRAW:
            return await self._plan_withdrawal(request, found, accounts)
        if not found.lines and waited_s < self._settings.lines_timeout:
            return Defer(TryLater(Reason(Code.LINES_MISSING)))
        if request.origin is not Origin.DUE and waited_s < self._settings.settle_lines:
            return Defer(TryLater(Reason(Code.LINES_MISSING), self._settings.settle_lines - waited_s))
        if accounts is LOCKED or isinstance(accounts, Failed):
            return _without_accounts(accounts)
        account = accounts[0] if len(accounts) == 1 else None
        if not found.lines:
            return Refuse(Reason(Code.NO_LINES), account)
        try:
            body = self._document_type.transform(found.header, found.lines, self._today())
        except BrokenRules as broken:
            return Refuse(Reason(Code.RULES_BROKEN, details=broken.rules), account)
        except Exception as error:
            # A mistake of ours, which concerns this document alone.
            log.error("document.unreadable", document=request.document_type, id=request.id, error=type(error).__name__)
            return Defer(TryLater(Reason(Code.ROW_UNREADABLE), _REREAD_UNREADABLE_AFTER))
        if account is None:
            return _without_one_account(accounts)
        if not may_be_stored and self._order and await self._order.must_wait(request.id, found.header, waited_s):
            return Defer(TryLater(Reason(Code.EARLIER_DOCUMENTS)))
        not_ready = await self._token_ready(account)
        return Defer(not_ready, is_api_answer=True) if not_ready else Send(body, account)

    async def _plan_withdrawal(self, request: SendRequest, found: FoundDocument, accounts: Accounts) -> Plan:
        if accounts is LOCKED or isinstance(accounts, Failed):
            return _without_accounts(accounts)
        if len(accounts) != 1:
            return _without_one_account(accounts)
        # The point of sale may have changed the codes since the document was accepted.
        known = found.state.stored_under if found.state else None
        current = DocumentCodes(request.pharmacy_code, request.document_code)
        stored_under: tuple[DocumentCodes, ...] = (current,) if known in (None, current) else (known, current)
        if known != current:
            match await self._is_of_another(current, request.id):
                case Locked():
                    return Defer(TryLater(Reason(Code.SHOP_BUSY)))
                case True:
                    stored_under = stored_under[:-1]
        if not_ready := await self._token_ready(accounts[0]):
            return Defer(not_ready, is_api_answer=True)
        return Withdraw(stored_under, accounts[0])


def _without_accounts(accounts: Locked | Failed) -> Defer:
    return Defer(TryLater(Reason(Code.SHOP_BUSY if accounts is LOCKED else Code.INTERNAL_ERROR)))


def _without_one_account(accounts: list[Account]) -> Defer:
    return Defer(TryLater(Reason(Code.SEVERAL_ACCOUNTS if accounts else Code.NO_ACCOUNT)))


def with_codes_of_row(request: SendRequest, found: FoundDocument, document_type: DocumentType) -> SendRequest:
    """Return `request` with the codes and the shop of the row: the message only identifies the row, and the point of
    sale may have corrected them since.
    """
    if not found.is_readable:
        return request
    header = found.header
    document_code, pharmacy_code, shop = (
        header[document_type.document_code_column],
        header["pharmacy_code"],
        header["shop_pharmacy_code"],
    )
    if (document_code, pharmacy_code, shop) == (request.document_code, request.pharmacy_code, request.shop):
        return request
    return replace(request, document_code=document_code, pharmacy_code=pharmacy_code, shop=shop)
