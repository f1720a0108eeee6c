"""Adds sales databases to a running stack, each to be carried by a worker of its own."""

from __future__ import annotations

from dataclasses import dataclass

from streams.local.real.postgres import PostgresDatabase
from streams.local.real.stack import RealStack


@dataclass(frozen=True, slots=True)
class AddedDatabase:
    sales: PostgresDatabase
    settings: dict[str, str]
    """Of its worker, before those of the stack."""


def add_database(stack: RealStack, name: str, change_topic: str, **settings: str) -> AddedDatabase:
    """Create a database in the stack's PostgreSQL, and its topics by the command that production uses.

    `change_topic`: without the table, which comes last. `settings`: of its worker, in addition to those that follow.
    """
    sales = stack.postgres.create_sales_database(name)
    settings = {**sales.settings, "SALES_CHANGE_TOPIC": f"{change_topic}.SalesInvoices", **settings}
    stack.faust("topics", "deploy", settings=settings)
    return AddedDatabase(sales, settings)
