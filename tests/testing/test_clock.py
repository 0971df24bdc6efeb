"""Time is virtual on every loop, exact to the instant; and who is stuck is told where."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import traceback
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from tukio.testing.clock import new_loop, run, settle
from tukio.testing.deadlock import START, Deadlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tukio.testing.loop import VirtualTime

LOOPS = pytest.mark.backends("asyncio", "uvloop")
DAY = 24 * 3600


@pytest.fixture
def loop(backend: str) -> Iterator[VirtualTime]:
    """Give a loop that the test drives itself."""
    loop = new_loop(backend, patience=0.2)
    yield loop
    loop.close()


# Time


async def test_thirty_days_pass_at_once() -> None:
    """Time is exact, and costs nothing."""
    assert anyio.current_time() == START
    await anyio.sleep(30 * DAY)
    assert anyio.current_time() == START + 30 * DAY


async def test_a_timeout_comes_to_the_second_even_while_a_clean_up_is_shielded() -> None:
    """Scopes of anyio keep their meaning on the virtual clock."""
    with anyio.move_on_after(60) as scope:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
    assert scope.cancelled_caught
    assert anyio.current_time() == START + 62


async def test_settling_takes_no_time() -> None:
    """A test can wait for the others to get stuck, at the very same instant."""
    turns: list[int] = []

    async def busy() -> None:
        for turn in range(20):
            await anyio.lowlevel.checkpoint()
            turns.append(turn)
        await anyio.sleep(5)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(busy)
        await settle()
        assert turns == list(range(20))
        assert anyio.current_time() == START
    assert anyio.current_time() == START + 5


@LOOPS
async def test_timers_of_one_instant_keep_their_order_and_their_context() -> None:
    """Within one instant the first to be set is the first to fire, as with the real clock."""
    number = contextvars.ContextVar("number", default=-1)
    fired: list[tuple[float, int]] = []
    loop = asyncio.get_running_loop()
    for value in range(10):
        number.set(value)
        loop.call_at(loop.time() + 2 - value % 2, lambda: fired.append((loop.time(), number.get())))
    number.set(-1)
    await asyncio.sleep(3)
    assert fired == [(1, 1), (1, 3), (1, 5), (1, 7), (1, 9), (2, 0), (2, 2), (2, 4), (2, 6), (2, 8)]


@LOOPS
async def test_a_cancelled_timer_neither_fires_nor_holds_time() -> None:
    """Not even when a timer of the same instant cancels it."""
    fired: list[str] = []
    loop = asyncio.get_running_loop()
    loop.call_later(1, fired.append, "early").cancel()
    timers: list[asyncio.TimerHandle] = []

    def cancel_the_other() -> None:
        timers[0].cancel()

    loop.call_later(5, cancel_the_other)
    timers.append(loop.call_later(5, fired.append, "late"))
    await asyncio.sleep(10)
    assert fired == []
    assert loop.time() == START + 10


@LOOPS
def test_a_loop_can_be_run_again_and_again(loop: VirtualTime) -> None:
    """The loose mode drives its loop in pieces; time goes on where it stood."""
    for run_count in range(1, 4):
        loop.run_until_complete(asyncio.sleep(100))
        assert loop.time() == START + 100 * run_count


@LOOPS
async def test_only_plain_asyncio_is_in_debug_mode(backend: str) -> None:
    """Debug mode finds calls from the wrong thread; on uvloop code runs as users run it."""
    assert asyncio.get_running_loop().get_debug() == (backend == "asyncio")


# Deadlocks


def test_a_stuck_test_fails_at_once_and_tells_where(backend: str) -> None:
    """The cause of the error is the cancellation that ended the wait."""

    async def waits_in_vain() -> None:
        await anyio.Event().wait()

    with pytest.raises(Deadlock, match=r"^deadlock: ") as stuck:
        run(waits_in_vain, backend=backend)
    cause = stuck.value.__cause__
    assert cause is not None
    frames = traceback.extract_tb(cause.__traceback__)
    assert "waits_in_vain" in [frame.name for frame in frames]


@LOOPS
def test_a_stuck_loop_names_its_tasks_and_can_go_on(loop: VirtualTime) -> None:
    """A loop without any timer is given up after some real time."""
    gate = loop.create_future()

    async def wait_at_gate() -> None:
        await gate

    task = loop.create_task(wait_at_gate(), name="gatekeeper")
    with pytest.raises(Deadlock, match="gatekeeper"):
        loop.run_until_complete(task)
    gate.set_result(None)
    loop.run_until_complete(task)


@LOOPS
def test_news_from_a_thread_are_waited_for(loop: VirtualTime) -> None:
    """A loop that waits for a thread is not stuck."""
    gate: asyncio.Future[str] = loop.create_future()
    thread = threading.Timer(0.05, partial(loop.call_soon_threadsafe, gate.set_result, "news"))
    thread.start()
    assert loop.run_until_complete(gate) == "news"
    thread.join()
