"""The trio backend: the hosts of all runs are in the engine's nursery, spread over some within it.

A run needs no nursery of its own: each host has a scope, raises nothing of its steps, and the run
is over when its last host is.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trio

from ..driver import drive
from ..errors import EngineError, WorkflowCancelled, WorkflowTimedOut
from ..run import Run
from ..state import FutureState, Phase
from ..watchdog import Watchdog
from ..workflow import Workflow
from . import ELSEWHERE, IN_LOOP, NOT_RUNNING, Broken, running_backend
from .nurseries import Nurseries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

    from ..broker import Broker
    from ..task.run import TaskRun
    from ..template import WorkflowTemplate
    from . import Host, Scope


class TrioWorkflow(Workflow):
    """A run on trio. `await` it for the set of its tasks.

    Awaiting raises `WorkflowCancelled`, `WorkflowTimedOut` or `WorkflowFailed` if that is how it
    ended. Cancelling one who awaits it does not cancel the run.
    """

    __slots__ = ("__weakref__", "_run", "_steps")

    def __init__(
        self, template: WorkflowTemplate, *, port: TrioPort, broker: Broker, cleanup_timeout: float
    ) -> None:
        self._run: Run = Run(self, template, port, broker=broker, cleanup_timeout=cleanup_timeout)
        self._steps = self._run.plan.steps

    def done(self) -> bool:
        """Return whether the run is over."""
        return self._run.phase is Phase.OVER

    def __await__(self) -> Generator[Any, None, set[TaskRun]]:
        return self._awaited().__await__()

    async def _awaited(self) -> set[TaskRun]:
        ending = await self.wait()
        if self._run.failure is not None:
            raise self._run.failure
        if ending is FutureState.timeout:
            raise WorkflowTimedOut(self.uid)
        if ending is FutureState.cancelled:
            raise WorkflowCancelled(self.uid)
        return set(self.tasks)


class TrioHost:
    """A host on trio."""

    __slots__ = ("context", "coroutine", "cut_at", "limited", "scope", "stale", "step")

    def __init__(self) -> None:
        self.step: TaskRun | None = None
        self.scope: Scope | None = None
        self.stale: bool = False
        self.limited: bool = False
        self.cut_at: float = math.inf
        self.context: Context | None = None
        self.coroutine: Any = None

    @staticmethod
    def cancelling() -> int:
        """Return 0: trio has no cancellation outside of scopes."""
        return 0


class TrioPort:
    """The port for the trio run that it is made in."""

    def __init__(self) -> None:
        # What `trio.current_time` does, without looking for the clock each time.
        self.time: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self._anchor: float = time.time() - trio.current_time()
        self._token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        self._manager: Any = None
        self._nursery: trio.Nursery | None = None
        self._hosts: Nurseries | None = None
        self.watchdog: Watchdog = Watchdog(self)

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant on trio's clock."""
        return datetime.fromtimestamp(self._anchor + instant, UTC)

    def instant(self, time: datetime) -> float:
        """Return the instant on that clock at an aware time."""
        return time.timestamp() - self._anchor

    def scope(self, deadline: float = math.inf, *, shield: bool = False) -> Any:
        """Return a trio cancel scope."""
        return trio.CancelScope(deadline=deadline, shield=shield)

    def call_at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
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

    def workflow(
        self, template: WorkflowTemplate, *, broker: Broker, cleanup_timeout: float
    ) -> Workflow:
        """Return a run, not started yet."""
        return TrioWorkflow(template, port=self, broker=broker, cleanup_timeout=cleanup_timeout)

    def launch(self, run: Run) -> None:
        """Spawn the first host of a run."""
        self.spawn(run)

    def spawn(self, run: Run) -> None:
        """Spawn one more host."""
        assert self._hosts is not None
        self._hosts.start_soon(drive, run, name=f"tukio {run.template.uid}")

    def host(self, run: Run) -> Host:
        """Return a host of a run for the calling task.

        If all was cancelled from outside before it began, the run is cancelled.
        """
        if trio.current_effective_deadline() == -math.inf:
            run.stop(FutureState.cancelled)
        return TrioHost()

    def last_host_left(self, run: Run) -> None:
        """End the run."""
        run.over()

    def broken(self, exc: BaseException) -> Broken:
        """Take apart an exception that left a host's scope.

        A cancellation that is not that scope's comes from further out, and goes on there.
        """
        if isinstance(exc, trio.Cancelled):
            return Broken(cancelled=True, error=None, outwards=exc)
        outwards: BaseException | None = None
        error: BaseException | None = exc
        if isinstance(exc, BaseExceptionGroup):
            outwards, error = exc.split(trio.Cancelled)
        cancelled = outwards is not None
        if isinstance(error, KeyboardInterrupt | SystemExit):
            outwards = error
        return Broken(cancelled, error, outwards)

    async def settle(self, host: Host) -> None:
        """Do nothing: on trio no cancellation is left over."""

    def serve(self, service: Callable[[], Awaitable[None]], name: str) -> None:
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
        self._hosts = Nurseries(nursery)

    async def close(self, exc: BaseException | None) -> None:
        """Close the nursery: cancel it if `exc` is the reason, and wait until it is empty."""
        assert self._nursery is not None
        assert self._hosts is not None
        self._hosts.close()
        if exc is not None:
            self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)


async def _call_at(instant: float, function: Callable[[], object], scope: trio.CancelScope) -> None:
    with scope:
        await trio.sleep_until(instant)
        function()


def new_port(*, loop: Any, structured: bool) -> TrioPort:
    """Return a port for the running trio."""
    del loop, structured
    return TrioPort()
