"""Tests what the answer to a DELETE proves: the national system's own report or refusal, and nothing else's."""

from __future__ import annotations

import pytest

from streams.documents.sale import SALE
from streams.domain.outcome import BrokenRule, InDoubt, Reason, Withdrawn
from streams.domain.reasons import Code
from streams.local.simulator import zoo
from streams.local.simulator.calls import Call
from streams.local.simulator.kinds import SALE as KIND
from streams.local.simulator.zoo.entry import Entry
from streams.national_api.own_form import Answer
from streams.national_api.withdrawal_answers import NothingToWithdraw, read_withdrawal, unusable_codes
from tests.support.answer_tables import (
    DOCUMENTED,
    HTML,
    NOW,
    OWN,
    PHRASES,
    PLACE,
    Line,
    busy,
    by_name,
    refused,
    token_over,
    unclear,
)

DONE = {"code": 200, "mess": "Thành công"}


def absent(words: str | None, status: int = 404) -> NothingToWithdraw:
    return NothingToWithdraw(refused(words, status))


LINES = [
    Line("documented", 200, DONE, Withdrawn()),
    Line("code as text", 200, {"code": "200", "message": "Hủy hóa đơn thành công"}, Withdrawn()),
    Line("keys in another case", 200, {"Code": 200, "Mess": "OK", "Data": None}, Withdrawn()),
    Line("our own codes in it", 200, {**DONE, "ma_co_so": PLACE}, Withdrawn()),
    # no report of the API's
    Line("no code", 200, {"mess": "Thành công"}, unclear()),
    Line("no text", 200, {"code": 200}, unclear()),
    Line("an empty object", 200, {}, unclear()),
    Line("no content", 204, b"", unclear(204)),
    Line("empty", 200, b"", unclear()),
    Line("a page", 200, b"<html>OK</html>", unclear(), headers=HTML),
    Line("a text", 200, "Thành công", unclear()),
    Line("HTTP 202", 202, DONE, unclear(202)),
    Line("code 201", 200, {"code": 201, "mess": "Thành công"}, unclear()),
    Line("from a cache", 200, DONE, unclear(), headers={"age": "3"}),
    Line("another system's key", 200, {**DONE, "path": "/"}, unclear()),
    Line("of another facility", 200, {**DONE, "ma_co_so": "P9"}, unclear()),
    Line("it shows the document", 200, {**DONE, "data": {"ma_hoa_don": OWN}}, unclear()),
    Line("it shows an id", 200, DOCUMENTED, unclear()),
    Line("success that failed", 200, {"code": 200, "mess": "Hủy không thành công"}, unclear()),
    Line("success: false", 200, {**DONE, "success": False}, unclear()),
    # refused
    Line("refused", 400, {"code": 400, "mess": "Đã quá hạn hủy"}, refused("Đã quá hạn hủy", 400)),
    Line("refused with 200", 200, {"code": "409", "mess": "Hóa đơn đã khóa"}, refused("Hóa đơn đã khóa")),
    Line("refused by a page", 400, b"<html>Bad Request</html>", unclear(400), headers=HTML),
    Line("a firewall", 405, b"<html>Method Not Allowed</html>", unclear(405), headers=HTML),
    # not there
    Line("404", 404, {"code": 404, "mess": "Không tìm thấy hóa đơn"}, absent("Không tìm thấy hóa đơn")),
    Line("200 and 404", 200, {"code": 404, "mess": "Không tìm thấy dữ liệu"}, absent("Không tìm thấy dữ liệu", 200)),
    Line("a configured phrase", 400, {"code": 400, "mess": "Không tìm thấy hóa đơn để hủy"},
         absent("Không tìm thấy hóa đơn để hủy", 400)),
    Line("a gateway's 404", 404, {"message": "Not Found"}, unclear(404)),
    # the token, and what passes
    Line("token", 401, b"", token_over(401)),
    Line("token in words", 200, {"code": 401, "mess": "Phiên đăng nhập đã hết hạn"}, token_over(200)),
    Line("429", 429, b"", busy(Code.RATE_LIMITED, 429, 7.0), headers={"retry-after": "7"}),
    Line("502", 502, b"", busy(Code.API_ERROR, 502)),
    Line("maintenance", 400, {"mess": "Hệ thống đang bảo trì"}, busy(Code.API_ERROR, 400)),
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=by_name)
def test_every_answer_to_a_withdrawal_has_its_outcome(line: Line) -> None:
    """Promise 2. Broken by: an answer to a DELETE that shows the document counts as its withdrawal.
    Promise 2. Broken by: an answer to a DELETE without a code counts as a withdrawal.
    """
    assert read_withdrawal(line.answer(), line.endpoint, PLACE, OWN, PHRASES) == line.means


@pytest.mark.parametrize("entry", zoo.fitting("withdraw"), ids=lambda entry: entry.name)
def test_no_answer_of_the_zoo_ends_a_withdrawal(entry: Entry) -> None:
    content = entry.content(Call("withdraw", KIND, PLACE, OWN))
    headers = {name.lower(): value for name, value in entry.headers.items()}
    answer = Answer(
        entry.status,
        content,
        NOW,
        content_type=entry.content_type,
        retry_after=headers.get("retry-after", ""),
        location=headers.get("location", ""),
        age=headers.get("age", ""),
    )
    assert isinstance(read_withdrawal(answer, SALE.endpoint, PLACE, OWN, PHRASES), InDoubt)


@pytest.mark.parametrize(
    ("facility_code", "document_code", "broken"),
    [
        ("79-1", "HD-1", ()),
        ("79-1", "HD/1", ()),
        ("79-1", "HD..1", ()),
        ("79-1", "..", (BrokenRule("ma_hoa_don", "in_an_address"),)),
        ("79-1", "HD/..", (BrokenRule("ma_hoa_don", "in_an_address"),)),
        ("79-1", " ", (BrokenRule("ma_hoa_don", "required"),)),
        ("", ".", (BrokenRule("ma_co_so", "required"), BrokenRule("ma_hoa_don", "in_an_address"))),
    ],
)
def test_codes_with_which_a_delete_would_name_something_else_are_found(
    facility_code: str, document_code: str, broken: tuple[BrokenRule, ...]
) -> None:
    assert unusable_codes(SALE.endpoint, facility_code, document_code) == broken


def test_the_reason_of_a_doubtful_withdrawal_names_the_http_status() -> None:
    answer = Answer(405, b"<html></html>", NOW)
    assert read_withdrawal(answer, SALE.endpoint, PLACE, OWN) == InDoubt(Reason(Code.UNCLEAR_ANSWER, 405))
