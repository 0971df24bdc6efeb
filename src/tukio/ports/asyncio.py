"""The asyncio backend (uvloop too): hosts are `TukioTask`s, each in a cancel scope of its own.

Structured, one child of an anyio task group stands for all hosts: cancelled, it cancels each run
and waits until all have unwound. Loose, as in 1.x, each run is a root of its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from ..driver import drive
from ..errors import EngineError
from ..run import CLEANUP_TIMEOUT, Run
from ..state import FutureState
from ..task.current import running_task
from ..task.factory import TukioTask, install, uninstall
from ..task.run import TaskRun
from ..watchdog import Watchdog
from ..workflow import Workflow
from . import ELSEWHERE, IN_LOOP, NOT_RUNNING, Broken, running_backend
from .loop import broker_of, serve_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

    from ..broker import Broker
    from ..template import WorkflowTemplate
    from . import Host, Scope

# Looked up for every run; up to Python 3.11 a member of an enum is worked out each time.
FINISHED = FutureState.finished

# Runs in loose mode have no tree above them; this is what keeps them alive.
_roots: set[Run] = set()


class AsyncioWorkflow(Workflow, asyncio.Future[set[TaskRun]]):
    """A run on asyncio: also an `asyncio.Future`, whose result is the set of its tasks.

    Cancelling one who awaits it cancels the run, as with any future; `wait()` does not. The
    future is cancelled only when the run has unwound.
    """

    __slots__ = ("_result", "_run", "_steps")

    if not TYPE_CHECKING:
        # There is no kind to choose any more.
        __new__ = asyncio.Future.__new__

    def __init__(
        self,
        template: WorkflowTemplate,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        broker: Broker | None = None,
        port: AsyncioPort | None = None,
        cleanup_timeout: float = CLEANUP_TIMEOUT,
    ) -> None:
        if port is None:
            port = AsyncioPort(loop or asyncio.get_running_loop(), structured=False)
        asyncio.Future.__init__(self, loop=port.loop)
        self._result: set[TaskRun] | None = None
        if broker is None:
            broker = broker_of(port.loop)
        self._run: Run = Run(self, template, port, broker=broker, cleanup_timeout=cleanup_timeout)
        self._steps = self._run.plan.steps

    def __await__(self) -> Generator[Any, None, set[TaskRun]]:
        return self._awaited().__await__()

    async def _awaited(self) -> set[TaskRun]:
        if self.done():
            return self.result()
        # Not Future.__await__: a waiter in a cancelled anyio scope is cancelled again at every
        # turn of the loop until it leaves, which would spin for as long as the run unwinds.
        try:
            return await asyncio.shield(self)
        except asyncio.CancelledError:
            if not self.done():
                self.cancel()
                with anyio.CancelScope(shield=True):
                    await self.wait()
            raise

    def unlock_when_task_done(self, task: Any = None) -> None:
        """Unlock when a task is over.

        Args:
            task: Anything with `add_done_callback`; None is the calling task, of a workflow or
                not.
        """
        super().unlock_when_task_done(task or running_task() or asyncio.current_task())

    def result(self) -> set[TaskRun]:
        """Return the executions of its tasks.

        Raises:
            InvalidStateError: It is not over.
            CancelledError: It was cancelled, or has reached its time limit.
            WorkflowFailed: It failed.
        """
        super().result()
        if self._result is None:
            self._result = set(self.tasks)
        return self._result

    def _resolve(self, ending: FutureState, failure: Exception | None) -> None:
        if self.done():
            return
        if failure is not None:
            self.set_exception(failure)
            # The engine has logged it; asyncio need not complain that nobody looked.
            self.exception()
        elif ending is FINISHED:
            self.set_result(None)  # type: ignore[arg-type]  # the set is made when someone looks
        else:
            # Past Workflow.cancel, which cancels the run.
            asyncio.Future.cancel(self)


class AsyncioHost(TukioTask):
    """A host on asyncio.

    Args:
        run: The run it works for.
        loop: The event loop.
    """

    __slots__ = ()

    def __init__(self, run: Run, loop: asyncio.AbstractEventLoop) -> None:
        # Not by way of TukioTask, which is made for one coroutine of a user's.
        self.run: Run | None = run
        self._workflow = run.workflow
        self.step: TaskRun | None = None
        self._scope: Scope | None = None
        self.stale: bool = False
        self.limited: bool = False
        self.cut_at: float = math.inf
        self.begun: bool = False
        self.context: Context | None = None
        self.coroutine: Any = None
        self._alone = None
        name = f"tukio {run.template.uid}"
        # It changes nothing in the context of the run, of which each step has a copy.
        asyncio.Task.__init__(self, drive(run), loop=loop, name=name, context=run.context)


class AsyncioPort:
    """The port for one asyncio or uvloop event loop.

    Args:
        loop: The loop.
        structured: Whether runs live in the tree of whoever opens the port.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, structured: bool) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        # What the method of asyncio's loops does, without the detour.
        own_clock = type(loop).time is not asyncio.BaseEventLoop.time
        self.time: Callable[[], float] = loop.time if own_clock else time.monotonic
        self._anchor: float = time.time() - loop.time()
        self._structured: bool = structured
        self._group: Any = None
        self._closing: anyio.Event | None = None
        self._scope_class: Any = None
        self._if_cancelled: Callable[[], Awaitable[None]] | None = None
        self.watchdog: Watchdog = Watchdog(self)
        install(loop)

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant on the loop's clock."""
        return datetime.fromtimestamp(self._anchor + instant, UTC)

    def instant(self, time: datetime) -> float:
        """Return the instant on that clock at an aware time."""
        return time.timestamp() - self._anchor

    def call_at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
        """Have a function called at an instant on that clock; return what calls that off."""
        return self.loop.call_at(instant, function).cancel

    def scope(self, deadline: float = math.inf, *, shield: bool = False) -> Any:
        """Return an anyio cancel scope."""
        if self._scope_class is None:
            # The constructor of the public class looks for the backend each time.
            self._scope_class = type(anyio.CancelScope())
        return self._scope_class(deadline=deadline, shield=shield)

    async def checkpoint(self) -> None:
        """Let the loop turn once."""
        await asyncio.sleep(0)

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Be cancelled if so requested; nobody else has a turn before."""
        if self._if_cancelled is None:
            self._if_cancelled = _checkpoint_if_cancelled()
        return self._if_cancelled()

    def check_here(self) -> None:
        """Make sure that the calling code runs on this loop, or that nothing does.

        Raises:
            EngineError: It runs in another loop, or in another thread than this loop.
        """
        running = asyncio._get_running_loop()
        if running is not self.loop and (running is not None or self.loop.is_running()):
            raise EngineError(ELSEWHERE)

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function on this loop, from another thread, and return its result.

        Raises:
            EngineError: Called in an event loop, which would stand still, or the loop does not
                run.
            Exception: What the function raised.
        """
        if running_backend() is not None:
            raise EngineError(IN_LOOP)
        if not self.loop.is_running():
            raise EngineError(NOT_RUNNING)
        return asyncio.run_coroutine_threadsafe(_awaited(function), self.loop).result()

    def workflow(
        self, template: WorkflowTemplate, *, broker: Broker, cleanup_timeout: float
    ) -> Workflow:
        """Return a run, not started yet."""
        return AsyncioWorkflow(template, port=self, broker=broker, cleanup_timeout=cleanup_timeout)

    def launch(self, run: Run) -> None:
        """Spawn the first host of a run."""
        if not self._structured:
            _roots.add(run)
        AsyncioHost(run, self.loop)

    def spawn(self, run: Run) -> None:
        """Spawn one more host."""
        AsyncioHost(run, self.loop)

    def host(self, run: Run) -> Host:
        """Return the host that the calling task is; had it been cancelled, it would not begin."""
        del run
        # Looking for the running loop is a system call, up to Python 3.11.
        host: Any = asyncio.current_task(self.loop)
        host.begun = True
        # Its scope stands for the one that was set: while the loop stands still, it acts later.
        return host  # type: ignore[no-any-return]  # a cast would be a call, for every host

    def last_host_left(self, run: Run) -> None:
        """End the run."""
        if not self._structured:
            _roots.discard(run)
        run.over()

    def broken(self, exc: BaseException) -> Broken:
        """Take apart an exception that left a host's scope.

        A native cancellation was aimed at the step; it goes no further.
        """
        if isinstance(exc, asyncio.CancelledError):
            return Broken(cancelled=True, error=None, outwards=None)
        cancelled = None
        if isinstance(exc, BaseExceptionGroup):
            cancelled, rest = exc.split(asyncio.CancelledError)
            exc = rest if rest is not None else asyncio.CancelledError()
        ends_program = isinstance(exc, KeyboardInterrupt | SystemExit)
        return Broken(cancelled is not None, exc, exc if ends_program else None)

    async def settle(self, host: Host) -> None:
        """Answer native cancellations that were aimed at a step that is over."""
        assert isinstance(host, TukioTask)
        while True:
            while host.cancelling():
                host.uncancel()
            # Before 3.13, uncancel() leaves the exception itself pending.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            if not host.cancelling():
                return

    def serve(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something in the background.

        Like a host it is no child of the group, which a native cancellation of it would cancel.
        """
        serve_on(self.loop, service, name)

    async def open(
        self, stop_all: Callable[[], object], drained: Callable[[], Awaitable[None]]
    ) -> None:
        """Open the task group, with a child that stands for all runs."""
        self._closing = anyio.Event()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        supervise = partial(self._supervise, self._closing, stop_all, drained)
        self._group.start_soon(supervise, name="tukio engine")

    async def close(self, exc: BaseException | None) -> None:
        """Close the task group: cancel it if `exc` is the reason, and wait until it is empty."""
        assert self._closing is not None
        self._closing.set()
        try:
            await _leave_group(self._group, exc)
        finally:
            uninstall(self.loop)

    async def _supervise(
        self,
        closing: anyio.Event,
        stop_all: Callable[[], object],
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            await closing.wait()
        finally:
            stop_all()
            with anyio.CancelScope(shield=True):
                await drained()


async def _leave_group(group: Any, exc: BaseException | None) -> None:
    """Leave a task group whose children raise nothing of their own.

    An exception of the body is not handed to the group, which would wrap it: it goes on as it is.
    """
    if exc is not None:
        group.cancel_scope.cancel()
    try:
        await group.__aexit__(None, None, None)
    except BaseException as more:
        if exc is None or not isinstance(exc, Exception):
            raise
        msg = "the body of an engine failed while it was being cancelled"
        raise BaseExceptionGroup(msg, [exc, more]) from None  # noqa: ASYNC104 - in the group


def _checkpoint_if_cancelled() -> Callable[[], Awaitable[None]]:
    """Return what anyio's function of that name looks for each time; before 4.11, the function."""
    token = getattr(anyio.lowlevel, "current_token", None)
    backend = anyio.lowlevel if token is None else token().backend_class
    checkpoint: Callable[[], Awaitable[None]] = backend.checkpoint_if_cancelled
    return checkpoint


async def _awaited(function: Callable[[], Awaitable[Any]]) -> Any:
    return await function()


def new_port(*, loop: asyncio.AbstractEventLoop | None, structured: bool) -> AsyncioPort:
    """Return a port for a loop; None is the running one."""
    return AsyncioPort(loop or asyncio.get_running_loop(), structured=structured)
