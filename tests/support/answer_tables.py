"""Tables of answers of the national API and of machines in front of it, with the meaning of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from streams.documents.document import Endpoint
from streams.documents.sale import SALE
from streams.domain.outcome import Accepted, InDoubt, Reason, Refused, TryLater
from streams.domain.reasons import Code
from streams.national_api.answers import Call, NoAnswer, NothingToReplace, NotOffered, NotStored, Stored
from streams.national_api.own_form import Answer

OWN, PLACE = "HD-01/Đ", "CS 1"
PHRASES = ("không tìm thấy hóa đơn",)
NOW = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
RECEIPT = Endpoint("/api/lien_thong/phieu_nhap", "ma_phieu", "ma_phieu_nhap_quoc_gia", bare_id=True)


@dataclass(frozen=True)
class Line:
    """One line of a table: an answer, and what it means."""

    name: str
    status: int
    body: Any
    means: Any
    call: Call = "create"
    headers: dict[str, str] = field(default_factory=dict)
    endpoint: Endpoint = SALE.endpoint

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False).encode()

    def answer(self) -> Answer:
        return Answer(
            self.status,
            self.content,
            NOW,
            content_type=self.headers.get("content-type", ""),
            retry_after=self.headers.get("retry-after", ""),
            location=self.headers.get("location", ""),
            age=self.headers.get("age", ""),
        )


def unclear(status: int = 200) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, status))


def no_id(status: int = 200) -> InDoubt:
    return InDoubt(Reason(Code.UNCLEAR_ANSWER, status), only_id_missing=True)


def refused(words: str | None, status: int = 200) -> Refused:
    return Refused(Reason(Code.API_REFUSED, status), words)


def busy(code: Code, status: int = 200, wait_s: float | None = None) -> InDoubt:
    return InDoubt(Reason(code, status), wait_s)


def token_over(status: int) -> InDoubt:
    return InDoubt(Reason(Code.TOKEN_REJECTED, status))


HTML = {"content-type": "text/html; charset=utf-8"}
DOCUMENTED = {"ma_hoa_don": "HD_QG_1", "code": 200, "mess": "Thành công"}
SOMEBODY_ELSES = {"ma_hoa_don": "HD-2", "ma_co_so": "P9", "ma_hoa_don_quoc_gia": "HD_QG_999"}
SUBMISSIONS = [
    # accepted: our document in the API's own form
    Line("documented", 200, DOCUMENTED, Accepted("HD_QG_1")),
    Line("documented, replaced", 200, DOCUMENTED, Accepted("HD_QG_1"), "replace"),
    Line("created", 201, {"code": 201, "ma_hoa_don": "HD_QG_1"}, Accepted("HD_QG_1")),
    Line("created, by HTTP alone", 201, DOCUMENTED, Accepted("HD_QG_1")),
    Line("field", 200, {"code": "200", "ma_hoa_don_quoc_gia": "HD_QG_2"}, Accepted("HD_QG_2")),
    Line("keys in capitals", 200, {"Code": 200, "MA_HOA_DON": "HD_QG_1", "Message": "OK"}, Accepted("HD_QG_1")),
    Line("no code", 200, {"ma_hoa_don_quoc_gia": " HD_QG_3 "}, Accepted("HD_QG_3")),
    Line("own code beside it", 200, {"ma_hoa_don": OWN, "ma_hoa_don_quoc_gia": "Q"}, Accepted("Q")),
    Line("the same id twice", 200, {"ma_hoa_don": "Q1", "ma_hoa_don_quoc_gia": "Q1"}, Accepted("Q1")),
    Line("a number as id", 200, {"code": 200, "ma_hoa_don": 4711}, Accepted("4711")),
    Line("byte order mark", 200, b"\xef\xbb\xbf" + json.dumps(DOCUMENTED).encode(), Accepted("HD_QG_1")),
    Line("serialized twice", 200, json.dumps(DOCUMENTED), Accepted("HD_QG_1")),
    Line("bare string", 200, "PN_QG_12345678", Accepted("PN_QG_12345678"), endpoint=RECEIPT),
    Line("receipt, field", 200, {"code": 200, "ma_phieu_nhap_quoc_gia": "PN"}, Accepted("PN"), endpoint=RECEIPT),
    # yes, but to what?
    Line("only our own code", 200, {"ma_hoa_don": OWN, "code": 200}, no_id()),
    Line("our own code in capitals", 200, {"ma_hoa_don": OWN.upper(), "code": 200}, no_id()),
    Line("our own code, bare", 200, OWN, no_id(), endpoint=RECEIPT),
    Line("no id", 200, {"code": 200, "mess": "Thành công"}, no_id()),
    Line("our own code without a code", 200, {"ma_hoa_don": OWN}, no_id()),
    Line("empty id", 200, {"code": 200, "mess": "Thành công", "ma_hoa_don": "  "}, no_id()),
    # no acceptance
    Line("an object that says nothing", 200, {"error": "?"}, unclear()),
    Line("text as national id", 200, "Token expired", unclear()),
    Line("a bare id of a sale", 200, "HD_QG_1", unclear()),
    Line("our own code of a sale, bare", 200, OWN, unclear()),
    Line("text as a receipt's id", 200, "Token expired", unclear(), endpoint=RECEIPT),
    Line("bare OK", 200, "OK", unclear(), endpoint=RECEIPT),
    Line("an id without a code that names nothing", 200, {"ma_hoa_don": 4711}, unclear()),
    Line("a text in the place of the id", 200, {"code": 200, "ma_hoa_don": "Token expired"}, unclear()),
    Line("JSON in the place of the id", 200, {"code": 200, "ma_hoa_don": '{"id": 1}'}, unclear()),
    *(
        Line(f"{value!r} as id", 200, {"code": 200, "ma_hoa_don": value, "ma_hoa_don_quoc_gia": value}, unclear())
        for value in ("null", "undefined", "None", "0", "N/A", "00000000-0000-0000-0000-000000000000", "string", "<p>")
    ),
    Line("an id that is a list", 200, {"code": 200, "ma_hoa_don": ["x"], "mess": "Thành công"}, unclear()),
    Line("an id that is true", 200, {"code": 200, "ma_hoa_don": True, "mess": "Thành công"}, unclear()),
    Line("an id too long for the column", 200, {"ma_hoa_don": "x" * 101}, unclear()),
    Line("an id with half a character", 200, b'{"ma_hoa_don": "\\ud800"}', unclear()),
    Line("somebody else's record", 200, {"code": 200, **SOMEBODY_ELSES}, unclear()),
    Line("somebody else's code", 200, {"code": 200, "ma_hoa_don": "HD-2", "ma_hoa_don_quoc_gia": "Q9"}, unclear()),
    Line("of another facility", 200, {**DOCUMENTED, "ma_co_so": "P9"}, unclear()),
    Line("success false", 200, {**DOCUMENTED, "success": False}, unclear()),
    Line("success false in words", 200, {**DOCUMENTED, "success": "false"}, unclear()),
    Line("isSuccess", 200, {**DOCUMENTED, "isSuccess": False}, unclear()),
    Line("status in capitals", 200, {**DOCUMENTED, "status": "FAILED"}, unclear()),
    Line("unsuccessful", 200, {**DOCUMENTED, "mess": "Unsuccessful"}, unclear()),
    Line("a type's name as id", 200, {**DOCUMENTED, "ma_hoa_don": "System.String"}, unclear()),
    Line("a field's name as id", 200, {**DOCUMENTED, "ma_hoa_don": "ma_hoa_don"}, unclear()),
    Line("a warning beside the id", 200, {**DOCUMENTED, "mess": "Thành công. Thuốc sắp hết hạn"}, Accepted("HD_QG_1")),
    Line("errors beside the id", 200, {**DOCUMENTED, "errors": ["?"]}, unclear()),
    Line("two codes that disagree", 200, b'{"code": 400, "Code": 200, "ma_hoa_don": "HD_QG_1"}', unclear()),
    Line("a health check", 200, {"code": 200, "message": "OK"}, unclear()),
    Line("202", 202, DOCUMENTED, unclear(202)),
    Line("203 of a proxy that rewrites", 203, DOCUMENTED, unclear(203)),
    Line("400 with a good body", 400, DOCUMENTED, unclear(400)),
    Line("empty", 200, b"", unclear()),
    Line("no content", 204, b"", unclear(204)),
    Line("HTML", 200, b"<html>OK</html>", unclear()),
    Line("bare empty string", 200, "", unclear()),
    Line("a list", 200, [DOCUMENTED], unclear()),
    Line("null", 200, None, unclear()),
    Line("not UTF-8", 200, b'{"ma_hoa_don": "\xff\xfe"}', unclear()),
    Line("UTF-16", 200, json.dumps(DOCUMENTED).encode("utf-16"), unclear()),
    Line("nested beyond reading", 200, b"[" * 100_000, unclear()),
    # refused: in the API's own words, about the document
    Line("refused with 200", 200, {"code": 400, "mess": "Sai mã cơ sở"}, refused("Sai mã cơ sở")),
    Line("refused with 200, field", 200, {"code": "400", "message": "Sai ngày"}, refused("Sai ngày")),
    Line("refused, code as a fraction", 200, {"code": 400.0, "mess": "Sai"}, refused("Sai")),
    Line("refused, serialized twice", 200, '{"code": 400, "mess": "ma_thuoc: sai"}', refused("ma_thuoc: sai")),
    Line("refused, our own code beside it", 200, {"code": 409, "ma_hoa_don": OWN, "mess": "Trùng"}, refused("Trùng")),
    Line("400 text", 400, "Ngày sai".encode(), refused("Ngày sai", 400)),
    Line("400 text, a wire field", 400, b"ma_thuoc: unknown", refused("ma_thuoc: unknown", 400)),
    Line("400 JSON", 400, {"message": "Ngày sai"}, refused("Ngày sai", 400)),
    Line("400 of ASP.NET", 400, {"Message": "ngay_ban: wrong"}, refused("ngay_ban: wrong", 400)),
    Line("400 mess in English", 400, {"mess": "Wrong day"}, refused("Wrong day", 400)),
    Line("400 with NUL", 400, {"mess": "a\0ngày"}, refused("angày", 400)),
    Line(
        "400 of ASP.NET in English",
        400,
        {"Message": "Quantity must be greater than 0"},
        refused("Quantity must be greater than 0", 400),
    ),
    Line(
        "asks to be tried again",
        400,
        {"mess": "Mã thuốc sai. Vui lòng thử lại"},
        refused("Mã thuốc sai. Vui lòng thử lại", 400),
    ),
    Line(
        "a drug is suspended", 400, {"mess": "Thuốc A tạm ngừng lưu hành"}, refused("Thuốc A tạm ngừng lưu hành", 400)
    ),
    Line(
        "says nothing beside it",
        400,
        {"mess": "Sai", "success": False, "errors": [], "traceId": "1"},
        refused("Sai", 400),
    ),
    Line(
        "a field in angle brackets", 400, {"mess": "Giá trị <ten_thuoc> sai"}, refused("Giá trị <ten_thuoc> sai", 400)
    ),
    Line("the documented object", 200, {"ma_hoa_don": None, "code": 400, "mess": "Sai"}, refused("Sai")),
    Line("400 long", 400, "ngày".encode() * 1000, refused("ngày" * 500, 400)),
    Line("409", 409, {"mess": "Đã tồn tại"}, refused("Đã tồn tại", 409)),
    Line("422", 422, {"mess": "Thiếu"}, refused("Thiếu", 422)),
    Line("another refusal of PUT", 400, {"mess": "Sai"}, refused("Sai", 400), "replace"),
    # no refusal
    Line("a page with 400", 400, b"<html><body>Request Rejected</body></html>", unclear(400), headers=HTML),
    Line("a page with 422", 422, b"<!DOCTYPE html><title>x</title>", unclear(422)),
    Line("a page within mess", 400, {"mess": "<html><body>Bị từ chối</body></html>"}, unclear(400)),
    Line("400 text of a gateway", 400, b"Bad Request", unclear(400)),
    Line("400 JSON of a gateway", 400, {"message": "Bad Request"}, unclear(400)),
    Line("400 JSON and code of a gateway", 400, {"code": 400, "message": "HTTP 400 Bad Request"}, unclear(400)),
    Line("400 problem document", 400, {"title": "Bad Request", "status": 400, "traceId": "0"}, unclear(400)),
    Line("400 empty", 400, b"", unclear(400)),
    Line("400 not UTF-8", 400, b"a\xff\x00b", unclear(400)),
    Line("refused beside an id", 200, {"code": 400, "ma_hoa_don": "Q", "mess": "Sai"}, unclear()),
    Line("400 that says yes", 400, {"code": 400, "mess": "Thành công"}, unclear(400)),
    Line("a code that nobody knows", 200, {"code": "01", "message": "Sai ngày"}, unclear()),
    Line("a code that is no number", 200, {"code": "ERR", "mess": "Sai ngày"}, unclear()),
    Line("a code without words", 200, {"code": 400}, unclear()),
    Line("code 404 to POST", 200, {"code": 404, "mess": "Không có"}, unclear()),
    # nothing to replace
    Line("404 to PUT", 404, {"code": 404, "mess": "Không tìm thấy"}, NothingToReplace(), "replace"),
    Line("code 404 to PUT", 200, {"code": "404", "message": "Không tìm thấy"}, NothingToReplace(), "replace"),
    Line("a gateway's 404 to PUT", 404, b"<html>nginx</html>", unclear(404), "replace", HTML),
    Line("a framework's 404 to PUT", 404, {"code": 404, "message": "HTTP 404 Not Found"}, unclear(404), "replace"),
    Line("an empty 404 to PUT", 404, b"", unclear(404), "replace"),
    Line("404 to POST", 404, b"", unclear(404)),
    Line("no such token to PUT", 404, {"code": 404, "mess": "Không tìm thấy token"}, unclear(404), "replace"),
    Line("a gateway's text that echoes a name", 400, "missing required Host header: Nguyễn Ánh".encode(), unclear(400)),
    Line("phrase", 200, {"code": 9, "mess": "KHÔNG tìm thấy hóa đơn 5"}, NothingToReplace(), "replace"),
    Line("phrase in 400", 400, {"mess": "Không tìm thấy hóa đơn"}, NothingToReplace(), "replace"),
    Line("phrase in somebody's wrapper", 400, 'x({"mess": "Không tìm thấy hóa đơn"}'.encode(), unclear(400), "replace"),
    Line("phrase beside a success", 200, {**DOCUMENTED, "mess": PHRASES[0]}, unclear(), "replace"),
    # the token's trouble
    Line("401", 401, b"", busy(Code.TOKEN_REJECTED, 401)),
    Line("a page with 401", 401, b"<html>401 Authorization Required</html>", unclear(401)),
    Line("401 of the API", 401, {"mess": "Token không hợp lệ"}, token_over(401)),
    Line("code 401", 200, {"code": 401, "mess": "Phiên đăng nhập đã hết hạn"}, token_over(200)),
    Line("code 403 as text", 200, {"Code": "403", "Message": "Không có quyền"}, token_over(200)),
    Line("400 about the token", 400, {"mess": "Phiên đăng nhập đã hết hạn"}, token_over(400)),
    *(
        Line(f"token: {words}", 400, {"code": 400, "mess": words}, token_over(400))
        for words in ("Phiên đã hết hạn", "Xác thực thất bại", "Không có quyền truy cập", "Phien dang nhap het han")
    ),
    Line("403 about the token", 403, {"code": 403, "mess": "Token không hợp lệ"}, token_over(403)),
    Line("400 text about the token", 400, b"Token expired", unclear(400)),
    Line("302 to a log-in page", 302, b"", unclear(302), headers={"location": "/Account/Login?ReturnUrl=%2Fapi"}),
    Line("403 of a firewall", 403, b"<html>", unclear(403)),
    # what passes
    Line("429", 429, b"", busy(Code.RATE_LIMITED, 429, 7.0), headers={"retry-after": "7"}),
    Line("429 bare", 429, b"", busy(Code.RATE_LIMITED, 429)),
    Line("code 429", 200, {"code": 429}, busy(Code.RATE_LIMITED)),
    Line("code 503", 200, {"code": "503", "mess": "Bảo trì"}, busy(Code.API_ERROR)),
    *(
        Line(f"trouble: {words}", 400, {"code": 400, "mess": words}, busy(Code.API_ERROR, 400))
        for words in ("Có lỗi xảy ra", "Không kết nối được cơ sở dữ liệu", "Hệ thống bận", "Object reference not set")
    ),
    Line("code 500 and nothing else", 200, {"code": 500}, busy(Code.API_ERROR)),
    Line("maintenance with 400", 400, {"mess": "Hệ thống đang bảo trì"}, busy(Code.API_ERROR, 400)),
    Line("500", 500, b"", busy(Code.API_ERROR, 500)),
    Line("500 with a refusal", 500, {"code": 400, "mess": "Sai ngày"}, busy(Code.API_ERROR, 500)),
    Line("503", 503, b"", busy(Code.API_ERROR, 503, 120.0), headers={"retry-after": "120"}),
    Line("502 to PUT", 502, b"<html>", busy(Code.API_ERROR, 502), "replace"),
    Line("501", 501, b"", busy(Code.API_ERROR, 501)),
    # a wrong address, a firewall, whoever
    Line("405", 405, b"", unclear(405)),
    Line("302", 302, b"", unclear(302), headers={"location": "/elsewhere"}),
    Line("307", 307, b"", unclear(307), headers={"location": "/elsewhere"}),
    Line("408", 408, b"", busy(Code.API_ERROR, 408)),
    Line("413", 413, b"", unclear(413)),
    Line("415", 415, b"", unclear(415)),
]
OURS = {"ma_hoa_don": OWN, "ma_hoa_don_quoc_gia": "Q1"}
FAILED = NoAnswer(Reason(Code.LOOK_UP_FAILED, 200))


def failed(status: int, wait_s: float | None = None) -> NoAnswer:
    return NoAnswer(Reason(Code.LOOK_UP_FAILED, status), wait_s)


LOOK_UPS = [
    # this document of this facility
    Line("bare", 200, OURS, Stored("Q1")),
    Line("with code", 200, {**OURS, "code": 200}, Stored("Q1")),
    Line("of our facility", 200, {**OURS, "ma_co_so": PLACE.lower()}, Stored("Q1")),
    Line("under data", 200, {"code": "200", "data": OURS}, Stored("Q1")),
    Line("list of one", 200, {"data": [OURS]}, Stored("Q1")),
    Line("data as text", 200, {"code": 200, "data": json.dumps(OURS)}, Stored("Q1")),
    Line("keys in capitals", 200, {"Data": {"Ma_Hoa_Don": OWN, "Ma_Hoa_Don_Quoc_Gia": "Q1"}}, Stored("Q1")),
    Line("with the whole document", 200, {"data": {**OURS, "ngay_ban": "20260301", "trang_thai": 1}}, Stored("Q1")),
    Line("ours without an id", 200, {"ma_hoa_don": OWN.lower()}, Stored(None)),
    Line("the two swapped", 200, {"ma_hoa_don": "Q3", "ma_hoa_don_quoc_gia": OWN}, Stored("Q3")),
    Line("an id that cannot be read", 200, {**OURS, "ma_hoa_don_quoc_gia": "x" * 101}, Stored(None)),
    Line("null as id", 200, {**OURS, "ma_hoa_don_quoc_gia": "null"}, Stored(None)),
    # not stored, in the API's own words
    Line("404", 404, {"mess": "Không tìm thấy dữ liệu"}, NotStored()),
    Line("no such token", 404, {"mess": "Không tìm thấy token"}, failed(404)),
    Line("no data beside an error", 200, {"code": 200, "mess": "Không tìm thấy: error 17", "data": []}, failed(200)),
    Line("404, code as text", 404, {"Code": "404", "Message": "Không tìm thấy"}, NotStored()),
    Line("code 404", 200, {"code": 404, "mess": "Không có"}, NotStored()),
    Line("code 404 in English", 200, {"code": 404, "message": "Invoice does not exist"}, NotStored()),
    Line("code 404 alone", 200, {"code": 404}, NotStored()),
    Line("the documented object", 200, {"ma_hoa_don": None, "code": 404, "mess": "Không tìm thấy"}, NotStored()),
    Line("our own code beside it", 404, {"ma_hoa_don": OWN, "mess": "Hóa đơn không tồn tại"}, NotStored()),
    Line("says nothing beside it", 404, {"code": 404, "mess": "Không có dữ liệu", "success": False}, NotStored()),
    Line("404 in English", 404, {"message": "Invoice not found"}, NotStored()),
    Line("words of the settings", 404, {"mess": "KHÔNG TÌM THẤY HÓA ĐƠN ấy"}, NotStored()),
    Line("data null, in words", 200, {"code": 200, "mess": "Thành công", "data": None, "total": 0}, NotStored()),
    Line("data null", 200, {"code": 200, "data": None}, NotStored()),
    Line("data empty", 200, {"data": []}, NotStored()),
    # the API has none
    Line("405", 405, b"", NotOffered()),
    Line(
        "405 of ASP.NET", 405, {"Message": "The requested resource does not support http method 'GET'."}, NotOffered()
    ),
    Line("501", 501, b"", NotOffered()),
    # no answer
    Line("a firewall's page with 405", 405, b"<html><h1>405</h1></html>", failed(405), headers=HTML),
    Line("error taken for not stored", 200, {"code": 500, "mess": "Lỗi hệ thống"}, FAILED),
    *(
        Line(f"data null: {words}", 200, {"code": 200, "mess": words, "data": None}, FAILED)
        for words in ("Có lỗi xảy ra", "Hóa đơn đang được xử lý", "Lỗi", "Không tìm thấy máy chủ")
    ),
    *(
        Line(f"404: {words}", 404, {"code": 404, "mess": words}, failed(404))
        for words in ("Không tìm thấy đường dẫn", "Không tìm thấy tài khoản", "Cannot GET /x", "Thành công", "Đang chờ")
    ),
    Line("any other code", 200, {"code": "1", "data": None}, FAILED),
    Line("another code beside ours", 200, {"code": "1", "data": OURS}, FAILED),
    Line("code 404 beside ours", 200, {"code": 404, "mess": "Không có", "data": OURS}, FAILED),
    Line("a gateway's 404", 404, b"<html><center>nginx</center></html>", failed(404), headers=HTML),
    Line("an empty 404", 404, b"", failed(404)),
    Line("a text with 404", 404, b"default backend - 404", failed(404)),
    Line("Kong's 404", 404, {"message": "no Route matched with those values"}, failed(404)),
    Line("Dropwizard's 404", 404, {"code": 404, "message": "HTTP 404 Not Found"}, failed(404)),
    Line("Spring's 404", 404, {"status": 404, "error": "Not Found", "message": "", "path": "/"}, failed(404)),
    Line("Kubernetes' 404", 404, {"kind": "Status", "code": 404, "message": "x not found"}, failed(404)),
    Line("not found, in somebody else's form", 404, {"message": "Invoice not found", "path": "/"}, failed(404)),
    Line("404 with code 200", 404, {"code": 200, "mess": "Không có"}, failed(404)),
    Line("500 with code 404", 500, {"code": 404, "mess": "Không có"}, failed(500)),
    Line("a cache's 404", 404, {"mess": "Không tìm thấy"}, failed(404), headers={"age": "12"}),
    Line("a cache's empty data", 200, {"code": 200, "data": None}, FAILED, headers={"age": "3"}),
    Line("data null while the API is down", 200, {"code": 200, "mess": "Đang bảo trì", "data": None}, FAILED),
    Line("data null and errors", 200, {"data": None, "errors": [{"message": "x"}]}, FAILED),
    Line("data null without success", 200, {"success": False, "data": None}, FAILED),
    Line("somebody else's record", 200, {"code": 200, "data": SOMEBODY_ELSES}, FAILED),
    Line("our code in another facility", 200, {"data": {**OURS, "ma_co_so": "P9"}}, FAILED),
    Line("somebody else's code", 200, {"data": {"ma_hoa_don": "HD-02"}}, FAILED),
    Line("only a national id", 200, {"data": {"ma_hoa_don_quoc_gia": "Q2"}}, FAILED),
    Line("list of two", 200, {"data": [OURS, OURS]}, FAILED),
    Line("nothing in it", 200, {}, FAILED),
    Line("bare null", 200, None, FAILED),
    Line("bare string", 200, "Q1", FAILED),
    Line("data false", 200, {"data": False}, FAILED),
    Line("HTML", 200, b"<html>", FAILED),
    Line("empty", 200, b"", FAILED),
    Line("not UTF-8", 200, b'{"ma_hoa_don_quoc_gia": "\xff"}', FAILED),
    Line("204", 204, b"", failed(204)),
    Line("401", 401, b"", NoAnswer(Reason(Code.TOKEN_REJECTED, 401))),
    Line("code 401", 200, {"code": 401, "mess": "Hết phiên"}, NoAnswer(Reason(Code.TOKEN_REJECTED, 200))),
    Line("403", 403, b"", failed(403)),
    Line("400", 400, b"", failed(400)),
    Line("302", 302, b"", failed(302), headers={"location": "/"}),
    Line("429", 429, b"", NoAnswer(Reason(Code.RATE_LIMITED, 429), 3.0), headers={"retry-after": "3"}),
    Line("code 429", 200, {"code": 429}, NoAnswer(Reason(Code.RATE_LIMITED, 200))),
    Line("503", 503, b"", failed(503, 9.0), headers={"retry-after": "9"}),
]


def unavailable(status: int, wait_s: float | None = None) -> TryLater:
    return TryLater(Reason(Code.LOGIN_UNAVAILABLE, status), wait_s)


def login_refused(status: int) -> TryLater:
    return TryLater(Reason(Code.LOGIN_REFUSED, status))


DATA = {"token": "abc", "token_type": "bearer"}
WRONG = "Tài khoản hoặc mật khẩu không đúng"
LOG_INS = [
    Line("documented", 200, DATA, "abc"),
    Line("field", 200, {"code": "200", "message": "ok", "data": DATA}, "abc"),
    Line("keys in capitals", 200, {"Code": 200, "Data": {"Token": "abc"}}, "abc"),
    Line("a gateway's words that echo a name", 401, {"message": "Ánh: Missing API key in request"}, unavailable(401)),
    Line("a gateway's words that echo a field", 401, {"message": "No API key found: password"}, unavailable(401)),
    # the API does not take this account
    Line("an empty 400", 400, b"", login_refused(400)),
    Line("an empty 401", 401, b"", login_refused(401)),
    Line("locked", 403, {"code": 403, "mess": "Tài khoản bị khóa"}, login_refused(403)),
    Line("401 in words", 401, {"message": WRONG}, login_refused(401)),
    Line("400 in words", 400, {"mess": WRONG}, login_refused(400)),
    Line("400 in a text", 400, WRONG.encode(), login_refused(400)),
    Line("refused with 200", 200, {"code": "400", "message": "Sai", "data": None}, login_refused(200)),
    Line("refused with 200 and a code of its own", 200, {"code": "01", "message": WRONG}, login_refused(200)),
    # it does not answer
    Line("refused beside a token", 401, {"mess": WRONG, "token": "abc"}, unavailable(401)),
    Line("a page with 400", 400, b"<html>Request Rejected: user</html>", unavailable(400), headers=HTML),
    Line("a page with 401", 401, b"<html>401 Authorization Required</html>", unavailable(401)),
    Line("a text of a gateway", 400, b"Bad Request", unavailable(400)),
    Line("JSON of a gateway", 400, {"message": "Bad Request"}, unavailable(400)),
    Line("maintenance", 200, {"code": "500", "data": None}, unavailable(200)),
    Line("maintenance in words", 400, {"mess": "Hệ thống đang bảo trì, không đăng nhập được"}, unavailable(400)),
    Line("a code without words", 200, {"code": 1}, unavailable(200)),
    Line("neither", 200, {"code": "1", "data": DATA}, unavailable(200)),
    Line("no token", 200, {"code": 200, "data": None}, unavailable(200)),
    Line("empty token", 200, {"token": ""}, unavailable(200)),
    Line("null as token", 200, {"token": "null"}, unavailable(200)),
    Line("an identity server's token", 200, {"access_token": "abc"}, unavailable(200)),
    Line("a token that breaks the header", 200, {"token": "a\r\nx: y"}, unavailable(200)),
    Line("no text", 200, {"token": 5}, unavailable(200)),
    Line("HTML", 200, b"<html>", unavailable(200)),
    Line("empty", 200, b"", unavailable(200)),
    Line("302", 302, b"", unavailable(302), headers={"location": "/"}),
    Line("403", 403, b"", unavailable(403)),
    Line("404", 404, b"", unavailable(404)),
    Line("429", 429, b"", unavailable(429, 5.0), headers={"retry-after": "5"}),
    Line("code 429", 200, {"code": 429, "data": None}, unavailable(429)),
    Line("500", 500, b"", unavailable(500)),
]


def by_name(line: Line) -> str:
    return line.name


def one_of_each_form(lines: Iterable[Line]) -> list[Line]:
    """Return one line for each status, headers, type of body and type of meaning: what a socket can change."""
    forms: dict[tuple[object, ...], Line] = {}
    for line in lines:
        forms.setdefault((line.call, line.status, str(line.headers), type(line.body), type(line.means)), line)
    return list(forms.values())
