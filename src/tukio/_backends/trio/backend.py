"""The trio backend: all drivers are in the engine's nursery, spread over some within it.

A run needs no nursery of its own: each driver has a scope, raises nothing of its steps, and the run
is over when its last driver has left and nothing of it is due.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trio

from ..._loop.alarms import Alarms
from ..._loop.contract import Unwound
from ..._loop.running import ELSEWHERE, IN_LOOP, NOT_RUNNING, running_backend
from ..._model.errors import EngineError
from .nurseries import Nurseries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context

    from ..._loop.contract import Driver, Scope


class TrioDriver:
    """A driver on trio."""

    __slots__ = (
        "cancelled_at",
        "cancelled_early",
        "context",
        "coroutine",
        "has_step_deadline",
        "scope",
        "scope_spent",
        "step",
    )

    def __init__(self) -> None:
        self.cancelled_early: bool = trio.current_effective_deadline() == -math.inf
        self.step: Any = None
        self.scope: Scope | None = None
        self.scope_spent: bool = False
        self.has_step_deadline: bool = False
        self.cancelled_at: float = math.inf
        self.context: Context | None = None
        self.coroutine: Any = None

    @staticmethod
    def cancelling() -> int:
        """Return 0: trio has no cancellation outside of scopes."""
        return 0


class TrioBackend:
    """The backend for the trio run that it is made in."""

    def __init__(self) -> None:
        # What `trio.current_time` does, without looking for the clock each time.
        self.time: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self.alarms: Alarms = Alarms(self.time, self._call_at)
        self.roots: set[Any] | None = None
        self._anchor: float = time.time() - trio.current_time()
        self._token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        self._manager: Any = None
        self._nursery: trio.Nursery | None = None
        self._drivers: Nurseries | None = None

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant on trio's clock."""
        return datetime.fromtimestamp(self._anchor + instant, UTC)

    def instant(self, time: datetime) -> float:
        """Return the instant on that clock at an aware time."""
        return time.timestamp() - self._anchor

    def scope(self, deadline: float = math.inf, *, shield: bool = False) -> Any:
        """Return a trio cancel scope."""
        return trio.CancelScope(deadline=deadline, shield=shield)

    def _call_at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
        """Have a function called at an instant on that clock; return what calls that off."""
        assert self._nursery is not None
        # Shielded: it is needed most while all around it is cancelled.
        scope = trio.CancelScope(shield=True)
        self._nursery.start_soon(_call_at, instant, function, scope, name="tukio timer")
        return scope.cancel

    def check_here(self) -> None:
        """Make sure that the calling code runs in this trio run.

        Raises:
            EngineError: It runs in another one, or in another thread.
        """
        if not trio.lowlevel.in_trio_run() or trio.lowlevel.current_trio_token() is not self._token:
            raise EngineError(ELSEWHERE)

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function in this trio run, from another thread, and return its result.

        Raises:
            EngineError: Called in an event loop, which would stand still, or the trio run is over.
            Exception: What the function raised.
        """
        if running_backend() is not None:
            raise EngineError(IN_LOOP)
        try:
            return trio.from_thread.run(function, trio_token=self._token)
        except trio.RunFinishedError:
            raise EngineError(NOT_RUNNING) from None

    async def checkpoint(self) -> None:
        """Let others have a turn, and be cancelled if so requested."""
        await trio.lowlevel.checkpoint()

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Be cancelled if so requested; nobody else has a turn before."""
        return trio.lowlevel.checkpoint_if_cancelled()  # noqa: ASYNC105 - the caller awaits it

    def spawn(
        self,
        function: Callable[[Any], Coroutine[Any, Any, None]],
        work: Any,
        name: str,
        context: Context | None,
    ) -> None:
        """Start a driver; trio gives it a context of its own."""
        del context
        assert self._drivers is not None
        self._drivers.start_soon(function, work, name=name)

    def new_driver(self) -> Driver:
        """Return a driver for the calling task."""
        return TrioDriver()

    def attend(self, work: Any) -> None:
        """Do nothing: an engine that is cancelled stops its runs."""

    def leave(self, work: Any) -> None:
        """Do nothing."""

    def take_apart(self, exc: BaseException) -> Unwound:
        """Return the parts of an exception that left a driver's scope.

        A cancellation that is not that scope's comes from further out, and goes on there.
        """
        if isinstance(exc, trio.Cancelled):
            return Unwound(cancelled=True, error=None, outwards=exc)
        outwards: BaseException | None = None
        error: BaseException | None = exc
        if isinstance(exc, BaseExceptionGroup):
            outwards, error = exc.split(trio.Cancelled)
        cancelled = outwards is not None
        if isinstance(error, KeyboardInterrupt | SystemExit):
            outwards = error
        return Unwound(cancelled, error, outwards)

    async def absorb_native_cancel(self, driver: Driver) -> None:
        """Do nothing: on trio no cancellation is left over."""

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something in the background for as long as the engine lives."""
        assert self._nursery is not None
        self._nursery.start_soon(service, name=name)

    async def open(
        self, stop_all: Callable[[], object], drained: Callable[[], Awaitable[None]]
    ) -> None:
        """Open the nursery that the runs live in."""
        del stop_all, drained
        self._manager = trio.open_nursery()
        self._nursery = nursery = await self._manager.__aenter__()
        self._drivers = Nurseries(nursery)

    async def close(self, exc: BaseException | None) -> None:
        """Close the nursery: cancel it if `exc` is the reason, and wait until it is empty."""
        assert self._nursery is not None
        assert self._drivers is not None
        self._drivers.close()
        if exc is not None:
            self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)


async def _call_at(instant: float, function: Callable[[], object], scope: trio.CancelScope) -> None:
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
    return TrioBackend()
