"""The API proper: a call in, an answer out, the ledger and the tokens changed at once. No sockets here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from streams.local.simulator import answers
from streams.local.simulator.accounts import LONGEST_PASSWORD, LONGEST_USER, Accounts
from streams.local.simulator.answers import Answer
from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.calls import Call, SeenCalls
from streams.local.simulator.documents import broken_rules
from streams.local.simulator.faults import Faults
from streams.local.simulator.kinds import PUBLISHED, Kind
from streams.local.simulator.ledger import Accepted, Ledger

_ALREADY = "đã tồn tại trên hệ thống"
_NOTHING_TO_REPLACE = "Không tìm thấy chứng từ để cập nhật"
_NOTHING_TO_WITHDRAW = "Không tìm thấy chứng từ để hủy"
_WRONG_PLACE = "ma_co_so: tài khoản không thuộc cơ sở"


@dataclass(slots=True)
class NationalApi:
    """All that the simulator knows. Answering is synchronous, so every call is atomic."""

    accounts: Accounts
    ledger: Ledger
    clock: Callable[[], float]
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: Faults = field(default_factory=Faults)
    seen: SeenCalls = field(default_factory=SeenCalls)
    kinds: dict[str, Kind] = field(default_factory=dict)
    """By path."""

    def __post_init__(self) -> None:
        self.put_kinds(PUBLISHED)

    def put_kinds(self, kinds: Iterable[Kind]) -> None:
        self.kinds.update((kind.path, kind) for kind in kinds)

    def answer(self, call: Call) -> Answer:
        if call.name == "login" or call.kind is None:
            return self._log_in(call)
        if not call.account:
            return answers.no_token(self.behaviour)
        if call.name == "look_up" and self.behaviour.look_up != "offered":
            return answers.not_served(int(self.behaviour.look_up))
        if call.name == "look_up" and call.kind.name in self.behaviour.without_look_up:
            return answers.not_served(404)
        if call.ma_co_so and not self.accounts.may_send_for(call.account, call.ma_co_so):
            return answers.refused(f"{_WRONG_PLACE} {call.ma_co_so}", self.behaviour)
        match call.name:
            case "create":
                return self._create(call, call.kind)
            case "replace":
                return self._replace(call, call.kind)
            case "withdraw":
                return self._withdraw(call, call.kind)
            case "look_up":
                return self._look_up(call, call.kind)

    def _log_in(self, call: Call) -> Answer:
        self.accounts.count(call.account).asked += 1
        body = call.body or {}
        usr, pwd = body.get("usr"), body.get("pwd")
        if not isinstance(usr, str) or not isinstance(pwd, str):
            return answers.as_json(400, {"mess": "usr, pwd: bắt buộc, phải là chuỗi"})
        if len(usr) > LONGEST_USER or len(pwd) > LONGEST_PASSWORD:
            return answers.as_json(400, {"mess": f"usr dài nhất {LONGEST_USER}, pwd {LONGEST_PASSWORD} ký tự"})
        token = self.accounts.log_in(usr, pwd, self.behaviour)
        if token is None:
            return answers.wrong_credentials(self.behaviour)
        return answers.logged_in(token, self.behaviour)

    def _create(self, call: Call, kind: Kind) -> Answer:
        """Answer a POST. `behaviour.second_create` decides what one of a code that is held already does."""
        if refusal := self._body_refusal(call, kind):
            return refusal
        if self.ledger.held(call.key) is None:
            return self._accept("create", call, kind, new_document=True)
        self.ledger.count_met_held()
        if self.behaviour.second_create == "refuse":
            return self._refused(f"{kind.document_code_field}: {call.code} {_ALREADY}", call)
        return self._accept("create", call, kind, new_document=self.behaviour.second_create == "another")

    def _replace(self, call: Call, kind: Kind) -> Answer:
        if refusal := self._body_refusal(call, kind):
            return refusal
        missing = self.ledger.held(call.key) is None
        if missing and self.behaviour.replace_missing == "404":
            return answers.not_there(_NOTHING_TO_REPLACE, self.behaviour)
        if missing and self.behaviour.replace_missing == "refuse":
            return answers.refused(_NOTHING_TO_REPLACE, self.behaviour)
        return self._accept("replace", call, kind, new_document=missing)

    def _withdraw(self, call: Call, kind: Kind) -> Answer:
        if self.ledger.held(call.key) is None:
            match self.behaviour.withdraw_missing:
                case "404":
                    return answers.not_there(_NOTHING_TO_WITHDRAW, self.behaviour)
                case "refuse":
                    return answers.refused(_NOTHING_TO_WITHDRAW, self.behaviour)
                case "accept":
                    return answers.withdrawn(self.behaviour)
        self._accept("withdraw", call, kind, new_document=False)
        return answers.withdrawn(self.behaviour)

    def _look_up(self, call: Call, kind: Kind) -> Answer:
        held = self.ledger.held(call.key)
        return answers.not_held(self.behaviour) if held is None else answers.looked_up(kind, held, self.behaviour)

    def _accept(self, name: Accepted, call: Call, kind: Kind, *, new_document: bool) -> Answer:
        entry = self.ledger.accept(
            name,
            call.key,
            id_prefix=kind.id_prefix,
            account=call.account,
            body_sha256=call.body_sha256,
            new_document=new_document,
        )
        return answers.accepted(kind, entry.national_id, self.behaviour)

    def _body_refusal(self, call: Call, kind: Kind) -> Answer | None:
        """Return the refusal of a body that is no JSON object or breaks rules; None: nothing is wrong with it."""
        if call.body is None:
            return answers.refused("Dữ liệu không phải là một đối tượng JSON (UTF-8)", self.behaviour)
        broken = broken_rules(kind, call.body, self.behaviour)
        return self._refused("; ".join(broken), call) if broken else None

    def _refused(self, words: str, call: Call) -> Answer:
        customer = (call.body or {}).get("ho_ten_khach_hang")
        if self.behaviour.refusals_name_customer and isinstance(customer, str):
            words = f"Hóa đơn của khách hàng {customer}: {words}"
        return answers.refused(words, self.behaviour)
