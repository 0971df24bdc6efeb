"""The asyncio backend (uvloop too): drivers are `TukioTask`s, each in a cancel scope of its own.

Structured, one child of an anyio task group stands for all drivers: cancelled, it cancels each run
and waits until all have unwound. Loose, as in 1.x, each run is a root of its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from ..._loop.contract import Unwound
from ..._loop.running import ELSEWHERE, IN_LOOP, NOT_RUNNING, running_backend
from ..._loop.services import Attendant, alarms_of, start_service
from ..._model.errors import EngineError
from .factory import install, uninstall
from .task import TukioTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context

    from ..._loop.alarms import Alarms
    from ..._loop.contract import Driver, Scope
    from ..._run.run import Run
    from ..._run.task_run import TaskRun

# Runs in loose mode have no tree above them; this is what keeps them alive.
_roots: set[Any] = set()


class AsyncioDriver(TukioTask):
    """A driver on asyncio.

    Args:
        function: What it runs.
        run: The run it works for.
        loop: The event loop.
        name: The name of the task.
        context: Where it runs. It changes nothing in there: each step has a copy.
    """

    __slots__ = ()

    # Cancelled before it begins, it begins all the same: its run is cancelled in its place.
    cancelled_early = False

    def __init__(
        self,
        function: Callable[[Run], Coroutine[Any, Any, None]],
        run: Run,
        loop: asyncio.AbstractEventLoop,
        name: str,
        context: Context | None,
    ) -> None:
        # Not by way of TukioTask, which is made for one coroutine of a user's. A test holds the
        # two equal.
        self.run: Run | None = run
        self._workflow: Any = run.face
        self.step: TaskRun | None = None
        self._scope: Scope | None = None
        self.scope_spent: bool = False
        self.has_step_deadline: bool = False
        self.cancelled_at: float = math.inf
        self.begun: bool = False
        self.context: Context | None = None
        self.coroutine: Any = None
        self._standalone = None
        asyncio.Task.__init__(self, function(run), loop=loop, name=name, context=context)


class AsyncioBackend:
    """The backend for one asyncio or uvloop event loop.

    Args:
        loop: The loop.
        structured: Whether runs live in the tree of whoever opens the backend.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, structured: bool) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        # What the method of asyncio's loops does, without the detour.
        own_clock = type(loop).time is not asyncio.BaseEventLoop.time
        self.time: Callable[[], float] = loop.time if own_clock else time.monotonic
        self.alarms: Alarms = alarms_of(loop)
        self._anchor: float = time.time() - loop.time()
        self._structured: bool = structured
        self.roots: set[Any] | None = None if structured else _roots
        self._group: Any = None
        self._closing: anyio.Event | None = None
        self._scope_class: Any = None
        self._if_cancelled: Callable[[], Awaitable[None]] | None = None
        install(loop)

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant on the loop's clock."""
        return datetime.fromtimestamp(self._anchor + instant, UTC)

    def instant(self, time: datetime) -> float:
        """Return the instant on that clock at an aware time."""
        return time.timestamp() - self._anchor

    def scope(self, deadline: float = math.inf, *, shield: bool = False) -> Any:
        """Return an anyio cancel scope."""
        if self._scope_class is None:
            # The constructor of the public class looks for the backend each time.
            self._scope_class = type(anyio.CancelScope())
        return self._scope_class(deadline=deadline, shield=shield)

    async def checkpoint(self) -> None:
        """Let the loop turn once."""
        await asyncio.sleep(0)

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Be cancelled if so requested; nobody else has a turn before."""
        if self._if_cancelled is None:
            self._if_cancelled = _checkpoint_if_cancelled()
        return self._if_cancelled()

    def check_here(self) -> None:
        """Make sure that the calling code runs on this loop, or that nothing does.

        Raises:
            EngineError: It runs in another loop, or in another thread than this loop.
        """
        running = asyncio._get_running_loop()
        if running is not self.loop and (running is not None or self.loop.is_running()):
            raise EngineError(ELSEWHERE)

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function on this loop, from another thread, and return its result.

        Raises:
            EngineError: Called in an event loop, which would stand still, or the loop does not
                run.
            Exception: What the function raised.
        """
        if running_backend() is not None:
            raise EngineError(IN_LOOP)
        if not self.loop.is_running():
            raise EngineError(NOT_RUNNING)
        return asyncio.run_coroutine_threadsafe(_awaited(function), self.loop).result()

    def spawn(
        self,
        function: Callable[[Any], Coroutine[Any, Any, None]],
        work: Any,
        name: str,
        context: Context | None,
    ) -> None:
        """Start a driver; the loop runs it in its next turn."""
        AsyncioDriver(function, work, self.loop, name, context)

    def new_driver(self) -> Driver:
        """Return the driver that the calling task is; had it been cancelled, it would not begin."""
        # Looking for the running loop is a system call, up to Python 3.11.
        driver: Any = asyncio.current_task(self.loop)
        driver.begun = True
        # Its scope stands for the one that was set: while the loop stands still, it acts later.
        return driver  # type: ignore[no-any-return]  # a cast would be a call, for every driver

    def attend(self, work: Any) -> None:
        """Stand for a run that has no driver; structured, the task of the engine does."""
        if not self._structured:
            Attendant.of(self.loop).attend(work)

    def leave(self, work: Any) -> None:
        """Undo `attend`."""
        if not self._structured:
            Attendant.of(self.loop).leave(work)

    def take_apart(self, exc: BaseException) -> Unwound:
        """Return the parts of an exception that left a driver's scope.

        A native cancellation was aimed at the step; it goes no further.
        """
        if isinstance(exc, asyncio.CancelledError):
            return Unwound(cancelled=True, error=None, outwards=None)
        cancelled = None
        if isinstance(exc, BaseExceptionGroup):
            cancelled, rest = exc.split(asyncio.CancelledError)
            exc = rest if rest is not None else asyncio.CancelledError()
        ends_program = isinstance(exc, KeyboardInterrupt | SystemExit)
        return Unwound(cancelled is not None, exc, exc if ends_program else None)

    async def absorb_native_cancel(self, driver: Driver) -> None:
        """Answer native cancellations that were aimed at a step that is over."""
        assert isinstance(driver, TukioTask)
        while True:
            while driver.cancelling():
                driver.uncancel()
            # Before 3.13, uncancel() leaves the exception itself pending.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            if not driver.cancelling():
                return

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something in the background.

        Like a driver it is no child of the group, which a native cancellation of it would cancel.
        """
        start_service(self.loop, service, name)

    async def open(
        self, stop_all: Callable[[], object], drained: Callable[[], Awaitable[None]]
    ) -> None:
        """Open the task group, with a child that stands for all runs."""
        self._closing = anyio.Event()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        supervise = partial(self._supervise, self._closing, stop_all, drained)
        self._group.start_soon(supervise, name="tukio engine")

    async def close(self, exc: BaseException | None) -> None:
        """Close the task group: cancel it if `exc` is the reason, and wait until it is empty."""
        assert self._closing is not None
        self._closing.set()
        try:
            await _leave_group(self._group, exc)
        finally:
            uninstall(self.loop)

    async def _supervise(
        self,
        closing: anyio.Event,
        stop_all: Callable[[], object],
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            await closing.wait()
        finally:
            stop_all()
            with anyio.CancelScope(shield=True):
                await drained()


async def _leave_group(group: Any, exc: BaseException | None) -> None:
    """Leave a task group whose children raise nothing of their own.

    An exception of the body is not handed to the group, which would wrap it: it goes on as it is.
    """
    if exc is not None:
        group.cancel_scope.cancel()
    try:
        await group.__aexit__(None, None, None)
    except BaseException as more:
        if exc is None or not isinstance(exc, Exception):
            raise
        msg = "the body of an engine failed while it was being cancelled"
        raise BaseExceptionGroup(msg, [exc, more]) from None  # noqa: ASYNC104 - in the group


def _checkpoint_if_cancelled() -> Callable[[], Awaitable[None]]:
    """Return what anyio's function of that name looks for each time; before 4.11, the function."""
    token = getattr(anyio.lowlevel, "current_token", None)
    backend = anyio.lowlevel if token is None else token().backend_class
    checkpoint: Callable[[], Awaitable[None]] = backend.checkpoint_if_cancelled
    return checkpoint


async def _awaited(function: Callable[[], Awaitable[Any]]) -> Any:
    return await function()


def new_backend(*, loop: asyncio.AbstractEventLoop | None, structured: bool) -> AsyncioBackend:
    """Return a backend for a loop; None is the running one."""
    return AsyncioBackend(loop or asyncio.get_running_loop(), structured=structured)
