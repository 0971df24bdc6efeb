"""An engine as a resource: its block, its stop, and its place among loops and threads.

Owns:   the order of a shutdown.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from .._events.stream import BUFFER, EventStream
from .._model.state import CANCELLED
from .binding import Binding
from .instances import Instances

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from .._events.broker import Broker
    from .._model.registry import Registry

Result = TypeVar("Result")


class Lifecycle:
    """What an engine is, whatever it runs: it is entered, stopped, left and awaited.

    Args:
        loop: An asyncio event loop, for the loose mode; None is the running one.
        registry: Where the names of tasks are looked up; None is the one of the process.
        cleanup_timeout: Seconds that a task's `teardown()` may take.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(self, loop: Any, registry: Registry | None, cleanup_timeout: float) -> None:
        if not cleanup_timeout > 0:
            msg = f"cleanup_timeout must be positive seconds, not {cleanup_timeout!r}"
            raise ValueError(msg)
        self._cleanup_timeout: float = cleanup_timeout
        self._binding: Binding = Binding(loop, registry, cleanup_timeout)
        self._instances: Instances = Instances()
        # Once True, it stays so: nothing is started any more.
        self._stopping: bool = False
        self._streams: WeakSet[EventStream] = WeakSet()

    async def __aenter__(self) -> Self:
        await self._binding.open(self._stop_from_outside, self._instances.drained)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del exc_type, traceback
        try:
            self.stop(force=exc is not None)
            if exc is None:
                await self._instances.drained()  # noqa: ASYNC102 - may be cancelled, as the body
        finally:
            self.stop(force=True)
            # Shielded there; the runs, which have been cancelled, set how long it takes.
            await self._binding.close(exc, self._instances.drained, self._cleanup_timeout)  # noqa: ASYNC102

    @property
    def broker(self) -> Broker:
        """The broker that dispatches the data this engine receives, and execution events."""
        return self._binding.broker

    def subscribe(self, *topics: str, buffer: int = BUFFER) -> EventStream:
        """Return the events of some topics as an async context manager and iterator.

        Args:
            topics: Which; none is every topic, except the execution events (`EXEC_TOPIC`).
            buffer: How many events wait for the reader. When it is full, the oldest is dropped
                and counted in `dropped`; nobody waits for a slow reader.

        Raises:
            ValueError: `buffer` is not positive.
            TypeError: A topic is no string.
        """
        stream = EventStream(lambda: self._binding.broker, topics, buffer)
        self._streams.add(stream)
        return stream

    # From other threads --------------------------------------------------------------------------

    def from_thread(self, function: Callable[..., Awaitable[Result]], *args: Any) -> Result:
        """Run an async function where the engine runs, and wait for what it returns.

            runs = engine.from_thread(engine.data_received, {"n": 1}, "topic")

        For many events, give it a function of your own: each call is a round trip. The methods of
        a run are for the engine's own thread, too.

        Raises:
            EngineError: Called in an event loop, which would stand still; or the event loop of
                the engine does not run, or there is none yet. Nothing was called.
            Exception: What the function raised.
        """
        result: Result = self._binding.backend.call_from_thread(partial(function, *args))
        return result

    # The end -------------------------------------------------------------------------------------

    def stop(self, grace: float | None = None, *, force: bool = False) -> Self:
        """Start no new runs, and end the engine when those in progress are over.

        It takes effect at once; `await` what it returns to wait for the end. It may be called
        again, to say it with more force.

        Args:
            grace: Seconds after which the runs in progress are cancelled, 0 for now; None lets them
                finish. A bool is `force`, which stood here in 1.x.
            force: Cancel them now.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self._binding.check()
        if isinstance(grace, bool):
            grace, force = None, grace or force
        self._stopping = True
        if force or (grace is not None and grace <= 0):
            self._stop_all()
        elif grace is not None:
            self._instances.stop_after(grace)
        self._instances.tell_change()
        return self

    def _stop_all(self) -> None:
        """Cancel every run; it is the end of the engine, and not by itself that of the runs."""
        for run in self._instances.all():
            run.stop(CANCELLED, final=False)

    def _stop_from_outside(self) -> None:
        """Called when all around the engine is cancelled."""
        self.stop(force=True)

    def done(self) -> bool:
        """Return whether it was stopped and all runs are over."""
        return self._stopping and not self._instances

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until it was stopped and all runs are over.

        Cancellation: only the waiting ends.
        """
        return self._stopped().__await__()

    async def _stopped(self) -> None:
        while not self.done():
            await self._instances.changed()
        # The broker may be that of other engines as well, and go on.
        for stream in self._streams:
            stream.end()
