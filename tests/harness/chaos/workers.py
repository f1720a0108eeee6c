"""Runs the workers and restarts them whenever they end, as a service manager would, and reads their log."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streams.local.processes import NotReady, Process, free_port
from streams.local.stack import Stack
from streams.runtime.process_exit import STALLED

FEWEST, MOST = 2, 4
_STOP_WITHIN = 60.0
_FOR_THE_BROKER = 40.0
"""Seconds after the broker's trouble in which a worker's end may have had to do with it."""
_DECLARED_FOR = 20.0
"""Who waits says so with every try; the pauses between them are 10 s at most, the journal's 30."""
_EVENT = re.compile(r"\[(warning|error|critical) *\] (\w+\.\w+|(?:\S+ ?){1,4})")
_DECLARED = re.compile(
    r"sales_database\.(waiting|locked)|sale_status\.waiting|kafka\.(waiting|away)|write_back\.quarantined"
)
MISTAKES = ("attempt.failed", "event.given_up", "service.failed", "document.unreadable")
"""What a worker says of mistakes of its own. No fault from outside may lead to one."""


@dataclass(frozen=True, slots=True)
class Web:
    """The web server of one process of a worker."""

    worker: str
    pid: int
    port: int


@dataclass
class _Slot:
    name: str
    process: Process
    log: Path
    port: int
    """Of its web server."""
    wanted: bool = True
    asked_to_end: float | None = None
    """By SIGTERM, and when."""
    killed: bool = False
    judged: int = 0
    """The process whose end was judged last."""
    read_to: int = 0
    gate_closed: bool = False
    peak_kb: int = 0


@dataclass
class Workers:
    stack: Stack
    environment: Mapping[str, str]
    tell: Callable[[str], None]
    starts: int = 0
    peak_kb: int = 0
    events: Counter[str] = field(default_factory=Counter)
    """Lines of warning and worse: level and event."""
    mistakes: list[str] = field(default_factory=list)
    wrong_ends: list[str] = field(default_factory=list)
    """Ends that nobody asked for, or not in order."""
    _slots: list[_Slot] = field(default_factory=list)
    _next: int = 1
    _broker_struck: float = float("-inf")
    _declared: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=50))

    @property
    def logs(self) -> list[Path]:
        return sorted({slot.log for slot in self._slots})

    @property
    def wanted(self) -> int:
        return sum(slot.wanted for slot in self._slots)

    def join(self) -> str:
        """Start one more worker; return an empty text where there are enough."""
        if self.wanted >= MOST:
            return ""
        name = f"worker-{self._next}"
        self._next += 1
        port = free_port()
        process = self._started(name, port)
        self._slots.append(_Slot(name, process, process.log, port))
        return name

    def leave(self, which: float) -> str:
        """Stop one worker for good; return an empty text where they are few."""
        if self.wanted <= FEWEST:
            return ""
        slot = self._pick(which)
        slot.wanted = False
        return self._ask_to_end(slot)

    def kill(self, which: float) -> str:
        slot = self._pick(which)
        slot.killed = True
        slot.process.kill()
        return slot.name

    def terminate(self, which: float) -> str:
        return self._ask_to_end(self._pick(which))

    def process(self, which: float) -> Process:
        return self._pick(which).process

    def web(self, which: float) -> Web:
        slot = self._pick(which)
        return Web(slot.name, slot.process.pid, slot.port)

    def untouched(self, web: Web) -> bool:
        """Say whether the process still runs, and nobody has stopped it."""
        return any(
            slot.process.pid == web.pid and slot.process.running and slot.asked_to_end is None for slot in self._slots
        )

    def look(self, *, broker_struck: bool) -> None:
        """Restart what has ended, and read the log; to be called every second or so."""
        if broker_struck:
            self._broker_struck = time.monotonic()
        for slot in self._slots:
            self._measure(slot)
            self._listen(slot)
            code = slot.process.exit_code
            if code is None:
                if slot.asked_to_end is not None and time.monotonic() - slot.asked_to_end > _STOP_WITHIN:
                    self._insist(slot)
            else:
                self._judge_end(slot, code)
                if slot.wanted:
                    slot.process = self._started(slot.name, slot.port)
                    slot.asked_to_end, slot.killed, slot.gate_closed = None, False, False

    @property
    def ready(self) -> bool:
        return all("worker.ready" in slot.process.output() for slot in self._slots if slot.wanted)

    def stop(self) -> None:
        for slot in self._slots:
            slot.wanted = False
            if slot.process.running:
                self._ask_to_end(slot)
        deadline = time.monotonic() + _STOP_WITHIN
        for slot in self._slots:
            try:
                slot.process.wait(max(0.0, deadline - time.monotonic()))
            except NotReady:
                self._insist(slot)
            self._listen(slot)
            self._judge_end(slot, slot.process.wait(10))

    def causes(self) -> list[str]:
        """Return the outages that they report."""
        now = time.monotonic()
        closed = [f"{slot.name}: gate closed" for slot in self._slots if slot.gate_closed and slot.process.running]
        return closed + sorted({words for at, words in self._declared if now - at < _DECLARED_FOR})

    def _judge_end(self, slot: _Slot, code: int) -> None:
        """Check that a stopped worker ends in order, once it has come up; what cannot be published to a broker that
        is away is given up in time, and logged.
        """
        output = slot.process.output()
        for_the_broker = (
            code == STALLED
            and "process.shutdown_hangs" in output
            and time.monotonic() - self._broker_struck < _FOR_THE_BROKER
        )
        in_order = slot.asked_to_end is not None and (code == 0 or "worker.ready" not in output or for_the_broker)
        judged, slot.judged = slot.judged, slot.process.pid
        if judged == slot.process.pid or slot.killed or in_order:
            return
        asked = "after SIGTERM" if slot.asked_to_end is not None else "by itself"
        self.wrong_ends.append(f"{slot.name} ended {asked} with exit code {code}")
        self.tell(self.wrong_ends[-1])

    def _started(self, name: str, port: int) -> Process:
        self.starts += 1
        return self.stack.start_worker(name, self.environment, web_port=port)

    def _pick(self, which: float) -> _Slot:
        wanted = [slot for slot in self._slots if slot.wanted]
        return wanted[min(int(which * len(wanted)), len(wanted) - 1)]

    def _ask_to_end(self, slot: _Slot) -> str:
        slot.asked_to_end = slot.asked_to_end or time.monotonic()
        if slot.process.running:
            slot.process.send(signal.SIGTERM)
        return slot.name

    def _insist(self, slot: _Slot) -> None:
        self.wrong_ends.append(f"{slot.name} did not end within {_STOP_WITHIN:g} s of SIGTERM")
        self.tell(self.wrong_ends[-1])
        slot.killed = True
        slot.process.kill()

    def _measure(self, slot: _Slot) -> None:
        try:
            status = Path(f"/proc/{slot.process.pid}/status").read_text()
        except OSError:
            return
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            self.peak_kb = max(self.peak_kb, int(found[1]))

    def _listen(self, slot: _Slot) -> None:
        with slot.log.open("rb") as file:
            file.seek(slot.read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        slot.read_to += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if "gate.closed" in line or "gate.opened" in line:
                slot.gate_closed = "gate.closed" in line
            if found := _DECLARED.search(line):
                self._declared.append((time.monotonic(), f"{slot.name}: {found[0]}"))
            if event := _EVENT.search(line):
                self.events[f"{event[1]} {event[2].strip()!r}"] += 1
            if any(mistake in line for mistake in MISTAKES) or "Traceback (most recent call last)" in line:
                self.mistakes.append(f"{slot.name}: {line.strip()[:300]}")
