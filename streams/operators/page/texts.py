"""Every text of the page, Vietnamese and English, for people who sell medicines. Reasons have theirs in
`streams.domain.reasons`, kinds of documents in `streams.documents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from streams.documents.document import DocumentType
from streams.domain.outcome import Reason
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS, Code
from streams.domain.sale_status import as_text
from streams.operators.desk.action import WHY_TEXTS, Why

Language: TypeAlias = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("Gửi {doc} lên Dược Quốc gia", "{Docs} to the national system"),
    "nav_now": ("Hiện tại", "Now"),
    "nav_failures": ("Thất bại", "Failed"),
    "nav_waiting": ("Đang chờ", "Waiting"),
    "nav_shops": ("Nhà thuốc", "Shops"),
    "find_sale": ("Tìm {doc}", "Find a {doc}"),
    "find_hint": ("{Code}, đủ và đúng", "{Code}, whole"),
    "find": ("Tìm", "Find"),
    "other_language": ("English", "Tiếng Việt"),
    "kinds": ("Loại chứng từ", "Kind of document"),
    "sign_out": ("Đăng xuất", "Sign out"),
    "skip": ("Đến nội dung", "Skip to the content"),
    "no_answer": (
        "Máy chủ không trả lời. Số liệu bên dưới đã cũ; trang tự thử lại.",
        "The server does not answer. What you see is old; the page keeps trying.",
    ),
    "live": ("Tự cập nhật", "Updates by itself"),
    # first screen
    "sent_today": ("Đã gửi hôm nay", "Sent today"),
    "failed_now": ("Thất bại", "Failed"),
    "failed_today": ("{count} trong hôm nay", "{count} of them today"),
    "waiting_now": ("Đang chờ", "Waiting"),
    "per_minute": ("Mỗi phút", "Per minute"),
    "last_minutes": ("trung bình 5 phút qua", "average of the last 5 minutes"),
    "oldest": ("{Doc} chờ lâu nhất", "The {doc} that has waited longest"),
    "oldest_none": ("Không có {doc} nào đang chờ.", "No {doc} is waiting."),
    "shop_of": ("nhà thuốc {shop}", "shop {shop}"),
    "not_tried": ("Chưa đến lượt gửi lần đầu.", "It has not been tried yet."),
    "not_tried_short": ("Chưa gửi lần nào", "Not tried yet"),
    "unknown_reason": ("Lý do khác: {code}", "Another reason: {code}"),
    "before_us": ("Thất bại trước khi có phần mềm này", "Failed before this software was there"),
    "why_waiting": ("Vì sao chờ", "Why they wait"),
    "why_failed": ("Vì sao thất bại", "Why they failed"),
    "nothing_failed": ("Không có {doc} nào thất bại.", "No {doc} has failed."),
    "chart": ("24 giờ qua", "The last 24 hours"),
    "chart_says": (
        "Số {doc} mỗi giờ: {sent} đã gửi, {failed} thất bại.",
        "{Docs} in each hour: {sent} sent, {failed} failed.",
    ),
    "sent": ("Đã gửi", "Sent"),
    "failed": ("Thất bại", "Failed"),
    "bar": ("{hour}: {sent} đã gửi, {failed} thất bại", "{hour}: {sent} sent, {failed} failed"),
    "as_table": ("Xem dạng bảng", "As a table"),
    "hour": ("Giờ", "Hour"),
    # servers
    "servers": ("Tình trạng máy chủ", "The servers"),
    "seen_by": ("Theo máy gửi đang trả lời trang này.", "As seen by the worker that answers this page."),
    "part_gate": ("Cổng Dược Quốc gia", "National system"),
    "part_sales_database": ("Cơ sở dữ liệu bán hàng", "Sales database"),
    "part_kafka": ("Hàng đợi (Kafka)", "Message queue (Kafka)"),
    "part_redis": ("Bộ nhớ đăng nhập (Redis)", "Log-in store (Redis)"),
    "part_journal": ("Nhật ký (MongoDB)", "Journal (MongoDB)"),
    "part_write_back": ("Ghi kết quả về phần mềm bán hàng", "Writing results back to the sales software"),
    "part_connector": ("Bộ đọc hóa đơn mới (Debezium)", "Reader of new sales (Debezium)"),
    "part_worker": ("Máy gửi", "Sending worker"),
    "ok": ("Tốt", "Well"),
    "trouble": ("Có vấn đề", "Trouble"),
    "unknown": ("Không rõ", "Not known"),
    "unused": ("Không dùng", "Not used"),
    "paused": ("Tạm dừng", "Paused"),
    "since": ("từ {moment} ({age})", "since {moment} ({age})"),
    "gate_open": ("Đang mở: hóa đơn được gửi đi bình thường.", "Open: sales are being sent."),
    "gate_answering": (
        "Đang mở; hệ thống quốc gia vẫn trả lời từ {moment}.",
        "Open; the national system has been answering since {moment}.",
    ),
    "gate_closed": (
        "Đang tạm dừng gửi. Cứ dưới một phút hệ thống tự thử lại, và tự gửi tiếp khi được.",
        "Sending is paused. It tries again by itself within a minute each time, and goes on once it can.",
    ),
    "connector_ok": ("Đang chạy.", "It runs."),
    "connector_down": (
        "Không chạy đủ. Hóa đơn mới đến chậm vài phút; báo người quản trị.",
        "Not all of it runs. New sales come some minutes late; tell the administrator.",
    ),
    "connector_away": (
        "Kafka Connect không trả lời; báo người quản trị.",
        "Kafka Connect does not answer; tell the administrator.",
    ),
    "connector_none": ("Máy thử này không cần.", "This trial set-up needs none."),
    "connector_asking": ("Đang hỏi…", "Being asked…"),
    "capture_delay": (
        "{Doc} mới nhất được đọc sau {age}.",
        "The newest {doc} was read {age} after it was written.",
    ),
    "say_kafka": (
        "Không nhận, không gửi được gì cho đến khi Kafka chạy lại; báo người quản trị.",
        "Nothing is taken in or sent until Kafka is back; tell the administrator.",
    ),
    "say_sales_database": (
        "Cơ sở dữ liệu bán hàng không trả lời; kiểm tra máy chủ SQL và đường mạng.",
        "The sales database does not answer; check the SQL server and the network.",
    ),
    "say_redis": (
        "Hóa đơn vẫn được gửi; báo người quản trị để chạy lại Redis.",
        "Sales still go out; have the administrator start Redis.",
    ),
    "say_journal": (
        "Hóa đơn vẫn được gửi; lịch sử sẽ được ghi sau. Báo người quản trị.",
        "Sales still go out; their history is written later. Tell the administrator.",
    ),
    "say_write_back": (
        "Một số hóa đơn đã có kết quả nhưng phần mềm bán hàng chưa nhận; báo người quản trị.",
        "Some sales have their result, but the sales software does not take it; tell the administrator.",
    ),
    "say_worker": ("Đang khởi động hoặc đang dừng.", "It is starting or ending."),
    # shops
    "shops": ("Nhà thuốc", "Shops"),
    "shop": ("Nhà thuốc", "Shop"),
    "search_shops": ("Mã hoặc tên nhà thuốc", "Code or name of the shop"),
    "last_success": ("Gửi được lần cuối", "Last sent"),
    "never": ("chưa lần nào", "never"),
    "log_in": ("Đăng nhập", "Log-in"),
    "no_shops": ("Không có nhà thuốc nào.", "There are no shops."),
    # lists
    "failures": ("{Doc} thất bại", "{Docs} that failed"),
    "waiting": ("{Doc} đang chờ", "{Docs} that wait"),
    "document": ("{Doc}", "{Doc}"),
    "code_part": ("{Code} (một phần)", "{Code}, or part"),
    "shop_code": ("Mã nhà thuốc", "Shop's code"),
    "reason": ("Lý do", "Reason"),
    "any_reason": ("mọi lý do", "any reason"),
    "day": ("Ngày", "Day"),
    "search": ("Tìm", "Search"),
    "clear": ("Bỏ lọc", "Clear"),
    "when": ("Lúc", "When"),
    "attempts": ("Số lần gửi", "Attempts"),
    "next_attempt": ("Gửi lại lúc", "Next attempt"),
    "soon": ("sắp tới", "soon"),
    "found": ("{count} {doc}", "{count} {docs}"),
    "none_found": ("Không tìm thấy {doc} nào.", "No {doc} was found."),
    "select": ("Chọn", "Select"),
    "select_sale": ("Chọn {doc} {code}", "Select {doc} {code}"),
    "select_all": ("Chọn cả trang", "Select this page"),
    "older": ("Cũ hơn", "Older"),
    "newest": ("Về mới nhất", "Back to the newest"),
    "next_page": ("Trang sau", "Next page"),
    "first_page": ("Trang đầu", "First page"),
    "again_selected": ("Gửi lại {doc} đã chọn", "Send the selected again"),
    "again_all": ("Gửi lại tất cả {count} {doc} này", "Send all {count} of these again"),
    "again_one": ("Gửi lại {doc} này", "Send this {doc} again"),
    "now_selected": ("Gửi ngay {doc} đã chọn", "Send the selected now"),
    "now_all": ("Gửi ngay tất cả {count} {doc} này", "Send all {count} of these now"),
    "now_one": ("Gửi ngay {doc} này", "Send this {doc} now"),
    # confirming, and what became of it
    "confirm_again": ("Gửi lại {count} {doc}?", "Send {count} {docs} again?"),
    "confirm_now": ("Gửi ngay {count} {doc}?", "Send {count} {docs} now?"),
    "confirm_again_says": (
        "Hãy sửa nguyên nhân trước. {Doc} mà hệ thống quốc gia đã có sẽ được thay bản, không bị trùng.",
        "Mend the cause first. What the national system holds already is replaced, never doubled.",
    ),
    "confirm_now_says": (
        "{Doc} đang chờ vẫn tự được gửi; bước này chỉ làm nhanh hơn.",
        "What waits goes out by itself; this only brings it forward.",
    ),
    "recorded_as": ("Được ghi lại dưới tên {name}.", "It is recorded under the name of {name}."),
    "yes_again": ("Gửi lại", "Send again"),
    "yes_now": ("Gửi ngay", "Send now"),
    "no": ("Không, quay lại", "No, go back"),
    "nothing_selected": ("Chưa chọn {doc} nào.", "No {doc} was selected."),
    "at_most": ("Mỗi lần nhiều nhất {count} {doc}.", "{count} {docs} at most each time."),
    "done": ("{count} {doc} sẽ được gửi ngay", "{count} {docs} on the way"),
    "done_none": ("Không có {doc} nào được gửi", "No {doc} was sent on its way"),
    "is_cut": ("Vẫn còn {doc} khác; hãy làm lại lần nữa.", "There are more; do it once more."),
    "passed_over": ("Không gửi", "Passed over"),
    "until": ("đến {moment}", "until {moment}"),
    "back": ("Quay lại danh sách", "Back to the list"),
    # one sale
    "sale": ("{Doc} {code}", "{Doc} {code}"),
    "pharmacy": ("Mã cơ sở", "Pharmacy code"),
    "status": ("Trạng thái", "Status"),
    "status_SYNC_SUCCESS": ("Hệ thống quốc gia đã nhận", "The national system has it"),
    "status_SYNC_FAILED": ("Thất bại", "Failed"),
    "status_PENDING_SYNC": ("Đang chờ gửi", "Waiting to be sent"),
    "status_other": ("Không gửi ({code})", "Not to be sent ({code})"),
    "national_id": ("Mã quốc gia", "National id"),
    "message": ("Thông báo trong phần mềm bán hàng", "Message in the sales software"),
    "their_words": ("Hệ thống quốc gia trả lời", "The national system's own words"),
    "content": ("Nội dung {doc} hiện nay", "The {doc} as it stands now"),
    "lines": ("Các dòng thuốc", "Lines"),
    "no_lines": ("Không có dòng thuốc nào.", "There are no lines."),
    "payload": ("Bản đã gửi bị từ chối", "What was sent and refused"),
    "history": ("Lịch sử", "History"),
    "history_away": (
        "Nhật ký (MongoDB) không trả lời, nên lịch sử chưa đủ.",
        "The journal (MongoDB) does not answer, so the history is not whole.",
    ),
    "no_history": ("Chưa có gì.", "Nothing yet."),
    "attempt": ("Lần gửi {count}", "Attempt {count}"),
    "action_send_again": ("{name} yêu cầu gửi lại", "{name} asked to send it again"),
    "action_send_now": ("{name} yêu cầu gửi ngay", "{name} asked to send it now"),
    "on_its_way": ("Đang được gửi hoặc đang kiểm tra.", "It is being sent, or checked."),
    "several": ("Có {count} {doc} cùng mã {code}", "{count} {docs} have the code {code}"),
    "sorry_no_such": ("Không có {doc} này.", "There is no such {doc}."),
    "sorry_no_such_says": (
        "Kiểm tra lại mã: phải đủ và đúng như trong phần mềm bán hàng.",
        "Check the code: it must be whole, as in the sales software.",
    ),
    # signing in, and what is refused
    "sign_in": ("Đăng nhập", "Sign in"),
    "your_name": ("Tên của bạn", "Your name"),
    "name_says": (
        "Được ghi lại khi bạn yêu cầu gửi lại {doc}.",
        "It is recorded when you ask for a {doc} to be sent again.",
    ),
    "token": ("Mã truy cập", "Access code"),
    "token_says": ("Người quản trị giữ mã này (PAGE_TOKEN).", "The administrator has it (PAGE_TOKEN)."),
    "token_says_own": (
        "Trên máy chủ, lệnh này in ra mã: faust -A streams.app page",
        "On the server this prints it: faust -A streams.app page",
    ),
    "wrong_token": ("Mã truy cập không đúng.", "That is not the access code."),
    "no_name": ("Hãy ghi tên, dài nhất 100 ký tự.", "Give a name, of 100 characters at most."),
    "too_many": (
        "Có quá nhiều lần thử. Hãy đợi vài giây rồi thử lại.",
        "Too many tries. Wait for some seconds, then try again.",
    ),
    "sorry_database": ("Cơ sở dữ liệu bán hàng không trả lời", "The sales database does not answer"),
    "sorry_database_says": (
        "Chưa đọc được số liệu. Trang tự thử lại; nếu kéo dài, kiểm tra máy chủ SQL và đường mạng.",
        "Nothing can be read at the moment. The page keeps trying; if it lasts, check the SQL server and the network.",
    ),
    "sorry_acting_says": (
        "Có thể một phần đã được yêu cầu, và phần đó đã được ghi lại. Hãy xem danh sách rồi làm lại phần còn.",
        "Some may have been asked for already, and that is recorded. Look at the list, then ask for the rest again.",
    ),
    "sorry_unreadable": ("Không đọc được dữ liệu này", "What is stored here cannot be read"),
    "sorry_unreadable_says": (
        "Phần mềm bán hàng đã ghi một ngày hoặc một số không đọc được. Hãy nhập lại các mục đó; hóa đơn sẽ tự được gửi."
        " Các hóa đơn khác không bị ảnh hưởng.",
        "The sales software has stored a day or a number that cannot be read. Enter it anew; the sale then goes out by "
        "itself. Others are not held up.",
    ),
    "sorry_busy": ("Đang có quá nhiều câu hỏi", "Too much is being asked at once"),
    "sorry_busy_says": (
        "Trang tự thử lại sau vài giây. Chưa làm gì cả; việc gửi hóa đơn không bị ảnh hưởng.",
        "The page tries again in some seconds. Nothing was done; sending is not affected.",
    ),
    "sorry_starting": ("Máy gửi đang khởi động", "The worker is starting"),
    "sorry_starting_says": (
        "Nó đang nối với các máy chủ. Trang tự thử lại.",
        "It is connecting to its servers. The page keeps trying.",
    ),
    "sorry_closed": ("Trang này chỉ mở trên chính máy chủ", "This page is open on the server itself only"),
    "sorry_closed_says": (
        "Người quản trị mở cho máy khác bằng cách đặt PAGE_TOKEN, hoặc PAGE_USER_HEADER và PAGE_TRUSTED_PROXIES "
        "(xem .env.example).",
        "The administrator opens it to other machines by setting PAGE_TOKEN, or PAGE_USER_HEADER and "
        "PAGE_TRUSTED_PROXIES (see .env.example).",
    ),
    "sorry_by_proxy": ("Hãy vào qua cổng đăng nhập của chuỗi", "Come through the chain's own log-in"),
    "sorry_by_proxy_says": (
        "Trang này chỉ trả lời proxy trong PAGE_TRUSTED_PROXIES, và proxy phải gửi tên người dùng trong "
        "PAGE_USER_HEADER.",
        "This page answers the proxies of PAGE_TRUSTED_PROXIES alone, and they must send the user's name in "
        "PAGE_USER_HEADER.",
    ),
    "sorry_form": ("Chưa làm gì cả", "Nothing was done"),
    "sorry_form_says": (
        "Yêu cầu không đến từ trang này, hoặc trang đã mở quá lâu. Hãy mở lại trang rồi làm lại. (Sau proxy: proxy "
        "phải chuyển Host nguyên vẹn.)",
        "The request did not come from this page, or the page has been open for too long. Open it again and repeat. "
        "(Behind a proxy: it must pass Host on as it is.)",
    ),
    "sorry_lost": ("Không có trang này", "There is no such page"),
    "sorry_lost_says": ("Hãy bắt đầu lại từ trang đầu.", "Start again from the first page."),
    "sorry_day": ("Ngày không đúng", "That is not a day"),
    "sorry_day_says": (
        "Ngày trong địa chỉ phải viết như 2026-11-24 (năm-tháng-ngày, từ năm 2000). Hãy chọn lại trong ô tìm kiếm.",
        "The day in the address must be written like 2026-11-24 (year-month-day, from 2000 on). Choose it again in the "
        "search form.",
    ),
    "sorry_reason": ("Không có lý do này", "There is no such reason"),
    "sorry_reason_says": (
        "Lý do trong địa chỉ không có trong danh sách. Hãy chọn lại lý do trong ô tìm kiếm.",
        "The reason in the address is none of the list. Choose it again in the search form.",
    ),
    "sorry_place": ("Không có trang này trong danh sách", "The list has no such page"),
    "sorry_place_says": (
        "Địa chỉ đã bị cắt hoặc bị sửa. Hãy bắt đầu lại từ trang mới nhất.",
        "The address was cut or changed. Start again from the newest.",
    ),
    "sorry_asked": ("Không hiểu yêu cầu", "That was not understood"),
    "sorry_asked_says": ("Hãy bắt đầu lại từ danh sách.", "Start again from the list."),
    "sorry_mistake": ("Trang gặp lỗi", "The page has met an error"),
    "sorry_mistake_says": (
        "Việc gửi hóa đơn không bị ảnh hưởng. Gửi nhật ký cho người quản trị.",
        "Sending is not affected. Give the log to the administrator.",
    ),
    # ages
    "seconds": ("{count} giây", "{count} s"),
    "minutes": ("{count} phút", "{count} min"),
    "hours": ("{count} giờ", "{count} h"),
    "days": ("{count} ngày", "{count} days"),
    "moment": ("chưa đến 1 giây", "less than 1 s"),
}

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "national_prescription_id": ("Mã đơn thuốc quốc gia", "National prescription code"),
    "sale_date": ("Ngày bán", "Day of sale"),
    "seller_name": ("Người bán", "Seller"),
    "customer_name": ("Khách hàng", "Customer"),
    "created_at": ("Ghi lúc", "Written"),
    "updated_at": ("Sửa lúc", "Changed"),
    "drug_code": ("Mã thuốc", "Drug code"),
    "drug_name": ("Tên thuốc", "Drug"),
    "lot_number": ("Số lô", "Lot"),
    "production_date": ("Ngày sản xuất", "Produced"),
    "expiry_date": ("Hạn dùng", "Expires"),
    "unit": ("Đơn vị", "Unit"),
    "concentration": ("Hàm lượng", "Strength"),
    "dosage": ("Liều dùng", "Dosage"),
    "route_of_administration": ("Đường dùng", "Route"),
    "registration_number": ("Số đăng ký", "Registration"),
    "quantity": ("Số lượng", "Quantity"),
    "unit_price": ("Đơn giá", "Price"),
    "line_total": ("Thành tiền", "Total"),
    "conversion_ratio": ("Tỷ lệ quy đổi", "Ratio"),
}
"""Of the till's tables."""


class Translation:
    """The texts in one language, about one kind of document."""

    def __init__(self, language: Language, document_type: DocumentType) -> None:
        self.language = language
        self._place = LANGUAGES.index(language)
        self._nouns = _nouns(language, document_type)

    def __call__(self, text: str, **values: object) -> str:
        """`count`, where it is given, decides between one and many. Raises `KeyError` where there is no such text."""
        one = {"docs": self._nouns["doc"], "Docs": self._nouns["Doc"]} if values.get("count") == "1" else {}
        return TEXTS[text][self._place].format(**self._nouns | one, **values)

    def document_type(self, document_type: DocumentType) -> str:
        return _nouns(self.language, document_type)["Docs"]

    def column(self, name: str) -> str:
        return COLUMNS[name][self._place] if name in COLUMNS else name

    def why(self, why: Why) -> str:
        return WHY_TEXTS[why][self._place]

    def reason(self, code: str | None, *, failed: bool = False) -> str:
        if code is None:
            return self("before_us" if failed else "not_tried_short")
        if code not in REASON_TEXTS:  # another version wrote it
            return self("unknown_reason", code=code)
        words = REASON_TEXTS[Code(code)]
        return words.en if self._place else words.vi

    def closed(self, latest: Reason | None) -> str:
        """Why the gate is closed; where somebody has to mend the connection, what exactly is wrong and what to do."""
        if latest is None:
            return ""
        if latest.code in TLS_PROBLEMS:
            message = as_text(latest).message
            return message.en if self._place else message.vi
        return self.reason(latest.code.value)

    def action(self, code: str | None) -> str:
        """Empty where there is none to give."""
        if code is None or code not in REASON_TEXTS:
            return ""
        words = REASON_TEXTS[Code(code)]
        return words.action_en if self._place else words.action_vi


def _nouns(language: Language, document_type: DocumentType) -> dict[str, str]:
    """What texts may say of the kind: ``{doc}``, ``{docs}``, ``{Code}`` (its own code), and with a capital."""
    nouns = document_type.nouns
    one, many = (nouns.vi, nouns.vi) if language == "vi" else (nouns.one, nouns.many)
    code = document_type.labels[document_type.endpoint.document_code_field][LANGUAGES.index(language)]
    words = {"doc": one, "docs": many, "Doc": one, "Docs": many, "Code": code}
    return {name: word[:1].upper() + word[1:] if name[0].isupper() else word for name, word in words.items()}
