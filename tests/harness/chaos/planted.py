"""What was planted among good things, and what has to become of each piece, for the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tests.harness.chaos.judge import Expected, Junk, Row

Becomes: TypeAlias = Literal["buried", "foreign", "unclaimed", "skipped"]
"""A dead letter of each reader; passed over as another database's; passed over as a decision that nobody claimed; read,
and nothing to do."""
SAYS = {"foreign": "message.of_another_database", "unclaimed": "write_back.never_claimed", "buried": "dead_letter"}
"""What a worker says of it."""


@dataclass
class Planted:
    """Of a run."""

    records: dict[str, Junk] = field(default_factory=dict)
    """By key. Whether the broker took a record is not known before it says so."""
    becomes: dict[str, Becomes] = field(default_factory=dict)
    """By key, of what the broker confirmed."""
    forged: set[str] = field(default_factory=set)
    """The event ids of decisions that nobody made. The journal keeps what the topic says, so it may have these."""
    sales: dict[str, Expected] = field(default_factory=dict)
    """By the sale's own code: how it has to end. Each is committed."""
    missed: dict[str, str] = field(default_factory=dict)
    """Faults that were to happen and did not, by kind: why."""

    def expects(self, key: str, topic: str) -> None:
        """It may come to the topic from now on."""
        self.records[key] = Junk(topic, None)

    def confirmed(self, key: str, becomes: Becomes) -> None:
        self.records[key] = Junk(self.records[key].topic, becomes == "buried")
        self.becomes[key] = becomes

    def expected(self, rows: Mapping[int, Row]) -> dict[int, Expected]:
        """Of the sales among `rows` that were planted."""
        return {
            id_: self.sales[row.local_invoice_id] for id_, row in rows.items() if row.local_invoice_id in self.sales
        }
