"""The codes under which a document was accepted, where the point of sale has changed them since."""

from __future__ import annotations

from dataclasses import replace

from streams.domain.change_event import SendRequest
from streams.domain.document_codes import DocumentCodes
from streams.pipeline.open_documents import LOCKED, Locked, OpenDocuments
from streams.stores.source_rows import FoundDocument
from streams.stores.sync_state import SyncState


async def without_codes_of_others(
    documents: OpenDocuments, request: SendRequest, found: FoundDocument
) -> FoundDocument | Locked:
    """Return `found` without its earlier codes if another row has them now: what is stored under them is that document.
    `LOCKED` if another transaction keeps such a row locked. `request`: with the codes of the row.
    """
    state = found.state or SyncState()
    known, current = state.stored_under, DocumentCodes(request.pharmacy_code, request.document_code)
    if known is None or known == current:
        return found
    match await documents.has_other(known, request.id):
        case Locked():
            return LOCKED
        case True:
            return replace(found, state=replace(state, stored_facility_code=None, stored_document_code=None))
        case _:
            return found
