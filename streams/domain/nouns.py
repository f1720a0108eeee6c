"""What people call a document. Texts about documents are written about a sale, and put into these words."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nouns:
    """What people call such a document, in lower case: `vi` in Vietnamese, `one` and `many` in English."""

    vi: str
    one: str
    many: str

    def in_vietnamese(self, text: str) -> str:
        """Return a text about a sale as one about such a document."""
        capital = self.vi[:1].upper() + self.vi[1:]
        return text.replace("Hóa đơn", capital).replace("hóa đơn", self.vi)

    def in_english(self, text: str) -> str:
        """Return a text about a sale as one about such a document."""
        words = {"sale": self.one, "sales": self.many}
        return re.sub(r"\b(sales?)\b(?! software| database)", lambda found: words[found[1]], text)
