"""Tests that the table of mutations agrees with the code, its tests, and the README."""

from __future__ import annotations

import ast
import re

import pytest

from tests.harness.promises.__main__ import ROOT
from tests.harness.promises.mutations import MUTATIONS, Mutation


def test_each_promise_of_the_readme_is_broken_at_least_once() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What it promises")[2].partition("\n## ")[0]
    assert {m.promise for m in MUTATIONS} == {int(n) for n in re.findall(r"(?m)^(\d)\. \*\*", text)}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.promise}: {m.breaks[:50]}")
def test_every_mutation_changes_one_place_and_names_a_test_that_says_so(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.new != mutation.old
    file, _, name = mutation.test.partition("::")
    (test,) = [
        node
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    said = " ".join((ast.get_docstring(test) or "").split())
    assert f"Promise {mutation.promise}. Broken by: {mutation.breaks}." in said
