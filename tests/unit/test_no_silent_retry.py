"""H1: nothing is tried again for ever without a line of the log that says so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import streams

PACKAGE = Path(streams.__file__).parent


def retries() -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and "Retrying" in node.func.id:
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", node


def test_they_are_found() -> None:
    assert len(list(retries())) >= 8


@pytest.mark.parametrize("call", [pytest.param(call, id=place) for place, call in retries()])
def test_h1_what_is_tried_again_says_so_or_comes_to_an_end(call: ast.Call) -> None:
    assert {"before_sleep", "stop"} & {keyword.arg for keyword in call.keywords}
