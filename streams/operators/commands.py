"""The commands of operators, for Faust's command line: ``faust -A streams.app <command>``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from streams.documents.document import DocumentKind
from streams.operators.connectors import connectors
from streams.operators.doctor import doctor
from streams.operators.failures import failures
from streams.operators.lookup import lookup
from streams.operators.replay import replay
from streams.operators.resend import resend, send_now
from streams.operators.status import status
from streams.operators.tail import tail
from streams.operators.where_the_page_is import page
from streams.settings import Settings


def commands(settings: Settings, kinds: Sequence[DocumentKind]) -> list[click.Command]:
    """Each opens what it needs itself; none starts a service of the worker."""
    makers = (connectors, doctor, status, failures, resend, send_now, lookup, tail, replay, page)
    return [make(settings, kinds) for make in makers]
