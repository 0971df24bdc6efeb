"""A registered task that runs by itself, outside a workflow: the part of `TukioTask` about it.

Owns:   the holder, data, id, queue and times of the task, and how it ended.
Knows:  the coroutine of the task, and the asyncio task once that is over.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..._loop.services import check_on
from ..._loop.wall_times import WallTimes
from ..._model.errors import SkipTask, TukioTaskError
from ..._model.event import Event, EventSource, own_data
from ..._model.registry import REGISTRY
from ..._model.state import FutureState
from ..._step.holder import execution_id
from ..._step.mailbox import Mailbox

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from ..._events.broker import Broker
    from ..._events.queue import Inbox


class StandaloneTask:
    """One execution of one registered task, outside a workflow.

    Args:
        coro: The coroutine of the task, not begun; None if it is unknown.
        loop: The event loop that the task runs on.

    Attributes:
        holder: The instance of the holder class; None for a plain coroutine function. Never
            changes.
        timed_out: Whether the task has reached its time limit. Set by the code that cancels the
            task for its limit, always before the task is over.
        state: The state that the task ended in; `pending` before. Set once, by `is_over`.
    """

    __slots__ = (
        "_broker",
        "_ended_at",
        "_input_data",
        "_loop",
        "_mailbox",
        "_output_data",
        "_started_at",
        "_times",
        "_uid",
        "holder",
        "state",
        "timed_out",
    )

    def __init__(
        self, coro: Coroutine[Any, Any, Any] | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop: asyncio.AbstractEventLoop = loop
        self._started_at: float = loop.time()
        self._times: WallTimes = WallTimes(self._started_at, loop)
        # None exactly while the task is pending; set once, by `is_over`.
        self._ended_at: float | None = None
        # Made on first use, and never changed then: most tasks need neither.
        self._uid: str | None = None
        self._mailbox: Mailbox | None = None
        # The broker that topics are from: the first one that the task has subscribed with.
        self._broker: Broker | None = None
        # Set once, by `is_over`; a copy.
        self._output_data: Any = None
        self.state: FutureState = FutureState.pending
        self.timed_out: bool = False
        holder, data = _holder_and_data(coro)
        self.holder: Any = holder
        # Copied now, because the task may change the data that it was given.
        self._input_data: Any = _copy(data)
        if self.holder is not None:
            with suppress(AttributeError):
                self.holder.queue = self.queue

    @property
    def uid(self) -> str:
        """The id of this execution: the `uid` of the holder, or else a new one."""
        if self._uid is None:
            self._uid = execution_id(self.holder)
        return self._uid

    @property
    def queue(self) -> Inbox:
        """The events that the task receives while it runs."""
        return self.mailbox.queue

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the task, made on first use."""
        if self._mailbox is None:
            self._mailbox = Mailbox(self, partial(check_on, self._loop))
        return self._mailbox

    @property
    def broker(self) -> Broker:
        """The broker that the task's topics are from; there is one once `listens` was called."""
        assert self._broker is not None
        return self._broker

    def listens(self, broker: Broker) -> Mailbox:
        """Return the mailbox of the task, for topics of a broker.

        Args:
            broker: The broker; only the one of the first call counts.
        """
        if self._broker is None:
            self._broker = broker
        return self.mailbox

    @property
    def source(self) -> EventSource:
        """The source of the events that the task sends."""
        return EventSource(task_exec_id=self.uid)

    @property
    def inputs(self) -> Any:
        """A copy of the data that the task was called with."""
        return _copy(self._input_data)

    @property
    def outputs(self) -> Any:
        """A copy of the data that the task returned; None before, and if it returned None."""
        return _copy(self._output_data)

    def as_dict(self) -> dict[str, Any]:
        """Return a snapshot: id, start, end (aware UTC or None), state, inputs, outputs."""
        instant = self._times.wall_time
        return {
            "id": self.uid,
            "start": instant(self._started_at),
            "end": None if self._ended_at is None else instant(self._ended_at),
            "state": self.state.value,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }

    def is_over(self, task: asyncio.Future[Any]) -> None:
        """Called when the asyncio task is over: note how it ended, and close the mailbox."""
        self._ended_at = self._loop.time()
        if self._mailbox is not None:
            self._mailbox.close()
        # Read past `exception()`, which would keep asyncio from reporting an unhandled error.
        error = task._exception
        if self.timed_out:
            self.state = FutureState.timeout
        elif task.cancelled():
            self.state = FutureState.cancelled
        elif error is None:
            self.state = FutureState.finished
            self._output_data = _copy(task.result())
        elif isinstance(error, SkipTask):
            self.state = FutureState.skipped
        else:
            self.state = FutureState.exception
            if isinstance(error, TukioTaskError):
                self._output_data = error.task_outputs


def _holder_and_data(coro: Coroutine[Any, Any, Any] | None) -> tuple[Any, Any]:
    """Return the holder and the data that a registered coroutine was called with.

    Args:
        coro: The coroutine, not begun. For any other coroutine the answer is (None, None).
    """
    code = getattr(coro, "cr_code", None)
    frame = getattr(coro, "cr_frame", None)
    if frame is None or code not in REGISTRY.codes:
        return None, None
    holder_class, _ = REGISTRY.get(REGISTRY.codes[code])
    names, rest, _, values = inspect.getargvalues(frame)
    arguments = [values.get(name) for name in names]
    # A decorated task may take its arguments by `*args`.
    arguments += values[rest] if rest is not None else ()
    arguments += [None, None]
    return (None, arguments[0]) if holder_class is None else (arguments[0], arguments[1])


def _copy(data: Any) -> Any:
    """Return a copy, one level deep, of a dict or of an event's data; other data as it is."""
    return own_data(data.data if isinstance(data, Event) else data)
