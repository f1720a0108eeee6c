"""The shapes of every answer: documented, and seen in the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.kinds import Kind
from streams.local.simulator.ledger import Standing

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode())


def logged_in(token: str, behaviour: Behaviour) -> Answer:
    given = {"token": token, "token_type": "bearer"}
    if behaviour.login_answer == "field":
        # The field writes `code` as text here, and says `message`, whatever other answers do.
        answer = as_json(200, {"code": "200", "message": "Đăng nhập thành công", "data": given})
    else:
        answer = as_json(200, given)
    if not behaviour.cookies:
        return answer
    return Answer(200, answer.body, JSON, {"Set-Cookie": f"session={token[-12:]}; Path=/"})


def wrong_credentials(behaviour: Behaviour) -> Answer:
    words = "Tài khoản hoặc mật khẩu không đúng"
    if behaviour.wrong_credentials == "200":
        return as_json(200, {"code": "401", "message": words, "data": None})
    return as_json(int(behaviour.wrong_credentials), {"mess": words})


def no_token(behaviour: Behaviour) -> Answer:
    return as_json(401, _said(401, "Token không hợp lệ hoặc đã hết hạn", behaviour))


def accepted(kind: Kind, national_id: str, behaviour: Behaviour) -> Answer:
    said = _said(200, "Thành công", behaviour)
    match behaviour.accepted_answer:
        case "no_id":
            return as_json(200, said)
        case "field":
            return as_json(200, {kind.national_id_field: national_id, **said})
        case "documented" if kind.bare_id:
            return as_json(200, national_id)
        case "documented":
            return as_json(200, {kind.document_code_field: national_id, **said})


def withdrawn(behaviour: Behaviour) -> Answer:
    return as_json(200, _said(200, "Thành công", behaviour))


def refused(words: str, behaviour: Behaviour) -> Answer:
    match behaviour.refusal_answer:
        case "400_text":
            return Answer(400, words.encode(), TEXT)
        case status:
            return as_json(int(status), _said(400, words, behaviour))


def not_there(words: str, behaviour: Behaviour) -> Answer:
    """A 404 in the API's own form, with these `words`."""
    return as_json(404, _said(404, words, behaviour))


def not_served(status: int) -> Answer:
    """No such path, no such method, or a look-up that is not offered."""
    return Answer(status, f"{status}\n".encode(), TEXT)


def looked_up(kind: Kind, standing: Standing, behaviour: Behaviour) -> Answer:
    national_id = standing.national_ids[-1]
    shown = {kind.document_code_field: standing.code, "ma_co_so": standing.ma_co_so}
    match behaviour.look_up_id:
        case "national_field":
            shown[kind.national_id_field] = national_id
        case "national_only":
            shown = {kind.national_id_field: national_id, "ma_co_so": standing.ma_co_so}
        case "own_field":
            shown[kind.document_code_field] = national_id
        case "none":
            pass
    if behaviour.look_up_answer == "bare":
        return as_json(200, shown)
    said = _said(200, "Thành công", behaviour)
    return as_json(200, {**said, "data": shown if behaviour.look_up_answer == "data" else [shown]})


def not_held(behaviour: Behaviour) -> Answer:
    """The answer to a look-up of a code that is not held, in the form that `look_up_missing` chooses."""
    words = "Không tìm thấy dữ liệu"
    match behaviour.look_up_missing:
        case "404":
            return not_there(words, behaviour)
        case "200_code":
            return as_json(200, _said(404, words, behaviour))
        case "null":
            return as_json(200, {**_said(200, words, behaviour), "data": None})
        case "empty":
            return as_json(200, {**_said(200, words, behaviour), "data": []})


def _said(code: int, words: str, behaviour: Behaviour) -> dict[str, Any]:
    return {"code": str(code) if behaviour.code_as == "string" else code, behaviour.message_field: words}
