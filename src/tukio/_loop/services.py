"""What belongs to an asyncio loop rather than to an engine: background services, alarms.

Owns:   the tasks of the services, and who waits on a loop without a task.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from .._model.errors import EngineError
from .alarms import Alarms
from .running import running_backend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .contract import Cancellable

AsyncioLoop: TypeAlias = asyncio.AbstractEventLoop
"""For the annotations of those who import no backend."""

# The loop keeps no hold of its tasks.
_services: set[asyncio.Task[None]] = set()

# Kept by the loop itself: in a table beside the loop, weak or not, what refers to the loop would
# keep it, and itself, for ever.
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
    """Return what runs something in the background of an asyncio loop, under a name.

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
    """Run something in the background of a loop.

    Args:
        loop: The loop.
        service: What to run.
        name: Of its task.
        instead: Called if the task is cancelled before it begins; None begins in another one.
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
    """Return the alarms of a loop, which all engines on it share."""
    alarms: Alarms | None = getattr(loop, _ALARMS, None)
    if alarms is None:

        def call_at(instant: float, function: Callable[[], object]) -> Callable[[], Any]:
            return loop.call_at(instant, function).cancel

        alarms = Alarms(loop.time, call_at)
        setattr(loop, _ALARMS, alarms)
    return alarms


class Attendant:
    """Stands for the runs of a loop that wait without a task of their own, outside any tree.

    It has one task in the background while there are any. Cancelled with all tasks of the loop,
    as at the end of `asyncio.run`, it cancels these runs.

    Args:
        loop: The loop.
    """

    __slots__ = ("_loop", "_nobody_left", "_runs")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: asyncio.AbstractEventLoop = loop
        self._runs: dict[Cancellable, None] = {}
        # Set when there is nobody left to attend to; None while there is no task.
        self._nobody_left: asyncio.Event | None = None

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Attendant:
        """Return the one of a loop."""
        attendant: Attendant | None = getattr(loop, _ATTENDANT, None)
        if attendant is None:
            attendant = cls(loop)
            setattr(loop, _ATTENDANT, attendant)
        return attendant

    def attend(self, run: Cancellable) -> None:
        """Stand for a run from now on."""
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
        assert self._nobody_left is not None
        try:
            while self._runs:
                self._nobody_left.clear()
                await self._nobody_left.wait()
        finally:
            self._cancel_all()

    def _cancel_all(self) -> None:
        # Facts first: whoever comes next gets a task of its own.
        self._nobody_left = None
        for run in list(self._runs):
            run.cancel_from_outside()
