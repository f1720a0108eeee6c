"""What the text of an answer speaks of: the token, something that passes, or the document.

Words decide nothing alone: they tell the API's refusal of a document from all that a gateway, a firewall or an expired
session says under the same status. Vietnamese letters and wire fields' names are the API's; English phrases of HTTP are
anybody's.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum


class Subject(Enum):
    """What a text speaks of."""

    TOKEN = "token"  # noqa: S105 - a subject, not a secret
    PASSING = "passing"
    """The API is down for maintenance, or asks for less."""
    DOCUMENT = "document"
    UNKNOWN = "unknown"


def subject(text: str, own_code: str = "") -> Subject:
    """What `text` speaks of, as far as it can be told. `own_code`: the pharmacy's code of the document."""
    plain = folded(text)
    if is_markup(text):
        return Subject.UNKNOWN
    if _TOKEN.search(plain):
        return Subject.TOKEN
    names_field = bool(_WIRE_FIELD.search(plain))
    if _PASSING.search(plain) and not names_field:
        return Subject.PASSING
    # A server that knows no such address quotes it, and our code stands in it.
    names_document = len(own_code) > 3 and folded(own_code) in plain and not is_generic(text)
    if names_field or names_document or _VIETNAMESE.search(plain):
        return Subject.DOCUMENT
    return Subject.UNKNOWN


def is_generic(text: str) -> bool:
    """Whether it is what any server in front of an API says of a request: words, or a page."""
    return is_markup(text) or (bool(text) and bool(_GENERIC.search(folded(text))))


def is_failure(text: str) -> bool:
    """Whether it is nothing that an API says of a call that it carried out."""
    return bool(_FAILURE.search(folded(text))) or is_markup(text)


def is_markup(text: str) -> bool:
    return bool(_MARKUP.search(text))


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


_MARKUP = re.compile(r"<[!?/a-z]", re.IGNORECASE)
_VIETNAMESE = re.compile("[ăâđêôơưàảãáạèẻẽéẹìỉĩíịòỏõóọùủũúụỳỷỹýỵ\u1ea0-\u1ef9]")
_WIRE_FIELD = re.compile(
    r"\b(ma|so|ngay|ten|ho_ten|han|don|ham|duong|lieu|thanh|ty_le|hoa_don|phieu|chi_tiet|loai_phieu|ghi)_[a-z]\w*"
)
_TOKEN = re.compile(
    r"\btokens?\b|\bjwt\b|\bunauthori[sz]ed\b|\b(not|un)[ -]?authenticated\b|\bauthentication (required|failed)\b"
    r"|\bsession\b.*\bexpired\b|\b(log|sign)[ -]?in (again|required)\b"
    r"|phiên (đăng nhập|làm việc)|đăng nhập lại|chưa đăng nhập|cần đăng nhập"
)
_PASSING = re.compile(
    r"bảo trì|quá tải|đang bận|thử lại|gián đoạn|tạm (thời|dừng|ngừng|ngưng)|lỗi (hệ thống|máy chủ)"
    r"|hệ thống (đang )?(gặp )?(lỗi|sự cố)|deadlock|exception"
    r"|quá nhiều yêu cầu|maintenance|overload|too many requests|rate limit|throttl|try again later|temporar"
    r"|unavailable|time(d)?[ -]?out|internal server error|quota"
)
_FAILURE = re.compile(
    r"lỗi|thất bại|không|chưa|từ chối|hết hạn|bảo trì|quá tải"
    r"|error|fail|denied|invalid|expired|reject|block|unauthori|forbidden|maintenance|unavailable"
)
_GENERIC = re.compile(
    r"^\W*(http )?(error )?(status )?([1-5][0-9][0-9])?\W*"
    r"(bad request|invalid request.*|not found|conflict|unprocessable.*|forbidden|unauthori[sz]ed|access denied"
    r"|request rejected)?\W*$"
    r"|\b(http|route|path|uri|url|endpoint|resource|method|service|upstream|gateway|proxy|backend|firewall|blocked|denied"
    r"|rejected|waf|api ?key|headers?|content-?type|media type|payload|request body|page|handler|host)\b"
)
"""What servers in front of an API say of a request: the phrase of its status, or what became of the request itself."""
