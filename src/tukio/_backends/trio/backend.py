"""The trio backend: all drivers are in the engine's nursery, spread over nurseries within it.

A run needs no nursery of its own. Each driver has its own scope, and raises no exception of its
steps. The run is over when its last driver has left and no step is due.
"""

from __future__ import annotations

import math
import sys
import threading
from contextlib import suppress
from contextvars import Context, copy_context
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import trio

from ..._loop.alarms import Alarms
from ..._loop.contract import Unwound
from ..._loop.running import ELSEWHERE, IN_LOOP, OTHER_TASK, running_backend
from ..._loop.wall_times import WallTimes
from ..._model.errors import EngineError
from ..._model.guard import leaves_of, program_end, split
from .from_thread import result_from_thread
from .nurseries import Nurseries
from .protection import protect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from ..._loop.contract import Driver, Scope


class TrioDriver:
    """A driver on trio: the notes of the task that makes it; see `Driver` for the fields."""

    __slots__ = (
        "_outer",
        "_task",
        "cancelled_at",
        "cancelled_early",
        "context",
        "coroutine",
        "has_step_deadline",
        "scope",
        "scope_spent",
        "step",
        "unclean",
    )

    def __init__(self) -> None:
        task = trio.lowlevel.current_task()
        self.cancelled_early: bool = trio.current_effective_deadline() == -math.inf
        self.step: Any = None
        self.scope: Scope | None = None
        self.scope_spent: bool = False
        self.unclean: bool = False
        self.has_step_deadline: bool = False
        self.cancelled_at: float = math.inf
        self.context: Context | None = None
        self.coroutine: Any = None
        # The innermost scope of the task between two scopes of the driver, by what trio has for it.
        self._outer: Any = getattr(task, "_cancel_status", None)
        self._task: trio.lowlevel.Task = task

    def is_running(self) -> bool:
        """Return whether trio is at this task, which then is not being closed."""
        return trio.lowlevel.in_trio_task() and trio.lowlevel.current_task() is self._task

    def has_open_scopes(self) -> bool:
        """Return whether scopes are open in the calling task that were not when it began."""
        task = trio.lowlevel.current_task()
        return getattr(task, "_cancel_status", None) is not self._outer

    def let_go_of_scopes(self) -> None:
        """Do nothing: to trio, scopes of a task that is over are nothing."""

    def cancelling(self) -> int:
        """Return 0: on trio all cancellations belong to scopes."""
        return 0


class TrioBackend(WallTimes):
    """The backend for the trio run that it is made in.

    Attributes:
        thread: The id of the thread that trio runs in; never changes.
        time: Returns the time on trio's clock.
        alarms: The alarms of this backend; their timer is a task in its nursery.
    """

    def __init__(self) -> None:
        clock = trio.lowlevel.current_clock()
        super().__init__(trio.current_time(), clock)
        self.thread: int | None = threading.get_ident()
        # The method of the clock, because `trio.current_time` looks for the clock each time.
        self.time: Callable[[], float] = clock.current_time
        self.alarms: Alarms = Alarms(self.time, self._call_at)
        self.roots: None = None
        self.left_open: Callable[[Any], object] = _left_open()
        # The context of whoever makes the engine, for alarms; trio copies it for each task.
        self._context: Context = copy_context()
        # Identifies the trio run, for `check_here`, and lets other threads call into it.
        self._token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        # A clock in virtual time has a way that leaves the order of tasks as it is.
        self._call: Callable[[Any], object] = getattr(
            clock, "call_beside", self._token.run_sync_soon
        )
        # What trio notes down for this thread, with the task that it is at. No public function
        # tells another thread. Without it, what tasks do that a step has started is not told of.
        notes = getattr(sys.modules.get("trio._core._run"), "GLOBAL_RUN_CONTEXT", None)
        self._notes: dict[str, Any] = {} if notes is None else vars(notes)
        # The nursery of the engine: its context manager, itself, and the nurseries for drivers
        # within it. All set once, by `open`, before the engine can start anything.
        self._manager: Any = None
        self._nursery: trio.Nursery | None = None
        self._drivers: Nurseries | None = None
        # The task that called `open`; only there can the nursery be closed.
        self._host: trio.lowlevel.Task | None = None

    def scope(self, deadline: float = math.inf, *, shield: bool = False) -> Any:
        """Return a trio cancel scope."""
        return trio.CancelScope(deadline=deadline, shield=shield)

    def _call_at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
        """Call a function at an instant of trio's clock, and return a function that prevents that.

        Only `alarms` uses this.
        """
        assert self._nursery is not None
        # Shielded, because alarms are needed most while all around them is being cancelled.
        scope = trio.CancelScope(shield=True)
        start = self._nursery.start_soon
        # Whoever sets an alarm may be a step, whose context is no matter of what the alarm is for.
        self._context.run(lambda: start(_call_at, instant, function, scope, name="tukio timer"))
        return scope.cancel

    def check_here(self) -> None:
        """Make sure that the caller runs in this trio run.

        Raises:
            EngineError: The caller runs in another trio run, or in another thread.
        """
        if not trio.lowlevel.in_trio_run() or trio.lowlevel.current_trio_token() is not self._token:
            raise EngineError(ELSEWHERE)

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function in this trio run, from another thread, and return its result.

        Raises:
            EngineError: Called in an event loop, which this would block, or the trio run is over,
                or ends before the function.
            trio.Cancelled: A task waits for the thread, and was cancelled.
            Exception: The exception of the function.
        """
        if running_backend() is not None:
            raise EngineError(IN_LOOP)
        return result_from_thread(function, self._token)

    def call_from_outside(self, function: Callable[[], object]) -> None:
        """Call a function in a turn of trio, from any thread; if that run is over, never."""
        with suppress(trio.RunFinishedError):
            self._call(function)

    def present(self) -> tuple[Context, Any] | None:
        """Return the context and the coroutine of the task that trio is at; None for none."""
        task = self._notes.get("task")
        return None if task is None else (task.context, task.coro)

    async def checkpoint(self) -> None:
        """Give other tasks a turn, and raise the cancellation if one was requested."""
        await trio.lowlevel.checkpoint()

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Raise the cancellation if one was requested; otherwise no other task has a turn."""
        return trio.lowlevel.checkpoint_if_cancelled()  # noqa: ASYNC105 - the caller awaits it

    def spawn(
        self,
        function: Callable[[Any], Coroutine[Any, Any, None]],
        work: Any,
        name: str,
        context: Context | None,
    ) -> None:
        """Start a driver; trio gives the task a context of its own."""
        del context
        assert self._drivers is not None
        self._drivers.start_soon(function, work, name=name)

    def new_driver(self) -> Driver:
        """Return a driver for the calling task."""
        return TrioDriver()

    def at_work(self) -> None:
        """Return None: Ctrl-C never cuts a driver, by `protect`."""

    def attend(self, work: Any) -> None:
        """Do nothing: an engine that is cancelled stops all its runs, with a driver or without."""

    def leave(self, work: Any) -> None:
        """Do nothing, as `attend`."""

    async def abandon(self, scope: Any) -> list[BaseException]:
        """End the nurseries that the calling task has open: with one, it could not end itself."""
        del scope
        nurseries = trio.lowlevel.current_task().child_nurseries
        for nursery in nurseries:
            nursery.cancel_scope.cancel()
        errors: list[BaseException] = []
        for nursery in reversed(nurseries):
            # No public function of trio leaves a nursery but its block. This is what that does: it
            # waits for the tasks of the nursery, out of reach of cancellation.
            raised = await nursery._nested_child_finished(None)
            # Its block may be left all the same one day, as by a generator that is thrown away.
            nursery._pending_excs = []
            error = None if raised is None else split(raised, trio.Cancelled)[1]
            if error is not None:
                errors += leaves_of(error) if isinstance(error, BaseExceptionGroup) else [error]
        return errors

    def take_apart(self, exc: BaseException) -> Unwound:
        """Return the parts of an exception that left a driver's scope.

        A cancellation that has left the scope belongs to a scope further out, and must be re-raised
        for that one. If none there is cancelled, it is of a scope that a step has left open, or has
        left with an exception on its way.
        """
        cancelled, error = split(exc, trio.Cancelled)
        outwards = None if error is None else program_end(error)
        # What ends the program comes before any cancellation: it cancels all around it.
        if outwards is None and trio.current_effective_deadline() == -math.inf:
            outwards = cancelled
        return Unwound(cancelled is not None, error, outwards)

    async def absorb_native_cancel(self, driver: Driver) -> None:
        """Do nothing: on trio no native cancellation can be pending."""

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run an async function in the background, in the nursery of the engine."""
        assert self._nursery is not None
        self._nursery.start_soon(service, name=name)

    async def open(
        self, stop_all: Callable[[], object], drained: Callable[[], Awaitable[None]]
    ) -> None:
        """Open the nursery that the runs live in.

        The arguments are not needed: a nursery that is cancelled cancels all drivers, and waits for
        them.
        """
        del stop_all, drained
        # Before there is a nursery: entering one is no checkpoint.
        await trio.lowlevel.checkpoint()
        self._manager = trio.open_nursery()
        self._nursery = nursery = await self._manager.__aenter__()
        self._drivers = Nurseries(nursery)
        self._host = trio.lowlevel.current_task()

    async def close(self, exc: BaseException | None) -> None:
        """Close the nursery; cancel it first if the body has ended by an exception, `exc`.

        Raises:
            EngineError: The calling task is not the one that has opened the nursery. That one must
                still leave it.
        """
        assert self._nursery is not None
        assert self._drivers is not None
        # Before the nursery is left, because that waits for the nurseries within it.
        self._drivers.close()
        if trio.lowlevel.current_task() is not self._host:
            raise EngineError(OTHER_TASK)
        if exc is not None:
            self._nursery.cancel_scope.cancel()
        try:
            await self._manager.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            _raise_end_of_program(group)
            raise
        if exc is None:
            # The nursery has not looked whether all around it is cancelled.
            await trio.lowlevel.checkpoint_if_cancelled()


def _raise_end_of_program(group: BaseExceptionGroup[Any]) -> None:
    """Raise what ends the program out of a group: it is to end as if no nursery had been there."""
    ending = program_end(group)
    if ending is None:
        return
    others = [leaf for leaf in leaves_of(group) if leaf is not ending]
    raise ending from (BaseExceptionGroup(group.message, others) if others else None)


_scopes_within: Callable[[Any], object] = attrgetter("_cancel_status._children")


def _left_open() -> Callable[[Any], object]:
    """Return a function that tells which scopes are open within one that the caller has entered.

    No public function of trio does. Without the attributes no driver is found unclean, and what a
    step leaves open fails its run, when the outer scope is left.
    """
    # It is looked at, and cuts nothing.
    with trio.CancelScope() as scope, suppress(AttributeError):  # noqa: ASYNC100
        _scopes_within(scope)
        return _scopes_within
    return {}.get


async def _call_at(instant: float, function: Callable[[], object], scope: trio.CancelScope) -> None:
    """Wait for an instant, and call a function, unless the scope was cancelled before."""
    with scope:
        await trio.sleep_until(instant)
        function()


def new_backend(*, loop: Any, structured: bool) -> TrioBackend:
    """Return a backend for the running trio.

    Raises:
        EngineError: It is not to be structured: there is no loose mode on trio.
    """
    del loop
    if not structured:
        msg = "on trio an engine lives in a 'with' block - async with tukio.Engine() as engine: ..."
        raise EngineError(msg)
    protect()
    return TrioBackend()
