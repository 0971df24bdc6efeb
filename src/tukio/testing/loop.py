"""An event loop in virtual time: asyncio's or uvloop's, with timers of its own.

Owns:   the jump to the next timer when nothing else can happen, the count of the threads that
        tasks wait for, and the verdict "deadlock" when there is neither a timer nor a thread.
Knows:  `call_soon`, `run_in_executor` and `create_task` of the base class. Sockets and processes
        are invisible to the loop: while a test waits for one of them, the next timer fires at once.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from .deadlock import NAP, START, Deadlock, Patience, started_by
from .order import Order, task_driven_by
from .timers import Timer
from .waiting import who_waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from concurrent.futures import Executor
    from contextvars import Context

    import anyio

    _Loop = asyncio.BaseEventLoop
else:
    _Loop = object

T = TypeVar("T")
Args = TypeVarTuple("Args")


SPARE = 64
"""At least this many cancelled timers may stay in the heap."""


class VirtualTime(_Loop):
    """Event-loop mixin that keeps its own timers and jumps from one to the next.

    Idleness is detected, not guessed. A probe is queued behind every callback that is ready. If
    none of these has queued another callback by the time the probe runs, nothing can happen before
    the next timer. This needs only `call_soon`, so it works on uvloop as well, whose own clock
    cannot be replaced.

    Time does not jump while a thread is at work that was started by `run_in_executor`, as
    `asyncio.to_thread` does, or by anyio.

    Attributes:
        patience: The real time that the loop waits for threads and sockets, when there is no timer
            to jump to, or a thread is at work.
        order: The order of tasks that are ready together; None is the order of asyncio itself.
        limiter: The limiter of the threads that anyio starts; None if it is unknown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow_callback_duration: float = math.inf  # a jump is not a slow callback
        self.patience: Patience = Patience()
        self.wall_anchor: float = time.time() - START  # one for all engines of the loop
        self.order: Order | None = None
        self.limiter: anyio.CapacityLimiter | None = None
        self._now: float = START  # only `_jump` changes it
        self._timers: list[Timer] = []  # always a heap; cancelled timers may stay in it
        self._cancelled_count: int = 0  # at least the number of cancelled timers in the heap
        self._numbers: itertools.count[int] = itertools.count()
        self._queued_count: int = 0  # never reset, because only its changes matter
        self._settlers: list[asyncio.Future[None]] = []  # one for each `settle` that waits
        self._is_probing: bool = False  # whether a probe is queued: from the first run on, always
        self._is_stopping: bool = False
        self._stuck_with: str | None = None  # set by a probe, for `run_forever` to raise `Deadlock`
        self._thread: int | None = None  # the thread that runs the loop
        self._news: threading.Event = threading.Event()  # set by callbacks from other threads
        self._beside: deque[Callable[[], object]] = deque()  # for the next probe
        self._awaited_threads: int = 0  # without those of anyio
        self._calls_from_threads: int = 0  # tasks that worker threads wait for
        self._is_taking_call: bool = False  # while a callback from a worker thread runs

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def live_timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that have neither fired nor been cancelled, in no special order."""
        return [timer.handle for timer in self._timers if not timer.handle.cancelled()]

    async def settle(self) -> None:
        """Wait until nothing can happen before time passes; no time passes meanwhile.

        Threads at work are not waited for.
        """
        settler = self.create_future()
        self._settlers.append(settler)
        await settler

    # The life of the loop ------------------------------------------------------------------------

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until a future is done, and return its result.

        Raises:
            Deadlock: The loop has lost patience with a thread. Or see `run_forever`.
        """
        with self.patience.judged():
            return super().run_until_complete(future)

    def run_forever(self) -> None:
        """Run until `stop` is called.

        Raises:
            Deadlock: Nothing is queued, there is no timer, and the loop has lost patience.
        """
        self._thread = threading.get_ident()
        self._is_stopping = False
        if not self._is_probing:
            self._is_probing = True
            self._probe_later()
        super().run_forever()
        if self._stuck_with is not None:
            waiting, self._stuck_with = self._stuck_with, None
            self.patience.renew()
            told = f"deadlock: nothing queued, no timer, nothing from outside{waiting}"
            raise Deadlock(told)

    def stop(self) -> None:
        """Stop the loop after the callbacks that are ready; no time passes any more."""
        self._is_stopping = True
        super().stop()

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - it would be over at once
    ) -> None:
        """Wait for the threads of the default executor to end.

        Args:
            timeout: Has no effect.
        """
        await super().shutdown_default_executor()

    # Callbacks -----------------------------------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Queue a callback, and count it, so that the probe knows of it."""
        self._queued_count += 1
        if self.order is None:
            return super().call_soon(callback, *args, context=context)
        task = task_driven_by(callback)
        if task is None:
            self.order.separate()
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(self.order.place(task, callback, args, context))

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Queue a callback from any thread, and wake the loop if it waits for threads."""
        if self.order is not None:
            self.order.separate()
        if self._thread == threading.get_ident():
            self._queued_count += 1
            return super().call_soon_threadsafe(callback, *args, context=context)
        if started_by.get(None) is self:
            call = partial(self._take_call, partial(callback, *args))
            handle = super().call_soon_threadsafe(call, context=context)
        else:
            handle = super().call_soon_threadsafe(callback, *args, context=context)
        self._news.set()
        return handle

    def call_beside(self, callback: Callable[[], object]) -> None:
        """Call a function in the next turn, from any thread, without a place in any order."""
        self._beside.append(callback)

    # Threads -------------------------------------------------------------------------------------

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        """Call a function in a thread; no virtual time passes before the future is done."""
        if executor is None or isinstance(executor, ThreadPoolExecutor):
            work = partial(_as_worker_of, self, partial(func, *args))
            future = super().run_in_executor(executor, work)
        else:
            # Another kind of executor may pickle the function, so it is passed as it is.
            future = super().run_in_executor(executor, func, *args)
        self._awaited_threads += 1
        future.add_done_callback(self._thread_is_over)
        return future

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **kwargs: Any
    ) -> asyncio.Task[T]:
        """Return a new task, and count it if a worker thread waits for it."""
        task: asyncio.Task[T] = super().create_task(coro, **kwargs)
        if self._is_taking_call:
            self._calls_from_threads += 1
            task.add_done_callback(self._call_is_over)
        return task

    def _take_call(self, callback: Callable[[], object]) -> None:
        """Call a callback for a worker thread; the thread waits for any task that it makes."""
        self._is_taking_call = True
        try:
            callback()
        finally:
            self._is_taking_call = False

    def _thread_is_over(self, _: object) -> None:
        self._awaited_threads -= 1

    def _call_is_over(self, _: object) -> None:
        self._calls_from_threads -= 1

    def _threads_at_work(self) -> int:
        """Return the number of threads that tasks wait for, without those that wait for a task."""
        of_anyio = 0 if self.limiter is None else self.limiter.borrowed_tokens
        at_work = self._awaited_threads + max(of_anyio, self._busy_workers())
        return max(0, at_work - self._calls_from_threads)

    def _busy_workers(self) -> int:
        """Return the number of anyio's threads that are at work, with any limiter.

        There is no public way to find them. If a future anyio keeps its threads in another way,
        this returns 0, and only the limiter counts.
        """
        threads: list[Any] = threading.enumerate()
        workers = [thread for thread in threads if getattr(thread, "loop", None) is self]
        return sum(worker not in getattr(worker, "idle_workers", workers) for worker in workers)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer, `delay` seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer; a timer at infinity is kept, and never fires."""
        # Copied now, because when the timer fires, the context is that of the probe.
        context = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def queue() -> None:
            super(VirtualTime, self).call_soon(fire, context=context)

        def fire() -> None:
            # A timer of the same instant may have cancelled this one since it was queued.
            if not handle.cancelled():
                callback(*args)

        tie = 0.0 if self.order is None else self.order.tie()
        heappush(self._timers, Timer(when, tie, next(self._numbers), handle, queue))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:  # noqa: ARG002 - whichever
        """Called when a timer is cancelled; drop the cancelled ones if they are the majority."""
        self._cancelled_count += 1
        if self._cancelled_count > SPARE + len(self._timers) // 2:
            self._timers = [timer for timer in self._timers if not timer.handle.cancelled()]
            heapify(self._timers)
            self._cancelled_count = 0

    def _probe_later(self) -> None:
        """Queue a probe behind all callbacks that are ready."""
        super().call_soon(self._probe, self._queued_count)

    def _probe(self, queued_before: int) -> None:
        """Detect whether the loop is idle: nothing was queued since so many callbacks were."""
        while self._beside:
            self._beside.popleft()()
        if self.order is not None:
            self.order.separate()  # from the steps of the next turn
        try:
            if self._queued_count != queued_before or self._news.is_set() or self._is_stopping:
                self._news.clear()
                self.patience.renew()
            else:
                self._on_idle()
        finally:
            # Behind all that `_on_idle` has queued; also when Ctrl-C comes while that waits.
            self._probe_later()

    def _on_idle(self) -> None:
        """Called when nothing can happen: jump to the next timer, wait in real time, or give up."""
        while self._timers and self._timers[0].handle.cancelled():
            heappop(self._timers)
        if self._settlers:
            self._wake_settlers()
            return
        threads = self._threads_at_work()
        has_timer = bool(self._timers) and self._timers[0].when < math.inf
        if has_timer and not threads:
            self._jump()
        elif (left := self.patience.left(threads)) > 0:
            self._news.wait(min(left, NAP))
        elif threads and self.patience.lose(threads) and has_timer:
            self._jump()
        else:
            names = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self)))
            self._stuck_with = f" - waiting: {names}{who_waits()}"
            self.stop()

    def _wake_settlers(self) -> None:
        while self._settlers:
            settler = self._settlers.pop()
            if not settler.done():
                settler.set_result(None)

    def _jump(self) -> None:
        """Set the time to that of the next timer, and queue all timers that are due."""
        self.patience.renew()
        self._now = max(self._now, self._timers[0].when)
        while self._timers and self._timers[0].when <= self._now:
            heappop(self._timers).queue()


def _as_worker_of(loop: VirtualTime, function: Callable[[], T]) -> T:
    """Call a function in a worker thread, and mark it as a thread of a loop."""
    token = started_by.set(loop)
    try:
        return function()
    finally:
        started_by.reset(token)
