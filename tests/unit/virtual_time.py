"""An event loop whose clock jumps to the next timer instead of waiting for it, so that minutes pass at once and
exactly.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("stuck: everything waits and no timer is set")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.at_end: list[Callable[[], Awaitable[object]]] = []
        """Awaited when a test `in_virtual_time` is over."""

    def time(self) -> float:
        return self._jumping.now


def running_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    async def test_and_clean_up(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            for clean_up in running_loop().at_end:
                await clean_up()

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test_and_clean_up(*args, **kwargs))

    return run


async def settle() -> None:
    """Let everything happen that needs no time to pass."""
    for _ in range(10):
        await asyncio.sleep(0)
