"""Tests the help text of every command."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from streams.documents import DOCUMENT_TYPES
from streams.operators.commands import commands
from tests.support.command_line import leaves
from tests.unit.played_connect import settings

LEAVES = leaves(commands(settings(), DOCUMENT_TYPES))


@pytest.mark.parametrize("command", [command for _, command in LEAVES], ids=[" ".join(path) for path, _ in LEAVES])
def test_help_explains_every_option_and_the_exit_codes(command: click.Command) -> None:
    said = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=1000).output.split())
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert "as_json" in {option.name for option in options}
    for option in options:
        assert option.help is not None, option.name
        assert len(option.help.split()) > 1, option.name
        assert all(name in said for name in option.opts)
        assert " ".join(option.help.split()) in said
    for argument in command.params:
        if isinstance(argument, click.Argument):
            assert (argument.name or "").upper() in (command.help or "")
    assert "Exit code" in said
