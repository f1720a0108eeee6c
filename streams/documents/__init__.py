"""The kinds of documents that are carried. The wiring test fails until connector and kinds agree."""

from streams.documents.document import DocumentKind
from streams.documents.sale import SALE

KINDS: tuple[DocumentKind, ...] = (SALE,)
