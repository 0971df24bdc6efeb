"""Tukio tasks as asyncio tasks: what `asyncio.current_task()` is inside a task, as in 1.x."""

from __future__ import annotations

import asyncio
import math
import sys
from typing import TYPE_CHECKING, Any

from ..._loop.frames import frames_of
from ..._model.state import FutureState
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

    Inside a task of a workflow, `asyncio.current_task()` is one of these, and its `template`,
    `workflow`, `uid`, `inputs`, ... are those of that task. It may go on with another task
    afterwards: to keep a hold of a task, use `tukio.current_task()`.

    Made outside a workflow, by `new_task` or the task factory, it runs one registered coroutine
    for itself, and has neither template nor workflow.

    Args:
        coro: The coroutine to run.
        loop: The event loop; None is the running one.
        standalone: What is known of the registered task, if `coro` is not that task itself.
        kwargs: As `asyncio.Task`.
    """

    __slots__ = (
        "_scope",
        "_standalone",
        "_workflow",
        "begun",
        "cancelled_at",
        "context",
        "coroutine",
        "has_step_deadline",
        "run",
        "scope_spent",
        "step",
    )

    def __init__(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        standalone: StandaloneTask | None = None,
        **kwargs: Any,
    ) -> None:
        # Before the parent's __init__: an eager task runs inside it.
        self.run: Run | None = None
        self._workflow: Workflow | None = None
        self.step: TaskRun | None = None
        self._scope: Scope | None = None
        self.scope_spent: bool = False
        self.has_step_deadline: bool = False
        self.cancelled_at: float = math.inf
        self.begun: bool = False
        self.context: Context | None = None
        self.coroutine: Any = None
        loop = loop or asyncio.get_running_loop()
        standalone = standalone or StandaloneTask(coro, loop.time)
        self._standalone: StandaloneTask | None = standalone
        super().__init__(coro, loop=loop, **kwargs)
        if self.done():
            standalone.is_over(self)
        else:
            # The first one, so that every other one and every waiter finds it over.
            super().add_done_callback(standalone.is_over)

    @property
    def scope(self) -> Any:
        """The cancel scope it is in, or was in last; None before the first, and outside a run."""
        loop = self.get_loop()
        if self._scope is None or loop.is_running():
            return self._scope
        return DeferredScope(self._scope, loop.call_soon)

    @scope.setter
    def scope(self, scope: Scope | None) -> None:
        self._scope = scope

    @property
    def template(self) -> TaskTemplate | None:
        """The task's template; None outside a workflow."""
        return self.step.template if self.step is not None else None

    @property
    def workflow(self) -> Workflow | None:
        """The workflow it works for; None outside a workflow."""
        return self._workflow

    @property
    def uid(self) -> str:
        """Id of this execution."""
        return self._who().uid

    @property
    def holder(self) -> Any:
        """The instance of the holder class; None for a plain coroutine function."""
        return self._who().holder

    @property
    def queue(self) -> Inbox:
        """Events it receives while it runs."""
        return self._who().queue

    @property
    def inputs(self) -> Any:
        """A copy of the data it was given."""
        return self._who().inputs

    @property
    def outputs(self) -> Any:
        """A copy of the data it returned; None before."""
        return self._who().outputs

    @property
    def state(self) -> FutureState:
        """How it stands."""
        return self._who().state

    @property
    def event_source(self) -> EventSource:
        """The source of the events that it sends."""
        return self._who().source

    @property
    def timed_out(self) -> bool:
        """Whether it reached its time limit."""
        return self._who().timed_out

    @property
    def committed(self) -> bool:
        """Whether it is not suspended."""
        return self.state is not FutureState.suspended

    def in_progress(self) -> bool:
        """Return whether it has started."""
        return self.step is None or self.step.in_progress()

    def as_dict(self) -> dict[str, Any]:
        """Return a snapshot: id, start, end (aware UTC or None), state, inputs, outputs."""
        return self._who().as_dict()

    async def data_received(self, event: Event) -> None:
        """Put an event into the queue; it does not wait."""
        self.queue.put_nowait(event)

    def dispatch_progress(self, data: Any, event_type: str | None = None) -> None:
        """Send an execution event of this task; see `TaskRun.dispatch_progress`."""
        if self.step is not None:
            self.step.dispatch_progress(data, event_type)

    def timeout(self) -> None:
        """Cut the task as if it had reached its time limit.

        Outside a workflow, it is cancelled, and its state is that of a timeout.
        """
        if self.step is not None:
            self.step.timeout()
        elif self._standalone is not None and self.cancel():
            self._standalone.timed_out = True

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel as any asyncio task.

        One that has not begun is not lost: the run it was spawned for is cancelled instead, and
        ends in good order. So is a run whose loop is being shut down.
        """
        if self.run is None or self.done():
            return super().cancel(msg)
        if asyncio._get_running_loop() is None:
            self.run.start_stopping_from_outside()
        elif not self.begun:
            self.run.cancel_from_outside()
        return super().cancel(msg) if self.begun else True

    if sys.version_info < (3, 13):

        def uncancel(self) -> int:
            """Take back one cancellation, as any asyncio task."""
            remaining = super().uncancel()
            pending: bool = self._must_cancel  # type: ignore[attr-defined]  # of both kinds of task
            if pending and not remaining and self.step is not None:
                # Before 3.13, the exception stays pending. Counted again, it will be answered
                # when the step is over, and not by the next one.
                super().cancel()
            return remaining

    def add_done_callback(
        self, fn: Callable[[Any], object], /, *, context: Context | None = None
    ) -> None:
        """Have a function called when this is over.

        A task of a workflow that calls this for itself gets it called with its `TaskRun` when
        that task is over, although this may go on with another one.
        """
        step = self._calling_step()
        if step is None:
            super().add_done_callback(fn, context=context)
        elif context is None:
            step.add_done_callback(fn)
        else:
            step.add_done_callback(lambda over: context.run(fn, over))

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Remove a callback wherever it was added without a context; return how often that was."""
        step = self._calling_step()
        count = 0 if step is None else step.remove_done_callback(fn)
        return count + super().remove_done_callback(fn)

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """Return the frames of its coroutine and of those that it awaits, outermost first.

        For a task of a workflow, those of that task: not of the engine, which drives it. Once it
        is over, as any asyncio task.

        Args:
            limit: How many at most, of the innermost ones; None is all.
        """
        frames = [] if self.step is None else list(frames_of(self.coroutine))
        frames = frames or list(frames_of(self.get_coro()))
        if not frames:
            return super().get_stack(limit=limit)
        return frames if limit is None else frames[max(0, len(frames) - limit) :]

    def standalone_mailbox(self, broker: Broker) -> Mailbox | None:
        """Return what it receives from a broker, outside a workflow; None within one."""
        outside = self._standalone if self.run is None else None
        return None if outside is None else outside.listens(broker)

    def _calling_step(self) -> TaskRun | None:
        """Return the step that this drives, if it is what calls this."""
        called_by_itself = asyncio.current_task(self.get_loop()) is self
        return self.step if called_by_itself else None

    def _who(self) -> TaskRun | StandaloneTask:
        if self.step is not None:
            return self.step
        if self._standalone is None:
            self._standalone = StandaloneTask(None, self.get_loop().time)
        return self._standalone
