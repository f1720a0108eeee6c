"""The texts of reasons where a document is being withdrawn: a code means the same, but its text speaks of sending."""

from __future__ import annotations

from dataclasses import replace

from streams.domain.reasons import REASON_TEXTS, Code, ReasonText

_NOTHING_VI = "Không cần làm gì, hệ thống tự thử lại."
_NOTHING_EN = "No action needed: it is tried again automatically."


def _with_action(code: Code, action_vi: str, action_en: str) -> ReasonText:
    """Return the text of a reason with another action: what is wrong is the same."""
    return replace(REASON_TEXTS[code], action_vi=action_vi, action_en=action_en)


WITHDRAWAL_TEXTS: dict[Code, ReasonText] = {
    Code.RULES_BROKEN: ReasonText(
        "Hóa đơn không hủy được theo mã của nó.",
        "The sale cannot be withdrawn under its codes.",
        "Kiểm tra các mã nêu tên trong phần mềm bán hàng; nếu hóa đơn có trên cổng Dược Quốc gia thì hủy ở đó.",
        "Check the named codes in the sales software; if the national portal shows the sale, withdraw it there.",
    ),
    Code.API_REFUSED: ReasonText(
        "Hệ thống quốc gia không cho hủy hóa đơn; hóa đơn vẫn còn trên hệ thống quốc gia.",
        "The national system refused to withdraw the sale, and still has it.",
        "Đọc lời từ chối đi kèm; nếu vẫn cần hủy thì liên hệ cơ quan quản lý, rồi yêu cầu hủy lại.",
        "Read the system's own message; if it still has to be withdrawn, contact the authority, then request the "
        "withdrawal again.",
    ),
    Code.NEVER_TAKEN: ReasonText(
        "Trong suốt thời hạn, mỗi lần hủy hóa đơn này đều bị một máy khác trả lời thay hệ thống quốc gia; hóa đơn vẫn "
        "còn trên hệ thống quốc gia.",
        "Within the time limit, every attempt to withdraw this sale was answered by something other than the national "
        "system; the national system still has the sale.",
        "Đưa dòng này cho người quản trị mạng: tường lửa hoặc proxy phải cho qua phương thức DELETE; sau đó yêu cầu "
        "hủy lại.",
        "Show this line to the network administrator: the firewall or proxy has to let the method DELETE through. Then "
        "request the withdrawal again.",
    ),
    Code.NO_ACCOUNT: _with_action(
        Code.NO_ACCOUNT,
        "Thêm tài khoản (AccountShop, status = 1); hóa đơn sẽ tự được hủy.",
        "Add the account (AccountShop, status = 1); the sale is then withdrawn automatically.",
    ),
    Code.SEVERAL_ACCOUNTS: _with_action(
        Code.SEVERAL_ACCOUNTS,
        "Chỉ để một tài khoản hoạt động (status = 1); hóa đơn sẽ tự được hủy.",
        "Leave one account active (status = 1); the sale is then withdrawn automatically.",
    ),
    Code.LOGIN_REFUSED: _with_action(
        Code.LOGIN_REFUSED,
        "Sửa tài khoản hoặc mật khẩu trong AccountShop; hóa đơn sẽ tự được hủy.",
        "Correct the account or password in AccountShop; the sale is then withdrawn automatically.",
    ),
    Code.SHOP_BUSY: ReasonText(
        "Nhà thuốc đang có nhiều hóa đơn chờ gửi hoặc chờ hủy.",
        "Many sales of the shop are being sent or withdrawn.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.LOGIN_UNAVAILABLE: _with_action(Code.LOGIN_UNAVAILABLE, _NOTHING_VI, _NOTHING_EN),
    Code.TIMED_OUT: ReasonText(
        "Hệ thống quốc gia không trả lời kịp yêu cầu hủy; đang kiểm tra hóa đơn còn trên hệ thống không.",
        "The national system did not answer in time; we are checking whether it still has the sale.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.CONNECTION_LOST: ReasonText(
        "Mất kết nối khi đang hủy; đang kiểm tra hóa đơn còn trên hệ thống quốc gia không.",
        "The connection broke while withdrawing; we are checking whether the national system still has the sale.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.API_ERROR: _with_action(Code.API_ERROR, _NOTHING_VI, _NOTHING_EN),
    Code.RATE_LIMITED: _with_action(Code.RATE_LIMITED, _NOTHING_VI, _NOTHING_EN),
    Code.UNCLEAR_ANSWER: ReasonText(
        "Trả lời nhận được không rõ ràng; đang kiểm tra hóa đơn còn trên hệ thống quốc gia không.",
        "The answer is unclear; we are checking whether the national system still has the sale.",
        "Hệ thống tự thử lại; nếu kéo dài, đưa dòng này cho người quản trị mạng (tường lửa, proxy).",
        "It is tried again automatically; if this lasts, show this line to the network administrator (firewall, "
        "proxy).",
    ),
    Code.NOT_TAKEN: ReasonText(
        "Một máy khác (tường lửa, proxy) đã trả lời thay hệ thống quốc gia; hóa đơn chưa được hủy.",
        "Something other than the national system (a firewall, a proxy) answered in its place; the sale is not "
        "withdrawn yet.",
        "Hệ thống tự thử lại; nếu kéo dài, đưa dòng này cho người quản trị mạng: phương thức DELETE có thể bị chặn.",
        "It is tried again automatically; if this lasts, show this line to the network administrator: the method "
        "DELETE may be blocked.",
    ),
    Code.NOT_YET_SHOWN: ReasonText(
        "Vừa có sự cố hoặc phần mềm vừa khởi động lại; hệ thống quốc gia không hiện hóa đơn. Chờ tra lại rồi mới coi "
        "là đã hủy.",
        "There was an outage, or this software was restarted, and the national system does not show the sale; it is "
        "looked up once more before it counts as withdrawn.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.CONTRADICTORY_ANSWERS: ReasonText(
        "Hai câu trả lời của hệ thống quốc gia trái ngược nhau: khi hủy thì như không có hóa đơn, khi tra thì thấy. "
        "Chờ hỏi lại một lần nữa rồi mới tin.",
        "Two answers of the national system contradict each other: when the sale was withdrawn it answered as if it "
        "did not have it, and the look-up shows it; it is asked once more before either is believed.",
        _NOTHING_VI,
        _NOTHING_EN,
    ),
    Code.LOOK_UP_FAILED: _with_action(Code.LOOK_UP_FAILED, _NOTHING_VI, _NOTHING_EN),
    Code.ROW_UNREADABLE: _with_action(
        Code.ROW_UNREADABLE,
        "Nhập lại mã hóa đơn và mã cơ sở trong phần mềm bán hàng, rồi yêu cầu hủy lại; nếu không thấy mục nào sai, gửi "
        "nhật ký cho người quản trị.",
        "Enter the sale's code and facility code again, then request the withdrawal again; if nothing looks odd, send "
        "the log to the administrator.",
    ),
}
"""Of the codes that a withdrawal may have: those whose text in `REASON_TEXTS` would be wrong. For others that text is
shown."""


def reason_text(code: Code, *, withdrawal: bool = False) -> ReasonText:
    """Return the text of a reason. `withdrawal`: whether the document is being withdrawn, not sent."""
    return WITHDRAWAL_TEXTS.get(code, REASON_TEXTS[code]) if withdrawal else REASON_TEXTS[code]
