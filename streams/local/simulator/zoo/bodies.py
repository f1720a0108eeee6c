"""Envelopes, encodings and headers that no product owns: what home-made gateways and careless clients' servers send."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

from streams.local.simulator.calls import Call
from streams.local.simulator.zoo.entry import DOCUMENTS, JSON, LOG_IN, LOOKED_UP, SENT, TEXT, Entry, said

_ENVELOPE = "a home-made gateway"
_SEEN = "seen: the gateway's own code under HTTP 200"
_NEVER_SET = "seen: a value that was never set, made a text"
_RFC = "RFC 9110, Retry-After, and what is sent in its place"
_PAGE = "<html><body>Hệ thống bảo trì</body></html>".encode()


def _filled(value: Any) -> Callable[[Call], bytes]:
    """A success that carries `value` where the national id, or the token, would stand."""

    def made(call: Call) -> bytes:
        if call.kind is None:
            return said({"code": 200, "mess": "OK", "data": {"token": value, "token_type": "bearer"}})
        return said({"code": 200, "mess": "OK", call.kind.national_id_field: value})

    return made


def _somebody_elses(call: Call) -> dict[str, Any]:
    assert call.kind is not None  # noqa: S101 - such an entry fits no log-in
    return {
        call.kind.document_code_field: "HD-KHAC-999",
        "ma_co_so": "01-99999",
        call.kind.national_id_field: "HD_QG_999",
    }


def _cut(value: Any) -> bytes:
    whole = said(value)
    return whole[: len(whole) * 2 // 3]


def _busy(name: str, retry_after: str) -> Entry:
    return Entry(name, "a rate limit", _RFC, 429, b"", TEXT, {"Retry-After": retry_after})


_SESSION = "Phiên đăng nhập đã hết hạn"

ENTRIES = (
    Entry("envelope_401", _ENVELOPE, _SEEN, 200, said({"code": 401, "mess": _SESSION}), JSON, calls=DOCUMENTS),
    Entry("envelope_401_text", _ENVELOPE, _SEEN, 200, said({"CODE": "401", "MESS": "Token expired"}), JSON,
          calls=DOCUMENTS),
    Entry("envelope_403", _ENVELOPE, _SEEN, 200, said({"code": 403, "message": "Forbidden"}), JSON, calls=DOCUMENTS),
    Entry("envelope_400_token", _ENVELOPE, "seen: the token's trouble as a refusal", 400,
          said({"code": 400, "mess": "Token không hợp lệ"}), JSON, calls=DOCUMENTS, look_alike=True),
    Entry("envelope_429", _ENVELOPE, _SEEN, 200, said({"code": "429", "mess": "Quá nhiều yêu cầu"}), JSON),
    Entry("envelope_500", _ENVELOPE, _SEEN, 200, said({"code": 500, "mess": "Lỗi hệ thống"}), JSON),
    Entry("envelope_500_null", _ENVELOPE, _SEEN, 200, said({"code": "500", "message": "Lỗi hệ thống", "data": None}),
          JSON),
    Entry("envelope_503", _ENVELOPE, _SEEN, 200, said({"Code": 503, "Message": "Bảo trì"}), JSON),
    Entry("envelope_unknown", _ENVELOPE, "seen: a code that nobody knows", 200, said({"code": "99", "mess": "?"}),
          JSON),
    Entry("envelope_busy_400", _ENVELOPE, "seen: passing trouble as a refusal", 400,
          said({"code": 400, "mess": "Hệ thống đang bận, vui lòng thử lại sau"}), JSON, look_alike=True),
    Entry("success_false", _ENVELOPE, "ABP, WrapResult: success and error", 200,
          said({"success": False, "error": {"code": 0, "message": "An internal error occurred"}, "result": None}),
          JSON),
    Entry("success_false_beside_id", _ENVELOPE, "seen: a failure that carries the last id", 200,
          lambda call: said({"success": False, **json.loads(_filled("HD_QG_1")(call))}), JSON),
    Entry("success_null_data", _ENVELOPE, "seen: a success without anything", 200,
          said({"code": 200, "mess": "Thành công", "data": None}), JSON, calls=SENT | LOG_IN),
    Entry("error_in_data", _ENVELOPE, "seen: the inner answer wrapped by the outer", 200,
          said({"code": 200, "data": {"code": 500, "mess": "Lỗi hệ thống"}}), JSON),
    Entry("error_in_text", _ENVELOPE, "seen: JSON serialized twice", 200,
          said(json.dumps({"code": 503, "mess": "Bảo trì"})), JSON),
    Entry("text_token_expired", _ENVELOPE, "seen: a bare JSON text", 200, said("Token expired"), JSON),
    Entry("text_ok", _ENVELOPE, "seen: a health check's answer", 200, said("OK"), JSON),
    Entry("plain_ok", _ENVELOPE, "seen: a health check's answer", 200, b"OK", TEXT),
    Entry("bare_true", _ENVELOPE, "seen: the result of a call as it is", 200, b"true", JSON),
    Entry("bare_null", _ENVELOPE, "seen: the result of a call as it is", 200, b"null", JSON),
    Entry("bare_zero", _ENVELOPE, "seen: the result of a call as it is", 200, b"0", JSON),
    Entry("empty_object", _ENVELOPE, "seen: the result of a call as it is", 200, b"{}", JSON),
    Entry("empty_list", _ENVELOPE, "seen: the result of a call as it is", 200, b"[]", JSON),
    Entry("id_undefined", "JavaScript", _NEVER_SET, 200, _filled("undefined"), JSON),
    Entry("id_null", "Java", _NEVER_SET, 200, _filled("null"), JSON, calls=SENT),
    Entry("id_object", "JavaScript", _NEVER_SET, 200, _filled("[object Object]"), JSON),
    Entry("id_zero", "SQL", _NEVER_SET, 200, _filled(0), JSON),
    Entry("id_false", "PHP", _NEVER_SET, 200, _filled(False), JSON),
    Entry("id_of_error", _ENVELOPE, "seen: the words where the id belongs", 200, _filled("Lỗi hệ thống"), JSON),
    Entry("somebody_elses", "a cache without Vary", "seen: the answer of another shop", 200,
          lambda call: said({"code": 200, "mess": "Thành công", **_somebody_elses(call)}), JSON, calls=DOCUMENTS),
    Entry("somebody_elses_data", "a cache without Vary", "seen: the answer of another shop", 200,
          lambda call: said({"code": 200, "data": [_somebody_elses(call)]}), JSON, calls=LOOKED_UP),
    Entry("two_records", "a search in place of a look-up", "seen: a list, the wanted one perhaps within it", 200,
          lambda call: said({"code": 200, "data": [_somebody_elses(call), _somebody_elses(call)]}), JSON,
          calls=LOOKED_UP),
    Entry("stale_acceptance", "a cache that keeps POSTs", "RFC 9111, Age: an answer from before our call", 200,
          lambda call: said({call.kind.document_code_field if call.kind else "": "HD_QG_00000001", "code": 200,
                             "mess": "Thành công"}), JSON, {"Age": "7200", "X-Cache": "HIT"}, SENT, look_alike=True),
    Entry("stale_token", "a cache that keeps POSTs", "RFC 9111, Age: the token of another shop", 200,
          said({"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "token_type": "bearer"}), JSON,
          {"Age": "7200", "X-Cache": "HIT"}, LOG_IN, look_alike=True),
    Entry("utf_16", "an encoder's default", ".NET, Encoding.Unicode", 200,
          '{"code": 500, "mess": "Lỗi hệ thống"}'.encode("utf-16"), "application/json; charset=utf-16"),
    Entry("utf_16_unmarked", "an encoder's default", ".NET, Encoding.Unicode without a preamble", 400,
          "Bảo trì".encode("utf-16-le"), TEXT),
    Entry("latin_1", "an encoder's default", "Java, ISO-8859-1 of servlets", 200,
          '{"code": 500, "mess": "Opération échouée"}'.encode("latin-1"), "application/json"),
    Entry("gzip_unmarked", "a cache", "seen: compressed, and not said", 200, gzip.compress(_PAGE, mtime=0), JSON),
    Entry("gzip_marked", "a cache", "seen: compressed, although nobody asked", 200, gzip.compress(_PAGE, mtime=0),
          "text/html",
          {"Content-Encoding": "gzip"}),
    Entry("bom_page", "an editor", "a page saved with a byte order mark", 200, b"\xef\xbb\xbf" + _PAGE),
    Entry("bom_error", "an editor", "JSON saved with a byte order mark", 200,
          b"\xef\xbb\xbf" + said({"code": 500, "mess": "Lỗi"}), JSON),
    Entry("truncated_acceptance", "a buffer", "nginx, proxy_max_temp_file_size and a full disk", 200,
          lambda call: _cut({"code": 200, "ma_hoa_don_quoc_gia": "HD_QG_00000012", "mess": "Thành công"}), JSON),
    Entry("truncated_refusal", "a buffer", "seen: cut off, and said to be whole", 400,
          _cut({"code": 400, "mess": "ma_thuoc: không có trong danh mục"}), JSON),
    Entry("xssi_prefix", "Angular", "Angular, the prefix against script inclusion", 200,
          b")]}',\n" + said({"code": 500, "mess": "Lỗi"}), JSON),
    Entry("jsonp", "a JSONP service", "seen: JSON within a call", 200,
          b'callback({"code": 200, "ma_hoa_don": "HD_QG_1"});',
          "application/javascript"),
    Entry("two_objects", "a log as an answer", "seen: a line for each step", 200,
          b'{"code": 200, "ma_hoa_don": "HD_QG_1"}\n{"code": 500, "mess": "L"}\n', "application/x-ndjson"),
    Entry("empty_html", "a broken back end", "seen: nothing, said to be a page", 200, b"", "text/html"),
    Entry("empty_json", "a broken back end", "seen: nothing, said to be JSON", 200, b"", JSON),
    Entry("empty_image", "a broken back end", "seen: nothing, said to be a picture", 404, b"", "image/gif"),
    Entry("no_content", "a preflight's answer", "RFC 9110, 204", 204, b"", TEXT),
    Entry("see_login", "a session filter", "seen: to the log-in page", 302, b"", TEXT,
          {"Location": "/login?returnUrl=%2Fapi"}),
    Entry("soap_fault", "a SOAP service", "SOAP 1.1, Fault", 500,
          b'<?xml version="1.0"?><soap:Envelope '
          b'xmlns:soap="soap"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode>'
          b"</soap:Fault></soap:Body></soap:Envelope>", "text/xml; charset=utf-8"),
    _busy("retry_after_400_digits", "9" * 400),
    _busy("retry_after_negative", "-30"),
    _busy("retry_after_fraction", "1.5"),
    _busy("retry_after_http_date", "Sun, 06 Nov 2094 08:49:37 GMT"),
    _busy("retry_after_iso_date", "2094-11-06T08:49:37Z"),
    _busy("retry_after_words", "later today"),
    _busy("retry_after_two", "120, 3600"),
    _busy("retry_after_impossible_date", "Thu, 00 Jan 0000 00:00:00 GMT"),
)  # fmt: skip
