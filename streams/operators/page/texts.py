"""Every text of the page in Vietnamese and English, written for pharmacists.

The texts of reasons are in `streams.domain.reasons`, those of document types in `streams.documents`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from streams.documents.document import DocumentType
from streams.domain import withdrawal_reasons
from streams.domain.outcome import Reason
from streams.domain.reasons import REASON_TEXTS, TLS_PROBLEMS, Code
from streams.domain.sale_status import Message, status_reason
from streams.domain.stored_particulars import MOST_PARTICULARS, Particulars, particulars_texts
from streams.operators.desk.action import WHY_TEXTS, Why
from streams.operators.page.help_texts import ABOUT, MEANINGS, SCREENS

Language: TypeAlias = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("Gửi {doc} lên Dược Quốc gia", "{Docs} to the national system"),
    "nav_now": ("Hiện tại", "Now"),
    "nav_failures": ("Thất bại", "Failed"),
    "nav_waiting": ("Đang chờ", "Waiting"),
    "nav_changed": ("Sửa sau khi gửi", "Changed"),
    "nav_shops": ("Nhà thuốc", "Shops"),
    "find_sale": ("Tìm {doc}", "Find a {doc}"),
    "find_hint": ("{Code}, đủ và đúng", "{Code}, complete"),
    "find": ("Tìm", "Find"),
    "other_language": ("English", "Tiếng Việt"),
    "document_types": ("Loại chứng từ", "Document type"),
    "sign_out": ("Đăng xuất", "Sign out"),
    "skip": ("Đến nội dung", "Skip to content"),
    "no_answer": (
        "Máy chủ không trả lời. Số liệu bên dưới đã cũ; trang tự thử lại.",
        "The server does not answer. The figures are out of date; the page keeps trying.",
    ),
    "help": ("Giải thích trang này", "Explain this screen"),
    "rehearsal": (
        "Đây là diễn tập trên bản sao: không có gì được gửi lên hệ thống Dược Quốc gia.",
        "This is a rehearsal on a copy: nothing is sent to the national pharmacy system.",
    ),
    "live": ("Tự cập nhật", "Updates automatically"),
    # first screen
    "sent_today": ("Đã gửi hôm nay", "Sent today"),
    "failed_now": ("Thất bại", "Failed"),
    "failed_today": ("{count} trong hôm nay", "{count} of them today"),
    "waiting_now": ("Đang chờ", "Waiting"),
    "changed_now": (
        "{count} {doc} đã sửa sau khi gửi",
        "{count} {docs} changed after being sent",
    ),
    "per_minute": ("Mỗi phút", "Per minute"),
    "last_minutes": ("trung bình 5 phút qua", "average of the last 5 minutes"),
    "other_documents": ("Chứng từ khác", "Other documents"),
    "other_figures": (
        "hôm nay đã gửi {sent}, thất bại {failed}, đang chờ {waiting}",
        "{sent} sent today, {failed} failed, {waiting} waiting",
    ),
    "oldest": ("{Doc} chờ lâu nhất", "The {doc} that has been waiting longest"),
    "oldest_none": ("Không có {doc} nào đang chờ.", "No {doc} is waiting."),
    "shop_of": ("nhà thuốc {shop}", "shop {shop}"),
    "not_tried": ("Chưa đến lượt gửi lần đầu.", "There has been no attempt yet."),
    "not_tried_short": ("Chưa gửi lần nào", "No attempt yet"),
    "unknown_reason": ("Lý do khác: {code}", "Another reason: {code}"),
    "before_us": ("Thất bại trước khi có phần mềm này", "Failed before this software was installed"),
    "why_waiting": ("Vì sao chờ", "Why they are waiting"),
    "why_failed": ("Vì sao thất bại", "Why they failed"),
    "nothing_failed": ("Không có {doc} nào thất bại.", "No {doc} has failed."),
    "chart": ("24 giờ qua", "The last 24 hours"),
    "chart_says": (
        "Số {doc} mỗi giờ: {sent} đã gửi, {failed} thất bại.",
        "{Docs} per hour: {sent} sent, {failed} failed.",
    ),
    "sent": ("Đã gửi", "Sent"),
    "failed": ("Thất bại", "Failed"),
    "bar": ("{hour}: {sent} đã gửi, {failed} thất bại", "{hour}: {sent} sent, {failed} failed"),
    "as_table": ("Xem dạng bảng", "Show as a table"),
    "hour": ("Giờ", "Hour"),
    # servers
    "servers": ("Tình trạng máy chủ", "The servers"),
    "seen_by": ("Theo máy gửi đang trả lời trang này.", "As seen by the worker that serves this page."),
    "part_gate": ("Cổng Dược Quốc gia", "National system"),
    "part_sales_database": ("Cơ sở dữ liệu bán hàng", "Sales database"),
    "part_kafka": ("Hàng đợi (Kafka)", "Message queue (Kafka)"),
    "part_redis": ("Bộ nhớ đăng nhập (Redis)", "Log-in store (Redis)"),
    "part_journal": ("Nhật ký (MongoDB)", "Journal (MongoDB)"),
    "part_write_back": ("Ghi kết quả về phần mềm bán hàng", "Writing results back to the sales software"),
    "part_due": ("Tìm và gửi lại hóa đơn đến hạn", "Finding what is due, and retrying it"),
    "part_connector": ("Bộ đọc hóa đơn mới (Debezium)", "Reader of new sales (Debezium)"),
    "part_capture": ("Ghi nhận hóa đơn mới (CDC)", "Capture of new sales (CDC)"),
    "part_transaction_log": ("Nhật ký giao dịch của SQL Server", "SQL Server's transaction log"),
    "part_corrections": ("Tìm {doc} đã sửa sau khi gửi", "Finding {docs} that were changed after they were sent"),
    "part_polling": ("Tìm hóa đơn mới trong cơ sở dữ liệu", "Finding new sales in the database"),
    "part_worker": ("Máy gửi", "Sending worker"),
    "ok": ("Tốt", "OK"),
    "problem": ("Có vấn đề", "Problem"),
    "unknown": ("Không rõ", "Unknown"),
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
        "Sending is paused. It is tried again automatically within a minute each time, and continues once it succeeds.",
    ),
    "connector_ok": ("Đang chạy.", "It is running."),
    "connector_down": (
        "Không chạy đủ. Hóa đơn mới đến chậm vài phút; báo người quản trị.",
        "It is not running completely. New sales are sent a few minutes late; tell the administrator.",
    ),
    "connector_away": (
        "Kafka Connect không trả lời; báo người quản trị.",
        "Kafka Connect does not answer; tell the administrator.",
    ),
    "connector_none": ("Máy thử này không cần.", "This test installation does not need one."),
    "connector_asking": ("Đang hỏi…", "Checking…"),
    "polled": (
        "Lần hỏi gần nhất cách đây {age}, mất {ms} ms.",
        "Last asked {age} ago; that took {ms} ms.",
    ),
    "polled_elsewhere": ("Một máy gửi khác đang làm việc này.", "Another worker does this at present."),
    "outage_due": (
        "Phần mềm khác đang giữ khóa vài hóa đơn; các hóa đơn khác vẫn được gửi. Nếu kéo dài, báo người quản trị.",
        "Another program keeps some sales locked; the others are sent. If it lasts, tell the administrator.",
    ),
    "outage_capture": (
        "Có hóa đơn mới nhưng không có tin báo thay đổi. Hóa đơn vẫn được gửi, chậm vài phút; báo người quản trị.",
        "New sales come without change events. They are sent, a few minutes late; tell the administrator.",
    ),
    "outage_transaction_log": (
        "Nhật ký không được giải phóng vì SQL Server ngừng ghi nhận thay đổi. Khi đầy, quầy không bán được hàng: "
        "báo người quản trị ngay.",
        "It cannot be emptied because changes are not captured. When it is full, no till can sell: tell the "
        "administrator at once.",
    ),
    "outage_corrections": (
        "Chưa biết {doc} nào đã sửa sau khi gửi; {doc} vẫn được gửi bình thường. Nếu kéo dài, báo người quản trị.",
        "It is not known which {docs} were changed after they were sent; {docs} are still being sent. If it lasts, "
        "tell the administrator.",
    ),
    "outage_polling": (
        "Không hỏi được hóa đơn mới, nên chưa gửi được; không mất hóa đơn nào. Báo người quản trị.",
        "New sales cannot be asked for, so they are not sent yet; none is lost. Tell the administrator.",
    ),
    "capture_delay": (
        "{Doc} mới nhất được đọc sau {age}.",
        "The newest {doc} was read {age} after it was written.",
    ),
    "outage_kafka": (
        "Không nhận, không gửi được gì cho đến khi Kafka chạy lại; báo người quản trị.",
        "Nothing is received or sent until Kafka works again; tell the administrator.",
    ),
    "outage_sales_database": (
        "Cơ sở dữ liệu bán hàng không trả lời; kiểm tra máy chủ SQL và đường mạng.",
        "The sales database does not answer; check the SQL server and the network.",
    ),
    "outage_redis": (
        "Hóa đơn vẫn được gửi; báo người quản trị để chạy lại Redis.",
        "Sales are still being sent; ask the administrator to start Redis.",
    ),
    "outage_journal": (
        "Hóa đơn vẫn được gửi; lịch sử sẽ được ghi sau. Báo người quản trị.",
        "Sales are still being sent; their history is written later. Tell the administrator.",
    ),
    "outage_write_back": (
        "Một số hóa đơn đã có kết quả nhưng phần mềm bán hàng chưa nhận; báo người quản trị.",
        "Some sales have a result, but it cannot be written to the sales software; tell the administrator.",
    ),
    "outage_worker": ("Đang khởi động hoặc đang dừng.", "It is starting or stopping."),
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
    "waiting": ("{Doc} đang chờ", "{Docs} that are waiting"),
    "changed": ("{Doc} đã sửa sau khi gửi", "{Docs} changed after they were sent"),
    "changed_says": (
        "Hệ thống quốc gia còn giữ bản cũ. Nếu bản sửa là đúng, hãy gửi bản sửa; nếu không, sửa lại như cũ trong phần "
        "mềm bán hàng.",
        "The national system still has the old version. If the change is right, send it; if not, undo it in the sales "
        "software.",
    ),
    "changed_notice": ("Đã sửa sau khi gửi (phát hiện lúc {moment}).", "Changed after it was sent (noticed {moment})."),
    "noticed": ("Phát hiện lúc", "Noticed"),
    "document": ("{Doc}", "{Doc}"),
    "code_part": ("{Code} (một phần)", "{Code}, or a part of it"),
    "shop_code": ("Mã nhà thuốc", "Shop code"),
    "reason": ("Lý do", "Reason"),
    "and_others": ("và các mục khác", "and others"),
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
    "select_all": ("Chọn cả trang", "Select all on this page"),
    "older": ("Cũ hơn", "Older"),
    "newest": ("Về mới nhất", "Back to the newest"),
    "next_page": ("Trang sau", "Next page"),
    "first_page": ("Trang đầu", "First page"),
    "again_selected": ("Gửi lại {doc} đã chọn", "Send the selected again"),
    "again_all": ("Gửi lại tất cả {count} {doc} này", "Send all {count} of these again"),
    "again_one": ("Gửi lại {doc} này", "Send this {doc} again"),
    "changed_selected": ("Gửi bản sửa của {doc} đã chọn", "Send the selected corrections"),
    "changed_all": ("Gửi bản sửa của tất cả {count} {doc} này", "Send all {count} of these corrections"),
    "changed_one": ("Gửi bản sửa", "Send the correction"),
    "now_selected": ("Gửi ngay {doc} đã chọn", "Send the selected now"),
    "now_all": ("Gửi ngay tất cả {count} {doc} này", "Send all {count} of these now"),
    "withdraw_one": ("Hủy {doc} này trên hệ thống quốc gia", "Withdraw this {doc} from the national system"),
    "now_one": ("Gửi ngay {doc} này", "Send this {doc} now"),
    # confirming, and what became of it
    "confirm_again": ("Gửi lại {count} {doc}?", "Send {count} {docs} again?"),
    "confirm_changed": ("Gửi bản sửa của {count} {doc}?", "Send the corrections of {count} {docs}?"),
    "confirm_changed_says": (
        "Bản mà hệ thống quốc gia đang giữ sẽ được thay bằng bản hiện nay. Nếu mã {doc} hoặc mã cơ sở đã đổi thì bản "
        "cũ vẫn còn dưới mã cũ: hãy hủy bản cũ trên cổng Dược Quốc gia.",
        "The version that the national system has is replaced by the present one. If the {doc}'s code or the pharmacy "
        "code was changed, the old one remains under the old code: withdraw it in the national portal.",
    ),
    "confirm_now": ("Gửi ngay {count} {doc}?", "Send {count} {docs} now?"),
    "confirm_again_says": (
        "Hãy sửa nguyên nhân trước. {Doc} mà hệ thống quốc gia đã có sẽ được thay bản, không bị trùng.",
        "Fix the cause first. A {doc} that the national system already has is replaced, never duplicated.",
    ),
    "confirm_now_says": (
        "{Doc} đang chờ vẫn tự được gửi; bước này chỉ làm nhanh hơn.",
        "Waiting {docs} are sent automatically; this only sends them sooner.",
    ),
    "confirm_withdraw": ("Hủy {count} {doc}?", "Withdraw {count} {docs}?"),
    "confirm_withdraw_says": (
        "{Doc} sẽ bị xóa khỏi hệ thống quốc gia; trong phần mềm bán hàng vẫn còn.",
        "The national system deletes it; in the sales software it remains.",
    ),
    "yes_withdraw": ("Hủy", "Withdraw"),
    "done_withdraw": ("{count} {doc} sẽ được hủy ngay", "{count} {docs} will be withdrawn now"),
    "done_none_withdraw": ("Không có {doc} nào được hủy", "No {doc} will be withdrawn"),
    "passed_over_withdraw": ("Không hủy", "Not withdrawn"),
    "recorded_as": ("Được ghi lại dưới tên {name}.", "This is recorded under the name {name}."),
    "yes_again": ("Gửi lại", "Send again"),
    "yes_changed": ("Gửi bản sửa", "Send corrections"),
    "yes_now": ("Gửi ngay", "Send now"),
    "no": ("Không, quay lại", "No, go back"),
    "nothing_selected": ("Chưa chọn {doc} nào.", "No {doc} was selected."),
    "at_most": ("Mỗi lần nhiều nhất {count} {doc}.", "At most {count} {docs} at a time."),
    "done": ("{count} {doc} sẽ được gửi ngay", "{count} {docs} will be sent now"),
    "done_none": ("Không có {doc} nào được gửi", "No {doc} will be sent"),
    "is_cut": ("Vẫn còn {doc} khác; hãy làm lại lần nữa.", "There are more; please repeat it."),
    "passed_over": ("Không gửi", "Not sent"),
    "until": ("đến {moment}", "until {moment}"),
    "back": ("Quay lại danh sách", "Back to the list"),
    # one sale
    "sale": ("{Doc} {code}", "{Doc} {code}"),
    "pharmacy": ("Mã cơ sở", "Pharmacy code"),
    "status": ("Trạng thái", "Status"),
    "status_SYNC_SUCCESS": ("Hệ thống quốc gia đã nhận", "The national system has it"),
    "status_SYNC_FAILED": ("Thất bại", "Failed"),
    "status_PENDING_SYNC": ("Đang chờ gửi", "Waiting to be sent"),
    "status_PENDING_CANCEL": ("Đang chờ hủy", "Waiting to be withdrawn"),
    "status_CANCELLED": ("Đã hủy trên hệ thống quốc gia", "Withdrawn from the national system"),
    "status_CANCEL_FAILED": ("Hủy không được, hệ thống quốc gia vẫn còn", "Not withdrawn; the national system has it"),
    "status_other": ("Không gửi ({code})", "Not to be sent ({code})"),
    "national_id": ("Mã quốc gia", "National id"),
    "message": ("Thông báo trong phần mềm bán hàng", "Message in the sales software"),
    "api_text": ("Hệ thống quốc gia trả lời", "The national system's answer"),
    "content": ("Nội dung {doc} hiện nay", "The {doc} as it is now"),
    "lines": ("Các dòng thuốc", "Lines"),
    "no_lines": ("Không có dòng thuốc nào.", "There are no lines."),
    "payload": ("Bản đã gửi bị từ chối", "The refused version"),
    "history": ("Lịch sử", "History"),
    "history_away": (
        "Nhật ký (MongoDB) không trả lời, nên lịch sử chưa đủ.",
        "The journal (MongoDB) does not answer, so the history is incomplete.",
    ),
    "no_history": ("Chưa có gì.", "Nothing yet."),
    "attempt": ("Lần gửi {count}", "Attempt {count}"),
    "action_send_again": ("{name} yêu cầu gửi lại", "{name} asked for it to be sent again"),
    "action_send_changed": ("{name} yêu cầu gửi bản sửa", "{name} asked for the correction to be sent"),
    "action_withdraw": ("{name} yêu cầu hủy", "{name} asked for it to be withdrawn"),
    "action_send_now": ("{name} yêu cầu gửi ngay", "{name} asked for it to be sent now"),
    "on_its_way": ("Đang được gửi hoặc đang kiểm tra.", "It is being sent or checked."),
    "several": ("Có {count} {doc} cùng mã {code}", "{count} {docs} have the code {code}"),
    "sorry_no_such": ("Không có {doc} này.", "There is no such {doc}."),
    "sorry_no_such_says": (
        "Kiểm tra lại mã: phải đủ và đúng như trong phần mềm bán hàng.",
        "Check the code: it must be complete, as in the sales software.",
    ),
    # signing in, and what is refused
    "sign_in": ("Đăng nhập", "Sign in"),
    "your_name": ("Tên của bạn", "Your name"),
    "name_says": (
        "Được ghi lại khi bạn yêu cầu gửi lại {doc}.",
        "It is recorded when you send a {doc} again.",
    ),
    "token": ("Mã truy cập", "Access code"),
    "token_says": ("Người quản trị giữ mã này (PAGE_TOKEN).", "The administrator has it (PAGE_TOKEN)."),
    "token_says_own": (
        "Trên máy chủ, lệnh này in ra mã: faust -A streams.app page",
        "On the server, this command prints it: faust -A streams.app page",
    ),
    "wrong_token": ("Mã truy cập không đúng.", "The access code is wrong."),
    "no_name": ("Hãy ghi tên, dài nhất 100 ký tự.", "Enter a name of at most 100 characters."),
    "too_many": (
        "Có quá nhiều lần thử. Hãy đợi vài giây rồi thử lại.",
        "Too many attempts. Wait a few seconds, then try again.",
    ),
    "sorry_database": ("Cơ sở dữ liệu bán hàng không trả lời", "The sales database does not answer"),
    "sorry_database_says": (
        "Chưa đọc được số liệu. Trang tự thử lại; nếu kéo dài, kiểm tra máy chủ SQL và đường mạng.",
        "Nothing can be read at the moment. The page keeps trying; if this persists, check the SQL server and "
        "the network.",
    ),
    "sorry_acting_says": (
        "Có thể một phần đã được yêu cầu, và phần đó đã được ghi lại. Hãy xem danh sách rồi làm lại phần còn.",
        "Part of it may have been done already, and that is recorded. Look at the list, then repeat the rest.",
    ),
    "sorry_unreadable": ("Không đọc được dữ liệu này", "The stored data cannot be read"),
    "sorry_unreadable_says": (
        "Phần mềm bán hàng đã ghi một ngày hoặc một số không đọc được. Hãy nhập lại các mục đó; hóa đơn sẽ tự được gửi."
        " Các hóa đơn khác không bị ảnh hưởng.",
        "The sales software has stored a day or a number that cannot be read. Enter it again; the sale is then sent "
        "automatically. Other sales are not affected.",
    ),
    "sorry_busy": ("Đang có quá nhiều câu hỏi", "Too many requests at once"),
    "sorry_busy_says": (
        "Trang tự thử lại sau vài giây. Chưa làm gì cả; việc gửi hóa đơn không bị ảnh hưởng.",
        "The page tries again in a few seconds. Nothing was done; sending is not affected.",
    ),
    "sorry_starting": ("Máy gửi đang khởi động", "The worker is starting"),
    "sorry_starting_says": (
        "Nó đang nối với các máy chủ. Trang tự thử lại.",
        "It is connecting to its servers. The page keeps trying.",
    ),
    "sorry_closed": ("Trang này chỉ mở trên chính máy chủ", "This page can be opened only on the server itself"),
    "sorry_closed_says": (
        "Người quản trị mở cho máy khác bằng cách đặt PAGE_TOKEN, hoặc PAGE_USER_HEADER và PAGE_TRUSTED_PROXIES "
        "(xem .env.example).",
        "The administrator opens it to other machines by setting PAGE_TOKEN, or PAGE_USER_HEADER and "
        "PAGE_TRUSTED_PROXIES (see .env.example).",
    ),
    "sorry_by_proxy": ("Hãy vào qua cổng đăng nhập của chuỗi", "Use the log-in of your pharmacy chain"),
    "sorry_by_proxy_says": (
        "Trang này chỉ trả lời proxy trong PAGE_TRUSTED_PROXIES, và proxy phải gửi tên người dùng trong "
        "PAGE_USER_HEADER.",
        "This page answers only the proxies in PAGE_TRUSTED_PROXIES, and they must send the user's name in "
        "PAGE_USER_HEADER.",
    ),
    "sorry_form": ("Chưa làm gì cả", "Nothing was done"),
    "sorry_form_says": (
        "Yêu cầu không đến từ trang này, hoặc trang đã mở quá lâu. Hãy mở lại trang rồi làm lại. (Sau proxy: proxy "
        "phải chuyển Host nguyên vẹn.)",
        "The request did not come from this page, or the page has been open for too long. Open it again and repeat. "
        "(Behind a proxy: it must forward the Host header unchanged.)",
    ),
    "sorry_lost": ("Không có trang này", "There is no such page"),
    "sorry_lost_says": ("Hãy bắt đầu lại từ trang đầu.", "Start again from the first page."),
    "sorry_day": ("Ngày không đúng", "Invalid date"),
    "sorry_day_says": (
        "Ngày trong địa chỉ phải viết như 2026-11-24 (năm-tháng-ngày, từ năm 2000). Hãy chọn lại trong ô tìm kiếm.",
        "The date in the address must be written like 2026-11-24 (year-month-day, from 2000 on). Choose it again in "
        "the search form.",
    ),
    "sorry_reason": ("Không có lý do này", "There is no such reason"),
    "sorry_reason_says": (
        "Lý do trong địa chỉ không có trong danh sách. Hãy chọn lại lý do trong ô tìm kiếm.",
        "The reason in the address is not in the list. Choose it again in the search form.",
    ),
    "sorry_position": ("Không có trang này trong danh sách", "The list has no such page"),
    "sorry_position_says": (
        "Địa chỉ đã bị cắt hoặc bị sửa. Hãy bắt đầu lại từ trang mới nhất.",
        "The address was cut off or changed. Start again from the newest.",
    ),
    "sorry_not_understood": ("Không hiểu yêu cầu", "The request was not understood"),
    "sorry_not_understood_says": ("Hãy bắt đầu lại từ danh sách.", "Start again from the list."),
    "sorry_mistake": ("Trang gặp lỗi", "An error has occurred"),
    "sorry_mistake_says": (
        "Việc gửi hóa đơn không bị ảnh hưởng. Gửi nhật ký cho người quản trị.",
        "Sending is not affected. Send the log to the administrator.",
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
    "sale_date": ("Ngày bán", "Date of sale"),
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
"""The labels of the columns of the sales software's tables."""


class Translation:
    """The texts in one language, about one document type."""

    def __init__(self, language: Language, document_type: DocumentType) -> None:
        self.language = language
        self._index = LANGUAGES.index(language)
        self._nouns = _nouns(language, document_type)
        self._column_labels = document_type.column_labels
        self._field_labels = document_type.labels
        nouns = document_type.nouns
        self._about = nouns.in_english if self._index else nouns.in_vietnamese
        """Puts a text about a sale into the words for this document type."""

    def __call__(self, text: str, **values: object) -> str:
        """Return the text with this key, with `values` filled in.

        A `count` of ``"1"`` selects the singular of the document type's noun. Raises `KeyError` if there is no such
        text.
        """
        one = {"docs": self._nouns["doc"], "Docs": self._nouns["Doc"]} if values.get("count") == "1" else {}
        return TEXTS[text][self._index].format(**self._nouns | one, **values)

    def about(self, screen: str) -> str:
        """Return what a screen shows."""
        return ABOUT[screen][self._index].format(**self._nouns)

    def explained(self, screen: str) -> list[tuple[str, str]]:
        """Return the words that a screen explains, each with what it means."""
        return [(self(word), MEANINGS[word][self._index].format(**self._nouns)) for word in SCREENS[screen]]

    def document_type(self, document_type: DocumentType) -> str:
        """Return the name of a document type, in the plural."""
        return _nouns(self.language, document_type)["Docs"]

    def column(self, name: str) -> str:
        """Return the label of a column, by default its name."""
        labels = COLUMNS.get(name) or self._column_labels.get(name)
        return labels[self._index] if labels else name

    def why(self, why: Why) -> str:
        """Return why an action passed over a sale."""
        return self._about(WHY_TEXTS[why][self._index])

    def reason(self, code: str | None, *, failed: bool = False, withdrawal: bool = False) -> str:
        """Return what a reason code means; `failed` says whether a document without one has failed or is waiting."""
        if code is None:
            return self("before_us" if failed else "not_tried_short")
        if code not in REASON_TEXTS:  # another version wrote it
            return self("unknown_reason", code=code)
        texts = withdrawal_reasons.reason_text(Code(code), withdrawal=withdrawal)
        return self._about(texts.en if self._index else texts.vi)

    def particulars(self, named: Particulars) -> list[str]:
        """Return what a reason names in one document: each field with what is wrong with it, or the answer it got."""
        texts = particulars_texts(named, self._field_labels)
        shown = [self._about(self._of(text)) for text in texts[:MOST_PARTICULARS]]
        if len(texts) > MOST_PARTICULARS or not named.are_complete:
            shown.append(self("and_others"))
        return shown

    def closed(self, latest: Reason | None) -> str:
        """Return why the gate is closed; if the connection has to be fixed, also what is wrong and what to do."""
        if latest is None:
            return ""
        if latest.code in TLS_PROBLEMS:
            return self._about(self._of(status_reason(latest).message))
        return self.reason(latest.code.value)

    def action(self, code: str | None, *, withdrawal: bool = False) -> str:
        """Return the action to take for a reason code; empty if there is none."""
        if code is None or code not in REASON_TEXTS:
            return ""
        texts = withdrawal_reasons.reason_text(Code(code), withdrawal=withdrawal)
        return self._about(texts.action_en if self._index else texts.action_vi)

    def _of(self, message: Message) -> str:
        return message.en if self._index else message.vi


def _nouns(language: Language, document_type: DocumentType) -> dict[str, str]:
    """Return the placeholders that depend on the document type.

    They are ``{doc}``, ``{docs}``, both also with a capital, and ``{Code}``, the name of its document code.
    """
    nouns = document_type.nouns
    one, many = (nouns.vi, nouns.vi) if language == "vi" else (nouns.one, nouns.many)
    code = document_type.labels[document_type.endpoint.document_code_field][LANGUAGES.index(language)]
    values = {"doc": one, "docs": many, "Doc": one, "Docs": many, "Code": code}
    return {name: value[:1].upper() + value[1:] if name[0].isupper() else value for name, value in values.items()}
