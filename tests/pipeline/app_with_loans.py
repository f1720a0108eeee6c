"""The real app with a second document type."""

from streams.app import build
from streams.documents.sale import SALE
from streams.settings import settings_or_exit
from tests.pipeline.loan_slip import LOAN_SLIP

app = build(settings_or_exit(), (SALE, LOAN_SLIP))
