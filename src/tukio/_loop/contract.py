"""The contracts that a backend fulfils, one for each user.

`Clock` is for all code that looks at the time, `Spawner` for a run, `Scopes` for a driver and
`Tree` for an engine. In `_backends`, one class for each backend fulfils all four. A backend is
imported only when it is known to be the one in use.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from .roots import LooseRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager
    from contextvars import Context
    from datetime import datetime

    from .alarms import Alarms
    from .roots import Roots


class Scope(Protocol):
    """A cancel scope.

    Attributes:
        deadline: The instant at which the scope is cancelled; inf is never.
    """

    deadline: float

    @property
    def cancel_called(self) -> bool:
        """Whether the scope was cancelled, or its deadline has passed."""
        ...

    @property
    def cancelled_caught(self) -> bool:
        """Whether the block was left by this scope's cancellation."""
        ...

    def cancel(self) -> None:
        """Cancel the code within the scope."""
        ...


class Driver(Protocol):
    """A task of the backend that drives steps, and its notes about the present step.

    Only the code that runs in this task changes these fields, with two exceptions: the code that
    interrupts a driver sets `scope_spent` and lowers `cancelled_at`.

    Attributes:
        cancelled_early: Whether all around the driver was cancelled before the driver began.
        step: The step that is being driven; None between steps.
        scope: The scope that the driver is in, or was in last; None before the first one, and while
            the driver runs steps that need none.
        scope_spent: Whether the scope was cancelled and must be left before the next step.
        unclean: Whether a step has left another scope open within the scope. Set once, and then the
            driver runs no other step.
        has_step_deadline: Whether the deadline of the scope is that of a step, and not of the run.
        context: The context that the present step runs in, or the last one ran in; None before the
            first step.
        coroutine: The coroutine of the present or the last step: that of the task, or that of its
            `teardown()`.
        cancelled_at: The instant at which the step was cancelled by a request; inf if it was not,
            or by a deadline. During a `teardown()`: the instant at which that will be cancelled.
    """

    cancelled_early: bool
    step: Any
    scope: Scope | None
    scope_spent: bool
    unclean: bool
    has_step_deadline: bool
    context: Context | None
    coroutine: Any
    cancelled_at: float

    def is_running(self) -> bool:
        """Return whether the loop is at this very task; if not, a `GeneratorExit` closes it."""
        ...

    def has_open_scopes(self) -> bool:
        """Return whether scopes are open in the calling task that were not when it began."""
        ...

    def let_go_of_scopes(self) -> None:
        """Take the calling task, which is about to end, out of the scopes that are open in it."""
        ...

    def cancelling(self) -> int:
        """Return the number of native cancellations that are still pending (always 0 on trio)."""
        ...


class Unwound(NamedTuple):
    """The parts of an exception that left a driver's scope.

    Attributes:
        cancelled: Whether the exception holds a cancellation by anything but that scope.
        error: The part that the step itself has raised, or None.
        outwards: The part that the caller must re-raise, or None.
    """

    cancelled: bool
    error: BaseException | None
    outwards: BaseException | None


class Clock(Protocol):
    """The clock of all deadlines."""

    @property
    def alarms(self) -> Alarms:
        """The alarms on this clock."""
        ...

    def time(self) -> float:
        """Return the time on this clock, in seconds."""
        ...

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant on this clock."""
        ...

    def instant(self, time: datetime) -> float:
        """Return the instant on this clock at an aware time."""
        ...


class Cancellable(LooseRun, Protocol):
    """A run, as the backend sees it: the work of drivers, which can be cancelled as a whole."""

    @property
    def face(self) -> Any:
        """What users hold of it, and see as the `workflow` of a task; None when it is over."""
        ...

    def cancel_from_outside(self) -> object:
        """Called when all around the run is cancelled: cancel its steps, and start no more."""
        ...

    def start_stopping_from_outside(self) -> object:
        """Called when the loop is shut down: start no more steps.

        The caller cancels the steps at work.
        """
        ...


Work = TypeVar("Work", bound=Cancellable)


class Spawner(Protocol):
    """Starts drivers, and keeps runs alive."""

    @property
    def roots(self) -> Roots | None:
        """Where a run puts itself from its start to its end; None where a tree keeps it alive."""
        ...

    def spawn(
        self,
        function: Callable[[Work], Coroutine[Any, Any, None]],
        work: Work,
        name: str,
        context: Context | None,
    ) -> None:
        """Start a task that runs `function(work)`; the task is a driver.

        If the task is cancelled natively before it begins, the run is cancelled instead.

        Args:
            function: The function; it calls `new_driver()` before anything else.
            work: The run that the driver works for.
            name: The name of the task.
            context: The context that the task runs in; None is a copy of the caller's.
        """
        ...

    def new_driver(self) -> Driver:
        """Return the driver for the calling task; every driver calls this exactly once."""
        ...

    def at_work(self) -> dict[Any, set[Driver]] | None:
        """Return, for each run that has some, the drivers that are alive, begun or not.

        None if no driver ever ends before its function does, whatever ends the program.
        """
        ...

    def attend(self, work: Cancellable) -> None:
        """Called when a run has no driver left but is not over, as a suspended run.

        From now on the backend cancels the run when all around it is cancelled, where no engine
        does that.
        """
        ...

    def leave(self, work: Cancellable) -> None:
        """Called when the run is over, or has a driver again: undo `attend`."""
        ...


class Scopes(Protocol):
    """Cancel scopes, and the exceptions that leave them."""

    def scope(
        self, deadline: float = math.inf, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        """Return a cancel scope to enter."""
        ...

    async def checkpoint(self) -> None:
        """Give other tasks a turn, and raise the cancellation if one was requested."""
        ...

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Raise the cancellation if one was requested; otherwise no other task has a turn."""
        ...

    @property
    def left_open(self) -> Callable[[Any], object]:
        """A function that tells, truly or falsely, whether scopes are open within a scope.

        Called by a driver within the scope, before each step that may suspend.
        """
        ...

    async def abandon(self, scope: Any) -> list[BaseException]:
        """Cancel the tasks in task groups that the calling task has open within a scope.

        They are over when this returns, however long they take, as anywhere. The calling task
        itself, which can leave neither these groups nor the scope in order, is not cancelled, and
        may end.

        Returns:
            What these tasks raised; on asyncio without those that were over before.
        """
        ...

    def take_apart(self, exc: BaseException) -> Unwound:
        """Return the parts of an exception that left a driver's scope."""
        ...

    async def absorb_native_cancel(self, driver: Driver) -> None:
        """Take back native cancellations that are still pending after the step they were meant for.

        Called by a driver between two steps, so that they do not cancel the next step.
        """
        ...


class Tree(Protocol):
    """The tree of tasks that an engine owns, and the event loop and thread that it runs in."""

    def check_here(self) -> None:
        """Make sure that the caller runs in the event loop and thread of the engine.

        Raises:
            EngineError: The caller runs in another event loop or another thread.
        """
        ...

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function in the engine's loop, from another thread; return its result.

        Raises:
            EngineError: Called in an event loop, or the engine's loop does not run, or it ends
                before the function.
            Exception: The exception of the function.
        """
        ...

    @property
    def thread(self) -> int | None:
        """The id of the thread that the loop runs in, or is to run in; None once it is closed."""
        ...

    def call_from_outside(self, function: Callable[[], object]) -> None:
        """Call a function in a turn of the loop, from any thread; if it is over, never."""
        ...

    def present(self) -> tuple[Context, Any] | None:
        """Return the context and the coroutine of the task that the loop is at, from any thread.

        None if it is at none.
        """
        ...

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run an async function in the background.

        The function begins even if its task is cancelled natively before.

        Args:
            service: The function; it shields itself, and ends before the tree is closed.
            name: The name of the task.
        """
        ...

    async def open(self, stop_all: Callable[[], object], drained: Callable[[], Any]) -> None:
        """Open the tree that runs live in.

        Args:
            stop_all: Cancels every run; called when the tree is cancelled from outside.
            drained: An async function that returns when no run is left.
        """
        ...

    async def close(self, exc: BaseException | None) -> None:
        """Close the tree, and wait until it is empty.

        Args:
            exc: The exception that the engine's block was left by: then the tree is cancelled
                first. None if there is none.

        Raises:
            EngineError: The calling task is not the one that has opened the tree.

        Cancellation: the tree is closed all the same, and a native one is raised then.
        """
        ...


class Backend(Clock, Spawner, Scopes, Tree, Protocol):
    """One backend: all four contracts."""
