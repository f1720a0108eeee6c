"""One child process of the local stack: started, watched, stopped or killed by its own handle."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

POLL = 0.02
"""Seconds between two looks at something that is waited for."""


class NotReady(Exception):
    """A process that ended, or was not ready in time. The text ends with the last lines of its log."""


class Process:
    """Runs `arguments`, its stdout and stderr appended to `log`.

    It leads a process group of its own, so that Ctrl-C reaches only the parent, which stops its children in
    order. The kernel kills it when the *thread* that made this object ends (`setpriv --pdeathsig`, util-linux):
    kill -9 of the parent leaves nothing behind. So make it in a thread that outlives it.

    Raises `OSError` where it cannot be started.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        account: str | None = None,
    ) -> None:
        """`account`: the system account that it runs as, where that is not ours."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._log_from = output.tell()
            self._child = subprocess.Popen(
                ["setpriv", *_as(account), "--pdeathsig", "KILL", "--", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                cwd=folder,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 after a kill -9."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def output(self) -> str:
        """All that this process, not one before it, wrote."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.output().splitlines()[-lines:])

    def announced(self, key: str, *, timeout: float = 20) -> Any:
        """The value of `key` in the first line of JSON that has it. Raises `NotReady`."""
        return self.ready(lambda: _announcement(self.output(), key), timeout=timeout)

    def ready(self, check: Callable[[], T | None], *, timeout: float = 20) -> T:
        """What `check` gives as soon as that is not None. `OSError` in it means *not yet*. Raises `NotReady`."""
        deadline = time.monotonic() + timeout
        last = ""
        while True:
            ended = self.exit_code  # looked at first: what it wrote before it ended is seen below
            try:
                found = check()
            except OSError as error:
                found, last = None, f" ({error})"
            if found is not None:
                return found
            if ended is not None:
                raise self._not_ready(f"ended with exit code {ended}")
            if time.monotonic() > deadline:
                raise self._not_ready(f"was not ready after {timeout:g} s{last}")
            time.sleep(POLL)

    def wait(self, timeout: float) -> int:
        """Its exit code. Raises `NotReady` when it still runs after `timeout` seconds."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._not_ready(f"still runs after {timeout:g} s") from None

    def succeed(self, timeout: float) -> None:
        """Returns when it has ended with exit code 0. Raises `NotReady`, and then it runs no more."""
        try:
            code = self.wait(timeout)
        except NotReady:
            self.kill()
            raise
        if code != 0:
            raise self._not_ready(f"ended with exit code {code}")

    def terminate(self, timeout: float = 10, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end, and kills it (`kill -9`) if it still runs after `timeout` seconds. Returns its exit code."""
        self._child.send_signal(with_signal)
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def send(self, which: signal.Signals) -> None:
        """Without waiting for what it does about it."""
        self._child.send_signal(which)

    def kill(self) -> int:
        """kill -9, of what it started too. Its exit code."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        return self._child.wait()

    def _not_ready(self, what: str) -> NotReady:
        return NotReady(f"{self.name} {what}. The last lines of {self.log}:\n{self.tail() or '(nothing)'}")


def _as(account: str | None) -> list[str]:
    return ["--reuid", account, "--regid", account, "--init-groups"] if account else []


def _announcement(output: str, key: str) -> Any:
    for line in output.splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if key in said:
                return said[key]
    return None


_FIRST_PORT, _LAST_PORT = 15_000, 31_999
"""Below the ports that Linux gives to outgoing connections (32768 and up), any of which could take one of ours before
its server listens."""


def free_port(wanted: int = 0) -> int:
    """Return a port of 127.0.0.1 that nobody had a moment ago, `wanted` if it is free.

    For servers that cannot choose one themselves; where they can, let them.
    """
    while True:
        port = wanted or random.randint(_FIRST_PORT, _LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                wanted = 0
                continue
            return port


def connect(address: str, timeout: float = 1) -> None:
    """Connects to ``host:port`` and hangs up. Raises `OSError`."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout).close()
