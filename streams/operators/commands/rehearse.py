"""``faust -A streams.app rehearse``: prepares a rehearsal on a copy of the sales database (docs/rehearsal.md)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click
from pydantic import ValidationError

from streams.credentials.env_file import EnvFileError
from streams.documents.document import DocumentType
from streams.operators import Problem, Report
from streams.operators.command_line import JSON, open_sales_db, run
from streams.operators.connect.topic_setup import open_topics, pipeline_topics
from streams.operators.rehearsal_settings import Copy, env_text, rehearsal_settings
from streams.operators.terminal import show_json
from streams.pipeline.rehearsal import mark_problem
from streams.settings import Settings, explain
from streams.stores.copy_mark import ACCOUNT, read_copy_mark, real_accounts

_ENV = Path(".env")
_MARK_SCRIPT = "connectors/sql/70_mark_copy.sql"


def rehearse(settings: Settings, document_types: Sequence[DocumentType]) -> click.Command:
    """Return the command for Faust's command line."""

    @click.command("rehearse")
    @click.argument("folder", type=click.Path(file_okay=False, resolve_path=True, path_type=Path))
    @click.option("--database", required=True, help="Name of the copy of the sales database.")
    @click.option("--server", help="The copy's SQL Server.  [default: SALES_DB_SERVER]")
    @click.option("--user", help="The login for the copy: not production's, which must not be able to open it.")
    @click.option(
        "--password-file",
        type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
        help="File with the password of --user.  [default: the command asks for it]",
    )
    @click.option(
        "--dsn-file",
        type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
        help="File with an ODBC connection string to the copy, instead of --server, --user and a password.",
    )
    @click.option(
        "--api-url",
        default="http://127.0.0.1:8000",
        show_default=True,
        help="The simulator's address; the mark of the copy must name it.",
    )
    @click.option(
        "--web-port", type=click.IntRange(1, 65535), default=6070, show_default=True, help="Port of the page."
    )
    @JSON
    def command(
        folder: Path,
        database: str,
        server: str | None,
        user: str | None,
        password_file: Path | None,
        dsn_file: Path | None,
        api_url: str,
        web_port: int,
        as_json: bool,
    ) -> None:
        """Prepare a rehearsal in FOLDER: a worker on a copy of the sales database, with the simulator as its API.

        Run it in the folder with production's .env, after connectors/sql/70_mark_copy.sql was run in the copy. It
        examines the copy's mark and its accounts, writes FOLDER/.env and FOLDER/shops.json, and creates the
        rehearsal's topics. It changes nothing of production, and may be run again.

        Exit codes: 0 done; 1 a problem, which is printed on stderr, such as a database that is not marked as a copy;
        2 wrong usage or settings.
        """
        if (dsn_file is None) == (user is None) or (dsn_file is not None and (server or password_file)):
            raise click.UsageError("give either --user, or --dsn-file without --server and --password-file")
        lines: list[str] = []
        report: Report = lines.append if as_json else click.echo

        async def work() -> None:
            production = _production_text()
            _make(folder)
            own_file = password_file
            if dsn_file is None and own_file is None:
                own_file = folder / "sales_db_password"
                _write(own_file, _ask_for_password(user))
            copy = Copy(database, server, user, own_file, dsn_file)
            changed = rehearsal_settings(settings, copy, api_url=api_url, web_port=web_port)
            draft = folder / ".env.new"
            _write(draft, env_text(production, changed))
            try:
                rehearsal = _settings(draft)
                await _examine_copy(rehearsal, report)
                draft.replace(folder / ".env")
            finally:
                draft.unlink(missing_ok=True)
            report(f"settings: {folder / '.env'}: as in production, but for {', '.join(changed)}")
            _write(folder / "shops.json", json.dumps([{"usr": ACCOUNT, "pwd": ACCOUNT}]))
            async with open_topics(rehearsal) as topics:
                await topics.ensure(pipeline_topics(rehearsal, document_types), report)
            port = urlsplit(api_url).port
            report(f"next: start the simulator at port {port}, then a worker, both in {folder} (docs/rehearsal.md)")
            if as_json:
                show_json({"folder": str(folder), "settings": changed, "lines": lines})

        run(work())

    return command


def _production_text() -> str:
    try:
        return _ENV.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Problem(
            f".env: cannot be read in this folder ({error.strerror}). Run the command in the folder with production's "
            "settings, as the worker's account."
        ) from None


def _ask_for_password(user: str | None) -> str:
    if not sys.stdin.isatty():
        raise Problem(f"--user {user}: its password is needed, and stdin is not a terminal. Use --password-file.")
    password: str = click.prompt(f"Password of {user}", hide_input=True, err=True)
    return password


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Problem(f"{folder}: cannot be created ({error.strerror}). docs/rehearsal.md has the command.") from None


def _write(file: Path, text: str) -> None:
    """Write a file that only this account can read."""
    try:
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise Problem(
            f"{file}: cannot be written ({error.strerror}). The folder must belong to the account that runs this."
        ) from None


def _settings(file: Path) -> Settings:
    try:
        return Settings(_env_file=(file,))
    except ValidationError as error:
        raise Problem(*explain(error)) from None
    except EnvFileError as error:
        raise Problem(f"settings: {error}") from None


async def _examine_copy(rehearsal: Settings, report: Report) -> None:
    async with open_sales_db(rehearsal) as db:
        if problem := mark_problem(await read_copy_mark(db), rehearsal):
            raise Problem(f"{problem}. {problem.action_sentence}")
        if count := await real_accounts(db):
            raise Problem(
                f"the copy has {count} accounts of shops that are not overwritten: run {_MARK_SCRIPT} in it again."
            )
    report(f"copy: is marked; its documents can only be sent to {rehearsal.api_url}; its accounts are overwritten")
