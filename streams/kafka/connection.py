"""The connection settings of the broker, in the forms that Faust and aiokafka take."""

from __future__ import annotations

import ssl
from typing import Any

from aiokafka.helpers import create_ssl_context
from faust import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from streams.kafka.fetching import pause_unreadable_partitions
from streams.kafka.unpacking import skip_unreadable_batches
from streams.settings import Settings

# Every consumer of this process is configured here, so aiokafka is prepared here, too.
skip_unreadable_batches()
pause_unreadable_partitions()


def faust_broker(settings: Settings) -> list[str]:
    """Return the bootstrap servers as Faust's broker URLs."""
    return [f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")]


def faust_credentials(settings: Settings) -> CredentialsT | None:
    """Return the credentials for Faust; None for an unencrypted connection without log-in."""
    context = _ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """Return the connection options for aiokafka's consumers, producers and admin clients."""
    password = settings.kafka_sasl_password
    return {
        "bootstrap_servers": [server.strip() for server in settings.kafka_bootstrap_servers.split(",")],
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl_context(settings),
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }


def _ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context: ssl.SSLContext = create_ssl_context(
        cafile=str(settings.kafka_ssl_cafile) if settings.kafka_ssl_cafile else None,
        certfile=str(settings.kafka_ssl_certfile) if settings.kafka_ssl_certfile else None,
        keyfile=str(settings.kafka_ssl_keyfile) if settings.kafka_ssl_keyfile else None,
    )
    return context
