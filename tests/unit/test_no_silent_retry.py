"""H1: tests that nothing is retried forever without a log line."""

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


def test_the_search_finds_the_retries() -> None:
    assert len(list(retries())) >= 8


@pytest.mark.parametrize("call", [pytest.param(call, id=place) for place, call in retries()])
def test_h1_every_retry_is_logged_or_has_an_end(call: ast.Call) -> None:
    assert {"before_sleep", "stop"} & {keyword.arg for keyword in call.keywords}
