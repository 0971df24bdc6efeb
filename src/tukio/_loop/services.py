"""What belongs to an asyncio loop rather than to an engine: background services and alarms.

Owns:   the tasks of the services, and the attendants of runs that wait without a driver.
"""

from __future__ import annotations

import asyncio
import math
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import anyio

from .._model.errors import EngineError
from .._model.guard import call_all
from .alarms import Alarms
from .roots import Roots
from .running import ELSEWHERE, running_backend
from .unbroken import Interruptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractContextManager

    from .contract import Cancellable, Scope

AsyncioLoop: TypeAlias = asyncio.AbstractEventLoop
"""For the annotations of modules that import no backend."""

Made = TypeVar("Made")

# The names of attributes of the loop itself. What they hold refers to the loop, so a table of this
# module, weak or not, would keep it and the loop alive for ever.
_ALARMS, _ATTENDANT, _ROOTS = "_tukio_alarms", "_tukio_attendant", "_tukio_roots"
# The tasks of services: an event loop has only weak references to its tasks. A task is removed when
# it is over.
_SERVICES = "_tukio_services"


def _kept_on(loop: asyncio.AbstractEventLoop, name: str, make: Callable[[], Made]) -> Made:
    """Return what a loop keeps under a name; make it first if there is nothing."""
    kept: Made | None = getattr(loop, name, None)
    if kept is None:
        kept = make()
        setattr(loop, name, kept)
    return kept


def asyncio_loop(loop: Any = None) -> asyncio.AbstractEventLoop:
    """Return an asyncio event loop: the given one, or the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    if loop is not None:
        given: asyncio.AbstractEventLoop = loop
        return given
    if running_backend() != "asyncio":
        msg = "no engine and no asyncio loop here - use the 'broker' of an engine"
        raise EngineError(msg)
    return asyncio.get_running_loop()


def check_on(loop: asyncio.AbstractEventLoop) -> None:
    """Make sure that the caller runs on a loop, or that neither runs at all.

    Raises:
        EngineError: The caller runs in another loop, or in another thread than this loop.
    """
    running = asyncio._get_running_loop()
    if running is not loop and (running is not None or loop.is_running()):
        raise EngineError(ELSEWHERE)


async def abandon(scope: Any) -> list[BaseException]:
    """End the tasks in task groups that the calling task has open within a scope.

    Args:
        scope: A cancel scope of anyio. The calling task can leave neither it nor those within.

    Returns:
        What the tasks raised that have ended here.

    Cancellation: the tasks have ended all the same, and a native one is raised then.
    """
    errors: list[BaseException] = []
    interruptions = Interruptions()
    if _tasks_within(scope):
        await interruptions.outlast(partial(_end_within, scope, errors))
    let_go_of(_scopes_within(scope), asyncio.current_task())
    interruptions.deliver()
    return errors


def let_go_of(scopes: Iterable[Any], task: asyncio.Task[Any] | None) -> None:
    """Take a task that is about to end out of scopes that it cannot leave.

    Args:
        scopes: Cancel scopes of anyio.
        task: The task that has entered them.
    """
    for scope in scopes:
        # Never left, it would keep its timer; and up to anyio 4.15, one that is cancelled goes on
        # to cancel the task in each turn of the loop, though it is over.
        scope.deadline = math.inf
        scope._tasks.discard(task)


async def _end_within(scope: Any, errors: list[BaseException]) -> None:
    """Cancel the tasks within a scope, and wait for them; the calling task must be shielded."""
    for inner in scope._child_scopes:
        inner.cancel()
    # Looked at anew after each wait: one that is cancelled may start another one.
    while tasks := _tasks_within(scope):
        done, _ = await asyncio.wait(tasks)
        raised = [task.exception() for task in done if not task.cancelled()]
        errors += [error for error in raised if error is not None]


def _tasks_within(scope: Any) -> set[asyncio.Task[Any]]:
    """Return the tasks in the scopes within one that are not over, without the calling task."""
    tasks = {task for inner in _scopes_within(scope) for task in inner._tasks if not task.done()}
    return tasks - {asyncio.current_task()}


def _scopes_within(scope: Any) -> list[Any]:
    """Return the scopes within one, at any depth; no public function of anyio does."""
    found: list[Any] = [*getattr(scope, "_child_scopes", ())]
    for inner in found:
        found += inner._child_scopes
    return found


def start_service(
    loop: asyncio.AbstractEventLoop,
    service: Callable[[], Awaitable[None]],
    name: str,
    *,
    instead: Callable[[], None] | None = None,
) -> None:
    """Run an async function in the background of a loop.

    Args:
        loop: The loop.
        service: The function. Once begun, it can be cancelled.
        name: The name of its task.
        instead: Called if the task is cancelled before it begins; None starts another task, so that
            the function begins in any case.
    """
    begun = False
    services = _kept_on(loop, _SERVICES, set[asyncio.Task[None]])

    async def begin() -> None:
        nonlocal begun
        begun = True
        await service()

    def over(task: asyncio.Task[None]) -> None:
        services.discard(task)
        if not begun and instead is not None:
            instead()
        elif not begun:
            # Cancelled before that, by somebody who cancels all tasks there are. Without another
            # one, what was asked for would be waited for in vain.
            start_service(loop, service, name)

    task = asyncio.Task(begin(), loop=loop, name=name)
    services.add(task)
    task.add_done_callback(over)


def roots_of(loop: asyncio.AbstractEventLoop) -> Roots:
    """Return the set that keeps the loose runs of a loop alive, because nothing above them does.

    They go with the loop: one that was thrown away drives nothing any more.
    """
    return _kept_on(loop, _ROOTS, partial(Roots, loop.call_soon))


def alarms_of(loop: asyncio.AbstractEventLoop) -> Alarms:
    """Return the alarms of a loop; all engines on the loop share them."""

    def new_alarms() -> Alarms:
        # That of whoever enters the first engine here. Whoever sets an alarm may be a step, whose
        # context is no matter of what the alarm is for.
        context = copy_context()

        def call_at(instant: float, function: Callable[[], object]) -> Callable[[], Any]:
            return loop.call_at(instant, function, context=context.copy()).cancel

        return Alarms(loop.time, call_at)

    return _kept_on(loop, _ALARMS, new_alarms)


class Host(Protocol):
    """Where the handlers of a broker live: an engine, or an asyncio loop.

    Attributes:
        serves: A weak reference to the engine; None for a loop, which engines share.
    """

    serves: Callable[[], Any] | None

    def check(self) -> None:
        """Make sure that the caller runs there, or that nothing runs there yet.

        Raises:
            EngineError: The caller runs in another event loop or thread.
        """
        ...

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run an async function in the background, under a name."""
        ...

    def scope(self, deadline: float, *, shield: bool) -> AbstractContextManager[Scope]:
        """Return a cancel scope to enter."""
        ...

    @property
    def left_open(self) -> Callable[[Any], object]:
        """A function that tells, truly or falsely, whether scopes are open within a scope."""
        ...

    async def abandon(self, scope: Any) -> list[BaseException]:
        """End what the caller has left in task groups within a scope; return what that raised."""
        ...


class OnLoop:
    """An asyncio loop as the host of a broker.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """

    __slots__ = ("_loop", "serves")

    def __init__(self, loop: Any = None) -> None:
        self.serves: Callable[[], Any] | None = None
        self._loop: asyncio.AbstractEventLoop = asyncio_loop(loop)

    def check(self) -> None:
        """Make sure that the caller runs on the loop; see `check_on`."""
        check_on(self._loop)

    def scope(self, deadline: float, *, shield: bool) -> Any:
        """Return a cancel scope to enter."""
        return anyio.CancelScope(deadline=deadline, shield=shield)

    @property
    def left_open(self) -> Callable[[Any], object]:
        """A function that tells, truly or falsely, whether scopes are open within a scope."""
        return _scopes_within

    async def abandon(self, scope: Any) -> list[BaseException]:
        """End what the caller has left within a scope; see the function of that name."""
        return await abandon(scope)

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run an async function in the background of the loop; see the function of that name."""
        start_service(self._loop, service, name)


class Attendant:
    """Stands for the loose runs of a loop that wait without a driver, as suspended ones.

    While there are such runs, an attendant has one task in the background. When all tasks of the
    loop are cancelled, as at the end of `asyncio.run`, so is this one; the attendant then cancels
    the runs.

    Args:
        loop: The loop.
    """

    __slots__ = ("_loop", "_nobody_left", "_runs")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: asyncio.AbstractEventLoop = loop
        # The runs that wait, in the order in which they began to wait.
        self._runs: dict[Cancellable, None] = {}
        # Set when no run is left. None exactly while there is no task; there is always a task while
        # there are runs.
        self._nobody_left: asyncio.Event | None = None

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Attendant:
        """Return the attendant of a loop."""
        return _kept_on(loop, _ATTENDANT, partial(cls, loop))

    def attend(self, run: Cancellable) -> None:
        """Cancel a run, from now until `leave`, when all tasks of the loop are cancelled."""
        self._runs[run] = None
        if self._nobody_left is None:
            self._nobody_left = asyncio.Event()
            # Cancelled before it begins, it has been cancelled all the same.
            start_service(self._loop, self._stay, "tukio waiting", instead=self._cancel_all)

    def leave(self, run: Cancellable) -> None:
        """Undo `attend`; nothing happens if the run was not attended to."""
        self._runs.pop(run, None)
        if not self._runs and self._nobody_left is not None:
            self._nobody_left.set()

    async def _stay(self) -> None:
        """Wait until no run is left; cancel the runs that are left if this is cancelled."""
        assert self._nobody_left is not None
        try:
            # Looked at anew after each wait, because a run may have come after the last one left.
            while self._runs:
                self._nobody_left.clear()
                await self._nobody_left.wait()
        finally:
            self._cancel_all()

    def _cancel_all(self) -> None:
        # Facts first: whoever comes next gets a task of its own.
        self._nobody_left = None
        roots = roots_of(self._loop)
        for run in self._runs:
            roots.cut_short(run)
        call_all(run.cancel_from_outside for run in self._runs)
