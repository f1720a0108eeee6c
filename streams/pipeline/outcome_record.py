"""Records in `dbo.SaleSync` what is known after an attempt, before its decision is published.

Who finds the claim without its decision then knows what the national system may store.
"""

from __future__ import annotations

from streams.domain.outcome import Accepted, InDoubt, Outcome, Reason, Refused, TryLater, Withdrawn
from streams.domain.reasons import OTHER_VERSION_STORED, Code
from streams.pipeline.open_documents import OpenDocuments
from streams.pipeline.send_plan import Plan, Send, Withdraw
from streams.stores.sync_state import ANY_VERSION, Claim


async def record_outcome(
    documents: OpenDocuments,
    claim: Claim,
    plan: Plan,
    outcome: Outcome,
    *,
    claimed_hash: str | None,
    known_status: int | None,
) -> bool:
    """Record the outcome, and return whether the national system may store anything of the document.

    `claimed_hash`: what may be stored, as the claim recorded it. `known_status`: the HTTP status that is recorded.
    """
    body = plan.body if isinstance(plan, Send) else None
    match outcome:
        case Withdrawn():
            await documents.keep_withdrawal(claim)
            return False
        case Refused(_, api_text) if isinstance(plan, Withdraw):
            await documents.keep_refusal(claim, sent_hash=claimed_hash, body=None, text=api_text)
            return claimed_hash is not None
        case Refused(reason, api_text):
            stored = ANY_VERSION if reason.code in OTHER_VERSION_STORED else None
            if body is None and claimed_hash == stored:
                return stored is not None  # nothing was sent and nothing has changed
            sent = body.content.decode() if body is not None else None
            await documents.keep_refusal(claim, sent_hash=stored, body=sent, text=api_text)
            return stored is not None
        case TryLater() if isinstance(plan, Withdraw):
            return claimed_hash is not None
        case TryLater():
            if body is not None:
                await documents.may_be_stored(claim, None)
            return False
        case InDoubt(Reason(Code.NOT_TAKEN, http_status)):
            if http_status != known_status:
                await documents.keep_answer(claim, http_status)
            return claimed_hash is not None
        case Accepted() if body is not None and claimed_hash != body.hash:
            await documents.may_be_stored(claim, body.hash)
            return True
        case _:
            return claimed_hash is not None
