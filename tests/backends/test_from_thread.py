"""A call from a thread to a loop that comes to its end just then; other calls: engine/test_threads.

Time is real here, for a thread is invisible to virtual time.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.leaks import no_asyncio_errors
from tukio._backends.asyncio import from_thread
from tukio._backends.asyncio.from_thread import result_from_thread
from tukio.errors import EngineError

LIMIT = 20
"""Real seconds after which a test can only be stuck."""


async def answer() -> int:
    """Return a number."""
    return 42


class Ending(asyncio.SelectorEventLoop):
    """A loop that is closed between the look at it and what it is asked for."""

    def is_running(self) -> bool:
        """Return what was so a moment ago."""
        return self.is_closed() or super().is_running()


def test_a_loop_that_was_closed_just_now_is_refused() -> None:
    """No coroutine is left that nobody has awaited, which Python would complain about."""
    with no_asyncio_errors():
        loop = Ending()
        loop.close()
        with pytest.raises(EngineError, match="not running"):
            result_from_thread(answer, loop)


class Asked(asyncio.SelectorEventLoop):
    """A loop that tells when a thread has asked for something, and has found it to stand still."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.found_still = threading.Event()
        super().__init__()

    def is_running(self) -> bool:
        """Do as any loop, and tell."""
        running = super().is_running()
        if self.asked.is_set() and not running:
            self.found_still.set()
        return running

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # as given
        """Tell, and do as any loop."""
        handle = super().call_soon_threadsafe(*args, **kwargs)
        self.asked.set()
        return handle


def test_a_loop_that_stops_before_it_has_begun_with_a_call_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It drops what it was asked for, and tells nobody."""
    monkeypatch.setattr(from_thread, "LOOK_EVERY", 0.01)
    with no_asyncio_errors(), ThreadPoolExecutor(1) as threads:
        loop = Asked()
        asking: list[Any] = []

        def stop_when_asked() -> None:
            asking.append(threads.submit(result_from_thread, answer, loop))
            assert loop.asked.wait(LIMIT)
            loop.stop()

        loop.call_soon(stop_when_asked)
        loop.run_forever()
        with pytest.raises(EngineError, match="not running"):
            asking[0].result(LIMIT)
        loop.close()


def test_a_loop_that_stands_still_for_a_moment_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is run again and again, as in loose mode, answers when it runs again."""
    monkeypatch.setattr(from_thread, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(from_thread, "MOST_LOOKS", 100_000)
    with no_asyncio_errors(), ThreadPoolExecutor(1) as threads:
        loop = Asked()
        asking: list[Any] = []

        def stop_when_asked() -> None:
            asking.append(threads.submit(result_from_thread, answer, loop))
            assert loop.asked.wait(LIMIT)
            loop.stop()

        async def see() -> int:
            return await asyncio.wait_for(asyncio.wrap_future(asking[0]), LIMIT)

        loop.call_soon(stop_when_asked)
        loop.run_forever()
        # By the thread, which asks again and again.
        loop.found_still.clear()
        assert loop.found_still.wait(LIMIT)
        assert loop.run_until_complete(see()) == 42
        loop.close()
