"""Tests that jars are compared with their lock file, and that a shared file is made once for several callers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Semaphore

import pytest

from streams.local.cache import made_once
from streams.local.real.java import LOCK, Jars, differences

LOCKED = "aa  kafka/one.jar\nbb  kafka/two.jar\n"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"kafka/one.jar": "aa", "kafka/two.jar": "bb"}, []),
        ({"kafka/one.jar": "aa"}, ["kafka/two.jar: missing"]),
        ({"kafka/one.jar": "aa", "kafka/two.jar": "cc"}, ["kafka/two.jar: another content"]),
        ({"kafka/one.jar": "aa", "kafka/two.jar": "bb", "x.jar": "dd"}, ["x.jar: not locked"]),
    ],
)
def test_every_difference_from_the_lock_is_named(found: dict[str, str], said: list[str]) -> None:
    assert differences(LOCKED, found) == said


def test_the_lock_covers_kafka_and_both_plugins() -> None:
    places = {line.split()[1].rpartition("/")[0] for line in LOCK.read_text().splitlines()}
    assert places == {"kafka", "plugins/debezium-connector-postgres", "plugins/debezium-connector-sqlserver"}


@pytest.mark.parametrize("lasting", [True, False])
def test_a_lasting_java_process_is_compiled_for_full_speed(tmp_path: Path, lasting: bool) -> None:
    options = Jars(tmp_path, lasting).command("kafka.Kafka", heap_mb=512)
    assert ("-XX:TieredStopAtLevel=1" not in options) is lasting
    assert "-XX:+UseSerialGC" in options


def test_one_of_several_callers_makes_a_shared_file(tmp_path: Path) -> None:
    place, made, together = tmp_path / "new" / "thing", [], Barrier(8, timeout=10)
    arrived = Semaphore(0)

    def make() -> None:
        made.append(1)
        for _ in range(8):
            arrived.acquire(timeout=1)  # all have come before it is there
        arrived.release(8)
        place.write_text("whole")

    def fetch() -> Path:
        together.wait()
        arrived.release()
        return made_once(place, make)

    with ThreadPoolExecutor(8) as pool:
        assert {future.result(20) for future in [pool.submit(fetch) for _ in range(8)]} == {place}
    assert made == [1]


def test_a_caller_that_fails_leaves_the_shared_file_to_the_next(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        made_once(tmp_path / "thing", fail)
    assert made_once(tmp_path / "thing", (tmp_path / "thing").touch).exists()
