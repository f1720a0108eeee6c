"""Ready-made faults. `accept=True`: the document is taken first, and only the answer is bad."""

from __future__ import annotations

from streams.local.simulator.faults import Fault, FromZoo
from streams.local.simulator.zoo.entry import Entry

_HTML = "<!DOCTYPE html><html><head><title>Bảo trì</title></head><body><h1>Hệ thống bảo trì</h1></body></html>"
_HTML_TYPE = "text/html; charset=utf-8"


def cut_before_accepting() -> Fault:
    """The connection breaks; the ledger holds nothing."""
    return Fault(accept=False, cut=True)


def cut_after_accepting() -> Fault:
    """The connection breaks; the ledger holds the document."""
    return Fault(cut=True)


def accept_after_client_is_gone(wait_s: float = 0) -> Fault:
    """The client gives up first; `wait_s` later its document is taken."""
    return Fault(until_gone=True, wait_s=wait_s)


def slow_to_accept(seconds: float) -> Fault:
    return Fault(wait_s=seconds)


def slow_to_answer(seconds: float) -> Fault:
    """Taken at once, told late."""
    return Fault(answer_wait_s=seconds)


def drip(seconds_per_byte: float = 0.05) -> Fault:
    """The ordinary answer, byte by byte."""
    return Fault(drip_s=seconds_per_byte)


def status(code: int, body: str = "", *, accept: bool = False, retry_after: str | None = None) -> Fault:
    """An answer without JSON; `retry_after`: seconds or an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return _answer(code, body.encode(), accept=accept, content_type="text/plain", headers=headers)


def refusal(words: str, code: int = 400) -> Fault:
    return _answer(code, words.encode(), content_type="text/plain; charset=utf-8")


def html(code: int = 200, *, accept: bool = False) -> Fault:
    """A page for people, as a proxy in front of the API shows it."""
    return _answer(code, _HTML.encode(), accept=accept, content_type=_HTML_TYPE)


def empty(code: int = 200, *, accept: bool = False) -> Fault:
    return _answer(code, b"", accept=accept)


def truncated(*, accept: bool = True) -> Fault:
    """Half of a good answer, in a message that claims to be whole."""
    if accept:
        return Fault(keep_share=0.5)
    return _answer(200, '{"ma_hoa_don": "HD_QG_0", "code": 200, "mess": "Thành'.encode())


def not_utf8(code: int = 200, *, accept: bool = False) -> Fault:
    return _answer(code, '{"code": 200, "mess": "Thành công"}'.encode("utf-16"), accept=accept)


def without_id(*, accept: bool = False) -> Fault:
    """200 and nothing that proves an acceptance."""
    return _answer(200, '{"code": 200, "mess": "Thành công"}'.encode(), accept=accept)


def huge(size: int = 2 * 1024 * 1024, *, accept: bool = True) -> Fault:
    """The ordinary answer, filled up with spaces; not accepted: spaces only."""
    return Fault(pad_to=size) if accept else Fault(accept=False, status=200, pad_to=size)


def redirect(location: str, code: int = 302, *, accept: bool = False) -> Fault:
    return _answer(code, b"", accept=accept, headers={"Location": location})


def from_zoo(entry: Entry, *, accept: bool = False) -> Fault:
    """One answer of the zoo. A call that it does not fit has the ordinary answer, or a bare 503."""
    return Fault(accept=accept, zoo=FromZoo(name=entry.name))


def zoo(
    seed: int,
    *,
    accept: bool = False,
    look_alikes: bool = True,
    only_look_alikes: bool = False,
    short_waits: bool = False,
) -> Fault:
    """Another answer of the zoo for each call, the same ones for the same seed and order of calls."""
    drawn = FromZoo(seed=seed, look_alikes=look_alikes, only_look_alikes=only_look_alikes, short_waits=short_waits)
    return Fault(accept=accept, zoo=drawn)


def _answer(
    code: int,
    body: bytes,
    *,
    accept: bool = False,
    content_type: str = "application/json; charset=utf-8",
    headers: dict[str, str] | None = None,
) -> Fault:
    return Fault(accept=accept, status=code, body=body, content_type=content_type, headers=headers or {})
