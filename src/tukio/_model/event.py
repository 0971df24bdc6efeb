"""Events: data on its way to workflows, tasks and handlers, with its topic and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .changes import set_state
from .detach import dict_copied
from .guard import program_end
from .logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

log: Log = Log("tukio.run")


class EventSource:
    """The sender of an event: a run, one of its tasks, or (all None) a sender outside tukio.

    Args:
        workflow_template_id: The id of the run's template.
        workflow_exec_id: The execution id of the run.
        task_template_id: The id of the task in the template; None if the run itself is the sender.
        task_exec_id: The execution id of the task; None if the run itself is the sender.
    """

    __slots__ = (
        "_task_exec_id",
        "_task_template_id",
        "_workflow_exec_id",
        "_workflow_template_id",
    )

    def __init__(
        self,
        workflow_template_id: str | None = None,
        workflow_exec_id: str | None = None,
        task_template_id: str | None = None,
        task_exec_id: str | None = None,
    ) -> None:
        self._workflow_template_id = workflow_template_id
        self._workflow_exec_id = workflow_exec_id
        self._task_template_id = task_template_id
        self._task_exec_id = task_exec_id

    @property
    def workflow_template_id(self) -> str | None:
        """The id of the template of the run that sent the event."""
        return self._workflow_template_id

    @property
    def workflow_exec_id(self) -> str | None:
        """The execution id of the run that sent the event."""
        return self._workflow_exec_id

    @property
    def task_template_id(self) -> str | None:
        """The id, in its template, of the task that sent the event."""
        return self._task_template_id

    @property
    def task_exec_id(self) -> str | None:
        """The execution id of the task that sent the event."""
        return self._task_exec_id

    def as_dict(self) -> dict[str, str | None]:
        """Return the four ids by name."""
        return {
            "workflow_template_id": self._workflow_template_id,
            "workflow_exec_id": self._workflow_exec_id,
            "task_template_id": self._task_template_id,
            "task_exec_id": self._task_exec_id,
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EventSource):
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self.as_dict().values())

    def __repr__(self) -> str:
        ids = ", ".join(f"{name}={value}" for name, value in self.as_dict().items() if value)
        return f"<EventSource {ids or 'outside'}>"


class Sender(Protocol):
    """A run or a step, as the sender of an event."""

    @property
    def source(self) -> EventSource:
        """The source of the events that this object sends; asked for only when it is needed."""
        ...


class Event:
    """Data on its way to a workflow, a task or a handler.

    Args:
        data: A dict, or an event whose data is taken. The data is copied (one level deep), so each
            receiver may change its own dict; nested values are shared. A dict of a user's class is
            copied by its `copy()`; if that fails, or returns no other dict, the copy is a plain
            dict, which is logged.
        topic: The topic that the event was dispatched in: a name, several names, or None.
        source: The sender; None for a sender outside tukio.

    Raises:
        ValueError: `data` is neither a dict nor an Event, or `source` is not an EventSource.
    """

    # `_moment` is set for few events: one is made for each step.
    __slots__ = ("_data", "_hops", "_moment", "_sender", "_source", "_topic")

    # The number of the event in its run, its instant, and what makes a time of that; None for an
    # instant that is a time already.
    _moment: tuple[int, Any, Callable[[float], datetime] | None]

    def __init__(
        self,
        data: Mapping[str, Any] | Event,
        topic: Any = None,
        source: EventSource | None = None,
    ) -> None:
        if source is not None and not isinstance(source, EventSource):
            msg = f"source must be an EventSource, not {type(source).__name__}"
            raise ValueError(msg)
        # As `hops`; the engine may set it.
        self._hops: int = 0
        if isinstance(data, Event):
            self._hops, data = data._hops, data.data
        elif not isinstance(data, dict):
            msg = f"data must be a dict or Event, not {type(data).__name__}"
            raise ValueError(msg)  # noqa: TRY004 - the type that 1.x raised
        self._data: dict[str, Any] = data.copy() if type(data) is dict else own_dict(data)
        self._topic: Any = topic
        self._source: EventSource | None = source
        self._sender: Sender | None = None

    @property
    def data(self) -> dict[str, Any]:
        """The receiver's own dict; changing it changes no other receiver's dict."""
        return self._data

    @property
    def topic(self) -> Any:
        """The topic that the event was dispatched in: a name, several names, or None."""
        return self._topic

    @property
    def source(self) -> EventSource | None:
        """The sender; None for a sender outside tukio."""
        if self._source is None and self._sender is not None:
            self._source = self._sender.source
        return self._source

    @property
    def hops(self) -> int:
        """How many runs have led to this event, each started by data from a task of the one before.

        It counts for data that starts runs: 0 if no task has sent it.
        """
        return self._hops

    @property
    def seq(self) -> int | None:
        """The number of an execution event: from 1 in each process, rising within its run.

        None for any other event.
        """
        moment = getattr(self, "_moment", None)
        return None if moment is None else moment[0]

    @property
    def time(self) -> datetime | None:
        """When that happened which an execution event tells of, aware UTC.

        None for any other event.
        """
        moment = getattr(self, "_moment", None)
        if moment is None:
            return None
        _, at, wall_time = moment
        time: datetime = at if wall_time is None else wall_time(at)
        return time

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """Return the state for `pickle` and `deepcopy`: the source in place of the sender."""
        state = {
            "_data": self._data,
            "_topic": self._topic,
            "_source": self.source,
            "_sender": None,
            "_hops": self._hops,
        }
        if self.seq is not None:
            state["_moment"] = (self.seq, self.time, None)
        return None, state

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        # That of an event kept by an earlier version has no `_hops`.
        self._hops = 0
        set_state(self, state)

    def __copy__(self) -> Event:
        event = sent_by(self._sender, self._data, self._topic)
        event._source, event._hops = self._source, self._hops
        # One without a sender, as that which triggers a run, is no execution event.
        if (self._sender or self._source) is not None and self.seq is not None:
            event._moment = self._moment
        return event

    def __str__(self) -> str:
        return f"<Event topic={self._topic}, data={self._data}, source={self.source}>"

    def __repr__(self) -> str:
        return repr(self._data)


def own_dict(data: Any) -> dict[str, Any]:
    """Return a copy of a dict of any kind, one level deep.

    Raises:
        KeyboardInterrupt, SystemExit: Raised by a method of a user's class. Anything else that such
            a method raises leads to a copy that is a plain dict.
    """
    if type(data) is dict:
        return data.copy()
    own, problem = dict_copied(data)
    if problem is not None:
        name = type(data).__name__
        log.warning("copy() of a %s %s: its items go on in a plain dict", name, problem)
    return own


def own_data(data: Any) -> Any:
    """Return a copy of a dict of any kind, one level deep; other data as it is."""
    # Not by `isinstance`, which asks an object for its class.
    return own_dict(data) if issubclass(type(data), dict) else data


# Kept in a variable, because it is needed for every step.
_new: Any = object.__new__


def sent_by(sender: Sender | None, data: dict[str, Any], topic: Any = None) -> Event:
    """Return an event whose source is asked for only when it is read.

    Args:
        sender: The sender; None for a sender outside tukio.
        data: The data; it is copied, one level deep.
        topic: The topic that the event is dispatched in.
    """
    event: Event = _new(Event)
    try:
        # No look at the kind of dict, for each step: what comes here is plain, or the copy of a
        # kind that has made a good one.
        event._data = data.copy()
    except BaseException as error:  # noqa: ASYNC103 - nothing here awaits
        if program_end(error) is not None:
            raise
        event._data = own_dict(data)
    event._topic = topic
    event._source = None
    event._sender = sender
    event._hops = 0
    return event
