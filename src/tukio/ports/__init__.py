"""What the engine needs of a backend, and the choice of one.

The classes here are contracts; `asyncio.py` and `trio.py` beside this file fulfil them, and
`loop.py` is what there is of asyncio without an engine. Nothing is imported from a backend until
it is known to be the one in use.
"""

from __future__ import annotations

import importlib
import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager
    from contextvars import Context
    from datetime import datetime

    from ..broker import Broker
    from ..run import Run
    from ..task.mailbox import Mailbox
    from ..task.run import TaskRun
    from ..template import WorkflowTemplate
    from ..watchdog import Watchdog
    from ..workflow import Workflow


ELSEWHERE = (
    "this engine runs in another event loop or thread"
    " - call it there; from another thread, through engine.from_thread(...)"
)
IN_LOOP = "an event loop cannot wait like this - await the method instead, or call it from a thread"
NOT_RUNNING = "the event loop of this engine is not running - nothing was called"


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


class Host(Protocol):
    """A task of the backend that drives steps.

    Attributes:
        step: The step it is driving; None between steps.
        scope: The scope it is in, or was in last; None before the first, and while it takes steps
            that need none.
        stale: Whether its scope was cancelled and must be left before the next step.
        limited: Whether the deadline of its scope is that of a step, and not of the run.
        context: Where its step runs, or ran last; None before the first.
        coroutine: What of its step is at work, or was last: the task, or its `teardown()`.
        cut_at: When that was, unless a deadline did it; inf if it was not. While a step is cleaned
            up after: when that will be cut.
    """

    step: TaskRun | None
    scope: Scope | None
    stale: bool
    limited: bool
    cut_at: float
    context: Context | None
    coroutine: Any

    def cancelling(self) -> int:
        """Return how many cancellations of the backend's own kind were not answered yet."""
        ...


class Broken(NamedTuple):
    """What an exception that left a host's scope consists of.

    Attributes:
        cancelled: Whether there was a cancellation in it, other than by that scope.
        error: The step's own part of it; None if there is none.
        outwards: The part that must be raised on, outwards; None if there is none.
    """

    cancelled: bool
    error: BaseException | None
    outwards: BaseException | None


class Port(Protocol):
    """One backend, as the engine and the host loop use it.

    Attributes:
        watchdog: Looks for steps that go on although they were cancelled.
    """

    watchdog: Watchdog

    def time(self) -> float:
        """Return the time on the clock that deadlines are on, in seconds."""
        ...

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant on that clock."""
        ...

    def instant(self, time: datetime) -> float:
        """Return the instant on that clock at an aware time."""
        ...

    def call_at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
        """Have a function called at an instant on that clock; return what calls that off."""
        ...

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

    def workflow(
        self, template: WorkflowTemplate, *, broker: Broker, cleanup_timeout: float
    ) -> Workflow:
        """Return a run, not started yet."""
        ...

    def launch(self, run: Run) -> None:
        """Spawn the first host of a run."""
        ...

    def spawn(self, run: Run) -> None:
        """Spawn one more host."""
        ...

    def host(self, run: Run) -> Host:
        """Return the host of a run that the calling task is.

        If all was cancelled from outside before it began, the run is cancelled.
        """
        ...

    def last_host_left(self, run: Run) -> None:
        """Learn that a run has no host any more: it is over when its tree is empty."""
        ...

    def broken(self, exc: BaseException) -> Broken:
        """Take apart an exception that left a host's scope."""
        ...

    async def settle(self, host: Host) -> None:
        """Answer cancellations of the backend's own kind that were aimed at a step now over."""
        ...

    def serve(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something in the background that shields itself and ends before the port is closed.

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


def running_backend() -> str | None:
    """Return the name of the backend that this code runs on; None if it runs on none."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return "trio"
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return "asyncio"
    return None


def own_cancellations() -> Callable[[], int]:
    """Return what counts the cancellations that the calling task has not answered.

    On asyncio, those that were not aimed at a scope included: a task that meets a `CancelledError`
    without any has only looked at something that was cancelled. On trio there are none but those
    of scopes, and none is counted.
    """
    if running_backend() != "asyncio":
        return int
    count: Callable[[], int] = sys.modules["asyncio"].current_task().cancelling
    return count


def lone_mailbox(broker: Callable[[], Broker]) -> Mailbox | None:
    """Return the mailbox of the registered task outside a workflow that this code runs in.

    None if it does not run in one; there are such tasks on asyncio only.

    Args:
        broker: Returns the broker of its topics.
    """
    if running_backend() != "asyncio":
        return None
    module = importlib.import_module(".loop", __name__)
    found: Mailbox | None = module.lone_mailbox(broker())
    return found


def loop_broker(loop: Any = None) -> Broker:
    """Return the broker of an asyncio event loop, which lives as long as the loop.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    broker: Broker = _loop_for(loop).broker_of(loop)
    return broker


def loop_service(loop: Any = None) -> Callable[[Callable[[], Awaitable[None]], str], None]:
    """Return what runs something in the background of an asyncio event loop, under a name.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    service: Callable[[Callable[[], Awaitable[None]], str], None]
    service = _loop_for(loop).service_on(loop)
    return service


def _loop_for(loop: Any) -> Any:
    if loop is None and running_backend() != "asyncio":
        msg = "no engine and no asyncio loop here - use the 'broker' of an engine"
        raise EngineError(msg)
    return importlib.import_module(".loop", __name__)


def standalone_workflow(loop: Any = None) -> type[Any]:
    """Return the class of runs without an engine, which there are on asyncio only.

    Raises:
        EngineError: No loop was given, and asyncio is not running.
    """
    if loop is None and running_backend() != "asyncio":
        msg = "a workflow without an engine needs asyncio - use tukio.Engine().run_once(...)"
        raise EngineError(msg)
    kind: type[Any] = importlib.import_module(".asyncio", __name__).AsyncioWorkflow
    return kind


def port_for(*, loop: Any = None, structured: bool) -> Port:
    """Return a new port for the backend in use.

    Args:
        loop: An asyncio event loop, running or not; None for the running one.
        structured: Whether runs live in the tree of whoever opens the port.

    Raises:
        EngineError: No backend is running and no loop was given, or (on trio) not structured.
    """
    backend = "asyncio" if loop is not None else running_backend()
    if backend is None:
        msg = "no event loop is running - use the engine from async code, or give it loop=..."
        raise EngineError(msg)
    if backend == "trio" and not structured:
        msg = "on trio an engine lives in a 'with' block - async with tukio.Engine() as engine: ..."
        raise EngineError(msg)
    module = importlib.import_module(f".{backend}", __name__)
    port: Port = module.new_port(loop=loop, structured=structured)
    return port
