"""Every reason that a pharmacist may read: its code, its text and what to do about it, in Vietnamese and English."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Reason codes. They are stable: consumers of `sale-status` and alert rules rely on them."""

    # of final decisions
    ID_UNKNOWN = "id_unknown"
    VALUES_REPLACED = "values_replaced"
    RULES_BROKEN = "rules_broken"
    NO_LINES = "no_lines"
    API_REFUSED = "api_refused"
    OLDER_VERSION_STORED = "older_version_stored"
    STORED_UNDER_OTHER_CODES = "stored_under_other_codes"
    TIME_LIMIT = "time_limit"
    NEVER_TAKEN = "never_taken"
    # waiting until the shop corrects its account
    NO_ACCOUNT = "no_account"
    SEVERAL_ACCOUNTS = "several_accounts"
    LOGIN_REFUSED = "login_refused"
    # waiting, and resolved without anybody acting
    LINES_MISSING = "lines_missing"
    EARLIER_DOCUMENTS = "earlier_documents"
    SHOP_BUSY = "shop_busy"
    LOGIN_UNAVAILABLE = "login_unavailable"
    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - a code, not a secret
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    CONNECTION_LOST = "connection_lost"
    API_ERROR = "api_error"
    RATE_LIMITED = "rate_limited"
    UNCLEAR_ANSWER = "unclear_answer"
    NOT_TAKEN = "not_taken"
    NOT_YET_SHOWN = "not_yet_shown"
    CONTRADICTORY_ANSWERS = "contradictory_answers"
    LOOK_UP_FAILED = "look_up_failed"
    REPLACE_REFUSED = "replace_refused"
    INTERNAL_ERROR = "internal_error"
    ROW_UNREADABLE = "row_unreadable"
    # waiting until somebody repairs the connection
    CERTIFICATE = "certificate"
    TLS_FAILED = "tls_failed"


ACCEPTANCES = frozenset({Code.ID_UNKNOWN, Code.VALUES_REPLACED})
"""The codes that a document may have as `SYNC_SUCCESS`."""

FAILURES = frozenset(
    {
        Code.RULES_BROKEN,
        Code.NO_LINES,
        Code.API_REFUSED,
        Code.OLDER_VERSION_STORED,
        Code.STORED_UNDER_OTHER_CODES,
        Code.TIME_LIMIT,
        Code.NEVER_TAKEN,
    }
)
"""The codes that end a document as `SYNC_FAILED` or `CANCEL_FAILED`."""

OTHER_VERSION_STORED = frozenset({Code.OLDER_VERSION_STORED, Code.STORED_UNDER_OTHER_CODES})
"""The failures of documents of which the national system stores another version."""

ACCOUNT_PROBLEMS = frozenset({Code.NO_ACCOUNT, Code.SEVERAL_ACCOUNTS, Code.LOGIN_REFUSED})
"""Problems with a shop's log-in. Its documents wait without a time limit, and are tried when the account changes."""

TLS_PROBLEMS = frozenset({Code.CERTIFICATE, Code.TLS_FAILED})
"""No encrypted connection can be made, so no sale at all is sent. Seldom resolved without anybody acting."""


@dataclass(frozen=True, slots=True)
class ReasonText:
    """The text to show a person, in both languages; the actions say what to do, if anything."""

    vi: str
    en: str
    action_vi: str
    action_en: str


_NOTHING_VI = "Không cần làm gì, hệ thống tự gửi lại."
_NOTHING_EN = "No action needed: it is sent again automatically."

REASON_TEXTS: dict[Code, ReasonText] = {
    Code.ID_UNKNOWN: ReasonText(
        "Hệ thống quốc gia đã nhận hóa đơn nhưng không trả về mã quốc gia.",
        "The national system has stored the sale but returned no national id.",
        "Không cần gửi lại; có thể tra mã trên cổng Dược Quốc gia.",
        "Do not send it again; the id can be found in the national portal.",
    ),
    Code.VALUES_REPLACED: ReasonText(
        "Hệ thống quốc gia đã nhận hóa đơn; mục để trống được gửi bằng giá trị thay thế.",
        "The national system has stored the sale; a field that is empty was sent with a substitute.",
        "Không cần gửi lại; lần sau nên nhập mục nêu tên trong phần mềm bán hàng.",
        "Do not send it again; next time enter the named field in the sales software.",
    ),
    Code.RULES_BROKEN: ReasonText(
        "Hóa đơn chưa đúng quy định nên chưa được gửi.",
        "The sale breaks rules of the national system and was not sent.",
        "Sửa các mục nêu tên trong phần mềm bán hàng rồi gửi lại.",
        "Correct the named fields in the sales software, then send it again.",
    ),
    Code.NO_LINES: ReasonText(
        "Hóa đơn không có dòng thuốc nào.",
        "The sale has no lines.",
        "Nhập chi tiết hóa đơn rồi gửi lại, hoặc hủy hóa đơn.",
        "Enter the lines and send it again, or cancel the sale.",
    ),
    Code.API_REFUSED: ReasonText(
        "Hệ thống quốc gia từ chối hóa đơn.",
        "The national system refused the sale.",
        "Đọc lời từ chối đi kèm, sửa hóa đơn rồi gửi lại.",
        "Read the system's own message, correct the sale, then send it again.",
    ),
    Code.OLDER_VERSION_STORED: ReasonText(
        "Hệ thống quốc gia từ chối bản mới; bản cũ của hóa đơn vẫn còn trên hệ thống.",
        "The national system refused this version; it still has an older version of the sale.",
        "Sửa hóa đơn theo lời từ chối rồi gửi lại để thay bản cũ.",
        "Correct the sale as its message says, then send it again to replace the older version.",
    ),
    Code.STORED_UNDER_OTHER_CODES: ReasonText(
        "Mã hóa đơn hoặc mã cơ sở đã bị sửa sau khi gửi; hệ thống quốc gia vẫn giữ hóa đơn dưới mã cũ.",
        "The code of the sale or of its facility was changed after it had been accepted; the national system still "
        "has the sale under the earlier codes.",
        "Nhập lại mã cũ rồi gửi lại; hoặc hủy bản cũ trước: đặt trạng thái PENDING_CANCEL (hệ thống hủy theo mã cũ), "
        "đợi CANCELLED rồi gửi lại.",
        "Enter the earlier codes again and send it again; or withdraw it first: set its status to PENDING_CANCEL "
        "(the earlier codes are used), wait for CANCELLED, then send it again.",
    ),
    Code.TIME_LIMIT: ReasonText(
        "Đã thử gửi quá thời hạn mà không được; hóa đơn không có trên hệ thống quốc gia.",
        "The sale could not be sent within the time limit; the national system does not have it.",
        "Kiểm tra kết nối, rồi gửi lại.",
        "Check the connection, then send it again.",
    ),
    Code.NEVER_TAKEN: ReasonText(
        "Trong suốt thời hạn, mỗi lần gửi hóa đơn này đều bị một máy khác trả lời thay hệ thống quốc gia; "
        "hóa đơn không có trên hệ thống quốc gia.",
        "Within the time limit, every attempt to send this sale was answered by something other than the national "
        "system; the national system does not have it.",
        "Đưa dòng này cho người quản trị mạng (tường lửa, proxy); kiểm tra hóa đơn có ký tự hoặc nội dung lạ, rồi gửi "
        "lại.",
        "Show this line to the network administrator (firewall, proxy); look for unusual characters or texts in the "
        "sale, then send it again.",
    ),
    Code.NO_ACCOUNT: ReasonText(
        "Nhà thuốc chưa có tài khoản Dược Quốc gia đang hoạt động.",
        "The shop has no active account with the national system.",
        "Thêm tài khoản (AccountShop, status = 1); hóa đơn sẽ tự được gửi.",
        "Add the account (AccountShop, status = 1); the sale is then sent automatically.",
    ),
    Code.SEVERAL_ACCOUNTS: ReasonText(
        "Nhà thuốc có nhiều tài khoản Dược Quốc gia cùng hoạt động.",
        "The shop has more than one active account with the national system.",
        "Chỉ để một tài khoản hoạt động (status = 1); hóa đơn sẽ tự được gửi.",
        "Leave one account active (status = 1); the sale is then sent automatically.",
    ),
    Code.LOGIN_REFUSED: ReasonText(
        "Hệ thống quốc gia từ chối tài khoản hoặc mật khẩu của nhà thuốc.",
        "The national system refused the shop's account or password.",
        "Sửa tài khoản hoặc mật khẩu trong AccountShop; hóa đơn sẽ tự được gửi.",
        "Correct the account or password in AccountShop; the sale is then sent automatically.",
    ),
    Code.LINES_MISSING: ReasonText(
        "Đang chờ các dòng thuốc của hóa đơn.", "Waiting for the sale's lines.", _NOTHING_VI, _NOTHING_EN
    ),
    Code.EARLIER_DOCUMENTS: ReasonText(
        "Hóa đơn đang chờ chứng từ cùng ngày của nhà thuốc mà phải gửi trước.",
        "The sale waits for documents of the same shop and day that are sent before it.",
        "Không cần làm gì; nếu kéo dài, xem các chứng từ kia chờ gì.",
        "No action needed; if this lasts, see what the other documents wait for.",
    ),
    Code.SHOP_BUSY: ReasonText(
        "Nhà thuốc đang có nhiều hóa đơn chờ gửi.",
        "Many sales of the shop are being sent.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.LOGIN_UNAVAILABLE: ReasonText(
        "Chưa đăng nhập được vì hệ thống quốc gia không trả lời.",
        "Could not log in: the national system does not answer.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.TOKEN_REJECTED: ReasonText(
        "Hệ thống quốc gia không nhận phiên đăng nhập vừa cấp.",
        "The national system does not accept the token that it has just issued.",
        "Nếu kéo dài, kiểm tra quyền của tài khoản với cơ quan quản lý.",
        "If this lasts, have the authority check the account's rights.",
    ),
    Code.UNREACHABLE: ReasonText(
        "Không kết nối được với hệ thống quốc gia.",
        "The national system cannot be reached.",
        "Không cần làm gì; nếu kéo dài, kiểm tra đường truyền.",
        "No action needed; if this lasts, check the connection.",
    ),
    Code.TIMED_OUT: ReasonText(
        "Hệ thống quốc gia không trả lời kịp; đang kiểm tra hóa đơn đã được nhận chưa.",
        "The national system did not answer in time; we are checking whether it has the sale.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.CONNECTION_LOST: ReasonText(
        "Mất kết nối khi đang gửi; đang kiểm tra hóa đơn đã được nhận chưa.",
        "The connection broke while sending; we are checking whether the national system has the sale.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.API_ERROR: ReasonText(
        "Hệ thống quốc gia đang báo lỗi.", "The national system reports an error.", _NOTHING_VI, _NOTHING_EN
    ),
    Code.RATE_LIMITED: ReasonText(
        "Hệ thống quốc gia yêu cầu gửi chậm lại.",
        "The national system asks us to send more slowly.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.UNCLEAR_ANSWER: ReasonText(
        "Trả lời nhận được không rõ ràng; đang kiểm tra hóa đơn đã được nhận chưa.",
        "The answer is unclear; we are checking whether the national system has the sale.",
        "Hệ thống tự gửi lại; nếu kéo dài, đưa dòng này cho người quản trị mạng (tường lửa, proxy).",
        "It is sent again automatically; if this lasts, show this line to the network administrator (firewall, proxy).",
    ),
    Code.NOT_TAKEN: ReasonText(
        "Một máy khác (tường lửa, proxy) đã trả lời thay hệ thống quốc gia; hóa đơn chưa có trên hệ thống quốc gia.",
        "Something other than the national system (a firewall, a proxy) answered in its place; the national system "
        "does not have the sale yet.",
        "Hệ thống tự gửi lại; nếu kéo dài, đưa dòng này cho người quản trị mạng.",
        "It is sent again automatically; if this lasts, show this line to the network administrator.",
    ),
    Code.NOT_YET_SHOWN: ReasonText(
        "Vừa có sự cố hoặc phần mềm vừa khởi động lại; hệ thống quốc gia chưa hiện hóa đơn. Chờ tra lại rồi mới gửi, "
        "để không gửi trùng.",
        "There was an outage, or this software was restarted, and the national system does not show the sale yet; "
        "it is looked up once more before it is sent, so that it is not stored twice.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.CONTRADICTORY_ANSWERS: ReasonText(
        "Hai câu trả lời của hệ thống quốc gia trái ngược nhau: khi gửi thì như đã có hóa đơn, khi tra thì không thấy. "
        "Chờ tra lại một lần nữa rồi mới tin.",
        "Two answers of the national system contradict each other: when the sale was sent it answered as if it stored "
        "it already, and the look-up does not show it; it is asked once more before either is believed.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.LOOK_UP_FAILED: ReasonText(
        "Chưa tra được hóa đơn trên hệ thống quốc gia.",
        "The sale could not be looked up in the national system.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.REPLACE_REFUSED: ReasonText(
        "Không tra được hóa đơn, và hệ thống quốc gia từ chối bản gửi lại.",
        "The sale cannot be looked up, and the national system refused to replace it.",
        "Tra hóa đơn trên cổng Dược Quốc gia và báo cho người quản trị.",
        "Look the sale up in the national portal and inform the administrator.",
    ),
    Code.INTERNAL_ERROR: ReasonText(
        "Lỗi trong phần mềm đồng bộ; hóa đơn sẽ được thử lại.",
        "An error in the synchronisation software; the sale will be retried.",
        "Nếu kéo dài, gửi nhật ký cho người quản trị.",
        "If this lasts, send the log to the administrator.",
    ),
    Code.ROW_UNREADABLE: ReasonText(
        "Không đọc được dữ liệu của hóa đơn trong cơ sở dữ liệu bán hàng.",
        "The data of this sale in the sales database cannot be read.",
        "Nhập lại các mục có ngày, số hoặc ký tự lạ của hóa đơn trong phần mềm bán hàng, rồi gửi lại; nếu không thấy "
        "mục nào sai, gửi nhật ký cho người quản trị.",
        "Enter again whatever looks odd in the sale (dates, numbers or characters), then send it again; if nothing "
        "looks odd, send the log to the administrator.",
    ),
    Code.CERTIFICATE: ReasonText(
        "Chứng chỉ của máy chủ hệ thống quốc gia không được chấp nhận, nên không gửi gì đến đó.",
        "The certificate of the national system's server is not accepted, so nothing is sent to it.",
        "Báo người quản trị: lệnh doctor cho biết là chứng chỉ nào. Máy chủ phải gửi đủ chuỗi chứng chỉ, kể cả chứng "
        "chỉ trung gian; CA riêng, hoặc CA của proxy đọc TLS, thì thêm vào kho chứng chỉ của máy gửi hoặc vào tệp "
        "NATIONAL_API_CA_FILE rồi khởi động lại; nếu hết hạn hoặc chưa có hiệu lực, kiểm tra cả đồng hồ của máy gửi; "
        "nếu sai tên, kiểm tra NATIONAL_API_URL. Hóa đơn sẽ tự được gửi.",
        "Inform the administrator: the command doctor names the certificate. The server has to send the whole chain, "
        "including the intermediate certificate. A private CA, or that of a proxy that inspects TLS, has to be added "
        "to the certificate store of the worker's machine or to NATIONAL_API_CA_FILE, and the worker restarted. If the "
        "certificate has expired or is not yet valid, check the clock of that machine too; if the name is wrong, check "
        "NATIONAL_API_URL. The sale is then sent automatically.",
    ),
    Code.TLS_FAILED: ReasonText(
        "Không lập được kết nối mã hóa (TLS) với máy chủ hệ thống quốc gia, nên không gửi gì đến đó.",
        "No encrypted connection (TLS) can be made to the national system's server, so nothing is sent to it.",
        "Báo người quản trị kiểm tra NATIONAL_API_URL, và proxy hay tường lửa ở giữa. Máy chủ phải dùng TLS 1.3, hoặc "
        "1.2 với ECDHE; nếu máy chủ chỉ có thuật toán cũ hơn, đặt NATIONAL_API_TRANSPORT=compatible; nếu máy chủ đòi "
        "chứng chỉ của máy gửi, đặt NATIONAL_API_CLIENT_CERT và NATIONAL_API_CLIENT_KEY. Hóa đơn sẽ tự được gửi.",
        "Have the administrator check NATIONAL_API_URL, and any proxy or firewall in between. The server has to "
        "support TLS 1.3, or 1.2 with ECDHE; if it has only older ciphers, set NATIONAL_API_TRANSPORT=compatible; if "
        "it requires a certificate of the worker, set NATIONAL_API_CLIENT_CERT and NATIONAL_API_CLIENT_KEY. The sale "
        "is then sent automatically.",
    ),
}


ANSWER_TEXTS: dict[int, tuple[str, str]] = {
    200: ("một trang hoặc nội dung không phải của hệ thống quốc gia", "a page or a text that is not from the API"),
    400: ("yêu cầu bị từ chối trước khi đến hệ thống quốc gia", "the request was rejected before it reached the API"),
    403: ("nội dung bị tường lửa hoặc proxy chặn", "a firewall or proxy blocks it"),
    404: ("không tìm thấy địa chỉ trên máy trung gian", "an intermediate server does not know the address"),
    405: ("phương thức bị tường lửa hoặc proxy chặn", "a firewall or proxy blocks the method"),
    406: ("nội dung bị tường lửa hoặc proxy chặn", "a firewall or proxy blocks it"),
    413: ("hóa đơn quá lớn đối với máy trung gian", "the sale is too large for an intermediate server"),
    414: ("địa chỉ quá dài đối với máy trung gian", "the address is too long for an intermediate server"),
    415: (
        "kiểu nội dung application/json không được nhận",
        "the content type application/json is not accepted",
    ),
    431: (
        "phần đầu yêu cầu quá lớn đối với máy trung gian",
        "the request headers are too large for an intermediate server",
    ),
}
"""HTTP status -> what an answer with it means when it does not come from the API. Shown after the status."""


RULE_TEXTS: dict[str, tuple[str, str]] = {
    "required": ("bắt buộc phải có", "is required"),
    "at_least_one": ("phải có ít nhất một dòng", "needs at least one line"),
    "max_length": ("dài quá {limit} ký tự", "is longer than {limit} characters"),
    "max_digits": ("có quá {limit} chữ số", "has more than {limit} digits"),
    "text": ("phải là chữ", "must be text"),
    "readable": ("có ký tự không đọc được, hãy nhập lại", "has unreadable characters: enter it again"),
    "date": ("không phải là ngày", "is not a date"),
    "date_absurd": ("là ngày vô lý", "is an implausible date"),
    "not_in_future": ("là ngày trong tương lai", "is in the future"),
    "one_of": ("phải là một trong các số {limit}", "must be one of {limit}"),
    "not_negative": (
        "là số âm (hàng khách trả lại được ghi bằng phiếu nhập loại 2)",
        "is negative (what a customer returns is entered as a purchase receipt of type 2)",
    ),
    "positive": ("phải lớn hơn 0", "must be greater than 0"),
    "whole": ("phải là số nguyên", "must be a whole number"),
    "finite": ("không phải là số hữu hạn", "is not a finite number"),
    "valid": ("không hợp lệ", "is not valid"),
    "in_an_address": ("không dùng được trong địa chỉ", "cannot be part of an address"),
    "of_another": (
        "là mã mà một chứng từ khác đã được gửi, nên không có gì bị hủy",
        "is the code under which another document was sent, so nothing was withdrawn",
    ),
    "stored_as": ("trên hệ thống quốc gia là {limit}", "is {limit} in the national system"),
}
"""Rule -> its text for people, Vietnamese and English; it follows the name of the field."""

REMARK_TEXTS: dict[str, tuple[str, str]] = {
    "sent_as": ('để trống, được gửi là "{limit}"', 'is empty and was sent as "{limit}"'),
    "not_national": (
        "không bắt đầu bằng DQG như mã thuốc quốc gia, có thể vì vậy mà bị từ chối",
        "does not begin with DQG, as national drug codes do; that may be why",
    ),
    "fraction": ("có phần lẻ, có thể vì vậy mà bị từ chối", "is not a whole number; that may be why"),
}
"""Remark about a field of a document that was sent -> its text for people, Vietnamese and English; it follows the name
of the field."""

TLS_FIELDS: dict[str, tuple[str, str]] = {
    "certificate": ("Chứng chỉ của máy chủ", "The server's certificate"),
    "tls": ("Kết nối mã hóa", "The encrypted connection"),
}
"""The `field` values in the `details` of `TLS_PROBLEMS`, which are about the connection, not the document."""

TLS_RULE_TEXTS: dict[str, tuple[str, str]] = {
    "unknown_issuer": (
        "do một CA mà máy gửi không tin cậy cấp, hoặc máy chủ không gửi kèm chứng chỉ trung gian",
        "is signed by an authority that the worker's machine does not trust, or the server does not send the "
        "intermediate certificate that signed it",
    ),
    "expired": (
        "đã hết hạn, hoặc một chứng chỉ trong chuỗi đã hết hạn, hoặc đồng hồ của máy gửi chạy trước",
        "has expired, or another certificate in its chain has, or the clock of the worker's machine is ahead",
    ),
    "not_yet_valid": (
        "chưa có hiệu lực, hoặc đồng hồ của máy gửi chạy sau",
        "is not valid yet, or the clock of the worker's machine is behind",
    ),
    "wrong_name": (
        "được cấp cho tên khác, không phải tên trong NATIONAL_API_URL",
        "is issued for a different name than the one in NATIONAL_API_URL",
    ),
    "not_for_servers": (
        "không phải chứng chỉ dành cho máy chủ, thường là chứng chỉ tự ký",
        "is not a server certificate, often because it is self-signed",
    ),
    "other": ("không hợp lệ", "is not valid"),
    "no_tls": ("không có: máy chủ không trả lời bằng TLS", "is missing: the server does not answer with TLS"),
    "not_agreed": (
        "bị từ chối: hai bên không có phiên bản TLS hay thuật toán chung, hoặc máy chủ đòi chứng chỉ của máy gửi",
        "is refused: the two sides have no TLS version or no cipher in common, or the server requires a certificate of "
        "the worker",
    ),
    "client_certificate": (
        "bị từ chối: máy chủ đòi chứng chỉ của máy gửi",
        "is refused: the server asks the worker for a certificate",
    ),
}
"""Rule about the connection -> its text for people, Vietnamese and English; it follows the name in `TLS_FIELDS`."""
