"""Read back what a reason named, fields and rules or an HTTP status, from the message that write-back stored.

`sync_response_message` is in the document's own row, so a list of many documents can say what is wrong with each one
without a query for each. Only the forms that `sale_status.problem_text` writes are recognised, so nothing that
other software or the national system wrote can get into a list this way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from streams.domain.outcome import BrokenRule
from streams.domain.reasons import REMARK_TEXTS, RULE_TEXTS, TLS_FIELDS, TLS_PROBLEMS, TLS_RULE_TEXTS, Code
from streams.domain.sale_status import CODES_THAT_QUOTE_THE_STATUS, Message, answer_text, field_name, rule_text
from streams.runtime.frozen import frozen

MOST_PARTICULARS = 3
"""How much of what is named a list shows of one document; the message in its row has all of it."""


@frozen
class Particulars:
    """What the message of a reason names in addition to its code."""

    broken_rules: tuple[BrokenRule, ...] = ()
    http_status: int | None = None
    are_complete: bool = True
    """False: the message was cut to fit its column, so more rules may be broken."""


def read_particulars(message: str | None, code: str | None, lines_field: str) -> Particulars:
    """Return what the message names; nothing if it is not ours, or if a reason with this `code` names nothing.

    `lines_field`: the wire field of the document's list of lines.
    """
    # Our text in Vietnamese, then in English. What follows them is the national system's, and not looked at.
    lines = unicodedata.normalize("NFC", message or "").split("\n")[:2]
    if code in CODES_THAT_QUOTE_THE_STATUS:
        quoted = (found for line in lines if (found := _QUOTED_STATUS.search(line)))
        return Particulars(http_status=next((int(found[1]) for found in quoted), None))
    patterns = _PATTERNS.get(code or "", {})
    # A column without Vietnamese letters holds only the English sentence as it was written.
    rules, line = max(((_broken_rules(line, patterns, lines_field), line) for line in lines), key=lambda it: len(it[0]))
    return Particulars(rules, are_complete=not rules or _is_whole(line))


def particulars_texts(named: Particulars, labels: Mapping[str, tuple[str, str]]) -> list[Message]:
    """Return what is named as short texts in both languages: each field with what is wrong with it, or the answer.

    `labels`: wire field -> its name for people, Vietnamese and English.
    """
    if named.http_status is not None:
        return [answer_text(named.http_status)]
    texts = []
    for broken in named.broken_rules:
        name, rule = field_name(broken.field, TLS_FIELDS | dict(labels)), rule_text(broken.rule)
        texts.append(Message(vi=_capitalized(f"{name.vi} {rule.vi}"), en=_capitalized(f"{name.en} {rule.en}")))
    return texts


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _broken_rules(line: str, patterns: Mapping[str, re.Pattern[str]], lines_field: str) -> tuple[BrokenRule, ...]:
    rules = []
    for number, field, text in _NAMED.findall(line) if patterns else ():
        for rule, pattern in patterns.items():
            if found := pattern.fullmatch(text):
                limit = next((each for each in found.groups() if each), None)
                path = f"{lines_field}[{number}].{field}" if number else field
                rules.append(BrokenRule(path, f"{rule}:{limit}" if limit else rule))
                break
    return tuple(rules)


def _is_whole(line: str) -> bool:
    """Whether a message that names rules ends as it was written, with a sentence about what to do."""
    return line.endswith(".") and not line.endswith("...")


def _pattern(texts: tuple[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(text).replace(r"\{limit\}", "(.+)") for text in texts))


_QUOTED_STATUS = re.compile(r": HTTP (\d{3})\b")
_NAMED = re.compile(r"(?:(?:dòng|line) (\d+), [^;.()]*)?\((\w+)\) ([^;]+);")
_RULES = {rule: _pattern(texts) for rule, texts in RULE_TEXTS.items()}
_TLS_RULES = {rule: _pattern(texts) for rule, texts in TLS_RULE_TEXTS.items()}
_REMARKS = {remark: _pattern(texts) for remark, texts in REMARK_TEXTS.items()}
_PATTERNS = {
    Code.RULES_BROKEN.value: _RULES,
    Code.API_REFUSED.value: _REMARKS,
    Code.OLDER_VERSION_STORED.value: _RULES | _REMARKS,
    Code.STORED_UNDER_OTHER_CODES.value: _RULES,
} | {code.value: _TLS_RULES for code in TLS_PROBLEMS}
