"""Runs ``faust -A streams.app <command>`` as a process of its own, or in this process, which takes milliseconds."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import click
import faust.cli.worker  # noqa: F401 - registers `worker` with Faust's own commands
from click.testing import CliRunner
from faust.cli.base import cli

from streams.documents import DOCUMENT_TYPES
from streams.operators.commands import commands
from streams.settings import Settings, settings_or_exit
from tests.support.repository import ROOT


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


def _environment(changed: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with no setting in it but these."""
    clean = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return clean | changed


def start_faust(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run the command as a process of its own, in that folder. It costs more than a second of processor time: see
    `invoke_faust`.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "streams.app", *arguments],
        cwd=folder,
        env=_environment({"PYTHONPATH": str(ROOT)} | environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def invoke_faust(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run the command in this process. Settings are read as the app reads them, and its commands are listed
    together with Faust's own. That `streams.app` does both is for `start_faust` to show:
    tests/unit/test_settings.py has the two starts.
    """

    def app() -> None:
        settings = settings_or_exit()
        ours = {str(command.name): command for command in commands(settings, DOCUMENT_TYPES)}
        click.Group("faust", commands={**cli.commands, **ours}).main(list(arguments), prog_name="faust")

    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, _environment(environment), clear=True),
        mock.patch.object(sys, "argv", ["faust", *arguments]),
    ):
        result = CliRunner().invoke(click.Command("app", callback=app))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def leaves(group: Iterable[click.Command], *before: str) -> list[tuple[tuple[str, ...], click.Command]]:
    """Return the words of each command that does something, and the command."""
    found = []
    for command in group:
        path = (*before, command.name or "")
        found += leaves(command.commands.values(), *path) if isinstance(command, click.Group) else [(path, command)]
    return found
