"""Attacks with answers of the API, spoilt, mixed and poisoned: no acceptance without proof, and none of their text
published.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from pydantic import SecretStr

from streams.domain.outcome import Reason
from streams.domain.sale_status import status_reason
from streams.national_api.answers import token_problem
from tests.harness.attack.arena import MARK, Arena, Lines, Suite, listening, secretive
from tests.unit.answer_grammar import answers
from tests.unit.answer_reader import Reader, answer_of, read
from tests.unit.evidence_judge import Conclusion, Played, proved

NAME = "Nguyễn Thị Kín"
_NOW = datetime(2026, 11, 24, tzinfo=UTC)
_READER = Reader()
_POISONS = (
    f"{NAME}",
    f"\r\nSet-Cookie: {NAME}",
    f"x\nlevel=error {NAME}",
    f"Bearer {MARK}-token",
    f"pwd={MARK}-pwd {NAME}",
    f"\x1b[2J{NAME}",
    f"\u2028{NAME}",
    f"<b>{NAME}</b>",
    f"%0d%0a{NAME}",
    f"{NAME}\x00",
    "\ud83d" + NAME,
)
_POISONED = 4
"""Attempts with one answer that is drawn: to draw it takes longer than to read it."""
_HEADERS = (
    "",
    "1",
    "-1",
    f"1\r\n{NAME}",
    "9" * 400,
    "Wed, 21 Oct 2026 07:28:00 GMT",
    NAME,
    "nan",
    "inf",
    "1e400",
    "\x00",
)


async def run(arena: Arena) -> None:
    with listening(arena.seen, secretive()) as lines:
        number = 0

        def judge(played: Played) -> None:
            nonlocal number
            for again in range(min(_POISONED, arena.count - number)):
                poisoned = _poisoned(arena.random(number), played, always=again > 0)
                arena.judge(number, _problem(poisoned, lines), poisoned)
                number += 1

        def draw(seeded: int, most: int) -> None:
            @seed(seeded)
            @settings(
                max_examples=most,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(answers())
            def drawn(played: Played) -> None:
                judge(played)

            drawn()

        begun = 0
        while number < arena.count:  # it ends early where it finds that it has drawn all there is of some kind
            draw(arena.seed * 1000 + begun, min(2000, -(-(arena.count - number) // _POISONED)))
            begun += 1


def _poisoned(rng: Random, played: Played, *, always: bool) -> Played:
    """Add somebody's name, a token, or a line end to an answer, sometimes or always."""
    changed = played
    if always or rng.random() < 0.3:
        changed = replace(changed, content=_with_poison(rng, changed.content))
    if rng.random() < 0.2:
        changed = replace(changed, retry_after=rng.choice(_HEADERS))
    if rng.random() < 0.1:
        changed = replace(changed, location=rng.choice(_HEADERS), age=rng.choice(_HEADERS))
    return changed


def _with_poison(rng: Random, content: bytes) -> bytes:
    poison = rng.choice(_POISONS)
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return content + b" " + poison.encode("utf-8", "replace")
    return json.dumps(_put_in(rng, said, poison)).encode()


def _put_in(rng: Random, said: Any, poison: str) -> Any:
    match said:
        case dict() if said:
            name = rng.choice(list(said))
            if rng.random() < 0.2:
                return said | {poison: said[name]}
            return said | {name: _put_in(rng, said[name], poison)}
        case list() if said:
            return [_put_in(rng, said[0], poison), *said[1:]]
        case str():
            return rng.choice((f"{said} {poison}", f"{poison} {said}", poison))
    return poison


def _problem(played: Played, lines: Lines) -> str | None:
    try:
        conclusion, value = _READER.conclude(played)
        reason, waits = _reason(played)
    except Exception as error:
        return f"the reader raises {type(error).__name__}"
    if not proved(conclusion, played, value):
        return f"{conclusion} is concluded without proof"
    if value is not None and not _is_harmless(value, token=conclusion is Conclusion.TOKEN):
        return f"{conclusion} with an id or token that is none: {value!r}"
    if waits is not None and not 0 <= waits <= 86_400 * 366:
        return f"it is waited for {waits} s"
    if reason is not None:
        structlog.get_logger("streams").warning("answer", reason=reason, status=played.status)
        decision = status_reason(reason).model_dump_json()
        if NAME in decision or MARK in decision or "\\r" in decision or "\\n" in decision:
            return f"the reason has something of theirs: {decision}"
    for line in lines.take():
        if NAME in line or MARK in line or "\n" in line or "\r" in line:
            return f"a log line has something of theirs: {line!r}"
    return None


def _reason(played: Played) -> tuple[Reason | None, float | None]:
    """Return what is stored and published of the answer, and the delay that it requests."""
    token_problem(answer_of(played))
    found = read(played)
    assert NAME not in repr(found), "what describes it shows something of theirs"
    assert not isinstance(found, SecretStr)
    return getattr(found, "reason", None), getattr(found, "wait_s", None)


def _is_harmless(value: str, *, token: bool) -> bool:
    """Say whether the text may be in one of our columns and headers."""
    plain = value.isprintable() and value == value.strip()
    return plain and (not any(each.isspace() for each in value) and value.isascii() if token else len(value) <= 100)


SUITE = Suite("API answers", "who reads answers, by spoilt, mixed and poisoned ones", 24_760, run, 0.03)
