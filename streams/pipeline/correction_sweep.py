"""Looks at accepted documents round after round, to notice those that the point of sale has changed since.

It is the least urgent work of a worker: a step reads a few documents, and the pause after it is many times as long as
the step took. One worker at a time makes rounds, protected by a lock in Redis; two at once would do no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from streams.pipeline.guard import Guard
from streams.pipeline.scheduler import AcceptsWork, Lock
from streams.stores.corrections import AcceptedDocument, Corrections, Found

log = structlog.get_logger(__name__)

_ROUND_EVERY = 600.0
"""Seconds from the start of one round to that of the next, unless a round takes longer."""
_LARGEST_SHARE = 0.02
"""Of the time, at most this is spent in the sales database."""
_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 60.0
_PAUSE_AFTER_ERROR = 10.0
"""Shorter than the time between two checks of marked documents, so that an error there does not stop the rounds."""
_ROWS = 1_000
"""How many rows of `dbo.SaleSync` one step looks through for documents that are to be checked."""
_STEP_TIMEOUT = 30.0
"""Seconds that a step may take: beside locked rows each of its statements waits for a lock."""
_SETTLED_AFTER = 60.0
"""Seconds for which a noticed change is left alone before it is sent: it may be a part of a greater one."""
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_MAX_EDITED = 1_000
_ACTION = "find out what the sales database refuses or keeps locked; sales are sent all the same"


class CorrectionSweep:
    """Checks the documents of one type."""

    def __init__(
        self,
        corrections: Corrections,
        *,
        document_type: str,
        sends: bool,
        lock: Lock,
        gate: AcceptsWork,
        round_every: float = _ROUND_EVERY,
        settled_after: float = _SETTLED_AFTER,
    ) -> None:
        """`sends`: request changed documents again, `settled_after` seconds after they were noticed."""
        self._corrections = corrections
        self._document_type = document_type
        self._sends = sends
        self._lock = lock
        self._gate = gate
        self._round_every = round_every
        self._settled_after = settled_after
        self._check_marked_every = 15.0 if sends else 60.0
        self._guard = Guard("looking for sales that were changed after they were sent", "corrections", _ACTION)
        self._wake = asyncio.Event()
        self._edited: dict[int, None] = {}
        self._unchecked: Sequence[AcceptedDocument] = ()
        self._below: int | None = None
        """The id above which the present round has looked; None: no round is under way."""
        self._round_started = self._checked_marked_at = float("-inf")
        self._marked_above = _LOWEST
        """The id up to which marked documents were checked again."""
        self.checked_total = 0
        self.out_of_reach_total = 0
        self.requested_total = 0
        self.rounds_total = 0

    def edited(self, id_: int) -> None:
        """Check this document soon: a change event says that it was changed."""
        if len(self._edited) < _MAX_EDITED:  # a round finds the others
            self._edited[id_] = None
            self._wake.set()

    async def run(self) -> None:
        """Make steps until cancelled."""
        try:
            while True:
                started_at = time.monotonic()
                is_busy = await self._guard(self.step)
                pause = (time.monotonic() - started_at) / _LARGEST_SHARE
                if self._guard.problem is not None:
                    pause = max(pause, _PAUSE_AFTER_ERROR)
                elif not is_busy:
                    pause = self._check_marked_every
                await self._pause(min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, pause)))
        finally:
            self._guard.end()

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, _SHORTEST_PAUSE))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def step(self) -> bool:
        """Check a few documents; return whether more are left to be checked in this round.

        Raises `StoreError`, and `TimeoutError` after half a minute. What a step did not get to is checked in the next
        round.
        """
        async with asyncio.timeout(_STEP_TIMEOUT):
            self._wake.clear()
            if ids := list(self._edited)[: self._corrections.at_once]:
                self._edited = {id_: None for id_ in self._edited if id_ not in ids}
                await self._check(await self._corrections.of(ids))
            if not await self._lock.acquire_or_renew():
                self._below, self._unchecked = None, ()
                return bool(self._edited)
            if time.monotonic() - self._checked_marked_at >= self._check_marked_every:
                self._checked_marked_at = time.monotonic()
                await self._check_marked()
            return await self._continue_round() or bool(self._edited)

    async def _continue_round(self) -> bool:
        if not self._unchecked and not await self._look_further():
            return False
        at_once = self._corrections.at_once
        part, self._unchecked = self._unchecked[:at_once], self._unchecked[at_once:]
        await self._check(part)
        return True

    async def _look_further(self) -> bool:
        """Look through more rows for documents to be checked; return whether a round is still under way."""
        if self._below is None:
            if time.monotonic() - self._round_started < self._round_every:
                return False
            self._round_started, self._below = time.monotonic(), _HIGHEST
        self._unchecked, self._below = await self._corrections.below(self._below, _ROWS)
        if self._below is not None:
            return True
        self.rounds_total += 1
        log.debug(
            "corrections.round",
            document=self._document_type,
            checked_so_far=self.checked_total,
            took_s=round(time.monotonic() - self._round_started),
        )
        return False

    async def _check(self, documents: Sequence[AcceptedDocument]) -> Found:
        if not documents:
            return Found()
        found = await self._corrections.check(documents)
        self.checked_total += len(documents) - found.out_of_reach
        self.out_of_reach_total += found.out_of_reach
        return found

    async def _check_marked(self) -> None:
        """Check those that are known to be changed, as they may have been changed back; request them, if they are to be
        sent by themselves.
        """
        if self._sends and not self._gate.accepts_work:
            return
        corrections, at_once = self._corrections, self._corrections.at_once
        settled_ms = int(self._settled_after * 1000) if self._sends else 0
        marked = await corrections.marked(self._marked_above, at_once, marked_for_ms=settled_ms)
        # In turn, as those that nobody sends stay marked.
        self._marked_above = marked[-1].id if len(marked) == at_once else _LOWEST
        found = await self._check(marked)
        # Under another code it would be a second document, so what becomes of the first one is for a person.
        if self._sends and found.replaceable:
            self.requested_total += await corrections.request(found.replaceable)
