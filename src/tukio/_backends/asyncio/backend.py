"""The asyncio backend (uvloop too): drivers are `TukioTask`s, each in a cancel scope of its own.

In structured mode, one child of an anyio task group stands for all drivers: when it is cancelled,
it cancels each run and waits until all have unwound. In loose mode, as in 1.x, each run is a root
of its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from anyio._backends import _asyncio as _anyio_asyncio

from ..._events import loop_broker
from ..._loop.contract import Unwound
from ..._loop.running import IN_LOOP, running_backend
from ..._loop.services import (
    Attendant,
    abandon,
    alarms_of,
    check_on,
    let_go_of,
    roots_of,
    start_service,
)
from ..._loop.wall_times import WallTimes
from ..._model.errors import EngineError
from ..._model.guard import program_end, split
from .factory import install, uninstall
from .from_outside import LoopFromOutside
from .from_thread import result_from_thread
from .task import TukioTask
from .tree import AsyncioTree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context

    from ..._loop.alarms import Alarms
    from ..._loop.contract import Driver, Scope
    from ..._loop.roots import Roots
    from ..._run.run import Run
    from ..._run.task_run import TaskRun

# No public function of anyio tells which scopes are open within one. Without the attribute no
# driver is found unclean, and what a step leaves open fails its run, when the outer scope is left.
# An instance is asked, for not every anyio has slots.
_HAS_SCOPES_WITHIN = hasattr(_anyio_asyncio.CancelScope(), "_child_scopes")
_SCOPES_WITHIN: Callable[[Any], object] = (
    attrgetter("_child_scopes") if _HAS_SCOPES_WITHIN else {}.get
)

# Task -> what anyio knows of it; likewise.
_STATES: Any = getattr(_anyio_asyncio, "_task_states", {})


class AsyncioDriver(TukioTask):
    """A driver on asyncio.

    Args:
        function: The async function that the task runs.
        run: The run that the driver works for.
        loop: The event loop.
        name: The name of the task.
        context: The context that the task runs in. The driver changes nothing in it, because each
            step runs in a copy.
    """

    __slots__ = ()

    # Always: a driver that is cancelled before it begins begins all the same, because its `cancel`
    # cancels the run instead.
    cancelled_early = False

    def __init__(
        self,
        function: Callable[[Run], Coroutine[Any, Any, None]],
        run: Run,
        loop: asyncio.AbstractEventLoop,
        name: str,
        context: Context | None,
    ) -> None:
        # The fields of TukioTask, set here because its __init__ is for a coroutine of user code. A
        # test holds the two equal.
        self._run: Run | None = run
        self._workflow: Any = run.face
        self.step: TaskRun | None = None
        self._scope: Scope | None = None
        self.scope_spent: bool = False
        self.unclean: bool = False
        self.has_step_deadline: bool = False
        self.cancelled_at: float = math.inf
        self.begun: bool = False
        self.context: Context | None = None
        self.coroutine: Any = None
        self._standalone = None
        _init_task(self, function(run), loop=loop, name=name, context=context)

    def is_running(self) -> bool:
        """Return whether the loop is at this task, which then is not being closed."""
        return asyncio.current_task(self.get_loop()) is self

    def has_open_scopes(self) -> bool:
        """Return whether scopes are open in this task, between two scopes of the driver."""
        return getattr(_STATES.get(self), "cancel_scope", None) is not None

    def let_go_of_scopes(self) -> None:
        """Take this task, which is about to end, out of the scopes that are open in it."""
        scopes: list[Any] = []
        scope = getattr(_STATES.get(self), "cancel_scope", None)
        while scope is not None:
            scopes.append(scope)
            scope = scope._parent_scope
        let_go_of(scopes, self)


_init_task: Any = vars(TukioTask.__bases__[0])["__init__"]
"""That of the kind of task that drivers are.

`asyncio.Task` may be another one by now: a loop that is patched to nest puts tasks in pure Python
there.
"""


class AsyncioBackend(LoopFromOutside, WallTimes):
    """The backend for one asyncio or uvloop event loop.

    Args:
        loop: The loop.
        structured: Whether runs live in the tree that `open` opens; if not, each is a root.

    Attributes:
        loop: The loop; never changes.
        check_here: Makes sure that the caller runs on this loop; see `check_on`.
        time: Returns the time on the clock of the loop.
        alarms: The alarms of the loop, shared with the other backends on it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, structured: bool) -> None:
        LoopFromOutside.__init__(self, loop)
        WallTimes.__init__(self, loop.time(), loop)
        self.check_here: Callable[[], None] = partial(check_on, loop)
        # `time` of asyncio's own loops only calls `time.monotonic`: that call is saved here.
        own_clock = type(loop).time is not asyncio.BaseEventLoop.time
        self.time: Callable[[], float] = loop.time if own_clock else time.monotonic
        self.alarms: Alarms = alarms_of(loop)
        self.left_open: Callable[[Any], object] = _SCOPES_WITHIN
        # Whether the tree keeps, and cancels, the runs; never changes.
        self._structured: bool = structured
        self.roots: Roots | None = None if structured else roots_of(loop)
        # Set once, by `open`; None in loose mode.
        self._tree: AsyncioTree | None = None
        # Looked up on first use, by `scope` and by `checkpoint_if_cancelled`, because the loop may
        # not be running yet.
        self._scope_class: Any = None
        self._if_cancelled: Callable[[], Awaitable[None]] | None = None
        # Undone by `close`, once, and so never in loose mode, as in 1.x.
        self._installed: bool = True
        install(loop)

    def scope(self, deadline: float = math.inf, *, shield: bool = False) -> Any:
        """Return an anyio cancel scope."""
        if self._scope_class is None:
            # The class for asyncio, because the constructor of the public class looks for the
            # running backend each time.
            self._scope_class = type(anyio.CancelScope())
        return self._scope_class(deadline=deadline, shield=shield)

    async def checkpoint(self) -> None:
        """Give other tasks a turn, and raise the cancellation if one was requested."""
        await asyncio.sleep(0)

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Raise the cancellation if one was requested; otherwise no other task has a turn."""
        if self._if_cancelled is None:
            self._if_cancelled = _checkpoint_if_cancelled()
        return self._if_cancelled()

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function on this loop, from another thread, and return its result.

        Raises:
            EngineError: Called in an event loop, which this would block, or this loop does not run,
                or it ends before the function.
            Exception: The exception of the function.
        """
        if running_backend() is not None:
            raise EngineError(IN_LOOP)
        return result_from_thread(function, self.loop)

    def spawn(
        self,
        function: Callable[[Any], Coroutine[Any, Any, None]],
        work: Any,
        name: str,
        context: Context | None,
    ) -> None:
        """Start a driver; the loop runs it in its next turn."""
        # Not in the task group: a native cancellation of a child would cancel the whole group.
        AsyncioDriver(function, work, self.loop, name, context)

    def new_driver(self) -> Driver:
        """Return the calling task, which is a driver; from now on `cancel` cancels the task."""
        # The loop is given, because looking for the running one is a system call up to Python 3.11.
        driver: Any = asyncio.current_task(self.loop)
        # An engine may be made in one thread, and its loop run in another.
        self.note_thread()
        # Before the first await, because `cancel` cancels the run instead while this is False.
        driver.begun = True
        # Its `scope` is a property: while the loop is not running, changes of the scope are
        # deferred.
        return driver  # type: ignore[no-any-return]  # a cast would be a call, for every driver

    def at_work(self) -> dict[Any, set[Driver]]:
        """Return the drivers of each run that are alive: Ctrl-C may have cut others at any line."""
        alive: dict[Any, set[Driver]] = {}
        for task in asyncio.all_tasks(self.loop):
            if isinstance(task, AsyncioDriver):
                # Its `scope` is a property, as in `new_driver`.
                driver: Any = task
                alive.setdefault(task._run, set()).add(driver)
        return alive

    def attend(self, work: Any) -> None:
        """Cancel a loose run with all tasks of its loop; structured, the engine does that."""
        if not self._structured:
            Attendant.of(self.loop).attend(work)

    def leave(self, work: Any) -> None:
        """Undo `attend`."""
        if not self._structured:
            Attendant.of(self.loop).leave(work)

    async def abandon(self, scope: Any) -> list[BaseException]:
        """End the tasks in task groups within a scope; see the function of that name."""
        return await abandon(scope)

    def take_apart(self, exc: BaseException) -> Unwound:
        """Return the parts of an exception that left a driver's scope.

        A cancellation is never re-raised: a native one was meant for the step, and ends there. What
        ends the program goes on bare, because asyncio takes a group for a failure of its task.
        """
        if isinstance(exc, asyncio.CancelledError):
            return Unwound(cancelled=True, error=None, outwards=None)
        cancelled, rest = split(exc, asyncio.CancelledError)
        error = asyncio.CancelledError() if rest is None else rest
        return Unwound(cancelled is not None, error, program_end(error))

    async def absorb_native_cancel(self, driver: Driver) -> None:
        """Take back native cancellations that were meant for a step that is over."""
        assert isinstance(driver, TukioTask)
        while True:
            driver.take_back_cancellations()
            # Always with an await: before 3.13, `uncancel` leaves the exception itself pending, to
            # be raised at the next await, which must not be one of the next step.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            # Others had a turn, and may have cancelled the driver once more.
            if not driver.cancelling():
                return

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run an async function in the background.

        Like a driver, the task is no child of the task group: a native cancellation of a child
        would cancel the whole group.
        """
        start_service(self.loop, service, name)

    async def open(
        self, stop_all: Callable[[], object], drained: Callable[[], Awaitable[None]]
    ) -> None:
        """Open the tree; if that fails, what other engines share is as it was before."""
        tree = AsyncioTree(self.loop, stop_all, drained)
        try:
            loop_broker.enter(self.loop)
            await tree.open()
        except BaseException:
            self._give_back()
            raise
        self._tree = tree

    async def close(self, exc: BaseException | None) -> None:
        """Close the tree.

        Raises:
            EngineError: The calling task is not the one that has opened the tree.
        """
        assert self._tree is not None
        try:
            await self._tree.close()
        finally:
            self._give_back()
        if exc is None:
            # The tree has not looked whether all around it is cancelled.
            await self.checkpoint_if_cancelled()

    def _give_back(self) -> None:
        """Take back what was done to the loop; only the first call does something."""
        if self._installed:
            self._installed = False
            uninstall(self.loop)
            loop_broker.leave(self.loop)


def _checkpoint_if_cancelled() -> Callable[[], Awaitable[None]]:
    """Return the function behind `anyio.lowlevel.checkpoint_if_cancelled` on asyncio.

    anyio's own function looks for the running backend each time; before anyio 4.11 it is returned.
    """
    # Up to anyio 4.10 the token of a backend is an object of its own kind: here, the loop.
    backend = getattr(anyio.lowlevel.current_token(), "backend_class", anyio.lowlevel)
    checkpoint: Callable[[], Awaitable[None]] = backend.checkpoint_if_cancelled
    return checkpoint


def new_backend(*, loop: asyncio.AbstractEventLoop | None, structured: bool) -> AsyncioBackend:
    """Return a backend for a loop; None is the running one."""
    return AsyncioBackend(loop or asyncio.get_running_loop(), structured=structured)
