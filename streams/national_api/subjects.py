"""What the text of an answer is about: the token, a transient failure, or the document.

A text decides nothing alone. It distinguishes the API's refusal of a document from what a gateway, a firewall or an
expired session says under the same status. Vietnamese letters and the names of wire fields come from the API; English
phrases of HTTP may come from any server.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum


class Subject(Enum):
    """What a text is about."""

    TOKEN = "token"  # noqa: S105 - a subject, not a secret
    TRANSIENT = "transient"
    """The API is down for maintenance, fails, or asks for fewer requests."""
    DOCUMENT = "document"
    UNKNOWN = "unknown"


def subject(text: str, document_code: str = "") -> Subject:
    """Return what `text` is about, if that is clear. `document_code`: the pharmacy's code of the document."""
    plain = folded(text)
    if is_markup(text):
        return Subject.UNKNOWN
    if _TOKEN.search(plain):
        return Subject.TOKEN
    names_field = bool(_WIRE_FIELD.search(plain))
    if _TRANSIENT.search(plain) and not names_field:
        return Subject.TRANSIENT
    # A server that does not know the address quotes it, and the address contains our document code.
    names_document = len(document_code) > 3 and folded(document_code) in plain and not is_generic(text)
    if names_field or names_document or _VIETNAMESE.search(plain):
        return Subject.DOCUMENT
    return Subject.UNKNOWN


def is_generic(text: str) -> bool:
    """Whether it is what any server in front of an API says about a request: a generic phrase, or a page."""
    return is_markup(text) or (bool(text) and bool(_GENERIC.search(folded(text))))


def says_not_found(text: str) -> bool:
    """Whether it says that there is no such document.

    False for texts about an address, an account, a token or a server that was not found, or about a document in
    processing.
    """
    plain = folded(text)
    speaks_of_another = _NOT_OF_A_DOCUMENT.search(plain) or _TOKEN.search(plain) or is_generic(text)
    return bool(_NOT_FOUND.search(plain)) and not speaks_of_another


def says_success(text: str) -> bool:
    """Whether it says that the call succeeded, and nothing of a failure."""
    return bool(_SUCCESS.search(folded(text))) and not is_failure(text)


def says_stored(text: str) -> bool:
    """Whether a refusal says that the document is already stored, or being processed."""
    return bool(_STORED.search(folded(text)))


def is_failure(text: str) -> bool:
    """Whether it is a text that an API does not write about a call that it carried out."""
    plain = folded(text)
    is_remark = bool(_SUCCESS.search(plain))  # "Success. Note: the drug expires soon"
    return bool(_FAILURE.search(plain)) or (bool(_DOUBTFUL.search(plain)) and not is_remark) or is_markup(text)


def is_markup(text: str) -> bool:
    """Whether it contains HTML tags, or the start of an XML document."""
    return bool(_MARKUP.search(text))


def folded(text: str) -> str:
    """Return the text in Unicode form NFC and without case, for comparisons."""
    return unicodedata.normalize("NFC", text).casefold()


_MARKUP = re.compile(
    r"<(!|\?|/?(html|head|body|title|script|style|div|p|br|h[1-6]|center|span|a|b|i|table|t[rdh]|meta|pre|hr|form|img"
    r"|ul|li|font)\b)",
    re.IGNORECASE,
)
_VIETNAMESE = re.compile("[ăâđêôơưàảãáạèẻẽéẹìỉĩíịòỏõóọùủũúụỳỷỹýỵ\u1ea0-\u1ef9]")
_WIRE_FIELD = re.compile(
    r"\b(ma|so|ngay|ten|ho_ten|han|don|ham|duong|lieu|thanh|ty_le|hoa_don|phieu|chi_tiet|loai_phieu|ghi)_[a-z]\w*"
)
_TOKEN = re.compile(
    r"\btokens?\b|\bbearer\b|\bjwt\b|\bunauthori[sz]ed\b|\b(not|un)[ -]?authenticated\b"
    r"|\bauthentication (required|failed)\b|\bsession\b.*\bexpired\b|\bsignature has expired\b"
    r"|\b(log|sign)[ -]?in (again|required)\b"
    r"|phiên (đăng nhập|làm việc|giao dịch|đã hết|không)|hết phiên|phien (dang nhap|lam viec)"
    r"|đăng nhập (lại|ở nơi khác)|(bạn|vui lòng|cần|tài khoản) (chưa |phải )?đăng nhập|lỗi xác thực|mã xác thực"
    r"|(chưa|không) (được )?xác thực\W*$|xác thực (không thành công|thất bại)|quyền truy cập|không (có|đủ) quyền"
)
_TRANSIENT = re.compile(
    r"bảo trì|quá tải|(hệ thống|máy chủ|dịch vụ).*\bbận|thử lại sau|gián đoạn|lỗi (hệ thống|máy chủ|không xác định)"
    r"|(hệ thống|dịch vụ|cổng) (đang )?tạm (thời |dừng|ngừng|ngưng)|hệ thống (đang )?(gặp )?(lỗi|sự cố)"
    r"|(có|xảy ra) lỗi( xảy ra)?\b|lỗi xảy ra|không kết nối|mất kết nối|lỗi kết nối|quá nhiều yêu cầu"
    r"|bao tri|qua tai|he thong dang (ban|loi)"
    r"|deadlock|exception|object reference|task was canceled|\bora-[0-9]|cannot open|connection (refused|reset|closed)"
    r"|unknown error|maintenance|overload|too many requests|rate limit|throttl|try again later|temporar"
    r"|unavailable|time(d)?[ -]?out|internal server error|quota"
)
_FAILURE = re.compile(
    r"lỗi|thất bại|không (tìm thấy|tồn tại|thành công|hợp lệ|có|được|đúng)|từ chối|bảo trì|quá tải|phiên|bị khóa"
    r"|error|fail|denied|invalid|expired|reject|block|unauthori|unsuccess|forbidden|maintenance|unavailable|token"
)
_DOUBTFUL = re.compile(r"\bkhông\b|\bchưa\b|hết hạn")
_SUCCESS = re.compile(r"thành công|^\W*(ok|success(ful(ly)?)?|done)\W*$")
_NOT_FOUND = re.compile(
    r"không tìm thấy|(không|chưa) tồn tại|chưa có|^\W*không có\W*$|chưa được (gửi|khai báo|liên thông)"
    r"|không có (dữ liệu|h[oó][aá] đơn|chứng từ|phiếu|bản ghi|thông tin|kết quả)"
    r"|\b(invoice|document|record|receipt|slip|data)s? (was |is |could )?(not (be )?found|does not exist)"
    r"|\bno (such )?(data|record|invoice|document|receipt|slip)"
)
_NOT_OF_A_DOCUMENT = re.compile(
    r"đường dẫn|\btrang\b|\bapi\b|dịch vụ|máy chủ|tài khoản|người dùng|phương thức|cơ sở dữ liệu|phiên|quyền|endpoint"
    r"|cannot (get|post|put|delete)|xử lý|đang chờ|lỗi|\berror\b"
)
_STORED = re.compile(
    r"đã (được )?(tồn tại|có|gửi|liên thông|tiếp nhận|ghi nhận|khai báo)|trùng|xử lý|quá hạn|already|duplicate|exists"
)
_GENERIC = re.compile(
    r"^\W*(http )?(error )?(status )?([1-5][0-9][0-9])?\W*"
    r"(bad request|invalid request.*|not found|conflict|unprocessable.*|forbidden|unauthori[sz]ed|access denied"
    r"|request rejected)?\W*$"
    r"|\b(http|route|path|uri|url|endpoint|resource|method|service|upstream|gateway|proxy|backend|firewall|blocked|denied"
    r"|rejected|waf|api ?key|headers?|content-?type|media type|payload|request body|page|handler|host|cannot get)\b"
)
"""What servers in front of an API say about a request: a reason phrase of HTTP, or how the request itself failed."""
