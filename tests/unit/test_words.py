"""Tests that names and docstrings use the words of docs/glossary.md: one word for one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [path for path in sorted((ROOT / "streams").rglob("*.py")) if "local" not in path.relative_to(ROOT).parts]
_LEFT = (
    "tell|told|teller|ask|asks|asked|held|fed|standing|sight|excused|door|turn|turnstile|patience|patient|lend|aside|"
    "crossed|wall|words|remedy|trouble|own_code|place_code|kind|kinds|begins|anew|beside|whoever"
)
IN_A_NAME = re.compile(rf"(?:^|_)({_LEFT})(?:_|$)")
IN_A_DOCSTRING = re.compile(
    r"\b(teller|told|asked again|is held|may be held|put off|is fed|of ours|anew|beside|for ever|whoever|such a copy|"
    r"turnstile|patience|lends?|stands? aside|crossed|the till|tills|wall clock|remed(?:y|ies)|troubles?)\b"
)
EXCEPTIONS = {
    "ask_to_sign_in",  # a page asks a person
}


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _public_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
            if not isinstance(node, ast.ClassDef):
                yield from (argument.arg for argument in [*node.args.args, *node.args.kwonlyargs])


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_docstrings_use_the_words_of_the_glossary(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name for name in _public_names(tree) if IN_A_NAME.search(_words(name))} - EXCEPTIONS
    assert not names
    assert not [found.group() for text in _docstrings(tree) for found in IN_A_DOCSTRING.finditer(text)]


@pytest.mark.parametrize("name", ["read_told", "patience", "TurnStile", "may_be_held", "own_code", "Door"])
def test_a_name_with_a_replaced_word_is_found(name: str) -> None:
    assert IN_A_NAME.search(_words(name))
