"""The commands for operators, which extend Faust's command line: ``faust -A streams.app <command>``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from streams.documents.document import DocumentType
from streams.operators.commands.connectors import connectors
from streams.operators.commands.doctor import doctor
from streams.operators.commands.failures import failures
from streams.operators.commands.lookup import lookup
from streams.operators.commands.page import page
from streams.operators.commands.rehearse import rehearse
from streams.operators.commands.replay import replay
from streams.operators.commands.resend import resend, send_now, withdraw
from streams.operators.commands.status import status
from streams.operators.commands.tail import tail
from streams.operators.commands.topics import topics
from streams.settings import Settings


def commands(settings: Settings, document_types: Sequence[DocumentType]) -> list[click.Command]:
    """Return all commands. Each opens the connections that it needs; none starts a service of the worker."""
    makers = (
        *(connectors, topics, doctor, status, failures, resend, withdraw, send_now, lookup, tail, replay, page),
        rehearse,
    )
    return [make(settings, document_types) for make in makers]
