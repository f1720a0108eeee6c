"""The real app as a release with a defect: it reads a sale's own code from a field that no change event has."""

from dataclasses import replace

from streams.app import build
from streams.documents.sale import SALE
from streams.settings import settings_or_exit

app = build(settings_or_exit(), [replace(SALE, document_code_column="invoice_code")])
