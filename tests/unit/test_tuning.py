"""Tests the memory settings in a process of its own, because they apply to a whole process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.right_settings import RIGHT

_HEAPS = """
import ctypes, sys, threading
from streams.runtime.tuning import share_one_heap

if sys.argv[2] == "shared":
    assert share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(8)

def allocate():
    together.wait(10)
    libc.malloc(ctypes.c_size_t(10_000))
    together.wait(10)

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
assert libc.malloc_info(0, file) == 0
libc.fclose(file)
print(open(sys.argv[1]).read().count("<heap nr="))
"""


@pytest.mark.parametrize(("how", "one"), [("shared", True), ("as it is", False)])
def test_threads_share_one_heap_after_tuning(tmp_path: object, how: str, one: bool) -> None:
    command = [sys.executable, "-c", _HEAPS, f"{tmp_path}/info.xml", how]
    heaps = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert (heaps == 1) is one


def test_the_heap_of_the_http_client_is_configured_to_release_memory() -> None:
    environment = os.environ | {"MIMALLOC_VERBOSE": "1"}
    command = [sys.executable, "-c", "import streams.national_api.transport"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environment).stderr
    assert "option 'allow_thp': 0" in said
    assert "option 'purge_delay': 0" in said


def test_a_worker_imports_nothing_of_the_transport_that_it_does_not_use() -> None:
    """It is one of many on its machine, perhaps, and httpcore takes 4 MB."""
    program = "import sys, streams.app; print(*{'httpcore', 'trio', 'socksio'} & sys.modules.keys())"
    command = [sys.executable, "-c", program]
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60, env=os.environ | RIGHT
    ).stdout
    assert said.split() == []
