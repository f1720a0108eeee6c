"""The kinds of documents that are carried. The wiring test fails until connector and kinds agree."""

from streams.documents.document import DocumentType
from streams.documents.sale import SALE

DOCUMENT_TYPES: tuple[DocumentType, ...] = (SALE,)
