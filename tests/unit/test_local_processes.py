"""Tests that a child process becomes ready, is stopped or killed, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.local.processes import NotReady, Process, connect, free_port

ANNOUNCES = """
import sys, time
print("starting")
print('{"other": 1}')
print('{"url": "http://127.0.0.1:1"}')
time.sleep(60)
"""

Run = Callable[[str], Process]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Process] = []

    def start(code: str) -> Process:
        started.append(Process("server", [sys.executable, "-c", code], log=tmp_path / "logs" / "server.log"))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def wait_until(check: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_the_announcement_of_a_process_is_read_from_its_log(run: Run) -> None:
    assert run(ANNOUNCES).announced("url") == "http://127.0.0.1:1"


def test_an_announcement_of_an_earlier_process_in_the_same_log_does_not_count(run: Run) -> None:
    run(ANNOUNCES).announced("url")
    with pytest.raises(NotReady):
        run("pass").announced("url")


def test_a_process_that_ends_shows_the_last_lines_of_its_log(run: Run) -> None:
    process = run("import sys; print('line 1'); sys.exit('the port is taken')")
    with pytest.raises(NotReady, match=r"(?s)server ended with exit code 1\..*server\.log:\nline 1\nthe port is taken"):
        process.announced("url")


def test_a_process_that_is_late_shows_the_last_lines_and_the_reason(run: Run) -> None:
    process = run("import time; print('loading', flush=True); time.sleep(60)")
    wait_until(lambda: "loading" in process.tail())
    port = free_port()
    with pytest.raises(NotReady, match=r"(?s)was not ready after 0\.2 s \(.*refused\).*loading"):
        process.ready(lambda: connect(f"127.0.0.1:{port}"), timeout=0.2)


def test_sigterm_ends_an_ordinary_process(run: Run) -> None:
    assert run(ANNOUNCES).terminate() == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed_after_the_timeout(run: Run) -> None:
    process = run("import signal, time; signal.signal(15, signal.SIG_IGN); print('{\"deaf\": 1}'); time.sleep(60)")
    process.announced("deaf")
    assert process.terminate(timeout=0.2) == -signal.SIGKILL


def test_a_kill_also_ends_the_children_of_a_process(run: Run) -> None:
    process = run(
        "import subprocess, json, time; c = subprocess.Popen(['sleep', '60']); "
        "print(json.dumps({'pid': c.pid})); time.sleep(60)"
    )
    grandchild = process.announced("pid")
    process.kill()
    wait_until(lambda: not alive(grandchild))


def test_ctrl_c_in_the_terminal_does_not_reach_a_child_process(run: Run) -> None:
    assert os.getpgid(run(ANNOUNCES).pid) != os.getpgid(0)


def test_kill_9_of_the_parent_leaves_no_orphan(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from streams.local.processes import Process; import time\n"
        f"child = Process('child', ['sleep', '60'], log=Path({str(tmp_path / 'child.log')!r}))\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        # Its death with the parent is arranged by setpriv, just before it becomes what it is to be.
        wait_until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
        parent.kill()
    wait_until(lambda: not alive(child))
