"""Tests that contract, settings, lock files and SQL agree with the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import jsonschema
import pytest

import streams.documents
from streams.credentials.server_settings import NOT_GIVEN
from streams.documents import DOCUMENT_TYPES
from streams.documents.document import DocumentType
from streams.operators.reference import sale_status_contract as contract
from streams.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(contract.files()))
def test_the_contract_files_match_their_model(name: str) -> None:
    written = (ROOT / "docs/contract" / name).read_text(encoding="utf-8")
    assert written == contract.files()[name], "run: make contract"


def test_the_json_schema_of_the_contract_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(contract.json_schema())


def test_every_reference_within_the_asyncapi_file_resolves() -> None:
    document = contract.asyncapi()
    text = contract.files()["asyncapi.json"]
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        place: object = document
        for part in reference.split("/"):
            assert isinstance(place, dict)
            place = place[part]


def test_env_example_lists_every_setting_with_its_default() -> None:
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert named.keys() == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.is_required() or field.default == NOT_GIVEN:
            assert named[name.upper()] == ""
        elif field.default is not None:
            shown = Settings.model_validate({**_required(), name: _parsed(named[name.upper()], field.default)})
            assert getattr(shown, name) == field.default, name


def test_env_example_in_vietnamese_has_the_same_settings_each_with_a_comment_where_the_english_one_has_one() -> None:
    english, vietnamese = (_outline(ROOT / name) for name in (".env.example", "docs/vi/env.example"))
    assert vietnamese == english


def _outline(file: Path) -> list[str]:
    """Return the settings, blank lines and headings of such a file, with one ``#`` for each comment of any length."""
    outline = [""]
    for line in file.read_text(encoding="utf-8").splitlines():
        is_comment = line.startswith("#") and not re.match("#([A-Z_]+=| --- )", line)
        part = "#" if is_comment else line[:5] if line.startswith("# ---") else line
        if part != "#" or outline[-1] != "#":
            outline.append(part)
    return outline


def _required() -> dict[str, str]:
    return {
        "kafka_bootstrap_servers": "127.0.0.1:9092",
        "sales_change_topic": "pharmacy.chain.dbo.SalesInvoices",
        "sales_db_dsn": "Driver=x",
        "redis_url": "redis://127.0.0.1",
        "mongo_url": "mongodb://127.0.0.1",
        "national_api_url": "https://api.example",
    }


def _parsed(text: str, default: object) -> object:
    if isinstance(default, tuple):
        return [float(part) for part in text.strip("[]").split(",") if part]
    return text


def test_the_gate_runs_the_test_command_that_the_readme_names() -> None:
    assert "exec make test\n" in (ROOT / ".ci/run").read_text()
    assert "```sh\nmake test\n```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_lock_files_have_hashes_and_no_addresses() -> None:
    for lock in (ROOT / ".ci").glob("*.lock"):
        text = lock.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_every_document_type_of_the_package_is_registered() -> None:
    found = []
    for module in pkgutil.iter_modules(streams.documents.__path__):
        members = vars(importlib.import_module(f"streams.documents.{module.name}")).values()
        found += [member for member in members if isinstance(member, DocumentType)]
    assert {document_type.name for document_type in found} == {document_type.name for document_type in DOCUMENT_TYPES}


def test_the_local_stack_names_the_topic_after_the_sales_table() -> None:
    example = (ROOT / "streams/local/stack.py").read_text()
    assert f'"pharmacy.chain.dbo.{DOCUMENT_TYPES[0].table}"' in example
