"""The connector's own file, its README, and the values of their texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import sqlglot
from sqlglot import exp

CONNECTORS = Path(__file__).parents[2] / "connectors"
CONFIG: dict[str, str] = json.loads((CONNECTORS / "pharmacy-sales.json").read_text())
README = (CONNECTORS / "README.md").read_text(encoding="utf-8")
SQL = CONNECTORS / "sql"


def script(name: str) -> str:
    return (SQL / name).read_text(encoding="utf-8")


def batches(name: str, variables: Mapping[str, str] | None = None) -> list[str]:
    """Split a script into batches as sqlcmd does, with its variables replaced: by their own names unless given."""
    text = re.sub(r"\$\((\w+)\)", lambda found: (variables or {}).get(found[1], found[1]), script(name))
    return [batch for batch in re.split(r"(?m)^GO\s*$", text) if without_comments(batch).strip()]


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


def values(number: int) -> list[dict[str, object]]:
    """Return the rows of the script's VALUES number `number`, by column."""
    found = re.findall(
        r"(VALUES\n.*?)\n *\) AS \w+ \(([\w, ]+)\)", without_comments(script("sample/sales.sql")), re.DOTALL
    )
    rows, names = found[number]
    select = sqlglot.parse_one(f"SELECT * FROM ({rows}) AS t", read="tsql")  # noqa: S608
    return [
        dict(zip(names.split(", "), (_value(cell) for cell in row.expressions), strict=True))
        for row in select.find_all(exp.Tuple)
    ]


def _value(cell: exp.Expr) -> object:
    return None if isinstance(cell, exp.Null) else cell.name
