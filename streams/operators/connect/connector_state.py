"""Whether Kafka Connect answers and the connector runs, for `/metrics` and the page."""

from __future__ import annotations

from pydantic import SecretStr

from streams.monitoring.exposition import ConnectorState
from streams.operators import Problem
from streams.operators.connect.api import ConnectApi
from streams.operators.connect.connector_file import CONNECTOR


async def read_connector_state(connect_url: SecretStr) -> ConnectorState:
    """Return whether Kafka Connect answers, and then whether the connector runs.

    It is asked once, without retries, so that nobody who looks has to wait for a slow server.
    """
    try:
        async with ConnectApi(connect_url, rebalance_timeout=0) as api:
            status = await api.status(CONNECTOR)
    except Problem:
        return False, None
    return True, status is not None and status.runs
