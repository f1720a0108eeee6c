"""Texts that are no texts: half of a surrogate pair, or bytes of another code page.

A till can store them, and the driver raises where it meets one: a page of sales could not be shown, nor a batch be
read, for one letter. What cannot be read becomes U+FFFD, which no rule lets through to the national system.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import pyodbc

UNREADABLE = "\ufffd"
"""Stands where a letter could not be read."""


@contextmanager
def leniently(connection: pyodbc.Connection, encodings: Mapping[int, str]) -> Iterator[None]:
    """Texts are decoded by us meanwhile, as bytes of the driver's. It costs a call for every cell, so it is for what
    could not be read otherwise. `encodings`: by SQL type."""
    for document_type, encoding in encodings.items():
        connection.add_output_converter(document_type, partial(_decoded, encoding))
    try:
        yield
    finally:
        for document_type in encodings:
            connection.remove_output_converter(document_type)


def _decoded(encoding: str, raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(encoding, "replace")
