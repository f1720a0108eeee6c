"""A document is made into its body twice: as it is sent, and as its end is written, to see whether a till has edited
it meanwhile. Where its rows are the same, the second time gives what the first one made."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from streams.documents.document import Body, DocumentKind, Row

_MOST = 1024
"""Documents between the two, some 10 kB each. Beyond that the oldest are made twice."""


def remembered(kind: DocumentKind) -> DocumentKind:
    """The same kind; its `transform` may be called in several threads."""
    return replace(kind, transform=_Remembered(kind))


class _Remembered:
    def __init__(self, kind: DocumentKind) -> None:
        self._transform: Callable[[Row, Sequence[Row], date], Body] = kind.transform
        self._columns = (kind.own_code_column, "pharmacy_code", *kind.header_columns)
        self._made: OrderedDict[int, tuple[object, Body]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, header: Row, lines: Sequence[Row], today: date) -> Body:
        of = ([header[column] for column in self._columns], lines, today)
        with self._lock:
            made = self._made.pop(header["id"], None)
        if made and made[0] == of:
            return made[1]
        body = self._transform(header, lines, today)
        with self._lock:
            self._made[header["id"]] = of, body
            if len(self._made) > _MOST:
                self._made.popitem(last=False)
        return body
