"""Tests the date at the pharmacy."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.domain.local_time import local_date, local_time

ZONES = ["Asia/Ho_Chi_Minh", "UTC", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"]
MIDNIGHT_MS = int(datetime(2026, 11, 27, 17, tzinfo=UTC).timestamp() * 1000)
"""Of 2026-11-28 in Vietnam."""


@pytest.mark.parametrize("zone", ZONES)
@given(st.integers(946_684_800_000, 4_102_444_800_000))
@example(MIDNIGHT_MS)
@example(MIDNIGHT_MS - 1)
def test_the_local_date_is_that_of_the_local_time(zone: str, ms: int) -> None:
    assert local_date(ms, ZoneInfo(zone)) == local_time(ms, ZoneInfo(zone)).date()
