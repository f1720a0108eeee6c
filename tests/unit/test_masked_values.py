"""Tests that the text of a value in an error or a log line shows nothing of a customer, a drug, or a log-in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from streams.documents.document import Body
from streams.domain.account import Account, Token
from streams.domain.outcome import Reason, Refused
from streams.domain.reasons import Code
from streams.national_api.own_form import Answer
from streams.pipeline.retry_policy import Decision
from streams.stores.decisions import Refusal
from streams.stores.source_rows import FoundDocument

PRIVATE = "Nguyễn Thị Ánh"

VALUES = [
    Answer(200, PRIVATE.encode(), datetime.now(UTC), PRIVATE),
    Body(PRIVATE.encode(), "79-1", "HD-1"),
    Refused(Reason(Code.API_REFUSED), PRIVATE),
    Decision("SYNC_FAILED", None, None, None, PRIVATE),
    Refusal(1, PRIVATE, PRIVATE),
    FoundDocument({"customer_name": PRIVATE}, [{"drug_name": PRIVATE}], None),
    Account("SHOP-1", "usr", SecretStr(PRIVATE)),
    Token(SecretStr(PRIVATE), 0.0),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_the_text_of_a_private_value_shows_nothing_private(value: object) -> None:
    for text in (repr(value), str(value), f"{value}"):
        assert PRIVATE not in text
        assert repr(PRIVATE.encode())[2:-1] not in text
