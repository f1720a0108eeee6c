"""The types of wire fields (texts, days, amounts), and the two functions that validate a document and serialize it.

Shapes: texts have lengths in characters; days are ``yyyyMMdd`` of the pharmacy's local date, no time zone is
converted; amounts are JSON numbers, whole ones without a fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import (
    no_info_plain_validator_function,
    simple_ser_schema,
    with_info_plain_validator_function,
)

from streams.documents.document import BodyOptions, BrokenRules
from streams.domain.outcome import BrokenRule
from streams.runtime.frozen import frozen

M = TypeVar("M", bound=BaseModel)

_EARLIEST = date(1990, 1, 1)
_LATEST = date(2200, 1, 1)
_DIGITS = 15
"""How many decimal digits a binary number of 64 bits carries without loss."""
_CACHE_SIZE = 8_192
"""How many different days, and amounts, are cached in their wire form. They recur in every shop, and validating one
takes ten times as long as a cache hit."""


@frozen
class _Context:
    """What validation depends on in addition to the value."""

    today: date
    options: BodyOptions


def _cached(validate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    cached = lru_cache(_CACHE_SIZE, typed=True)(validate)

    def validated(value: Any) -> Any:
        try:
            return cached(value)
        except TypeError:  # an unhashable value is neither a day nor an amount: let `validate` raise for it
            return validate(value)

    return validated


def is_blank(value: Any) -> bool:
    """Whether a column counts as empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def _blank_is_absent(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _require(value: Any) -> Any:
    if is_blank(value):
        raise PydanticCustomError("required", "required")
    return value


def wire_day(value: Any) -> str:
    """Return the wire form of a day. A driver returns a datetime, a date, or either as ISO text."""
    day: str = _cached_day(value.date() if isinstance(value, datetime) else value)
    return day


@_cached
def _cached_day(value: Any) -> str:
    _require(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value).date()
        except ValueError:
            raise PydanticCustomError("day", "a date") from None
    if not isinstance(value, date):
        raise PydanticCustomError("day", "a date")
    if not _EARLIEST <= value <= _LATEST:
        raise PydanticCustomError("day_range", "absurd")
    return _yyyymmdd(value)


def _yyyymmdd(day: date) -> str:
    return day.isoformat().replace("-", "")


def _past_day(value: Any, info: ValidationInfo) -> str:
    """Return the wire form of a day that is not in the future, or tomorrow: clocks of points of sale run ahead."""
    day = wire_day(value)
    if isinstance(info.context, _Context) and day > _tomorrow(info.context.today):
        raise PydanticCustomError("day_ahead", "in the future")
    return day


@lru_cache(8)
def _tomorrow(today: date) -> str:
    return _yyyymmdd(today + timedelta(days=1))


def _require_exact(value: Any) -> Any:
    """Require a number. Of a FLOAT the decimal is taken that it was written as, see `decimal_of_float`."""
    _require(value)
    if isinstance(value, float):
        return decimal_of_float(value)
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise PydanticCustomError("number", "a number")
    return value


def decimal_of_float(value: float) -> Decimal:
    """Return a binary number of 64 bits as the decimal of 15 significant digits, at most 15 of them decimals.

    Every decimal of up to 15 digits is found again in the binary number that it was stored as; what differs from it
    after the fifteenth digit is what binary arithmetic leaves behind, not what anybody entered.
    """
    if not isfinite(value):
        return Decimal(value)  # the rules for amounts refuse it
    exact = Decimal(f"{value:.{_DIGITS}g}")
    return exact if int(exact.as_tuple().exponent) >= -_DIGITS else round(exact, _DIGITS)


_AMOUNT = TypeAdapter(
    Annotated[Decimal, Field(ge=0, max_digits=_DIGITS, allow_inf_nan=False), BeforeValidator(_require_exact)]
)


@_cached
def _amount(value: Any) -> int | float:
    try:
        exact = _AMOUNT.validate_python(value)
    except ValidationError as error:
        [broken] = error.errors(include_input=False, include_url=False)
        raise PydanticCustomError(broken["type"], "not an amount", broken.get("ctx")) from None
    # At most 15 digits, so the nearest double prints as exactly the decimal it came from.
    whole = int(exact)
    return whole if whole == exact else float(exact)


def _positive(value: Any) -> int | float:
    """Return the wire form of an amount that is above zero."""
    amount: int | float = _amount(value)
    if amount == 0:
        raise PydanticCustomError("zero", "zero")
    return amount


def _quantity(value: Any, info: ValidationInfo) -> int | float:
    """Return the wire form of an amount above zero, which `BodyOptions` may require to be whole."""
    quantity = _positive(value)
    if isinstance(quantity, float) and isinstance(info.context, _Context) and not info.context.options.fractions:
        raise PydanticCustomError("whole", "a fraction")
    return quantity


def one_of(*values: int) -> Any:
    """Constrain a whole number to these values."""
    error = PydanticCustomError("one_of", "none of these", {"values": ", ".join(map(str, values))})

    def validated(value: Any) -> int:
        _require(value)
        number = _whole_number(value)
        if number not in values:
            raise error
        return number

    return GetPydanticSchema(lambda _, __: no_info_plain_validator_function(validated, serialization=_INTEGER))


def _whole_number(value: Any) -> int | None:
    """Return the whole number that a driver returns as such or as text; None for anything else."""
    try:
        exact = _AMOUNT.validate_python(value)
    except ValidationError:
        return None
    return int(exact) if exact == int(exact) else None


def _text(max_length: int | None) -> Any:
    """Constrain a text, which must not contain U+FFFD: it replaces a character that could not be decoded, here or by
    the software that wrote the row, so the text is not the one that was meant."""
    return StringConstraints(max_length=max_length, strict=True, pattern=r"^[^\ufffd]*$")


def _required_text(max_length: int | None) -> Any:
    """Constrain a text as `_text` does, with at least one character that `str.strip` does not remove."""
    return StringConstraints(max_length=max_length, strict=True, pattern=r"^[^\ufffd]*[^\s\x1c-\x1f\ufffd][^\ufffd]*$")


# Validation already produces the wire form, so these schemas serialize without calling back into Python;
# `PlainValidator` would call back.
_TEXT = simple_ser_schema("str")
_INTEGER = simple_ser_schema("int")
_DAY = GetPydanticSchema(lambda _, __: no_info_plain_validator_function(wire_day, serialization=_TEXT))
_PAST_DAY = GetPydanticSchema(lambda _, __: with_info_plain_validator_function(_past_day, serialization=_TEXT))
_ANY = simple_ser_schema("any")
_NUMBER = GetPydanticSchema(lambda _, __: no_info_plain_validator_function(_amount, serialization=_ANY))
_POSITIVE = GetPydanticSchema(lambda _, __: no_info_plain_validator_function(_positive, serialization=_ANY))
_QUANTITY = GetPydanticSchema(lambda _, __: with_info_plain_validator_function(_quantity, serialization=_ANY))

Text50 = Annotated[str, _required_text(50)]
Text200 = Annotated[str, _required_text(200)]
Text500 = Annotated[str, _required_text(500)]
TextAny = Annotated[str, _required_text(None)]
Optional50 = Annotated[Annotated[str, _text(50)] | None, BeforeValidator(_blank_is_absent)]
Optional200 = Annotated[Annotated[str, _text(200)] | None, BeforeValidator(_blank_is_absent)]
Optional500 = Annotated[Annotated[str, _text(500)] | None, BeforeValidator(_blank_is_absent)]
EmptyOrText500 = Annotated[str, _text(500)]
"""Required, and may be empty."""
RequiredDay = Annotated[str, _DAY]
RequiredPastDay = Annotated[str, _PAST_DAY]
OptionalPastDay = Annotated[Annotated[str, _PAST_DAY] | None, BeforeValidator(_blank_is_absent)]
Amount = Annotated[int | float, _NUMBER]
PositiveAmount = Annotated[int | float, _POSITIVE]
Quantity = Annotated[int | float, _QUANTITY]
OptionalAmount = Annotated[Annotated[int | float, _NUMBER] | None, BeforeValidator(_blank_is_absent)]

_RULES = {
    "missing": "required",
    "required": "required",
    "too_short": "at_least_one",
    "string_too_long": "max_length:{max_length}",
    "string_type": "text",
    "string_pattern_mismatch": "readable",
    "day": "date",
    "day_range": "date_absurd",
    "day_ahead": "not_in_future",
    "one_of": "one_of:{values}",
    "greater_than_equal": "not_negative",
    "zero": "positive",
    "whole": "whole",
    "finite_number": "finite",
    "decimal_max_digits": "max_digits:{max_digits}",
    "decimal_whole_digits": "max_digits:{whole_digits}",
}
"""pydantic's error type -> our rule, a key of `streams.domain.reasons.RULE_TEXTS`."""


def validate(model: type[M], values: Mapping[str, Any], today: date, options: BodyOptions) -> M:
    """Return `values` in the form of `model`.

    `today` is the pharmacy's local date, against which days that must not be in the future are checked.

    Raises `BrokenRules` with every broken rule; none of them carries a value.
    """
    try:
        return model.model_validate(values, context=_Context(today, options))
    except ValidationError as error:
        raise BrokenRules([_broken_rule(model, detail) for detail in error.errors(include_url=False)]) from None


def serialize(document: BaseModel) -> bytes:
    """Return the document as JSON bytes; absent optional fields have no key."""
    return document.model_dump_json(exclude_none=True).encode()


def _broken_rule(model: type[BaseModel], error: Any) -> BrokenRule:
    error_type = error["type"]
    if error_type.startswith("string_") and is_blank(error["input"]):
        error_type = "required"
    rule = _RULES.get(error_type, "valid").format(**error.get("ctx", {}))
    return BrokenRule(_path(model, error["loc"]), rule)


def _path(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Return the path of an error in wire fields, lines counted from 1, where pydantic's `loc` names columns."""
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
