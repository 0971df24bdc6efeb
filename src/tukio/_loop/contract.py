"""What the engine needs of a backend: four contracts, by who uses them.

`Clock` is for whatever looks at the time, `Spawner` for a run, `Scopes` for a driver and `Tree`
for an engine. `_backends` fulfils all four by one class for each backend; nothing of it is
imported until it is known which one is in use.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager
    from contextvars import Context
    from datetime import datetime

    from .alarms import Alarms


class Scope(Protocol):
    """A cancel scope."""

    deadline: float

    @property
    def cancel_called(self) -> bool:
        """Whether it was cancelled, or its deadline has passed."""
        ...

    @property
    def cancelled_caught(self) -> bool:
        """Whether the block was left by this scope's cancellation."""
        ...

    def cancel(self) -> None:
        """Cancel what is in it."""
        ...


class Driver(Protocol):
    """A task of the backend that drives steps, and what it notes down about the present one.

    Only the code that runs in this task changes these fields, but for two: whoever interrupts a
    driver sets `scope_spent` and lowers `cancelled_at`.

    Attributes:
        cancelled_early: Whether all around it was cancelled before it began.
        step: The step it is driving; None between steps.
        scope: The scope it is in, or was in last; None before the first, and while it takes steps
            that need none.
        scope_spent: Whether its scope was cancelled and must be left before the next step.
        has_step_deadline: Whether the deadline of its scope is that of a step, and not of the run.
        context: Where its step runs, or ran last; None before the first.
        coroutine: What of its step is at work, or was last: the task, or its `teardown()`.
        cancelled_at: When its step was cancelled, unless a deadline did it; inf if it was not.
            While a step is cleaned up after: when that will be cut.
    """

    cancelled_early: bool
    step: Any
    scope: Scope | None
    scope_spent: bool
    has_step_deadline: bool
    context: Context | None
    coroutine: Any
    cancelled_at: float

    def cancelling(self) -> int:
        """Return how many cancellations of the backend's own kind were not answered yet."""
        ...


class Unwound(NamedTuple):
    """The parts of an exception that left a driver's scope.

    Attributes:
        cancelled: Whether there was a cancellation in it, other than by that scope.
        error: The step's own part of it; None if there is none.
        outwards: What the caller must re-raise, or None.
    """

    cancelled: bool
    error: BaseException | None
    outwards: BaseException | None


class Clock(Protocol):
    """The clock that deadlines are on."""

    @property
    def alarms(self) -> Alarms:
        """The alarms of this clock."""
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


class Cancellable(Protocol):
    """What drivers work for: it can be cancelled as a whole."""

    @property
    def face(self) -> Any:
        """What users hold of it, and see as the `workflow` of a task; None when it is over."""
        ...

    def cancel_from_outside(self) -> object:
        """Cancel all of it, and start nothing of it any more."""
        ...

    def start_stopping_from_outside(self) -> object:
        """Start nothing of it any more; the caller cancels what is at work."""
        ...


Work = TypeVar("Work", bound=Cancellable)


class Spawner(Protocol):
    """Where drivers come from, and what keeps a run alive."""

    @property
    def roots(self) -> set[Any] | None:
        """Where a run puts itself from its start to its end; None where a tree keeps it alive."""
        ...

    def spawn(
        self,
        function: Callable[[Work], Coroutine[Any, Any, None]],
        work: Work,
        name: str,
        context: Context | None,
    ) -> None:
        """Start a task that runs `function(work)`, and that is a driver for as long as it runs.

        If the task is cancelled natively before it begins, `work` is cancelled in its place.

        Args:
            function: The function, which begins with `new_driver()`.
            work: What the driver works for.
            name: Of the task.
            context: Where the task runs; None is a copy of the caller's.
        """
        ...

    def new_driver(self) -> Driver:
        """Return the driver that the calling task is; called once in each."""
        ...

    def attend(self, work: Cancellable) -> None:
        """Cancel a run that has no driver when all around it is cancelled, where no tree does."""
        ...

    def leave(self, work: Cancellable) -> None:
        """Undo `attend`: the run is over, or has a driver again."""
        ...


class Scopes(Protocol):
    """Cancel scopes, and what comes out of them."""

    def scope(
        self, deadline: float = math.inf, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        """Return a cancel scope to enter."""
        ...

    async def checkpoint(self) -> None:
        """Let others have a turn, and be cancelled if so requested."""
        ...

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Be cancelled if so requested; nobody else has a turn before."""
        ...

    def take_apart(self, exc: BaseException) -> Unwound:
        """Return the parts of an exception that left a driver's scope."""
        ...

    async def absorb_native_cancel(self, driver: Driver) -> None:
        """Answer cancellations of the backend's own kind that were aimed at a step now over."""
        ...


class Tree(Protocol):
    """The tree of tasks that an engine owns, and its place among event loops and threads."""

    def check_here(self) -> None:
        """Make sure that the calling code runs where the engine does.

        Raises:
            EngineError: It runs in another event loop or another thread.
        """
        ...

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function where the engine runs, from another thread; return its result.

        Raises:
            EngineError: Called in an event loop, or that of the engine does not run.
            Exception: What the function raised.
        """
        ...

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something in the background that shields itself and ends before the tree is closed.

        It begins even if its task is cancelled before that.
        """
        ...

    async def open(self, stop_all: Callable[[], object], drained: Callable[[], Any]) -> None:
        """Open the tree that runs live in.

        Args:
            stop_all: Cancels every run; called when the tree is cancelled from outside.
            drained: Async; returns when no run is left.
        """
        ...

    async def close(self, exc: BaseException | None) -> None:
        """Close the tree: cancel it if `exc` is the reason, and wait until it is empty."""
        ...


class Backend(Clock, Spawner, Scopes, Tree, Protocol):
    """One backend: all four contracts."""
