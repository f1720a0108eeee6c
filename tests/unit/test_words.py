"""Tests that names and docstrings use the words of docs/glossary.md: one word for one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STREAMS = [path for path in sorted((ROOT / "streams").rglob("*.py")) if "local" not in path.relative_to(ROOT).parts]
TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
_LEFT = (
    "tell|told|teller|ask|asks|asked|held|fed|standing|sight|excused|door|turn|turnstile|patience|patient|lend|aside|"
    "crossed|wall|words|remedy|trouble|own_code|place_code|kind|kinds|begins|anew|beside|whoever"
)
IN_A_NAME = re.compile(rf"(?:^|_)({_LEFT})(?:_|$)")
IN_THE_NAME_OF_A_TEST = re.compile(rf"(?:^|_)({_LEFT}|tells|waits_for_ever|for_ever|till|tills|doorway|lent)(?:_|$)")
IN_A_DOCSTRING = re.compile(
    r"\b(teller|told|asked again|is held|may be held|put off|is fed|of ours|anew|beside|for ever|whoever|such a copy|"
    r"turnstile|patience|lends?|stands? aside|crossed|the till|tills|wall clock|remed(?:y|ies)|troubles?)\b"
)
EXCEPTIONS = {
    "ask_to_sign_in",  # a page asks a person
}


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _public_names(tree: ast.Module) -> Iterator[str]:
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name[0] != "_")
    for function in _functions(tree):
        if not function.name.startswith("_"):
            yield from (function.name, *(each.arg for each in [*function.args.args, *function.args.kwonlyargs]))


def _names_of_tests_and_fixtures(tree: ast.Module) -> Iterator[str]:
    for function in _functions(tree):
        if function.name.startswith("test_") or "fixture" in "".join(map(ast.unparse, function.decorator_list)):
            yield function.name


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield ast.get_docstring(node) or ""


def _in_docstrings(tree: ast.Module) -> list[str]:
    return [found.group() for text in _docstrings(tree) for found in IN_A_DOCSTRING.finditer(text)]


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_docstrings_use_the_words_of_the_glossary(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not {name for name in _public_names(tree) if IN_A_NAME.search(_words(name))} - EXCEPTIONS
    assert not _in_docstrings(tree)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_use_the_words_of_the_glossary(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name for name in _names_of_tests_and_fixtures(tree) if IN_THE_NAME_OF_A_TEST.search(name)}
    assert not names - EXCEPTIONS
    assert not _in_docstrings(tree)


@pytest.mark.parametrize("name", ["read_told", "patience", "TurnStile", "may_be_held", "own_code", "Door"])
def test_a_name_with_a_replaced_word_is_found(name: str) -> None:
    assert IN_A_NAME.search(_words(name))
