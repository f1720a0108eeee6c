"""H1: tests that nothing is retried forever without a log line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import streams

PACKAGE = Path(streams.__file__).parent


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", node


def test_the_search_finds_the_uses_of_the_retry_loop() -> None:
    assert len(list(calls("retry"))) >= 7


def test_h1_no_library_retries_instead_of_our_loop() -> None:
    imported = [file for file in PACKAGE.rglob("*.py") if "tenacity" in file.read_text(encoding="utf-8")]
    assert not imported
