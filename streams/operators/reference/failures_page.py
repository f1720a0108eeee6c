"""Writes docs/failures.md and its Vietnamese page, which explain each reason:
``python -m streams.operators.reference.failures_page <folder>``.

They are generated from the texts in `streams.domain.reasons` and `streams.domain.withdrawal_reasons`, and the defaults
of the settings; a test checks that they are up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import click

from streams.domain.reasons import (
    ACCEPTANCES,
    ACCOUNT_PROBLEMS,
    FAILURES,
    REASON_TEXTS,
    REMARK_TEXTS,
    RULE_TEXTS,
    TLS_PROBLEMS,
    TLS_RULE_TEXTS,
    Code,
)
from streams.domain.withdrawal_reasons import WITHDRAWAL_TEXTS
from streams.settings import Settings

Bilingual: TypeAlias = tuple[str, str]
"""A text in Vietnamese and in English."""


def _default(name: str) -> float:
    return float(Settings.model_fields[name].default)


def _span(seconds: float) -> Bilingual:
    for length, vi, en in ((3600, "giờ", "hour"), (60, "phút", "minute"), (1, "giây", "second")):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {vi}", f"{count} {en}{'' if count == 1 else 's'}"
    return f"{seconds} giây", f"{seconds} seconds"


def _spans(seconds: tuple[float, ...]) -> Bilingual:
    *first, last = (_span(each) for each in seconds)
    vi = ", ".join(span[0] for span in first)
    en = ", ".join(span[1] for span in first)
    return f"{vi}, sau đó cứ {last[0]}", f"{en}, then every {last[1]}"


_LOGIN = _span(_default("login_retry_delay"))
_LINES = _span(_default("lines_retry_delay"))
_LINES_END = _span(_default("lines_timeout"))
_LIMIT = _span(_default("time_limit"))
_SETTLE = _span(_default("settle_after_outage"))
_STEPS = _spans(Settings.model_fields["retry_delays"].default)
_FIRST_STEP = _span(Settings.model_fields["retry_delays"].default[0])
_CLAIM = _span(_default("attempt_deadline") + _default("lease_grace"))

_ENDED: Bilingual = (
    "Không gửi nữa cho đến khi hóa đơn được yêu cầu gửi lại.",
    "Nothing more, until the sale is requested again.",
)
_ENDED_AFTER_LOOK_UP: Bilingual = (
    f"Đã tra hóa đơn trên hệ thống quốc gia rồi mới tin lời từ chối. {_ENDED[0]}",
    f"It looked the sale up before it accepted the refusal. {_ENDED[1]}",
)
_SHOP: Bilingual = (
    f"Cứ vài giây xem lại AccountShop: sửa đúng là gửi ngay, không giới hạn thời gian chờ; nếu chưa sửa, thử lại mỗi "
    f"{_LOGIN[0]} (`LOGIN_RETRY_DELAY`). Các nhà thuốc khác không bị ảnh hưởng.",
    f"It checks AccountShop every few seconds and sends as soon as that is correct, however long it takes; until "
    f"then it tries every {_LOGIN[1]} (`LOGIN_RETRY_DELAY`). Other shops are not affected.",
)
_AGAIN: Bilingual = (
    f"Thử lại sau {_STEPS[0]} (`RETRY_DELAYS`), không giới hạn thời gian chờ.",
    f"It tries again after {_STEPS[1]} (`RETRY_DELAYS`), without a time limit.",
)
_LOOKED_UP: Bilingual = (
    f"Tra hóa đơn trên hệ thống quốc gia trước khi gửi lại, nên không gửi trùng; sớm nhất sau {_CLAIM[0]}. {_AGAIN[0]} "
    f"Chỉ khi tra thấy hóa đơn không có và đã quá {_LIMIT[0]} (`TIME_LIMIT`) thì mới dừng.",
    f"It looks the sale up before it sends it again, so that nothing is sent twice; after {_CLAIM[1]} at the "
    f"earliest. {_AGAIN[1]} It gives up only when a look-up says that the sale is not stored and {_LIMIT[1]} "
    "(`TIME_LIMIT`) have passed.",
)
_GATE: Bilingual = (
    "Khi nhiều nhà thuốc cùng gặp lỗi, việc gửi tạm dừng và tự chạy lại khi hệ thống quốc gia trả lời.",
    "When several shops meet this error in a row, sending pauses, and continues automatically once the national system "
    "answers.",
)


def _both(*parts: Bilingual) -> Bilingual:
    return " ".join(vi for vi, _ in parts), " ".join(en for _, en in parts)


BY_ITSELF: dict[Code, Bilingual] = {
    Code.ID_UNKNOWN: (
        "Đã xong, không gửi lại.",
        "Nothing more: the sale has been accepted.",
    ),
    Code.VALUES_REPLACED: (
        "Đã xong, không gửi lại. `EMPTY_DOSAGE` cho biết giá trị thay thế; lý do này nêu từng dòng.",
        "Nothing more: the sale has been accepted. `EMPTY_DOSAGE` is the substitute; the reason names each line.",
    ),
    Code.RULES_BROKEN: _ENDED,
    Code.NO_LINES: (
        f"Đã chờ các dòng thuốc trong {_LINES_END[0]} (`LINES_TIMEOUT`). {_ENDED[0]}",
        f"It waited for the lines for {_LINES_END[1]} (`LINES_TIMEOUT`). {_ENDED[1]}",
    ),
    Code.API_REFUSED: _ENDED_AFTER_LOOK_UP,
    Code.OLDER_VERSION_STORED: _ENDED_AFTER_LOOK_UP,
    Code.STORED_UNDER_OTHER_CODES: _both(
        (
            "Đã tra theo mã cũ; nếu mã cũ không còn trên hệ thống quốc gia thì hóa đơn đã được gửi theo mã mới.",
            "It looked the sale up under its earlier codes; had they not been there any more, it would have been sent.",
        ),
        _ENDED,
    ),
    Code.TIME_LIMIT: (
        f"Đã thử trong {_LIMIT[0]} (`TIME_LIMIT`), chỉ tính lúc hệ thống quốc gia vẫn trả lời hóa đơn khác. "
        f"{_ENDED[0]}",
        f"It tried for {_LIMIT[1]} (`TIME_LIMIT`), during which the national system answered other sales. {_ENDED[1]}",
    ),
    Code.NEVER_TAKEN: (
        f"Đã gửi nhiều lần trong {_LIMIT[0]} (`TIME_LIMIT`); lần nào tra lại cũng không có. {_ENDED[0]}",
        f"It sent the sale again and again for {_LIMIT[1]} (`TIME_LIMIT`), and each look-up said that it is not "
        f"stored. {_ENDED[1]}",
    ),
    Code.NO_ACCOUNT: _SHOP,
    Code.SEVERAL_ACCOUNTS: _SHOP,
    Code.LOGIN_REFUSED: _both(
        _SHOP,
        (
            "Không thử dồn dập, để tài khoản không bị khóa.",
            "It does not try more often, so that the account is not locked.",
        ),
    ),
    Code.LINES_MISSING: (
        f"Xem lại sau {_LINES[0]} (`LINES_RETRY_DELAY`); quá {_LINES_END[0]} (`LINES_TIMEOUT`) mà vẫn không có thì "
        "hóa đơn thành `no_lines`.",
        f"It checks again after {_LINES[1]} (`LINES_RETRY_DELAY`); without lines for {_LINES_END[1]} "
        "(`LINES_TIMEOUT`) the sale fails as `no_lines`.",
    ),
    Code.EARLIER_DOCUMENTS: (
        f"Chỉ có khi đặt `DOCUMENT_ORDER_WAIT`. Cứ {_FIRST_STEP[0]} xem lại một lần; chờ đủ thời gian đã đặt thì gửi, "
        "dù các chứng từ kia còn chờ.",
        f"Only with `DOCUMENT_ORDER_WAIT`. It checks every {_FIRST_STEP[1]}, and sends the sale once it has waited for "
        "the time that is set, whatever the others wait for.",
    ),
    Code.SHOP_BUSY: (
        f"Thử lại sau {_LINES[0]}, không giới hạn thời gian chờ.",
        f"It tries again after {_LINES[1]}, without a time limit.",
    ),
    Code.LOGIN_UNAVAILABLE: _both(_AGAIN, _GATE),
    Code.TOKEN_REJECTED: _both(
        ("Đăng nhập lại một lần rồi mới báo.", "It logged in again once before it reported this."), _AGAIN
    ),
    Code.UNREACHABLE: _both(
        (
            f"Thử lại sau {_STEPS[0]} (`RETRY_DELAYS`). Nếu chắc chắn hóa đơn chưa được nhận, sau {_LIMIT[0]} "
            "(`TIME_LIMIT`) hóa đơn thành `time_limit`.",
            f"It tries again after {_STEPS[1]} (`RETRY_DELAYS`). A sale that is known not to be stored fails as "
            f"`time_limit` after {_LIMIT[1]} (`TIME_LIMIT`).",
        ),
        _GATE,
    ),
    Code.TIMED_OUT: _both(_LOOKED_UP, _GATE),
    Code.CONNECTION_LOST: _both(_LOOKED_UP, _GATE),
    Code.API_ERROR: _both(_LOOKED_UP, _GATE),
    Code.RATE_LIMITED: _both(
        (
            "Chờ đúng thời gian hệ thống quốc gia yêu cầu (`Retry-After`).",
            "It waits as long as the answer requests (`Retry-After`).",
        ),
        _LOOKED_UP,
    ),
    Code.UNCLEAR_ANSWER: _LOOKED_UP,
    Code.NOT_TAKEN: _both(
        _LOOKED_UP,
        ("Khi đó lý do là `never_taken`.", "The reason is then `never_taken`."),
    ),
    Code.NOT_YET_SHOWN: (
        f"Sau sự cố, hoặc sau khi phần mềm khởi động lại, chờ {_SETTLE[0]} (`SETTLE_AFTER_OUTAGE`) rồi mới tin là chưa "
        f"có. {_AGAIN[0]}",
        f"After an outage or a restart of this software, it waits for {_SETTLE[1]} (`SETTLE_AFTER_OUTAGE`) before it "
        f"accepts that the sale is not stored. {_AGAIN[1]}",
    ),
    Code.CONTRADICTORY_ANSWERS: _both(
        (
            "Lần sau tra hóa đơn lại từ đầu. Nếu hai câu trả lời vẫn trái ngược như vậy thì tin lời tra cứu: hóa đơn "
            "không có.",
            "The next attempt looks the sale up anew. Where the two contradict each other once more, the look-up is "
            "believed: the sale is not stored.",
        ),
        _AGAIN,
    ),
    Code.LOOK_UP_FAILED: _LOOKED_UP,
    Code.REPLACE_REFUSED: _both(
        _AGAIN, ("Mỗi lần đều ghi cảnh báo vào nhật ký.", "Each attempt writes a warning to the log.")
    ),
    Code.INTERNAL_ERROR: _LOOKED_UP,
    Code.ROW_UNREADABLE: (
        "Xem lại hóa đơn ít nhất sau 5 phút, không giới hạn thời gian chờ. Các hóa đơn khác không bị ảnh hưởng.",
        "It reads the sale again after at least five minutes, without a time limit. Other sales are not affected.",
    ),
    Code.CERTIFICATE: _both(_AGAIN, _GATE),
    Code.TLS_FAILED: _both(_AGAIN, _GATE),
}

_GROUPS: list[tuple[Bilingual, list[Code]]] = [
    (("Thất bại: cần người xử lý", "Failed: a person has to act"), [code for code in Code if code in FAILURES]),
    (
        ("Chờ nhà thuốc sửa tài khoản", "Waiting for the shop's account"),
        [code for code in Code if code in ACCOUNT_PROBLEMS],
    ),
    (
        ("Tự chờ, tự gửi lại", "Waiting, and sent automatically"),
        [code for code in Code if code not in FAILURES | ACCOUNT_PROBLEMS | TLS_PROBLEMS | ACCEPTANCES],
    ),
    (
        ("Chờ người quản trị sửa kết nối", "Waiting for the connection to be fixed"),
        [code for code in Code if code in TLS_PROBLEMS],
    ),
    (("Đã được nhận", "Accepted"), [code for code in Code if code in ACCEPTANCES]),
]


def status_of(code: Code) -> str:
    """Return the `status` of a row with this reason."""
    if code in FAILURES:
        return "SYNC_FAILED"
    return "SYNC_SUCCESS" if code in ACCEPTANCES else "PENDING_SYNC"


@dataclass(frozen=True, slots=True)
class _Phrases:
    """What a page says around the reasons, in its language; `index` is that of its texts in a `Bilingual`."""

    index: int
    head: str
    meaning: str
    action: str
    by_itself: str
    withdrawals: str
    withdrawals_say: str
    rules: str
    rules_say: str
    remarks: str
    remarks_say: str
    tls: str
    tls_say: str


_ENGLISH = _Phrases(
    index=1,
    head="""\
# What each reason means, and what to do

English · [Tiếng Việt](vi/failures.md)

Every sale that has not been accepted has a reason: in its row (`sync_response_message`), on `sale-status`
(`reason.code`) and in the journal. A *waiting* sale (`PENDING_SYNC`) need not be sent again by hand. A *failed* sale
(`SYNC_FAILED`) has to be corrected first, then [sent again](../README.md#send-a-sale-again). Names in capitals are
[settings](../.env.example); the times are their defaults.
""",
    meaning="What it means",
    action="What to do",
    by_itself="What the software does",
    withdrawals="When a document is withdrawn",
    withdrawals_say="The codes mean the same, with another text and action. Except for `CANCEL_FAILED` it is tried "
    f"again automatically; `not_taken` alone has a time limit ({_LIMIT[1]}, `TIME_LIMIT`).",
    rules="The rules of `rules_broken`",
    rules_say="The text follows the name of the field; `reason.details` has `field` and `rule`.",
    remarks="The remarks about a field",
    remarks_say="With `values_replaced`, `id_unknown`, `api_refused` and `older_version_stored`; the text follows the "
    "name of the field.",
    tls="The problems of `certificate` and `tls_failed`",
    tls_say="`reason.details` has `certificate` or `tls` as `field`, and `rule`.",
)
_VIETNAMESE = _Phrases(
    index=0,
    head="""\
# Mỗi lý do nghĩa là gì, và cách xử lý

Tiếng Việt · [English](../failures.md)

Mỗi hóa đơn chưa được nhận đều có một lý do, ghi trong dòng của hóa đơn (cột `sync_response_message`), trong bản tin
`sale-status` (`reason.code`) và trong nhật ký (MongoDB). Hóa đơn *đang chờ* (`PENDING_SYNC`) không cần gửi lại bằng
tay. Hóa đơn *thất bại* (`SYNC_FAILED`) thì phải sửa trước, rồi [gửi lại](../../README.vi.md#gửi-lại-một-hóa-đơn). Tên
viết hoa là [mục cấu hình](env.example); thời gian nêu ở đây là giá trị mặc định của các mục đó.
""",
    meaning="Nghĩa là",
    action="Việc cần làm",
    by_itself="Phần mềm tự làm",
    withdrawals="Khi hủy chứng từ",
    withdrawals_say="Mã lý do giữ nguyên nghĩa, chỉ lời và cách xử lý là khác. Ngoài `CANCEL_FAILED`, phần mềm tự thử "
    f"lại; chỉ `not_taken` có thời hạn ({_LIMIT[0]}, `TIME_LIMIT`).",
    rules="Các quy định của `rules_broken`",
    rules_say="Câu này đứng sau tên của mục sai; `reason.details` có `field` và `rule`.",
    remarks="Ghi chú về một mục",
    remarks_say="Có với `values_replaced`, `id_unknown`, `api_refused` và `older_version_stored`; câu này đứng sau tên "
    "của mục.",
    tls="Các lỗi của `certificate` và `tls_failed`",
    tls_say="`reason.details` có `field` là `certificate` hoặc `tls`, và `rule`.",
)
PAGES: Mapping[str, _Phrases] = {"docs/failures.md": _ENGLISH, "docs/vi/failures.md": _VIETNAMESE}
"""Each page that is generated: its path in the repository, and its phrases."""
_GENERATED = (
    "<!-- Generated by `make failures` from streams/domain/reasons.py and streams/settings.py: change those. -->"
)


def page(phrases: _Phrases) -> str:
    """Return the page in Markdown."""
    sections = (*_index(phrases), *_sections(phrases), *_withdrawals(phrases), *_rules(phrases))
    return "\n".join([_GENERATED, phrases.head, *sections])


def _index(phrases: _Phrases) -> Iterator[str]:
    for title, codes in _GROUPS:
        links = ", ".join(f"[`{code.value}`](#{code.value})" for code in codes)
        yield f"- **{title[phrases.index]}:** {links}"
    yield ""


def _sections(phrases: _Phrases) -> Iterator[str]:
    for title, codes in _GROUPS:
        yield f"## {title[phrases.index]}\n"
        for code in codes:
            texts = REASON_TEXTS[code]
            yield f"### `{code.value}`\n"
            yield f"`status` = `{status_of(code)}`\n"
            yield "| | |"
            yield "| --- | --- |"
            yield f"| {phrases.meaning} | {(texts.vi, texts.en)[phrases.index]} |"
            yield f"| {phrases.action} | {(texts.action_vi, texts.action_en)[phrases.index]} |"
            yield f"| {phrases.by_itself} | {BY_ITSELF[code][phrases.index]} |\n"


def _withdrawals(phrases: _Phrases) -> Iterator[str]:
    yield f"## {phrases.withdrawals}\n"
    yield f"{phrases.withdrawals_say}\n"
    yield f"| `reason.code` | `status` | {phrases.meaning} | {phrases.action} |"
    yield "| --- | --- | --- | --- |"
    for code, texts in WITHDRAWAL_TEXTS.items():
        status = "CANCEL_FAILED" if code in FAILURES else "PENDING_CANCEL"
        meaning = (texts.vi, texts.en)[phrases.index]
        action = (texts.action_vi, texts.action_en)[phrases.index]
        yield f"| `{code.value}` | `{status}` | {meaning} | {action} |"
    yield ""


def _rules(phrases: _Phrases) -> Iterator[str]:
    for title, says, rules in (
        (phrases.rules, phrases.rules_say, RULE_TEXTS),
        (phrases.remarks, phrases.remarks_say, REMARK_TEXTS),
        (phrases.tls, phrases.tls_say, TLS_RULE_TEXTS),
    ):
        yield f"## {title}\n"
        yield f"{says}\n"
        yield f"| `rule` | {phrases.meaning} |"
        yield "| --- | --- |"
        for rule, texts in rules.items():
            code = f"{rule}:N" if "{limit}" in texts[0] else rule
            yield f"| `{code}` | {texts[phrases.index].format(limit='N')} |"
        yield ""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path), default=Path())
def main(folder: Path) -> None:
    """Write the pages about all reasons into the repository in FOLDER (default: the current one)."""
    for path, phrases in PAGES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(phrases), encoding="utf-8")


if __name__ == "__main__":
    main()
