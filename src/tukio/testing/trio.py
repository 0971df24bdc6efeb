"""trio in virtual time: a clock that jumps to the next deadline, and a seed for the scheduler.

Owns:   the clock of one run, which jumps when nothing else can happen and no thread is at work.
Knows:  trio's public `Clock` and `Instrument`, and two private things: the random numbers that
        order tasks, and how threads are told that a run is over. Sockets and processes are
        invisible to the clock, as to trio's own mock clock.
"""

from __future__ import annotations

import inspect
import math
import random
import sys
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import trio
import trio.testing

from .._loop.coroutines import finish_awaiting
from .._loop.frames import frames_of
from .deadlock import START, Deadlock, Patience, started_by
from .remains import discard, discard_kept
from .waiting import who_waits

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
        RuntimeError: There is a run of trio in this thread that goes on later. Nothing was run.
    """
    if trio.lowlevel.in_trio_run():
        # Between two of its calls; within one, whoever calls this has been refused.
        msg = (
            "trio has one run at a time in a thread, and that of a test with async fixtures goes on"
            " later - await the function, in an async fixture"
        )
        raise RuntimeError(msg)
    discard_kept()
    clock = VirtualClock(patience)

    async def marked() -> T:
        started_by.set(clock)
        return await main()

    with patience.judged(), scheduled(seed):
        try:
            return trio.run(marked, clock=clock, instruments=[clock])
        except trio.TrioInternalError as error:
            deadlock = deadlock_of(error)
        discard(clock.left_behind)
        raise deadlock


def deadlock_of(error: trio.TrioInternalError) -> Deadlock:
    """Return the deadlock by which a run of trio has broken off.

    It is a copy, because the traceback of the original keeps the tasks of the run alive.

    Raises:
        TrioInternalError: It has broken off by something else.
    """
    if not isinstance(error.__cause__, Deadlock):
        raise error
    return Deadlock(*error.__cause__.args)


def call_at(instant: float, function: Callable[[], object]) -> Callable[[], None]:
    """Call a function at an instant, in a task of the system; return what prevents that."""
    scope = trio.CancelScope()
    trio.lowlevel.spawn_system_task(_call_at, instant, function, scope, name="tukio guard")
    return scope.cancel


async def _call_at(instant: float, function: Callable[[], object], scope: trio.CancelScope) -> None:
    with scope:
        await trio.sleep_until(instant)
        function()


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

    Attributes:
        left_behind: The tasks of a run that has broken off by a deadlock.
    """

    def __init__(self, patience: Patience) -> None:
        self.left_behind: list[trio.lowlevel.Task] = []
        self._patience: Patience = patience
        self._now: float = START
        # The wall time at instant 0: that is virtual, too, and one for all engines of the run.
        self.wall_anchor: float = time.time() - START
        # The three below are set together, each time trio asks: the next deadline, the answer that
        # trio got, and whether to jump to the deadline if trio does sleep.
        self._deadline: float = math.inf
        self._sleep: float = JUMP
        self._may_jump: bool = False
        # Of `call_beside`, until the next turn.
        self._beside: deque[Callable[[], object]] = deque()
        # Whether the run is not to sleep, for it does not go on.
        self._is_held: bool = False

    def hold(self) -> None:
        """Stand still, whatever the deadlines are, until `go_on`: nobody waits for any."""
        self._is_held = True

    def go_on(self) -> None:
        """Undo `hold`."""
        self._is_held = False

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
        if deadline <= self._now or self._is_held:
            return 0
        self._deadline = deadline
        self._sleep, self._may_jump = self._decide(self._threads_at_work())
        return self._sleep

    def call_beside(self, callback: Callable[[], object]) -> None:
        """Call a function in the next turn, from any thread, without a place in any order."""
        self._beside.append(callback)

    def before_io_wait(self, timeout: float) -> None:
        """Called before trio sleeps; jump if trio is going to sleep as long as it may."""
        while self._beside:
            self._beside.popleft()()
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
        told = "deadlock: no task is ready, no deadline, nothing from outside"
        deadlock = Deadlock(told + who_waits())
        # The run breaks off by this.
        self.left_behind = list(all_tasks())
        _tell_threads_that_it_is_over()
        raise deadlock

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


def _tell_threads_that_it_is_over() -> None:
    """Make threads of this run that end later tell nobody, as those of a run that has ended.

    There is no public way: a run that breaks off says nothing, and its threads print what they get.
    """
    queue: Any = getattr(trio.lowlevel.current_trio_token(), "_reentry_queue", None)
    if hasattr(queue, "done"):
        queue.done = True


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
