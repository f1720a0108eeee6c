"""What the real configuration of logging writes."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any, TextIO

import pytest
import structlog

from streams.runtime.logs import logging_config
from tests.contract.stores.databases import settings_for

PRIVATE = "Nguyễn Thị Ánh"
DSN = "Driver=x;UID=worker;PWD={mat;khau-sql};Encrypt=yes"
SETTINGS: dict[str, Any] = {
    "sales_db_dsn": DSN,
    "redis_url": "redis://:mat-khau-redis@127.0.0.1:6379/0",
    "mongo_url": "mongodb://worker:mat%40khau-mongo@127.0.0.1/pharmacy",
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_username": "worker",
    "kafka_sasl_password": "mat-khau-kafka",
}


@contextmanager
def configured(
    log_format: str, stderr: TextIO | None = None, settings: dict[str, Any] | None = None
) -> Iterator[StringIO]:
    """Apply the real configuration, capture what it writes (unless to `stderr`), and restore everything afterwards."""
    before, written = structlog.get_config(), StringIO()
    try:
        with redirect_stderr(stderr or written):
            logging.config.dictConfig(
                logging_config(settings_for(**{"log_format": log_format} | SETTINGS | (settings or {})))
            )
            yield written
    finally:
        logging.getLogger().handlers.clear()
        structlog.configure(**before)


in_both_formats = pytest.mark.parametrize("log_format", ["json", "text"])
