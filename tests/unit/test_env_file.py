"""Tests that a secret in `.env` is read letter for letter, or refused: nothing is cut or replaced in silence."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.credentials.env_file import EnvFileError, EnvFiles
from streams.credentials.refusal import Refusal
from streams.settings import Settings, explain, read_settings
from tests.support.command_line import start_faust
from tests.support.right_settings import RIGHT

PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
TRAPS = [
    "hunter2 #x",
    "hunter2\t#x",
    "hunter2${HOME}",
    "hunter2$HOME$$",
    " hunter2",
    "hunter2 ",
    "hunter2#x",
    "'hunter2",
    "hunter2'",
    "'hunter2'",
    '"hunter2"',
    "hunter2\\n",
    "hunter2\\",
    "hunter2'\\\"x",
    "#hunter2",
    "=hunter2=",
    "hunter2\u2028x",
    "hunter2\u00a0",
]
"""What other readers cut, replace, decode or take for a comment."""


def read_file(file: Path) -> dict[str, Any]:
    return EnvFiles(Settings, [file], literal=Settings.secret_names(), parts={})()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("env") / ".env"


def test_a_secret_that_would_be_taken_for_a_comment_is_refused(file: Path) -> None:
    file.write_text("REDIS_PASSWORD= #hunter2\nREDIS_HOST= # none yet\n", encoding="utf-8")
    found = read_file(file)
    assert found.keys() == {"redis_password"}, "what is no secret is not set"
    assert "has one before a #" in found["redis_password"].reason


def with_examples(test: Any) -> Any:
    for trap in TRAPS:
        for style in ("{}", "'{}'", '"{}"'):
            test = example(secret=trap, style=style, end="\n")(test)
    return test


@with_examples
@given(
    secret=PRINTABLE,
    style=st.sampled_from(["{}", "'{}'", '"{}"', "'{}' # why", " {} "]),
    end=st.sampled_from(["\n", "\r\n", ""]),
)
def test_a_secret_is_read_as_it_is_written_or_refused(file: Path, secret: str, style: str, end: str) -> None:
    """Broken by: python-dotenv decides what a value is."""
    written = style.replace("{}", secret)
    file.write_text(f"MAX_IN_FLIGHT=7{end or chr(10)}SALES_DB_PASSWORD={written}{end}", encoding="utf-8", newline="")
    try:
        found = read_file(file).get("sales_db_password", "")
    except EnvFileError:
        return
    quoted = written.strip(" ")
    if not written.strip():
        assert found == "", "a value that shows nothing counts as not set"
        return
    literal = {written} | ({quoted[1:].partition(quoted[0])[0]} if quoted[:1] in ("'", '"') else set())
    assert isinstance(found, Refusal) or found in literal | ({secret} if style != "{}" else set())


@pytest.mark.parametrize("secret", [trap for trap in TRAPS if "'" not in trap and "\\" not in trap])
def test_single_quotes_may_contain_anything_but_a_single_quote_and_a_backslash(file: Path, secret: str) -> None:
    file.write_text(f"SALES_DB_PASSWORD='{secret}'\n", encoding="utf-8")
    assert read_file(file) == {"sales_db_password": secret}


@pytest.mark.parametrize(
    "secret", ["hunter2\\n", "a\\", "a\\\\b", "it's", 'a"b', "a$b${c}", "a#b", "%20", "=", "${HOME}", "\\x"]
)
def test_every_unquoted_character_is_read_literally(file: Path, secret: str) -> None:
    file.write_text(f"SALES_DB_PASSWORD={secret}\n", encoding="utf-8")
    assert read_file(file) == {"sales_db_password": secret}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("hunter2 #x", "would be cut in .env"),
        (" hunter2", "would be cut in .env"),
        ("hunter2 ", "Put it into single quotes"),
        ("'hunter2\\\\x'", "backslash within quotes"),
        ('"hunter2\\n"', "backslash within quotes"),
        ("'hunter2\nMAX_IN_FLIGHT=7'", "goes on over several lines"),
        ("hunter2\nSALES_DB_PASSWORD=hunter3", "has two lines in .env"),
    ],
)
def test_the_error_about_a_refused_line_names_the_setting_and_the_action(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    parts = RIGHT | {
        "SALES_DB_SERVER": "s",
        "SALES_DB_DATABASE": "d",
        "SALES_DB_USER": "u",
        "SALES_DB_PASSWORD": written,
    }
    lines = [f"{name}={value}" for name, value in parts.items() if name != "SALES_DB_DSN"]
    (tmp_path / ".env").write_text("\n".join(lines))
    with pytest.raises(ValidationError) as caught:
        read_settings()
    [line] = explain(caught.value)
    assert line.startswith("settings: SALES_DB_PASSWORD: ")
    assert says in line
    assert "hunter" not in line


def test_an_env_file_of_a_windows_editor_is_read(file: Path) -> None:
    file.write_bytes("SALES_DB_PASSWORD=mật khẩu\r\nMAX_IN_FLIGHT=7\r\n".encode("utf-8-sig"))
    assert read_file(file) == {"sales_db_password": "mật khẩu", "max_in_flight": "7"}


def test_an_empty_setting_does_not_count_as_a_second_one(file: Path) -> None:
    file.write_text(
        "SALES_DB_PASSWORD=hunter2\nSALES_DB_PASSWORD=\n# SALES_DB_PASSWORD=x\nexport MAX_IN_FLIGHT=7 # why\n"
    )
    assert read_file(file) == {"sales_db_password": "hunter2", "max_in_flight": "7"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"LOG_LEVEL=info\n\nSALES_DB_PASSWORD='hunter2'x\n", ".env: line 3 cannot be read"),
        ("SALES_DB_PASSWORD=hunter2\n".encode("utf-16"), ".env: is not UTF-8 text"),
        ("SALES_DB_PASSWORD=khách hunter2\n".encode("cp1252"), ".env: is not UTF-8 text"),
    ],
)
def test_an_env_file_that_cannot_be_read_ends_the_worker_with_code_2(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    ended = start_faust(tmp_path, "worker")
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert says in line
    assert "hunter2" not in line


# ---- what other readers make of it: the table in docs/production.md ----


@pytest.mark.parametrize(
    ("written", "becomes"),
    [("a #b", "a"), ("a${NOWHERE}b", "ab"), (" a ", "a"), ('"a\\tb"', "a\tb"), ("'a${NOWHERE}b'", "ab")],
)
def test_python_dotenv_alone_cuts_and_replaces_values(file: Path, written: str, becomes: str) -> None:
    """If another version differs, the docstring of `env_file` and the table have to change."""
    file.write_text(f"X={written}\n")
    assert dotenv_values(file) == {"X": becomes}


@pytest.mark.parametrize("secret", ["a #b", "a$b${HOME}", ' a"b '])
def test_a_shell_reads_single_quotes_as_the_env_file_does(file: Path, secret: str) -> None:
    file.write_text(f"SALES_DB_PASSWORD='{secret}'\n")
    script = f'. {file}; printf %s "$SALES_DB_PASSWORD"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == secret == read_file(file)["sales_db_password"]
