"""The forms that all wire fields share: texts, days, amounts; and the one way to serialize a document.

Shapes: texts have lengths in characters, days are ``yyyyMMdd`` of the pharmacy's local date (no zone is
converted), amounts are JSON numbers, whole ones without a fraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import simple_ser_schema

from streams.documents.document import BrokenRules
from streams.outcome import BrokenRule

_EARLIEST = date(1990, 1, 1)
_LATEST = date(2200, 1, 1)


def _blank_is_absent(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _present(value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise PydanticCustomError("required", "required")
    return value


def _day(value: Any) -> date:
    """DATETIME comes as datetime, DATE as date; a driver may give either as ISO text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("day", "a date") from None
    if not isinstance(value, date):
        raise PydanticCustomError("day", "a date")
    day = value.date() if isinstance(value, datetime) else value
    if not _EARLIEST <= day <= _LATEST:
        raise PydanticCustomError("day_range", "absurd")
    return day


def _past_day(value: Any, info: ValidationInfo) -> str:
    """Tomorrow passes: tills' clocks run ahead."""
    day = _day(value)
    if isinstance(info.context, date) and day > info.context + timedelta(days=1):
        raise PydanticCustomError("day_ahead", "in the future")
    return _yyyymmdd(day)


def _yyyymmdd(day: date) -> str:
    return day.isoformat().replace("-", "")


def _exact(value: Any) -> Any:
    """Floats are never let in: they have been rounded already."""
    _present(value)
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise PydanticCustomError("number", "a number")
    return value


def _as_number(value: Decimal) -> int | float:
    # At most 15 digits, so the double nearest to it prints as the very decimal it came from.
    whole = int(value)
    return whole if whole == value else float(value)


def _text(longest: int | None) -> Any:
    return StringConstraints(max_length=longest, strict=True)


# A document is brought into its wire form as it is checked: to write it down afterwards asks no Python of ours.
Text50 = Annotated[str, _text(50), BeforeValidator(_present)]
Text500 = Annotated[str, _text(500), BeforeValidator(_present)]
TextAny = Annotated[str, _text(None), BeforeValidator(_present)]
Optional50 = Annotated[Annotated[str, _text(50)] | None, BeforeValidator(_blank_is_absent)]
Optional200 = Annotated[Annotated[str, _text(200)] | None, BeforeValidator(_blank_is_absent)]
RequiredDay = Annotated[str, PlainValidator(lambda value: _yyyymmdd(_day(_present(value))))]
RequiredPastDay = Annotated[str, PlainValidator(lambda value, info: _past_day(_present(value), info))]
OptionalPastDay = Annotated[Annotated[str, PlainValidator(_past_day)] | None, BeforeValidator(_blank_is_absent)]
Amount = Annotated[
    Decimal,
    Field(ge=0, max_digits=15, allow_inf_nan=False),
    BeforeValidator(_exact),
    AfterValidator(_as_number),
    GetPydanticSchema(lambda source, handler: {**handler(source), "serialization": simple_ser_schema("any")}),
]

_RULES = {
    "missing": "required",
    "required": "required",
    "too_short": "at_least_one",
    "string_too_long": "max_length:{max_length}",
    "string_type": "text",
    "day": "date",
    "day_range": "date_absurd",
    "day_ahead": "not_in_future",
    "greater_than_equal": "not_negative",
    "finite_number": "finite",
    "decimal_max_digits": "max_digits:{max_digits}",
    "decimal_whole_digits": "max_digits:{whole_digits}",
}
"""pydantic's error type -> our rule, as `streams.reasons.RULE_WORDS` explains it."""


def serialize(model: type[BaseModel], values: Mapping[str, Any], today: date) -> bytes:
    """JSON bytes of `values` in the form of `model`; absent optional fields have no key.

    `today` is the pharmacy's local date, against which days of the past are checked.

    Raises `BrokenRules` with every rule that is broken, none of them carrying a value.
    """
    try:
        document = model.model_validate(values, context=today)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        raise BrokenRules([_broken_rule(model, each) for each in errors]) from None
    return document.model_dump_json(exclude_none=True).encode()


def _broken_rule(model: type[BaseModel], error: Any) -> BrokenRule:
    rule = _RULES.get(error["type"], "valid").format(**error.get("ctx", {}))
    return BrokenRule(_path(model, error["loc"]), rule)


def _path(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Where pydantic says the column, a person and the API say the wire field."""
    path = ""
    names = _wire_names(model)
    for part in loc:
        if isinstance(part, int):
            path += f"[{part + 1}]"
        elif part in names:
            path += f".{names[part]}" if path else names[part]
    return path


def _wire_names(model: type[BaseModel]) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        names[str(field.validation_alias or name)] = name
        for inner in getattr(field.annotation, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names |= _wire_names(inner)
    return names
