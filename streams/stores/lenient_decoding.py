"""Decoding of invalid texts: a lone surrogate, or bytes of another code page.

Points of sale can store them, and the driver raises an error on reading one. A single character could then keep a page
of sales from being shown, or a batch from being read. Here, what cannot be decoded becomes U+FFFD, which `wire_format`
never lets through to the national system.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import pyodbc


@contextmanager
def leniently(connection: pyodbc.Connection, encodings: Mapping[int, str]) -> Iterator[None]:
    """Decode texts in Python, in place of the driver, within the context.

    It costs a call for every cell, so it is only for rows that cannot be read otherwise. `encodings`: SQL type ->
    encoding.
    """
    for sql_type, encoding in encodings.items():
        connection.add_output_converter(sql_type, partial(_decoded, encoding))
    try:
        yield
    finally:
        for sql_type in encodings:
            connection.remove_output_converter(sql_type)


def _decoded(encoding: str, raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(encoding, "replace")
