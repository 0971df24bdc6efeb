"""`tukio.testing.run`: time is virtual, and what happens in threads is waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
import trio.testing

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors
from tukio.testing import BACKENDS, Deadlock, new_loop, run, settle
from tukio.testing.loop import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPS = pytest.mark.backends("asyncio", "uvloop")
DAY = 24 * 3600.0

A_WHILE = 0.03
"""Real seconds; in less, a loop that does not wait has jumped to the end of time."""

LIMIT = 20
"""Real seconds after which a thread can only be stuck."""


async def seconds(count: float) -> float:
    """Sleep, and return the time."""
    await anyio.sleep(count)
    return anyio.current_time()


# Runs


def test_a_run_returns_what_its_function_returns(backend: str) -> None:
    """At exactly the right instant; each run has a time of its own."""
    assert run(seconds, 30 * DAY, backend=backend) == 30 * DAY
    assert run(seconds, 0.1, backend=backend) == 0.1


def test_asyncio_is_what_a_run_is_on_unless_it_is_told() -> None:
    """As with anyio."""

    async def is_asyncio() -> bool:
        return isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)

    assert run(is_asyncio)


def test_a_run_raises_what_its_function_raises(backend: str) -> None:
    """Not wrapped in anything."""

    async def fail() -> None:
        await anyio.sleep(1)
        raise LookupError("here")

    with pytest.raises(LookupError, match=r"^here$"):
        run(fail, backend=backend)


@pytest.mark.parametrize("name", BACKENDS[1:])
def test_a_backend_that_is_not_installed_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install; nothing is run."""
    monkeypatch.setitem(sys.modules, name, None)
    story: list[str] = []

    async def note() -> None:
        story.append("run")

    with pytest.raises(ImportError, match=rf"^{name} is not .* pip install 'tukio\[{name}\]'$"):
        run(note, backend=name)
    with pytest.raises(ImportError, match=name):
        new_loop(name)
    assert story == []


def test_an_unknown_backend_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="'curio' - there are asyncio, uvloop, trio"):
        run(seconds, 1, backend="curio")


@pytest.mark.parametrize("inner", BACKENDS)
async def test_a_run_within_a_run_is_refused(inner: str) -> None:
    """The outer loop would stand still."""
    with pytest.raises(RuntimeError, match="an event loop runs here already"):
        run(seconds, 1, backend=inner)


@LOOPS
def test_time_does_not_pass_when_a_loop_is_left(backend: str) -> None:
    """A timer that is set for later does not fire because nothing else is ready any more."""
    loop = new_loop(backend)
    fired: list[float] = []
    loop.call_later(100, lambda: fired.append(loop.time()))

    async def nothing() -> None: ...

    try:
        for count in (1, 2, 3):
            loop.run_until_complete(nothing())
            loop.run_until_complete(asyncio.sleep(1))
            loop.call_soon(loop.stop)
            loop.run_forever()
            assert (loop.time(), fired) == (count, [])
        loop.run_until_complete(asyncio.sleep(200))
        assert (loop.time(), fired) == (203, [100])
    finally:
        loop.close()


@LOOPS
def test_news_from_a_thread_come_before_a_jump(backend: str) -> None:
    """What another thread has queued is ready, and no time passes before it is done."""
    loop = new_loop(backend)
    loop.call_later(100, print)
    try:
        loop.run_until_complete(asyncio.sleep(0))
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
        thread.start()
        thread.join()
        loop.run_forever()
        assert loop.time() == 0
    finally:
        loop.close()


@LOOPS
async def test_timers_that_were_cancelled_are_forgotten() -> None:
    """Long before they are due; those that are set still fire, in their order."""
    loop = asyncio.get_running_loop()
    fired: list[int] = []
    for number in range(1000):
        loop.call_later(DAY + 1000 - number, fired.append, number)
    late = [loop.call_later(2 * DAY, fired.append, number) for number in range(10_000)]
    handles = [weakref.ref(timer) for timer in late]
    while late:
        late.pop().cancel()
    assert len([1 for timer in handles if timer() is not None]) < 1000
    await anyio.sleep(DAY + 1000)
    assert fired == [*range(999, -1, -1)]


@LOOPS
def test_settling_needs_virtual_time(backend: str) -> None:
    """In real time there is `anyio.wait_all_tasks_blocked`."""
    with pytest.raises(RuntimeError, match="not in virtual time"):
        anyio.run(settle, backend_options={"use_uvloop": backend == "uvloop"})


@pytest.mark.backends("trio")
async def test_trio_s_own_wait_for_the_others_comes_before_the_jump() -> None:
    """As with trio's mock clock; with a cushion of real time, too."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)
        for cushion in (0, 0.005):
            await trio.testing.wait_all_tasks_blocked(cushion)
            assert trio.current_time() == 0


@pytest.mark.parametrize("shielded", [False, True])
def test_a_shield_does_not_hide_a_deadlock(backend: str, *, shielded: bool) -> None:
    """Beyond the reach of any time limit, there is still the real clock."""

    async def wait_in_vain() -> None:
        with anyio.CancelScope(shield=shielded):
            await anyio.sleep_forever()

    with no_asyncio_errors(), pytest.raises(Deadlock):
        run(wait_in_vain, backend=backend, patience=A_WHILE)


# Threads


async def in_a_thread_of_anyio(work: Callable[[], Any]) -> Any:
    """Call a function as most do."""
    return await anyio.to_thread.run_sync(work)


async def in_a_thread_with_a_limiter(work: Callable[[], Any]) -> Any:
    """Call a function where the default limiter knows nothing of it."""
    limiter = anyio.CapacityLimiter(1)
    return await anyio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)


async def in_the_backend_s_thread(work: Callable[[], Any]) -> Any:
    """Call a function without anyio."""
    if trio.lowlevel.in_trio_task():
        return await trio.to_thread.run_sync(work)
    return await asyncio.to_thread(work)


async def in_an_executor(work: Callable[[], Any]) -> Any:
    """Call a function in a pool of the user's own."""
    if trio.lowlevel.in_trio_task():
        return await trio.to_thread.run_sync(work, limiter=trio.CapacityLimiter(1))
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


in_every_thread = pytest.mark.parametrize(
    "in_thread",
    [
        in_a_thread_of_anyio,
        in_a_thread_with_a_limiter,
        in_the_backend_s_thread,
        in_an_executor,
    ],
)


class Clock:
    """A virtual second, and whether it is over."""

    def __init__(self) -> None:
        self._over: threading.Event = threading.Event()

    async def tick(self) -> None:
        """Let it pass."""
        await anyio.sleep(1)
        self._over.set()

    def stands_still(self) -> bool:
        """Look, in a thread, for a while of real time, whether it passes."""
        return not self._over.wait(A_WHILE)


@pytest.fixture
def clock() -> Clock:
    """Give a virtual second."""
    return Clock()


@in_every_thread
async def test_time_stands_still_while_a_thread_is_at_work(in_thread: Any, clock: Clock) -> None:
    """Again and again: an idle thread that is kept for later does not hold it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.tick)
        assert await in_thread(clock.stands_still)
        assert await in_thread(clock.stands_still)
        assert anyio.current_time() == 0
        await anyio.sleep(3)
        assert not await in_thread(clock.stands_still)
    assert anyio.current_time() == 3


@LOOPS
async def test_the_limiter_of_anyio_alone_is_enough(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is public; how anyio keeps its threads is not, and may change."""
    monkeypatch.setattr(VirtualTime, "_busy_workers", lambda self: 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.tick)
        assert await in_a_thread_of_anyio(clock.stands_still)
    assert anyio.current_time() == 1


@in_every_thread
async def test_an_error_in_a_thread_is_raised_where_it_is_awaited(in_thread: Any) -> None:
    """As in real time; and time goes on."""

    def fail() -> None:
        raise LookupError("there")

    with pytest.raises(LookupError, match="there"):
        await in_thread(fail)
    assert await seconds(5) == 5


async def test_a_time_limit_does_not_cut_off_what_a_thread_does(clock: Clock) -> None:
    """The limit is on the virtual clock, the work is not."""
    with anyio.fail_after(0.5):
        assert await anyio.to_thread.run_sync(clock.stands_still, abandon_on_cancel=True)


@in_every_thread
async def test_waiting_for_a_thread_costs_no_processor(in_thread: Any) -> None:
    """The loop really waits."""
    before = time.thread_time()
    await in_thread(partial(time.sleep, 0.2))
    assert time.thread_time() - before < 0.1


async def test_settling_does_not_wait_for_threads() -> None:
    """A thread may be waiting for what the test does then."""
    gate = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, gate.wait, LIMIT)
        await settle()
        gate.set()
    assert anyio.current_time() == 0


@LOOPS
def test_the_threads_of_the_default_executor_have_ended_after_the_run(backend: str) -> None:
    """The five minutes that asyncio gives them are not on the virtual clock."""
    gate, story = threading.Event(), list[str]()

    def work() -> None:
        gate.wait(A_WHILE)
        story.append("done")

    async def leave_it() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    run(leave_it, backend=backend)
    assert story == ["done"]


# Calls from threads


@in_every_thread
async def test_time_passes_for_what_a_thread_has_called(in_thread: Any, clock: Clock) -> None:
    """It waits for the loop, then, and the loop must not wait for it; before and after, it does."""
    before, after = clock, Clock()
    of_anyio = in_thread in {in_a_thread_of_anyio, in_a_thread_with_a_limiter}
    token = None if of_anyio else anyio.lowlevel.current_token()

    def work() -> list[bool]:
        story = [before.stands_still()]
        anyio.from_thread.run(anyio.sleep, 10, token=token)
        return [*story, after.stands_still()]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(before.tick)
        tasks.start_soon(ticks_after, 10, after)
        assert await in_thread(work) == [True, True]
        assert anyio.current_time() == 10


async def ticks_after(delay: float, clock: Clock) -> None:
    """Let a second pass after another time."""
    await anyio.sleep(delay)
    await clock.tick()


async def test_a_thread_in_a_call_does_not_hide_one_at_work(clock: Clock) -> None:
    """Time passes when both of them wait for it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.tick)
        tasks.start_soon(anyio.to_thread.run_sync, anyio.from_thread.run, seconds, 10)
        assert await anyio.to_thread.run_sync(clock.stands_still)
    assert anyio.current_time() == 10


async def test_the_call_of_a_stranger_does_not_hide_a_thread_at_work(clock: Clock) -> None:
    """No task waits for the thread it comes from, so it holds nothing, and lets nothing go."""
    answer: Future[float] = Future()
    token = anyio.lowlevel.current_token()

    def stranger() -> None:
        answer.set_result(anyio.from_thread.run(seconds, 10, token=token))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.tick)
        thread = threading.Thread(target=stranger)
        thread.start()
        assert await anyio.to_thread.run_sync(clock.stands_still)
        assert anyio.current_time() == 0
    await anyio.sleep(20)
    await anyio.to_thread.run_sync(thread.join, LIMIT)
    assert answer.result(0) == 10


@pytest.fixture
def steps() -> Iterator[None]:
    """Register a task that sleeps, by way of a thread."""
    from support.flow import Tasks

    tasks = Tasks()

    @tasks
    async def nap(event: tukio.Event) -> dict[str, float]:
        return {"time": await anyio.to_thread.run_sync(anyio.from_thread.run, seconds, 10)}

    yield
    tasks.forget()


@pytest.mark.usefixtures("steps")
async def test_workflows_and_threads_wait_for_each_other() -> None:
    """A thread starts a run, and waits for it; the step of the run waits for a thread in turn."""
    async with tukio.Engine() as engine:

        def work() -> Any:
            run = engine.from_thread(engine.run_once, flow("nap"), {})
            return engine.from_thread(run.wait), run.outputs

        for count in (1, 2):
            state, outputs = await anyio.to_thread.run_sync(work)
            assert state is tukio.FutureState.finished
            assert outputs == {"nap": {"time": 10 * count}}


# Threads that do not end


async def opens(gate: threading.Event, story: list[float]) -> None:
    """Open a gate, after an hour."""
    await anyio.sleep(3600)
    gate.set()
    story.append(anyio.current_time())


@in_every_thread
def test_a_thread_that_waits_for_time_to_pass_is_told(backend: str, in_thread: Any) -> None:
    """Only the thread keeps it from passing. So it does, for the run to end in good order."""
    gate, story = threading.Event(), list[float]()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opens, gate, story)
            assert await in_thread(partial(gate.wait, LIMIT))

    with (
        no_asyncio_errors(),
        pytest.raises(Deadlock, match=r"while 1 thread is at work, for 0\.03 real seconds"),
    ):
        run(main, backend=backend, patience=A_WHILE)
    assert story == [3600]


def test_what_a_run_raises_after_it_has_lost_patience_is_the_cause(backend: str) -> None:
    """It may come from the time that has passed too early."""
    gate = threading.Event()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opens, gate, [])
            await anyio.to_thread.run_sync(gate.wait, LIMIT)
            raise LookupError

    with pytest.raises(Deadlock, match="at work") as told:
        run(main, backend=backend, patience=A_WHILE)
    assert isinstance(told.value.__cause__, ExceptionGroup)


@LOOPS
def test_a_thread_that_never_ends_does_not_keep_the_run_from_ending(backend: str) -> None:
    """What waits for it is cancelled."""
    gate, story = threading.Event(), list[str]()

    async def main() -> None:
        try:
            await anyio.to_thread.run_sync(gate.wait, LIMIT)
        finally:
            story.append("unwound")

    with no_asyncio_errors(), pytest.raises(Deadlock, match="1 thread is at work"):
        run(main, backend=backend, patience=A_WHILE)
    gate.set()
    assert story == ["unwound"]


@LOOPS
def test_a_thread_that_never_ends_is_not_given_all_the_time_there_is(backend: str) -> None:
    """A heart that goes on beating has some beats more, and no end of them."""
    gate, beats = threading.Event(), list[float]()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, gate.wait, LIMIT)
            for _ in range(100):
                beats.append(await seconds(1))

    with pytest.raises(Deadlock, match="1 thread is at work"):
        run(main, backend=backend, patience=A_WHILE)
    gate.set()
    assert len(beats) < 10


STUCK = f"""
import threading, time
import anyio.to_thread
from tukio.testing import Deadlock, run

async def main():
    await anyio.to_thread.run_sync(threading.Event().wait)

try:
    run(main, backend="trio", patience={A_WHILE})
except Deadlock as verdict:
    print(verdict)
"""


def test_a_thread_that_never_ends_does_not_keep_a_run_on_trio_from_ending() -> None:
    """Trio itself would wait for ever; the thread goes with the process."""
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, check=True, timeout=LIMIT
    )
    assert "1 thread is at work" in done.stdout
