"""The codes under which the national system stores a document."""

from __future__ import annotations

from streams.runtime.frozen import frozen


@frozen
class DocumentCodes:
    """A document's codes, by which it is looked up and withdrawn."""

    facility_code: str
    """The facility's code in the national system (ma_co_so)."""
    document_code: str
    """The pharmacy's own code of the document."""
