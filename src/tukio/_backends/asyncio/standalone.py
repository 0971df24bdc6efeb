"""A registered task that runs by itself, outside a workflow: what its `TukioTask` knows of it.

Owns:   its holder, data, id, queue and times, and how it ended.
Knows:  the coroutine it was made from, and once it is over the asyncio task.
"""

from __future__ import annotations

import inspect
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..._model.errors import SkipTask, TukioTaskError
from ..._model.event import Event, EventSource
from ..._model.registry import REGISTRY
from ..._model.state import FutureState
from ..._step.holder import execution_id
from ..._step.mailbox import Mailbox

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from ..._events.broker import Broker
    from ..._events.queue import Inbox


class StandaloneTask:
    """One execution of one registered task, outside a workflow.

    Args:
        coro: The coroutine of the task, not started; None if there is none to know of.
        clock: Where its times are from; in seconds.

    Attributes:
        holder: The instance of the holder class; None for a plain coroutine function.
        timed_out: Whether it reached its time limit.
        state: How it ended; `pending` before.
    """

    __slots__ = (
        "_anchor",
        "_broker",
        "_clock",
        "_ended_at",
        "_input_data",
        "_mailbox",
        "_output_data",
        "_started_at",
        "_uid",
        "holder",
        "state",
        "timed_out",
    )

    def __init__(self, coro: Coroutine[Any, Any, Any] | None, clock: Callable[[], float]) -> None:
        self._clock: Callable[[], float] = clock
        self._started_at: float = clock()
        self._anchor: float = time.time() - self._started_at
        self._ended_at: float | None = None
        self._uid: str | None = None
        self._mailbox: Mailbox | None = None
        self._broker: Broker | None = None
        self._output_data: Any = None
        self.state: FutureState = FutureState.pending
        self.timed_out: bool = False
        holder, data = _holder_and_data(coro)
        self.holder: Any = holder
        # Now: the task may change what it was given.
        self._input_data: Any = _copy(data)
        if self.holder is not None:
            with suppress(AttributeError):
                self.holder.queue = self.queue

    @property
    def uid(self) -> str:
        """Id of this execution: the holder's `uid` if it has one."""
        if self._uid is None:
            self._uid = execution_id(self.holder)
        return self._uid

    @property
    def queue(self) -> Inbox:
        """Events it receives while it runs."""
        return self.mailbox.queue

    @property
    def mailbox(self) -> Mailbox:
        """What it receives while it runs."""
        if self._mailbox is None:
            self._mailbox = Mailbox(self)
        return self._mailbox

    @property
    def broker(self) -> Broker:
        """The broker that its topics are from."""
        assert self._broker is not None
        return self._broker

    def listens(self, broker: Broker) -> Mailbox:
        """Return its mailbox, for topics of a broker."""
        if self._broker is None:
            self._broker = broker
        return self.mailbox

    @property
    def source(self) -> EventSource:
        """The source of the events that it sends."""
        return EventSource(task_exec_id=self.uid)

    @property
    def inputs(self) -> Any:
        """A copy of the data it was called with."""
        return _copy(self._input_data)

    @property
    def outputs(self) -> Any:
        """A copy of the data it returned; None before, and if it returned None."""
        return _copy(self._output_data)

    def as_dict(self) -> dict[str, Any]:
        """Return a snapshot: id, start, end (aware UTC or None), state, inputs, outputs."""
        return {
            "id": self.uid,
            "start": self._wall_time(self._started_at),
            "end": None if self._ended_at is None else self._wall_time(self._ended_at),
            "state": self.state.value,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }

    def is_over(self, task: asyncio.Future[Any]) -> None:
        """Take how the asyncio task has ended."""
        self._ended_at = self._clock()
        if self._mailbox is not None:
            self._mailbox.close()
        # Not exception(), which would keep asyncio from reporting an error that nobody looks at.
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

    def _wall_time(self, instant: float) -> datetime:
        return datetime.fromtimestamp(self._anchor + instant, UTC)


def _holder_and_data(coro: Coroutine[Any, Any, Any] | None) -> tuple[Any, Any]:
    """Return what a registered coroutine was called with; (None, None) for any other."""
    code = getattr(coro, "cr_code", None)
    frame = getattr(coro, "cr_frame", None)
    if frame is None or code not in REGISTRY.codes:
        return None, None
    holder_class, _ = REGISTRY.get(REGISTRY.codes[code])
    names, rest, _, values = inspect.getargvalues(frame)
    arguments = [values.get(name) for name in names]
    # A decorated task may take whatever it is given.
    arguments += values[rest] if rest is not None else ()
    arguments += [None, None]
    return (None, arguments[0]) if holder_class is None else (arguments[0], arguments[1])


def _copy(data: Any) -> Any:
    if isinstance(data, Event):
        return data.data.copy()
    return data.copy() if isinstance(data, dict) else data
