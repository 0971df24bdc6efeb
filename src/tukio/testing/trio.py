"""trio in virtual time: a clock that jumps to the next deadline, and a seed for the scheduler.

Owns:   the clock of one run, which jumps when nothing else can happen and no thread is at work.
Knows:  trio's public `Clock` and `Instrument`, and one private thing: the random numbers that order
        tasks. Sockets and processes are invisible to the clock, as to trio's own mock clock.
"""

from __future__ import annotations

import gc
import inspect
import math
import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import trio
import trio.testing

from .._loop.coroutines import finish_awaiting
from .._loop.frames import frames_of
from .deadlock import START, Deadlock, Patience, started_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator
    from types import FrameType

T = TypeVar("T")

_TO_THREAD: Any = inspect.unwrap(trio.to_thread.run_sync)
_WAITS_FOR_THREADS = frozenset(
    {_TO_THREAD.__code__, trio.testing.wait_all_threads_completed.__code__}
)

JUMP = 1.0
"""Real seconds that trio is told to sleep if it is to be woken up at once; must not be zero."""


def run(main: Callable[[], Awaitable[T]], *, seed: int | None, patience: Patience) -> T:
    """Run an async function on trio, in virtual time.

    Raises:
        Deadlock: The run has lost patience with its threads, or nothing could happen any more.
        NotImplementedError: There is a seed, but this trio cannot be given one.
    """
    clock = VirtualClock(patience)

    async def marked() -> T:
        started_by.set(clock)
        return await main()

    with patience.judged(), scheduled(seed):
        try:
            return trio.run(marked, clock=clock, instruments=[clock])
        except trio.TrioInternalError as error:
            if not isinstance(error.__cause__, Deadlock):
                raise
            # A copy, because the traceback of the original keeps the tasks of the run alive.
            deadlock = Deadlock(*error.__cause__.args)
        _discard_tasks()
        raise deadlock


def _discard_tasks() -> None:
    """Destroy the tasks of a run that broke off, and silence the complaints about that."""
    hook, sys.unraisablehook = sys.unraisablehook, _nothing
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook


async def settle() -> None:
    """Wait until every other task is blocked; no time passes meanwhile."""
    await trio.testing.wait_all_tasks_blocked()


def is_virtual() -> bool:
    """Return whether the time of the running trio is virtual, by this clock or by trio's own."""
    clock = trio.lowlevel.current_clock()
    return isinstance(clock, VirtualClock | trio.testing.MockClock)


class VirtualClock(trio.abc.Clock, trio.abc.Instrument):
    """A clock that stands still while anything can happen, and then jumps to the next deadline.

    trio asks the clock how long to sleep when no task is ready. The clock jumps only if trio is
    really about to sleep, that is, if no task waits for the others to be blocked.

    Args:
        patience: The real time to wait when there is no deadline, or a thread is at work.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience: Patience = patience
        self._now: float = START
        # The three below are set together, each time trio asks: the next deadline, the answer that
        # trio got, and whether to jump to the deadline if trio does sleep.
        self._deadline: float = math.inf
        self._sleep: float = JUMP
        self._may_jump: bool = False

    def start_clock(self) -> None:
        """Called when the run begins; nothing to do."""

    def current_time(self) -> float:
        """Return the virtual time."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return the real seconds that trio may sleep while nothing happens.

        Raises:
            Deadlock: The run has lost patience, and there is no deadline to jump to.
        """
        if deadline <= self._now:
            return 0
        self._deadline = deadline
        self._sleep, self._may_jump = self._decide(self._threads_at_work())
        return self._sleep

    def before_io_wait(self, timeout: float) -> None:
        """Called before trio sleeps; jump if trio is going to sleep as long as it may."""
        if timeout < self._sleep:
            # A task is ready, or a task waits for the others to be blocked.
            self._patience.renew()
        elif self._may_jump:
            self._patience.renew()
            self._now = self._deadline
            # Wakes trio up, which is going to sleep.
            trio.lowlevel.current_trio_token().run_sync_soon(_nothing, idempotent=True)

    def _decide(self, threads: int) -> tuple[float, bool]:
        """Return how long trio may sleep, and whether to jump to the deadline if it does."""
        has_deadline = self._deadline < math.inf
        if has_deadline and not threads:
            return JUMP, True
        if (left := self._patience.left(threads)) > 0:
            return left, False
        if threads and self._patience.lose(threads) and has_deadline:
            return JUMP, True
        msg = "deadlock: no task is ready, no deadline, nothing from outside"
        raise Deadlock(msg)

    def _threads_at_work(self) -> int:
        """Return the number of threads at work, without those that wait for a task."""
        # The limiter also knows of threads that no task waits for any more.
        limiter = trio.to_thread.current_default_thread_limiter()
        at_work = max(trio.testing.active_thread_count(), limiter.borrowed_tokens)
        return max(0, at_work - sum(map(self._is_awaited_by_thread, all_tasks()))) if at_work else 0

    def _is_awaited_by_thread(self, task: trio.lowlevel.Task) -> bool:
        """Return whether a worker thread waits for a task, which runs a call for it."""
        return task.context.get(started_by) is self and any(
            frame.f_globals is _TO_THREAD.__globals__ and frame.f_code not in _WAITS_FOR_THREADS
            for frame in _frames(task)
        )


def _nothing(*_: object) -> None:
    """Do nothing."""


def _frames(task: trio.lowlevel.Task) -> Iterator[FrameType]:
    """Yield the frames of a task, and of the step of a workflow that it drives."""
    frame: FrameType | None = None
    for frame, _ in task.iter_await_frames():
        yield frame
    if frame is not None and frame.f_code is finish_awaiting.__code__:
        yield from frames_of(frame.f_locals["coro"])


def all_tasks() -> Iterator[trio.lowlevel.Task]:
    """Yield the tasks of this run; the nursery of the system tasks is part of the tree."""
    root = trio.lowlevel.current_root_task()
    waiting = [root] if root else []
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


@contextmanager
def scheduled(seed: int | None) -> Generator[None, None, None]:
    """Make the order of tasks that are ready together follow from a seed, for a `with` block.

    Args:
        seed: The seed; None leaves the order to chance, or to Hypothesis, as trio does.

    Raises:
        NotImplementedError: This trio cannot be given a seed.
    """
    if seed is None:
        yield
        return
    # There is no public way. pytest-trio and Hypothesis use these names, too.
    scheduler: Any = sys.modules.get("trio._core._run")
    generator = getattr(scheduler, "_r", None)
    if not (isinstance(generator, random.Random) and hasattr(scheduler, _DETERMINISTIC)):
        msg = f"trio {trio.__version__} cannot be given a seed - use seed=None, or another backend"
        raise NotImplementedError(msg)
    state, deterministic = generator.getstate(), getattr(scheduler, _DETERMINISTIC)
    generator.seed(seed)
    setattr(scheduler, _DETERMINISTIC, True)
    try:
        yield
    finally:
        setattr(scheduler, _DETERMINISTIC, deterministic)
        generator.setstate(state)


_DETERMINISTIC = "_ALLOW_DETERMINISTIC_SCHEDULING"
