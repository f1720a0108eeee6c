"""Presents the code that reads answers in the form that the judge needs, with readers that each break one of its
rules.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from streams.documents.sale import SALE
from streams.domain.outcome import Accepted, Refused, TryLater, Withdrawn
from streams.domain.reasons import Code
from streams.national_api.answers import NothingToReplace, NotOffered, NotStored, Stored, read_look_up, read_submission
from streams.national_api.login_answers import read_login
from streams.national_api.own_form import Answer
from streams.national_api.withdrawal_answers import NothingToWithdraw, read_withdrawal
from tests.unit.evidence_judge import NATIONAL_FIELD, OWN, OWN_FIELD, PHRASES, PLACE, Conclusion, Played

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def answer_of(played: Played) -> Answer:
    return Answer(
        played.status,
        played.content,
        NOW,
        content_type=played.content_type,
        retry_after=played.retry_after,
        location=played.location,
        age=played.age,
        whole=played.whole,
    )


def read(played: Played) -> Any:
    """Reads the answer with the code for this call."""
    answer = answer_of(played)
    match played.call:
        case "login":
            return read_login(answer)
        case "look_up":
            return read_look_up(answer, SALE.endpoint, PLACE, OWN)
        case "withdraw":
            return read_withdrawal(answer, SALE.endpoint, PLACE, OWN, PHRASES)
        case "create" | "replace" as call:
            return read_submission(call, answer, SALE.endpoint, PLACE, OWN, PHRASES)


class Reader:
    """Gives what is concluded from an answer, and the id or token that was read."""

    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        found = read(played)
        match played.call:
            case "login":
                return _of_a_login(found)
            case "look_up":
                return _of_a_look_up(found)
        return _of_a_submission(found)


def _of_a_login(read: str | TryLater) -> tuple[Conclusion, str | None]:
    if isinstance(read, str):
        return Conclusion.TOKEN, read
    return (Conclusion.LOGIN_REFUSED if read.reason.code is Code.LOGIN_REFUSED else Conclusion.NOTHING), None


def _of_a_look_up(read: Any) -> tuple[Conclusion, str | None]:
    match read:
        case Stored(national_id):
            return Conclusion.ACCEPTED, national_id
        case NotStored():
            return Conclusion.NOT_STORED, None
        case NotOffered():
            return Conclusion.NOT_OFFERED, None
        case _:
            return Conclusion.NOTHING, None


def _of_a_submission(read: Any) -> tuple[Conclusion, str | None]:
    match read:
        case Accepted(national_id):
            return Conclusion.ACCEPTED, national_id
        case Withdrawn():
            return Conclusion.WITHDRAWN, None
        case Refused():
            return Conclusion.REFUSED, None
        case NothingToReplace() | NothingToWithdraw():
            return Conclusion.NOT_STORED, None
        case TryLater():
            return Conclusion.UNSENT, None
        case _:
            return Conclusion.NOTHING, None


class AnyCodeButSuccessRefuses(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        said = _object(played)
        if played.call in ("create", "replace") and played.status == 200 and said.get("code", 200) not in (200, "200"):
            return Conclusion.REFUSED, None
        return super().conclude(played)


class Any404IsNotStored(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        if played.call in ("look_up", "replace", "withdraw") and played.status == 404:
            return Conclusion.NOT_STORED, None
        return super().conclude(played)


class AnErrorIsNotStored(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        if played.call == "look_up" and _object(played).get("code", 200) not in (200, "200"):
            return Conclusion.NOT_STORED, None
        return super().conclude(played)


class AnyCode200Withdraws(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        if played.call == "withdraw" and played.status == 200 and _object(played).get("code") in (200, "200"):
            return Conclusion.WITHDRAWN, None
        return super().conclude(played)


class ATextIsAnId(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        text = _json(played)
        if played.call == "create" and played.status == 200 and isinstance(text, str) and text:
            return Conclusion.ACCEPTED, text
        return super().conclude(played)


class AnyValueIsAnId(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        said = _object(played)
        if played.call == "create" and played.status == 200 and said.get("code") == 200 and NATIONAL_FIELD in said:
            return Conclusion.ACCEPTED, str(said[NATIONAL_FIELD])
        return super().conclude(played)


class SomebodyElsesRecordCounts(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        said = _object(played)
        if played.call == "look_up" and played.status == 200 and {OWN_FIELD, NATIONAL_FIELD} <= set(said):
            return Conclusion.ACCEPTED, str(said[NATIONAL_FIELD])
        return super().conclude(played)


class APageWith400Refuses(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        if played.call in ("create", "replace") and played.status in (400, 422) and played.content.startswith(b"<"):
            return Conclusion.REFUSED, None
        return super().conclude(played)


class AStaleAnswerCounts(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        return super().conclude(replace(played, age=""))


class AHalfAnswerCounts(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        return super().conclude(replace(played, whole=True))


class Any400RefusesALogIn(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        if played.call == "login" and played.status in (400, 401):
            return Conclusion.LOGIN_REFUSED, None
        return super().conclude(played)


class AnyTokenCounts(Reader):
    def conclude(self, played: Played) -> tuple[Conclusion, str | None]:
        for key, value in _object(played).items():
            if played.call == "login" and "token" in key and isinstance(value, str):
                return Conclusion.TOKEN, value
        return super().conclude(played)


WRONG_READERS: tuple[type[Reader], ...] = (
    AnyCodeButSuccessRefuses,
    Any404IsNotStored,
    AnErrorIsNotStored,
    AnyCode200Withdraws,
    ATextIsAnId,
    AnyValueIsAnId,
    SomebodyElsesRecordCounts,
    APageWith400Refuses,
    AStaleAnswerCounts,
    AHalfAnswerCounts,
    Any400RefusesALogIn,
    AnyTokenCounts,
)


def _json(played: Played) -> Any:
    try:
        return json.loads(played.content.decode())
    except (ValueError, RecursionError):
        return None


def _object(played: Played) -> dict[str, Any]:
    value = _json(played)
    return value if isinstance(value, dict) else {}
