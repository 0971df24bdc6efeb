"""An engine as a resource: its `async with` block, its stop, and calls from other threads.

Owns:   the order of a shutdown.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

import anyio.lowlevel

from .._loop.turns import Turns
from .._model.errors import EngineError
from .._model.guard import call_all, make_sure_of_room, program_end
from .._model.logs import Log
from .._model.state import CANCELLED
from .binding import Binding
from .children import ChildRuns
from .instances import Instances

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from .._events.broker import Broker
    from .._events.stream import EventStream
    from .._events.taps import Tap
    from .._model.registry import Registry
    from .._run.run import Run

Result = TypeVar("Result")

log: Log = Log("tukio.engine")

LONG: Final = 10.0
"""Seconds after which whoever leaves is told whom that waits for."""

FEW: Final = 3
"""The number of runs, and of tasks of each, that are named then."""


ENGINES: Final[weakref.WeakValueDictionary[int, Lifecycle]] = weakref.WeakValueDictionary()
"""The engines that there are, for whoever looks into a program that waits for ever.

By their identity: a subclass of users may have no hash.
"""


class Lifecycle:
    """The base class of `Engine`: everything about its beginning and its end.

    Args:
        loop: An asyncio event loop, for the loose mode; None is the running one.
        registry: The registry of task names; None is the one of the process.
        cleanup_timeout: Seconds that a task's `teardown()` may take.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(self, loop: Any, registry: Registry | None, cleanup_timeout: float) -> None:
        if not cleanup_timeout > 0:
            msg = f"cleanup_timeout must be positive seconds, not {cleanup_timeout!r}"
            raise ValueError(msg)
        self._cleanup_timeout: float = cleanup_timeout
        # The runs that are not over, including replacements that have not started.
        self._instances: Instances = Instances()
        self._children: ChildRuns = ChildRuns(self._instances)
        self._binding: Binding = Binding(
            loop, registry, cleanup_timeout, weakref.ref(self), self._children
        )
        self._children.binding = self._binding
        # For the methods that wait for nothing, but those that start runs by data.
        self._turns: Turns = Turns(anyio.lowlevel)
        # Set by `stop`, and never set back. While it is True, no new run is added to the instances.
        self._stopping: bool = False
        # The streams that were returned and are still referred to; ended when the engine has
        # stopped.
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        # Likewise, of taps.
        self._taps: weakref.WeakSet[Tap] = weakref.WeakSet()
        ENGINES[id(self)] = self

    async def __aenter__(self) -> Self:
        """Bind the engine to the running event loop, and open the tree that its runs live in.

        Raises:
            EngineError: The engine is, or was, in use already, or no event loop is running.
        """
        await self._binding.open(self._stop_from_outside, self._drained)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the engine, and return when all runs are over and the broker is closed.

        Args:
            exc_type: The type of `exc`.
            exc: The exception that the block was left by: then all runs are cancelled. None if
                there is none.
            traceback: The traceback of `exc`.

        Raises:
            EngineError: The calling task is not the one that entered the block. All runs are over.
                Or the engine runs in another event loop or thread. Nothing changes.

        Cancellation: all runs are cancelled, and it is raised when they are over, however often it
        is requested meanwhile. The same goes for KeyboardInterrupt.
        """
        del exc_type, traceback
        # Before anything is stopped or waited for, for elsewhere that would be in vain.
        self._binding.backend.check_here()
        cause = exc
        try:
            # First: from here on no run is added, so the runs come to an end.
            self._stopping = True
            if exc is not None and program_end(exc) is not None:
                # It may have cut anything. Before the runs stop: one may be over then.
                self._instances.salvage(self._binding.backend.at_work())
            self._stop(force=exc is not None)
            if exc is None:
                await self._wait_for_runs()  # noqa: ASYNC102 - may be cancelled, as the body
        except BaseException as interruption:
            cause = interruption
            raise
        finally:
            try:
                # Again, because the wait above may have been cancelled: then the runs are, too.
                self._stop(force=True)
            finally:
                # Always, and shielded within: it takes as long as the cancelled runs take to
                # unwind.
                limit = self._cleanup_timeout
                try:
                    await self._binding.close(cause, self._drained, limit)  # noqa: ASYNC102
                finally:
                    # An exception has the frames that it went through, this one, too: no circle.
                    del cause, exc

    if not TYPE_CHECKING:
        # For whoever forgets `async`; type checkers find that by themselves.

        def __enter__(self) -> NoReturn:
            """Refuse.

            Raises:
                EngineError: Always. Nothing has changed.
            """
            msg = "an engine has no 'with' block - async with tukio.Engine() as engine: ..."
            raise EngineError(msg)

        def __exit__(self, *exc_info: object) -> None:
            """Do nothing: no such block is ever entered. Python looks for it first."""

    async def _wait_for_runs(self) -> None:
        """Wait until no run is left; tell after a while for which."""
        if not self._instances:
            return
        backend = self._binding.backend
        call_off = backend.alarms.at(backend.time() + LONG, self._tell_whom_it_waits_for)
        try:
            await self._instances.drained()
        finally:
            call_off()

    def _tell_whom_it_waits_for(self) -> None:
        runs = self._instances.all()
        if not runs:
            # The last one has ended in this very moment.
            return
        log.warning(
            "leaving the engine waits for runs, %d in all: %s - cancel them, or await"
            " engine.stop(grace=...) first, to wait no longer",
            len(runs),
            "; ".join(map(_at_work, runs[:FEW])),
        )

    @property
    def broker(self) -> Broker:
        """The broker of the engine: dispatches received data and execution events."""
        return self._binding.broker

    # From other threads --------------------------------------------------------------------------

    def from_thread(self, function: Callable[..., Awaitable[Result]], *args: Any) -> Result:
        """Run an async function in the engine's event loop, and return its result.

            runs = engine.from_thread(engine.data_received, {"n": 1}, "topic")

        Each call is a round trip between threads: to send many events, pass a function of your own
        that sends them all. The methods of a run, too, may be called only in the engine's thread.

        Raises:
            EngineError: Called in an event loop, which this would block. Or the engine is unbound,
                or its event loop does not run. Nothing was called. Or the engine is left, or its
                event loop ends, before the function is over, which is cancelled then.
            Exception: The exception of the function.
        """
        result: Result = self._binding.call_from_thread(partial(function, *args))
        return result

    # The end -------------------------------------------------------------------------------------

    def stop(self, grace: float | None = None, *, force: bool = False) -> Self:
        """Start no new runs, and end the engine when the runs in progress are over.

        `stop` takes effect at once; `await` its result to wait for the end. A further call can only
        make the end come sooner.

        Args:
            grace: Seconds after which the runs in progress are cancelled, 0 for now; None lets them
                finish. A bool is taken as `force`, which was the first argument in 1.x.
            force: Whether to cancel the runs in progress now.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self._binding.check()
        make_sure_of_room()
        if isinstance(grace, bool):
            grace, force = None, grace or force
        self._stop(grace, force=force)
        return self

    def _stop(self, grace: float | None = None, *, force: bool) -> None:
        """Do what `stop` does, also where there is little room: whoever leaves must go on."""
        # Before any run is cancelled, because handlers of its events must not start another one.
        self._stopping = True
        if force or (grace is not None and grace <= 0):
            self._stop_all()
        elif grace is not None:
            self._instances.stop_after(grace)
        # Last: with no run left, this is what ends the waiting for the engine.
        self._instances.tell_change()

    def _stop_all(self) -> None:
        """Cancel every run because the engine ends; not final, so a run may go on elsewhere."""
        # Whoever leaves the engine waits for them all.
        call_all(partial(run.stop, CANCELLED, final=False) for run in self._instances.all())

    def _stop_from_outside(self) -> None:
        """Called when all around the engine is cancelled."""
        self._stop(force=True)

    async def _drained(self) -> None:
        """Wait until no run is left: all were told to stop, and what Ctrl-C has cut is mended."""
        if self._instances:
            self._instances.salvage(self._binding.backend.at_work())
        await self._instances.drained()

    def done(self) -> bool:
        """Return whether the engine was stopped and all its runs are over."""
        return self._stopping and not self._instances

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until the engine was stopped and all its runs are over.

        Cancellation: only the waiting ends.
        """
        return self._stopped().__await__()

    async def _stopped(self) -> None:
        """Wait until the engine is done, and end its streams and taps.

        Raises:
            EngineError: Called from another event loop or thread.
        """
        self._binding.check()
        if self.done():
            await self._turns.give_way()
        while not self.done():
            await self._instances.changed()
        # One by one, because a loose engine may share its broker with others, which go on.
        for stream in self._streams:
            stream.finish()
        for tap in self._taps:
            tap.close()
        self._binding.rest()


def _at_work(run: Run) -> str:
    """Return which run of what it is, and what is at work there."""
    steps = [driver.step.template.uid for driver in run.drivers if driver.step is not None]
    doing = f"at {', '.join(steps[:FEW])}" if steps else run.phase.value
    return f"{run.template.uid} {run.uid} {doing}"
