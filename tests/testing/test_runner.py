"""A run that is called several times: one task, one loop, and time that stands still in between."""

from __future__ import annotations

import asyncio
import signal
import threading
import weakref
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from support.leaks import no_asyncio_errors
from tukio.testing import BACKENDS, Deadlock, run
from tukio.testing.runner import Runner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

DAY = 24 * 3600.0

LOOPS = pytest.mark.backends("asyncio", "uvloop")


@pytest.fixture
def runner(backend: str) -> Iterator[Runner]:
    """Give a runner, and close it."""
    with no_asyncio_errors():
        runner = Runner(backend, patience=0.1)
        yield runner
        runner.close()


async def now() -> float:
    """Return the time."""
    await anyio.lowlevel.checkpoint()
    return anyio.current_time()


async def sleep(seconds: float) -> None:
    """Sleep."""
    await anyio.sleep(seconds)


def test_time_passes_in_calls_only(runner: Runner) -> None:
    """Deadlines of what goes on in the background do not count in between."""
    story: list[float] = []

    async def background() -> None:
        while True:
            await anyio.sleep(10)
            story.append(anyio.current_time())

    @asynccontextmanager
    async def block() -> AsyncGenerator[None, None]:
        async with anyio.create_task_group() as group:
            group.start_soon(background)
            yield
            group.cancel_scope.cancel()

    entered: Any = block()
    runner.call(entered.__aenter__())
    for count in (1, 2, 3):
        assert runner.run(now) == (count - 1) * 25
        runner.call(sleep(25))
        assert story == [10.0 * number for number in range(1, count * 25 // 10 + 1)]
    runner.call(entered.__aexit__(None, None, None))
    assert runner.run(now) == 75


def test_all_calls_are_in_one_task(runner: Runner) -> None:
    """Whatever becomes of them."""
    tasks: list[int] = []

    async def note(*, fails: bool) -> None:
        tasks.append(anyio.get_current_task().id)
        await anyio.sleep(1)
        if fails:
            raise LookupError(len(tasks))

    for count in range(1, 7):
        if count % 2:
            runner.call(note(fails=False))
        else:
            with pytest.raises(LookupError, match=str(count)):
                runner.call(note(fails=True))
    assert len(tasks) == 6
    assert len(set(tasks)) == 1


def test_results_and_errors_are_not_kept(runner: Runner) -> None:
    """Of a call that is over, nothing is left in the runner."""

    class Thing(Exception):
        pass

    async def make() -> Thing:
        return Thing()

    async def fail() -> None:
        raise Thing

    returned = weakref.ref(runner.call(make()))
    with pytest.raises(Thing) as caught:
        runner.call(fail())
    raised = weakref.ref(caught.value)
    del caught
    runner.run(now)
    assert returned() is None
    assert raised() is None


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt, OSError])
def test_whatever_a_call_raises_is_raised(runner: Runner, error: type[BaseException]) -> None:
    """In whatever class; the calls after it are as before."""

    async def fail() -> None:
        await anyio.sleep(1)
        raise error

    with pytest.raises(error):
        runner.call(fail())
    assert runner.run(now) == 1


def test_threads_are_waited_for(runner: Runner) -> None:
    """Time stands still meanwhile, and a thread may be at work between two calls."""
    gate = threading.Event()
    done: list[float] = []

    async def work() -> None:
        await anyio.to_thread.run_sync(gate.wait)
        done.append(anyio.current_time())

    @asynccontextmanager
    async def block() -> AsyncGenerator[None, None]:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            yield

    entered: Any = block()
    runner.call(entered.__aenter__())
    runner.run(now)
    gate.set()
    runner.call(entered.__aexit__(None, None, None))
    assert done == [0]


# What ends it


def test_one_that_waits_for_ever_is_told_and_the_next_call_goes_on(runner: Runner) -> None:
    """If it has entered nothing, nothing else is cancelled."""
    with pytest.raises(Deadlock, match="all tasks wait for something"):
        runner.run(anyio.sleep_forever)
    begun = runner.run(now)
    runner.call(sleep(DAY))
    assert runner.run(now) == begun + DAY


def test_what_may_have_entered_something_is_cancelled_with_all_around(runner: Runner) -> None:
    """No scope is around one call alone that may be left while another one is entered."""
    with pytest.raises(Deadlock, match=r"the test at .*test_runner\.py"):
        runner.call(sleep(float("inf")))
    with pytest.raises(RuntimeError, match="all of this run was, for a deadlock"):
        runner.call(sleep(1))


def test_a_deadlock_is_told_whatever_is_made_of_it(runner: Runner) -> None:
    """By what may have entered something: all around was cancelled."""

    async def swallow(error: Exception | None) -> None:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        if error is not None:
            raise error

    with pytest.raises(Deadlock, match="all tasks wait for something"):
        runner.call(swallow(None))
    other = Runner(BACKENDS[0])
    with pytest.raises(Deadlock) as caught:
        other.call(swallow(LookupError()))
    assert isinstance(caught.value.__cause__, LookupError)
    other.close()


def test_a_run_that_has_broken_off_calls_nothing(backend: str) -> None:
    """Here by what waits for ever, also when it is cancelled."""
    called: list[int] = []

    async def stuck() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()

    async def note() -> None:
        called.append(1)

    runner = Runner(backend, patience=0.05)
    with pytest.raises(Deadlock, match="nothing from outside"):
        runner.run(stuck)
    assert runner.is_broken
    with pytest.raises(RuntimeError, match="not called, because this run has broken off before"):
        runner.call(note())
    runner.close()
    assert called == []


def test_what_ends_the_task_itself_ends_the_run(backend: str) -> None:
    """A `GeneratorExit` means that the loop is gone, whoever has raised it."""

    async def exits() -> None:
        raise GeneratorExit

    with no_asyncio_errors():
        runner = Runner(backend)
        with pytest.raises(GeneratorExit):
            runner.call(exits())
        assert runner.is_broken
        runner.close()


def test_what_is_left_open_is_told(backend: str) -> None:
    """When the run ends, for a later call might have left it."""

    async def opens() -> None:
        anyio.CancelScope().__enter__()

    runner = Runner(backend)
    runner.call(opens())
    assert runner.run(now) == 0
    with pytest.raises(RuntimeError, match="a scope or a task group was left open"):
        runner.close()


def test_who_is_stuck_when_the_run_ends_is_told_as_that(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a deadlock, and not as a scope that was left open."""

    def close() -> None:
        raise Deadlock

    with monkeypatch.context() as patch:
        patch.setattr(runner._host, "close", close)
        with pytest.raises(Deadlock):
            runner.close()


def test_what_ctrl_c_has_left_open_is_not_told(backend: str) -> None:
    """It would take the place of Ctrl-C."""

    async def opens() -> None:
        anyio.CancelScope().__enter__()
        raise KeyboardInterrupt

    runner = Runner(backend)
    with pytest.raises(KeyboardInterrupt):
        runner.call(opens())
    runner.close()


@LOOPS
def test_tasks_that_are_left_are_cancelled(backend: str) -> None:
    """As `asyncio.run` does it."""
    story: list[str] = []

    async def lives() -> None:
        try:
            await asyncio.sleep(DAY)
        finally:
            story.append("cancelled")

    async def start() -> None:
        tasks.append(asyncio.create_task(lives()))
        await anyio.sleep(1)

    tasks: list[asyncio.Task[None]] = []
    runner = Runner(backend)
    runner.call(start())
    assert story == []
    runner.close()
    assert story == ["cancelled"]


@LOOPS
def test_another_task_that_ends_the_program_ends_the_call(backend: str) -> None:
    """What was called is cancelled, and there may be further calls: the clean-up."""
    story: list[str] = []

    async def ends() -> None:
        await asyncio.sleep(1)
        raise SystemExit(3)

    async def waits() -> None:
        tasks.append(asyncio.create_task(ends()))
        try:
            await asyncio.sleep(DAY)
        finally:
            story.append("unwound")

    tasks: list[asyncio.Task[None]] = []

    async def pending() -> int:
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    runner = Runner(backend)
    with pytest.raises(SystemExit):
        runner.run(waits)
    assert story == ["unwound"]
    assert runner.run(pending) == 0
    runner.run(now)
    runner.close()


@pytest.mark.parametrize("always", [False, True])
def test_ctrl_c_that_comes_before_a_call_is_for_that(
    monkeypatch: pytest.MonkeyPatch, *, always: bool
) -> None:
    """On trio, where it comes to the task: a clean-up is called all the same."""
    called: list[int] = []

    async def note() -> None:
        await anyio.lowlevel.checkpoint()
        called.append(1)

    runner = Runner("trio")
    assert runner.run(now) == 0
    host: Any = runner._host
    soon = host._soon

    def later(function: Any, turns: int = 5) -> None:
        if turns == 5:
            host._token.run_sync_soon(signal.raise_signal, signal.SIGINT)
        if turns:
            host._token.run_sync_soon(later, function, turns - 1)
        else:
            soon(function)

    monkeypatch.setattr(host, "_soon", later)
    with pytest.raises(KeyboardInterrupt):
        runner.call(note(), always=always)
    monkeypatch.undo()
    assert called == [1] * always
    assert runner.run(now) == 0
    runner.close()


@LOOPS
def test_ctrl_c_is_taken_back_for_the_next_call(backend: str) -> None:
    """A clean-up counts the cancellations of its task, as a task group of asyncio does."""

    async def press() -> None:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(1)

    async def pending() -> int:
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    runner = Runner(backend)
    with pytest.raises(KeyboardInterrupt):
        runner.run(press)
    assert runner.run(pending) == 0
    runner.close()


@LOOPS
def test_a_native_cancellation_between_two_calls_is_for_the_next_one_that_awaits(
    backend: str,
) -> None:
    """Once, and not if it was taken back before."""

    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        task.get_loop().call_soon(task.cancel)

    async def nothing() -> None: ...

    async def takes_back() -> None:
        tasks[0].uncancel()

    tasks: list[asyncio.Task[Any]] = []
    runner = Runner(backend)
    runner.call(cancels())
    runner.call(nothing())
    with pytest.raises(RuntimeError, match="cancelled from around"):
        runner.call(sleep(1))
    assert runner.was_cut
    runner.call(sleep(1))
    runner.call(cancels())
    runner.call(takes_back())
    runner.call(sleep(1))
    tasks[0].uncancel()
    runner.close()


# Others


def test_a_runner_without_a_call_can_be_closed(backend: str) -> None:
    """Nothing was begun."""
    with no_asyncio_errors():
        Runner(backend).close()


def test_one_runner_after_the_other(backend: str) -> None:
    """And a run in between; trio has one run at a time in a thread."""
    for _ in range(3):
        runner = Runner(backend, seed=1)
        runner.call(sleep(DAY))
        assert runner.run(now) == DAY
        runner.close()
        assert run(now, backend=backend) == 0


@pytest.mark.parametrize("name", BACKENDS)
async def test_a_runner_within_a_run_is_refused(name: str) -> None:
    """The outer loop would stand still."""
    with pytest.raises(RuntimeError, match="an event loop runs here already"):
        Runner(name)


def test_a_run_between_two_calls_on_trio_is_refused(runner: Runner, backend: str) -> None:
    """Trio would not have it; a loop of asyncio stands still then, and is not in the way."""
    runner.run(now)
    if backend != "trio":
        assert run(now, backend=backend) == 0
        return
    with pytest.raises(RuntimeError, match="await the function, in an async fixture"):
        run(now, backend="trio")
    assert runner.run(now) == 0


@pytest.mark.parametrize("kind", [ValueError, ImportError])
def test_a_backend_that_cannot_be_used_is_refused(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `run` refuses it."""
    monkeypatch.setattr("tukio.testing.clock.is_available", lambda name: False)
    with pytest.raises(kind):
        Runner("curio" if kind is ValueError else "trio")
