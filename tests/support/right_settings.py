"""The settings that a worker cannot do without, each with a value that it accepts; `hunter2` stands for a secret."""

from __future__ import annotations

RIGHT = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "SALES_CHANGE_TOPIC": "pharmacy.chain.dbo.SalesInvoices",
    "SALES_DB_DSN": "Driver=x;PWD=hunter2",
    "REDIS_URL": "redis://:hunter2@127.0.0.1",
    "MONGO_URL": "mongodb://u:hunter2@127.0.0.1",
    "NATIONAL_API_URL": "https://api.example/",
}
