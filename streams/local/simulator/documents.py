"""The published rules of a document's body, checked by the simulator's own code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from streams.local.simulator.behaviour import Behaviour
from streams.local.simulator.kinds import Field, Kind


def parse(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in `raw`, or None: not UTF-8, not JSON (`NaN` is not), not an object."""
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def broken_rules(kind: Kind, body: Mapping[str, Any], behaviour: Behaviour) -> list[str]:
    """Every rule that `body` breaks, in Vietnamese, as the API would say it. None broken: empty."""
    broken = list(_check_fields(kind.fields, body, "", behaviour, also_known=kind.lines_field))
    lines = body.get(kind.lines_field)
    if not isinstance(lines, list) or not lines:
        broken.append(f"{kind.lines_field}: phải có ít nhất một dòng")
    else:
        for number, line in enumerate(lines, 1):
            broken += _check_line(kind, line, f"{kind.lines_field}[{number}]", behaviour)
    place = body.get("ma_co_so")
    if behaviour.known_pharmacies is not None and place not in behaviour.known_pharmacies:
        broken.append(f"ma_co_so: cơ sở {place} không tồn tại trên hệ thống")
    return broken


_NOT_GIVEN = object()


def _check_line(kind: Kind, line: Any, where: str, behaviour: Behaviour) -> Iterator[str]:
    if not isinstance(line, dict):
        yield f"{where}: phải là đối tượng"
        return
    yield from _check_fields(kind.line_fields, line, f"{where}.", behaviour)
    for name in behaviour.required_line_fields:
        if _absent(line.get(name)):
            yield f"{where}.{name}: bắt buộc"
    drug = line.get("ma_thuoc")
    if isinstance(drug, str) and drug in behaviour.refused_drugs:
        yield f"{where}.ma_thuoc: thuốc {drug} không có trong danh mục quốc gia"
    if "own_drug_codes" in behaviour.refused_values and isinstance(drug, str) and not drug.startswith("DQG"):
        yield f"{where}.ma_thuoc: mã thuốc không hợp lệ"
    quantity = line.get("so_luong")
    if isinstance(quantity, (int, float)):
        if "fractions" in behaviour.refused_values and quantity % 1:
            yield f"{where}.so_luong: phải là số nguyên"
        if "zeros" in behaviour.refused_values and quantity <= 0:
            yield f"{where}.so_luong: phải lớn hơn 0"


def _check_fields(
    fields: Iterable[Field],
    values: Mapping[str, Any],
    prefix: str,
    behaviour: Behaviour,
    also_known: str | None = None,
) -> Iterator[str]:
    known = int(also_known in values)
    for field in fields:
        value = values.get(field.name, _NOT_GIVEN)
        if value is _NOT_GIVEN or _absent(value):
            if field.required and not (field.may_be_empty and isinstance(value, str)):
                yield f"{prefix}{field.name}: bắt buộc"
        elif broken := _broken(field, value):
            yield f"{prefix}{field.name}: {broken}"
        known += value is not _NOT_GIVEN
    if behaviour.unknown_fields == "refuse" and known < len(values):
        for name in values.keys() - {also_known, *(field.name for field in fields)}:
            yield f"{prefix}{name}: trường không có trong mô tả"


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _broken(field: Field, value: Any) -> str | None:
    if field.type == "number":
        return _broken_number(field, value)
    if not isinstance(value, str):
        return "phải là chuỗi"
    if field.type == "day":
        return None if _is_day(value) else f"{value!r} không phải ngày dạng yyyyMMdd"
    if field.longest is not None and len(value) > field.longest:
        return f"dài quá {field.longest} ký tự: {value!r}"
    return None


def _broken_number(field: Field, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "phải là số"
    if field.choices is not None and value not in field.choices:
        return f"phải là một trong {', '.join(map(str, field.choices))}"
    return None


@lru_cache(maxsize=4096)
def _is_day(value: str) -> bool:
    if len(value) != 8 or not (value.isascii() and value.isdigit()):
        return False
    try:
        datetime.strptime(value, "%Y%m%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return False
    return True
