"""Tests the cache of the MongoDB-compatible server, which is keyed by its sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.local.ferretdb import SOURCES, server_binary
from streams.local.processes import NotReady

MAIN = 'package main\n\nfunc main() { println("one") }\n'


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "go.mod").write_text("module one\n\ngo 1.24\n")
    (folder / "main.go").write_text(MAIN)
    return folder


needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go on the machine")


@needs_go
def test_the_server_is_built_once_for_each_version_of_its_sources(sources: Path, tmp_path: Path) -> None:
    reported: list[str] = []
    first = server_binary(reported.append, tmp_path / "cache", sources)
    assert server_binary(reported.append, tmp_path / "cache", sources) == first
    assert reported == ["building the Mongo-protocol server, about 100 s, once"]
    (sources / "main.go").write_text(MAIN.replace("one", "two"))
    assert server_binary(reported.append, tmp_path / "cache", sources) != first


@needs_go
def test_a_failed_build_shows_its_log_and_leaves_nothing_in_the_cache(sources: Path, tmp_path: Path) -> None:
    (sources / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(NotReady, match=r"(?s)ended with exit code 1\..*undefined: nonsense"):
        server_binary(lambda _: None, tmp_path / "cache", sources)
    assert not list((tmp_path / "cache").glob("**/ferretdb/*/ferretdb"))


def test_the_sources_of_the_server_are_in_the_package() -> None:
    assert {path.name for path in SOURCES.iterdir()} >= {"main.go", "go.mod", "go.sum"}
