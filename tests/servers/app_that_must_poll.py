"""The real app, whose consumer leaves its group when Faust does not poll for some seconds."""

import os

from streams.app import build
from streams.documents import DOCUMENT_TYPES
from streams.settings import settings_or_exit

app = build(settings_or_exit(), DOCUMENT_TYPES)
app.conf.broker_max_poll_interval = float(os.environ["POLL_INTERVAL"])
