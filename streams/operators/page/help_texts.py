"""The help of each screen, in Vietnamese and English: what the screen shows, and what its words mean.

The words are labels of the page, by their keys in `texts.TEXTS`; docs/glossary.md has the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCREENS: Final[Mapping[str, tuple[str, ...]]] = {
    "now": ("sent", "failed", "waiting_now", "reason", "part_gate", "part_journal", "part_worker"),
    "failures": ("failed", "reason", "attempts", "yes_again"),
    "waiting": ("waiting_now", "reason", "next_attempt", "yes_now"),
    "changed": ("noticed", "attempts", "yes_changed"),
    "shops": ("shop", "last_success", "log_in", "failed", "waiting_now"),
    "sale": ("pharmacy", "national_id", "attempts", "message", "history", "payload", "yes_again", "yes_now"),
    "confirm": ("yes_again", "yes_now"),
}
"""Screen -> the words that it explains, in the order in which they appear on it."""

ABOUT: Final[Mapping[str, tuple[str, str]]] = {
    "now": (
        "Hôm nay đã gửi được bao nhiêu, còn {doc} nào chưa xong, và các máy chủ có chạy tốt không. Chọn một ô số liệu "
        "để xem danh sách.",
        "How many {docs} were sent today, which ones are not done yet, and whether all servers work. Each figure "
        "that has a list leads to it.",
    ),
    "failures": (
        "Những {doc} này sẽ không được gửi cho đến khi có người xử lý. Mỗi dòng nêu chỗ sai và việc cần làm.",
        "These {docs} are not sent until somebody acts. Each row names what is wrong and what to do.",
    ),
    "waiting": (
        "Những {doc} này sẽ tự được gửi. Nếu có việc phải làm, lý do nói rõ là việc gì.",
        "These {docs} are sent automatically. If there is anything to be done, the reason says what.",
    ),
    "changed": (
        "Những {doc} này đã được nhận, rồi bị sửa trong phần mềm bán hàng. Bạn quyết định có gửi bản sửa hay không.",
        "These {docs} were accepted, and then changed in the sales software. You decide whether to send them again.",
    ),
    "shops": (
        "Mỗi nhà thuốc một dòng: đã gửi, thất bại, đang chờ bao nhiêu, và có đăng nhập được không.",
        "A row for each shop: how many were sent, failed and are waiting, and whether it can log in.",
    ),
    "sale": (
        "Mọi điều phần mềm biết về {doc} này. Nội dung có thể có tên khách hàng.",
        "Everything that this software knows about this {doc}. Its content may include a customer's name.",
    ),
    "confirm": (
        "Chưa có gì được gửi cho đến khi bạn xác nhận.",
        "Nothing is sent until you confirm it.",
    ),
}
"""Screen -> what it is about."""

MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "sent": ("Hệ thống quốc gia đã nhận {doc}.", "The national system has accepted the {doc}."),
    "failed": (
        "{Doc} không được nhận, và không tự gửi lại. Hãy làm theo lý do (thường là sửa trong phần mềm bán hàng), rồi "
        "gửi lại.",
        "The {doc} was not accepted, and is not sent again automatically. Do what its reason says, usually a "
        "correction in the sales software, then send it again.",
    ),
    "waiting_now": (
        "{Doc} chưa có kết quả và sẽ tự được gửi. Bạn không phải làm gì, trừ khi lý do nêu việc cần làm.",
        "The {doc} has no result yet and is sent automatically. You need not do anything, unless its reason says so.",
    ),
    "reason": (
        "Vì sao {doc} thất bại hoặc còn chờ, mục nào sai, và việc cần làm.",
        "Why the {doc} failed or is waiting, which fields are wrong, and what to do.",
    ),
    "attempts": (
        "Phần mềm đã thử gửi {doc} bao nhiêu lần, kể cả những lần chỉ tra cứu.",
        "How many times this software has tried to send the {doc}, including those that only looked it up.",
    ),
    "next_attempt": (
        "Giờ phần mềm tự thử lại. Ghi “sắp tới” là đã đến lượt.",
        "The time at which this software tries again. Soon means that its turn has come.",
    ),
    "yes_again": (
        "Gửi {doc} thất bại thêm lần nữa, sau khi đã sửa. Nếu hệ thống quốc gia đã có {doc} thì bản cũ được thay, "
        "không bị trùng.",
        "Send a failed {doc} once more, after it was corrected. If the national system already has it, it is "
        "replaced, never duplicated.",
    ),
    "noticed": (
        "Lúc phần mềm thấy {doc} khác với bản đã gửi. Sửa lại như cũ thì {doc} tự rời danh sách này.",
        "When this software saw that the {doc} differs from what was sent. If it is changed back, it leaves this list.",
    ),
    "yes_changed": (
        "Thay bản mà hệ thống quốc gia đang giữ bằng {doc} như hiện nay.",
        "Replace the version that the national system has by the {doc} as it is now.",
    ),
    "yes_now": (
        "Gửi {doc} đang chờ mà không đợi đến giờ gửi lại. Không bắt buộc: {doc} đang chờ vẫn tự được gửi.",
        "Send a waiting {doc} before its next attempt is due. This is never necessary: it is sent automatically.",
    ),
    "shop": (
        "Nơi bán thuốc, có mã riêng và tài khoản riêng ở hệ thống quốc gia.",
        "A place that sells drugs, with a code and an account of its own at the national system.",
    ),
    "last_success": (
        "Lúc hệ thống quốc gia nhận {doc} gần nhất của nhà thuốc. Nếu đã lâu, hãy tìm hiểu vì sao.",
        "When the national system last accepted a {doc} of the shop. If that was long ago, find out why.",
    ),
    "log_in": (
        "Tài khoản liên thông của nhà thuốc có dùng được không. Nếu có vấn đề, {doc} của nhà thuốc chờ đến khi tài "
        "khoản được sửa.",
        "Whether the shop's account at the national system works. If there is a problem, its {docs} wait until the "
        "account is corrected.",
    ),
    "pharmacy": (
        "Mã của cơ sở ở hệ thống quốc gia.",
        "The code of the facility at the national system.",
    ),
    "national_id": (
        "Mã mà hệ thống quốc gia trả về khi nhận {doc}.",
        "What the national system returns when it accepts the {doc}.",
    ),
    "message": (
        "Lý do, như đã ghi vào dòng của {doc} trong cơ sở dữ liệu bán hàng.",
        "The reason as it was written into the row of the {doc} in the sales database.",
    ),
    "history": (
        "Các lần gửi, và ai đã yêu cầu gửi lại, mới nhất ở trên.",
        "Its attempts, and who asked for it to be sent again; the latest comes first.",
    ),
    "payload": (
        "Đúng nội dung đã gửi đi và bị từ chối.",
        "Exactly what was sent and refused.",
    ),
    "part_gate": (
        "Khi đang mở, {doc} được gửi đi. Khi hệ thống quốc gia không trả lời, việc gửi tạm dừng rồi tự tiếp tục.",
        "While it is open, {docs} are sent. When the national system does not answer, sending pauses, and continues "
        "automatically.",
    ),
    "part_journal": (
        "Giữ lịch sử các lần gửi. Nhật ký có ngừng thì {doc} vẫn được gửi.",
        "Keeps the history of all attempts. {Docs} are sent even while it is away.",
    ),
    "part_worker": (
        "Chương trình đọc {doc} mới, gửi đi, rồi ghi kết quả vào cơ sở dữ liệu bán hàng.",
        "The program that reads new {docs}, sends them, and writes the results into the sales database.",
    ),
}
"""The key of a word in `texts.TEXTS` -> what it means."""
