"""What belongs to an asyncio loop rather than to an engine: background services and alarms.

Owns:   the tasks of the services, and the attendants of runs that wait without a driver.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from .._model.errors import EngineError
from .alarms import Alarms
from .running import running_backend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .contract import Cancellable

AsyncioLoop: TypeAlias = asyncio.AbstractEventLoop
"""For the annotations of modules that import no backend."""

# Keeps the tasks alive, because an event loop has only weak references to its tasks. A task is
# removed when it is over.
_services: set[asyncio.Task[None]] = set()

# The names of attributes of the loop itself. Alarms and attendants refer to the loop, so a table of
# this module, weak or not, would keep them and the loop alive for ever.
_ALARMS, _ATTENDANT = "_tukio_alarms", "_tukio_attendant"


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


def service_on(loop: Any = None) -> Callable[[Callable[[], Awaitable[None]], str], None]:
    """Return a function that runs an async function in the background of a loop, under a name.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    return partial(start_service, asyncio_loop(loop))


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

    async def begin() -> None:
        nonlocal begun
        begun = True
        await service()

    def over(task: asyncio.Task[None]) -> None:
        _services.discard(task)
        if not begun and instead is not None:
            instead()
        elif not begun:
            # Cancelled before that, by somebody who cancels all tasks there are. Without another
            # one, what was asked for would be waited for in vain.
            start_service(loop, service, name)

    task = asyncio.Task(begin(), loop=loop, name=name)
    _services.add(task)
    task.add_done_callback(over)


def alarms_of(loop: asyncio.AbstractEventLoop) -> Alarms:
    """Return the alarms of a loop; all engines on the loop share them."""
    alarms: Alarms | None = getattr(loop, _ALARMS, None)
    if alarms is None:
        # That of whoever enters the first engine here. Whoever sets an alarm may be a step, whose
        # context is no matter of what the alarm is for.
        context = copy_context()

        def call_at(instant: float, function: Callable[[], object]) -> Callable[[], Any]:
            return loop.call_at(instant, function, context=context.copy()).cancel

        alarms = Alarms(loop.time, call_at)
        setattr(loop, _ALARMS, alarms)
    return alarms


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
        attendant: Attendant | None = getattr(loop, _ATTENDANT, None)
        if attendant is None:
            attendant = cls(loop)
            setattr(loop, _ATTENDANT, attendant)
        return attendant

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
        with ExitStack() as ends:
            # Each of them, whatever a handler raises; what is put on last is called first.
            for run in reversed(self._runs):
                ends.callback(run.cancel_from_outside)
