"""Debezium's configuration for PostgreSQL: the one for SQL Server, but for what only that server has.

So what the tests run on is what production deploys, line for line wherever the two connectors have the same line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from streams.documents import DOCUMENT_TYPES

NAME = "pharmacy-sales"
SQL_SERVER = Path(__file__).parents[3] / "connectors" / f"{NAME}.json"

_OF_SQL_SERVER = (
    "connector.class",
    "database.",
    "driver.",
    "schema.history.",
    "snapshot.isolation.mode",
    "data.query.mode",
    "topic.prefix",
    "table.include.list",
    "column.include.list",
)


def configuration(address: str, database: str, secrets: Path) -> Mapping[str, str]:
    """`address`: ``host:port`` of PostgreSQL. `secrets`: the folder that stands for production's ``/run/secrets``."""
    production: dict[str, str] = json.loads(SQL_SERVER.read_text(encoding="utf-8"))
    same = {key: value for key, value in production.items() if not key.startswith(_OF_SQL_SERVER)}
    host, _, port = address.rpartition(":")
    prefix = f"{production['topic.prefix']}.{database}"  # SQL Server's connector puts the database in by itself
    return {
        **same,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": host,
        "database.port": port,
        "database.dbname": database,
        "database.user": "debezium",
        "database.password": production["database.password"].replace("/run/secrets", str(secrets)),
        "topic.prefix": prefix,
        # PostgreSQL takes names in lower case.
        "table.include.list": production["table.include.list"].lower(),
        "column.include.list": production["column.include.list"].lower(),
        "transforms": ",".join(kind.name for kind in DOCUMENT_TYPES),
        **{
            f"transforms.{kind.name}.{key}": value
            for kind in DOCUMENT_TYPES
            for key, value in {
                "type": "org.apache.kafka.connect.transforms.RegexRouter",
                "regex": re.escape(f"{prefix}.dbo.{kind.table.lower()}"),
                "replacement": f"{prefix}.dbo.{kind.table}",
            }.items()
        },
        "plugin.name": "pgoutput",
        "slot.name": "pharmacy",
        "publication.name": "pharmacy",
        "publication.autocreate.mode": "disabled",
    }
