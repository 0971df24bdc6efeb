"""Tasks of workflows as asyncio tasks: `asyncio.current_task()` inside a task, as in 1.x."""

from __future__ import annotations

import asyncio
import math
import sys
from typing import TYPE_CHECKING, Any

from ..._loop.frames import frames_of
from ..._model.errors import LeftBehind
from ..._model.state import FutureState
from ..._run.settling import record_error
from ..._step.surroundings import running_step
from .deferred_scope import DeferredScope
from .standalone import StandaloneTask

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context
    from types import FrameType

    from ..._events.broker import Broker
    from ..._events.queue import Inbox
    from ..._loop.contract import Scope
    from ..._model.event import Event, EventSource
    from ..._model.task_template import TaskTemplate
    from ..._run.run import Run
    from ..._run.task_run import TaskRun
    from ..._run.workflow import Workflow
    from ..._step.mailbox import Mailbox


class TukioTask(asyncio.Task[Any]):
    """An asyncio task that runs tasks of a workflow, one at a time.

    Inside a task of a workflow, `asyncio.current_task()` is a `TukioTask`, whose `template`,
    `workflow`, `uid`, `inputs`, ... are those of the task of the workflow. The same `TukioTask` may
    run another task afterwards: to keep a reference to a task, use `tukio.current_task()`.

    Outside a workflow, a `TukioTask` made by `new_task` or the task factory runs one registered
    coroutine by itself, and has neither template nor workflow.

    The fields that are not listed here are those of `Driver`.

    Args:
        coro: The coroutine to run.
        loop: The event loop; None is the running one.
        standalone: The registered task, if `coro` only wraps its coroutine.
        kwargs: Further arguments of `asyncio.Task`.

    Attributes:
        begun: Whether a driver has begun; set once, by `new_driver`. While it is False, `cancel`
            cancels the run instead of the task.
    """

    __slots__ = (
        "_run",
        "_scope",
        "_standalone",
        "_workflow",
        "begun",
        "cancelled_at",
        "context",
        "coroutine",
        "has_step_deadline",
        "scope_spent",
        "step",
        "unclean",
    )

    def __init__(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        standalone: StandaloneTask | None = None,
        **kwargs: Any,
    ) -> None:
        # All fields come before the parent's __init__, because an eager task runs inside it.
        # The run that a driver works for; None outside a workflow. Never changes.
        self._run: Run | None = None
        # The workflow of that run, kept alive by its drivers; never changes.
        self._workflow: Workflow | None = None
        self.step: TaskRun | None = None
        # The scope itself; `scope` shows it as a `DeferredScope` while the loop is not running.
        self._scope: Scope | None = None
        self.scope_spent: bool = False
        self.unclean: bool = False
        self.has_step_deadline: bool = False
        self.cancelled_at: float = math.inf
        self.begun: bool = False
        self.context: Context | None = None
        self.coroutine: Any = None
        loop = loop or asyncio.get_running_loop()
        standalone = standalone or StandaloneTask(coro, loop)
        # The registered task outside a workflow. None for a driver, until one of the properties
        # below is read between two steps.
        self._standalone: StandaloneTask | None = standalone
        super().__init__(coro, loop=loop, **kwargs)
        if self.done():
            # An eager task that did not suspend.
            standalone.is_over(self)
        else:
            # Always the first callback: all others, and all waiters, find the task over.
            super().add_done_callback(standalone.is_over)

    @property
    def scope(self) -> Any:
        """The cancel scope of the driver, or its last one; None before it, and outside a run."""
        loop = self.get_loop()
        if self._scope is None or loop.is_running():
            return self._scope
        return DeferredScope(self._scope, loop.call_soon)

    @scope.setter
    def scope(self, scope: Scope | None) -> None:
        self._scope = scope

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task, as any asyncio task.

        A driver that has not begun is never cancelled itself: the run that it was started for is
        cancelled instead, and ends in good order. Nor is a driver cancelled while it runs a
        `teardown()`, except by code of that itself: the step is cut already.
        """
        if self._run is None or self.done():
            return super().cancel(msg)
        if asyncio._get_running_loop() is None:
            # The loop is being shut down, as by `asyncio.run`, so the whole run must end.
            self._run.start_stopping_from_outside()
        elif not self.begun:
            self._run.cancel_from_outside()
        elif self._is_left_behind():
            return False
        if not self.begun or (self._cleans_up() and not self._is_called_within()):
            return True
        return super().cancel(msg)

    def _cleans_up(self) -> bool:
        """Return whether the coroutine of the step has ended, and what follows has not."""
        return self.step is not None and self.step.driver is None

    def _is_called_within(self) -> bool:
        """Return whether `cancel` is called by code of the step, or by a cancel scope.

        Timers and callbacks that the code of a step sets run in the context of the step: so do
        those of `asyncio.timeout` and `asyncio.TaskGroup`. Those of a cancel scope do not always,
        but a scope knows by itself which shields to respect.
        """
        return running_step() is self.step or _is_of_a_scope(sys._getframe(2))

    def _is_left_behind(self) -> bool:
        """Return whether a cancellation comes from a step that is over, and name that step.

        A step that leaves a time limit open, as around the `yield` of a generator that it has read
        by half, leaves a timer behind that cancels whatever this task does by then. The timer runs
        in the context of that step.
        """
        step = running_step()
        if step is None or step is self.step or step.run is not self._run or step._is_at_work():
            return False
        if _is_of_a_scope(sys._getframe(2)):
            # What the run itself has asked for, on its way in the context of any step. No scope is
            # left behind: a driver that a step has left one open on runs no other step.
            return False
        run: Any = self._run
        record_error(run, step, LeftBehind(step.template.uid, "a time limit"))
        return True

    if sys.version_info < (3, 13):

        def uncancel(self) -> int:
            """Take back one cancellation, as any asyncio task."""
            remaining = super().uncancel()
            pending: bool = self._must_cancel  # type: ignore[attr-defined]  # of both kinds of task
            if pending and not remaining and self.step is not None:
                # Before 3.13, the exception stays pending. It is counted once more, so that the
                # driver takes it back when the step is over, and it does not cancel the next step.
                super().cancel()
            return remaining

    def take_back_cancellations(self) -> None:
        """Take back all cancellations; before 3.13, the exception may stay pending."""
        while self.cancelling():
            # Past the method above, which would count the exception anew.
            super().uncancel()

    def add_done_callback(
        self, fn: Callable[[Any], object], /, *, context: Context | None = None
    ) -> None:
        """Call a function when the task is over.

        A task of a workflow may call this for itself. The function is then called with the
        `TaskRun` when the task of the workflow is over, even if this asyncio task goes on with
        another one.
        """
        step = self._calling_step()
        if step is None:
            super().add_done_callback(fn, context=context)
        elif context is None:
            step.add_done_callback(fn)
        else:
            step.add_done_callback(lambda over: context.run(fn, over))

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Remove a callback that was added without a context; return how often it was added."""
        step = self._calling_step()
        count = 0 if step is None else step.remove_done_callback(fn)
        return count + super().remove_done_callback(fn)

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """Return the frames of the task's coroutine and of those that it awaits, outermost first.

        For a task of a workflow, the frames of the engine, which drives it, are left out. For a
        task that is over, the answer is that of any asyncio task.

        Args:
            limit: The largest number of frames to return, innermost ones; None is all.
        """
        frames = [] if self.step is None else list(frames_of(self.coroutine))
        frames = frames or list(frames_of(self.get_coro()))
        if not frames:
            return super().get_stack(limit=limit)
        return frames if limit is None else frames[max(0, len(frames) - limit) :]

    def standalone_mailbox(self, broker: Broker) -> Mailbox | None:
        """Return the mailbox of a task outside a workflow; None for a driver.

        Args:
            broker: The broker that the task's topics are from.
        """
        outside = self._standalone if self._run is None else None
        return None if outside is None else outside.listens(broker)

    def _calling_step(self) -> TaskRun | None:
        """Return the step that this task drives, if the step itself is the caller; else None."""
        return self.step if asyncio.current_task(self.get_loop()) is self else None

    # As in 1.x -----------------------------------------------------------------------------------

    @property
    def template(self) -> TaskTemplate | None:
        """The task's template; None outside a workflow."""
        return self.step.template if self.step is not None else None

    @property
    def workflow(self) -> Workflow | None:
        """The workflow of the task; None outside a workflow."""
        return self._workflow

    @property
    def uid(self) -> str:
        """The id of this execution."""
        return self._who().uid

    @property
    def holder(self) -> Any:
        """The instance of the holder class; None for a plain coroutine function."""
        return self._who().holder

    @property
    def queue(self) -> Inbox:
        """The events that the task receives while it runs."""
        return self._who().queue

    @property
    def inputs(self) -> Any:
        """A copy of the data that the task was given."""
        return self._who().inputs

    @property
    def outputs(self) -> Any:
        """A copy of the data that the task returned; None before."""
        return self._who().outputs

    @property
    def state(self) -> FutureState:
        """The state of the task."""
        return self._who().state

    @property
    def event_source(self) -> EventSource:
        """The source of the events that the task sends."""
        return self._who().source

    @property
    def timed_out(self) -> bool:
        """Whether the task has reached its time limit."""
        return self._who().timed_out

    @property
    def committed(self) -> bool:
        """Whether the task is not suspended."""
        return self.state is not FutureState.suspended

    def in_progress(self) -> bool:
        """Return whether the task has started."""
        return self.step is None or self.step.in_progress()

    def as_dict(self) -> dict[str, Any]:
        """Return a snapshot: id, start, end (aware UTC or None), state, inputs, outputs."""
        return self._who().as_dict()

    async def data_received(self, event: Event) -> None:
        """Put an event into the queue of the task; never waits.

        Cancellation: the event was not put there.
        """
        await self.queue.put(event)

    def dispatch_progress(self, data: Any, event_type: str | None = None) -> None:
        """Send an execution event of this task; see `TaskRun.dispatch_progress`."""
        if self.step is not None:
            self.step.dispatch_progress(data, event_type)

    def timeout(self) -> None:
        """Cancel the task as if it had reached its time limit; its state becomes `timeout`."""
        if self.step is not None:
            self.step.timeout()
        elif self._standalone is not None and self.cancel():
            self._standalone.timed_out = True

    def _who(self) -> TaskRun | StandaloneTask:
        """Return the object behind the properties: the present step, or the standalone task."""
        if self.step is not None:
            return self.step
        if self._standalone is None:
            # A driver between two steps: a task of which nothing is known.
            self._standalone = StandaloneTask(None, self.get_loop())
        return self._standalone


def _is_of_a_scope(caller: FrameType) -> bool:
    """Return whether a caller is a cancel scope of anyio."""
    name: str = caller.f_globals.get("__name__", "")
    return name.partition(".")[0] == "anyio"
