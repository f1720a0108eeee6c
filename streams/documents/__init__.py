"""The document types that are sent to the national system.

`tests/unit/test_code_and_files_agree.py` fails until the connector captures exactly the tables listed here.
"""

from streams.documents.document import DocumentType
from streams.documents.goods_issue import GOODS_ISSUE
from streams.documents.purchase_receipt import PURCHASE_RECEIPT
from streams.documents.sale import SALE

__all__ = ["DOCUMENT_TYPES", "GOODS_ISSUE", "PURCHASE_RECEIPT", "SALE"]

DOCUMENT_TYPES: tuple[DocumentType, ...] = (SALE, PURCHASE_RECEIPT, GOODS_ISSUE)
