"""The template of one task of a workflow, as an object and as data.

Owns:   the fields of a task template, and its dict form.
Source: 1.x `TaskTemplate`, which dropped keys of the user's own; here they are kept.
"""

from __future__ import annotations

import importlib
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from uuid import uuid4

from .changes import Changeable, Data, exact, own, set_state, state_without
from .children import document_of, id_of
from .display import shown
from .keys import TASK_KEYS
from .listen import Listen, own_topics
from .retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXACT = frozenset({"uid", "join", "collect", "on_timeout"})
"""The fields that are kept as plain texts."""

_ONLY_IF_SET = ("idle_timeout", "on_timeout", "join", "collect")
"""The keys that the dict form has only if they are set, as 1.x does not know them."""


class TaskTemplate(Changeable):
    """One task of a workflow: which registered task is run, and how.

    Args:
        name: The name of a registered task; None for a task with a `workflow`.
        uid: The id of the task within the workflow; None makes a new one.
        config: The argument of the task's holder class, which gets a deep copy for each run; None
            is {}.
        timeout: Seconds that the task may take; None or 0 is no limit.
        topics: The topics whose events are put into the queue of the task while it runs. None is
            every topic; by default there are none.
        join: For which of its parents the task waits. `first`: for the first that ends. `all`: for
            each that leads to it; if one fails, the task never starts. `settled`: for each that can
            still come, and the task starts if any has. A number: for so many, or for as many as can
            still come. None is `first`.
        collect: The data that the task receives if it waits for several parents. `merge`: one dict
            made of the data of all, in the order they arrived. `all`: a dict of parent id to data.
            `first`: the data of the one that arrived first. None is `merge`.
        on_timeout: What follows when the task has reached its limit. `continue`: its successors
            run with what its `teardown()` returned, or with its inputs. `fail`: it has failed, with
            a `TimeoutError`. `retry`: the same, and it is run again as after any error. None is
            `continue`, but the run has not gone well then: its `ok` is False.
        on_error: What follows when the task has failed, after its last attempt. `stop`: its branch
            stops, the others go on. `abort`: the run ends. `{"output": {...}}`: its successors run
            with this. `{"to": ["x"]}`: it leads to these successors alone, which it leads to in no
            other case; they receive its inputs and `error`. None is what the workflow says.
        compensate: What undoes the task if its run does not finish: the name of a registered task,
            or an object with `name`, `config`, `timeout`, `retry`, and `begun`, by which a task
            that has begun and not finished is undone, too. None is nothing.
        idle_timeout: Seconds that the task may go on without a sign of life, which is its begin, or
            a call of `tukio.heartbeat`. After that, it has reached its limit. None or 0 is no
            limit.
        retry: Whether and when the task is run again after it has failed: a `Retry`, or the dict
            form of one; None is never.
        workflow: What the task runs in place of a registered task, as a child of its run: the id of
            a loaded template, or a template or its dict form. None for any other task.
        map: That the task is run once for each item of a list, and how: a dict with `over`, and
            perhaps `limit`, `tolerate`, `into` and `timeout`. Then `retry`, `idle_timeout`,
            `compensate` and `topics` are those of each item. None is once.

    The fields may be changed at any time; this counts for the runs that are made from then on. The
    `template` of a step is a copy from when its run was made. The copy is equal to this object, has
    copies of its data, and passes on to this object what is assigned to its fields.

    Attributes:
        extra: Keys of the user's own, kept in `as_dict` and in reports.
    """

    __slots__ = (
        "_compensate",
        "_config",
        "_extra",
        "_map",
        "_on_error",
        "_origin",
        "_retry",
        "_topics",
        "_watch",
        "_workflow",
        "collect",
        "idle_timeout",
        "join",
        "name",
        "on_timeout",
        "timeout",
        "uid",
    )

    DATA: ClassVar[tuple[str, ...]] = (
        "_compensate",
        "_config",
        "_on_error",
        "_retry",
        "_map",
        "_topics",
        "_workflow",
        "_extra",
    )

    # The task that this is a copy of, for runs; None for any other task.
    _origin: TaskTemplate | None
    # Gets something once a field may have changed; None if nobody watches since then.
    _watch: list[str] | None

    _compensate: str | dict[str, Any] | None
    _config: dict[str, Any]
    _on_error: str | dict[str, Any] | None
    _retry: dict[str, Any] | None
    _map: dict[str, Any] | None
    _topics: list[str] | None
    _workflow: str | dict[str, Any] | None
    _extra: dict[str, Any]

    compensate: Data[str | dict[str, Any] | None] = Data()
    config: Data[dict[str, Any]] = Data()
    on_error: Data[str | dict[str, Any] | None] = Data()
    retry: Data[dict[str, Any] | None] = Data()
    map: Data[dict[str, Any] | None] = Data()
    topics: Data[list[str] | None] = Data()
    workflow: Data[str | dict[str, Any] | None] = Data()
    extra: Data[dict[str, Any]] = Data()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance that is a copy of no other one, and that nobody watches."""
        del args, kwargs
        task = super().__new__(cls)
        set_state(task, (None, {"_origin": None, "_watch": None, "is_exposed": False}))
        return task

    def __init__(  # noqa: PLR0913 - the fields of a task, by name
        self,
        name: Any = None,
        uid: str | None = None,
        config: dict[str, Any] | None = None,
        timeout: float | None = None,
        topics: list[str] | tuple[()] | None = (),
        *,
        join: str | int | None = None,
        collect: str | None = None,
        on_timeout: str | None = None,
        on_error: str | dict[str, Any] | None = None,
        compensate: str | dict[str, Any] | None = None,
        retry: Retry | dict[str, Any] | None = None,
        idle_timeout: float | None = None,
        workflow: Any = None,
        map: dict[str, Any] | None = None,  # noqa: A002 - the key of documents
    ) -> None:
        self.name: Any = name
        self.uid: str = uid or str(uuid4())
        self.timeout: float | None = timeout
        self.join: str | int | None = join
        self.collect: str | None = collect
        self.on_timeout: str | None = on_timeout
        self.idle_timeout: float | None = idle_timeout
        empty: dict[str, Any] = {"_config": {}, "_topics": [], "_extra": {}}
        empty |= dict.fromkeys(("_compensate", "_on_error", "_retry", "_map", "_workflow"))
        set_state(self, (None, empty))
        if compensate is not None:
            self.compensate = compensate
        if config:
            self.config = config
        if on_error is not None:
            self.on_error = on_error
        if retry is not None:
            self.retry = cast("dict[str, Any]", retry)
        if workflow is not None:
            self.workflow = workflow
        if map is not None:
            self.map = map
        # Any other tuple is kept as it is, for `validate` to report.
        if topics != ():
            self.topics = cast("list[str] | None", topics)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._origin is not None:
            # This is what runs were made of, and they stay what they are.
            setattr(self._origin, name, value)
            return
        super().__setattr__(name, exact(value) if name in EXACT else value)
        self.note_change(name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskTemplate):
            return NotImplemented
        return _original(self) is _original(other)

    def __hash__(self) -> int:
        return object.__hash__(_original(self))

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return the fields; a copy is a task of its own, whose data nobody holds yet."""
        return state_without(self, "_origin", "_watch", "is_exposed")

    def hand_out(self, value: Any) -> Any:
        """Return the value of a field for a user, who may change it; of a copy for runs, a copy."""
        return super().hand_out(value) if self._origin is None else own(value)

    def take(self, slot: str, value: Any) -> None:
        """Set the value of a field to one that a user may hold."""
        if slot == "_workflow":
            value = document_of(value)
        super().take(slot, value.as_dict() if isinstance(value, Retry) else value)

    def note_change(self, name: str) -> None:
        """Tell those who watch that a field may have changed."""
        if self._watch is not None:
            self._watch.append(name)
            object.__setattr__(self, "_watch", None)

    def watch(self, watch: list[str]) -> list[str]:
        """Return a list that gets something once a field may have changed.

        Args:
            watch: The list, if there is none yet.
        """
        if self._watch is None or self._watch:
            # Several tasks may share one, so this one may be spent without a change of this task.
            object.__setattr__(self, "_watch", watch)
            return watch
        return self._watch

    def bare_copy(self) -> Self:
        """Return a copy for runs, which shares its data with this object."""
        copy = type(self).__new__(type(self))
        set_state(copy, self.__getstate__())
        object.__setattr__(copy, "_origin", self)
        return copy

    @property
    def listen(self) -> Listen:
        """Which events are put into the queue of the task.

        Raises:
            TypeError: `topics` is neither None nor a list.
        """
        return Listen.get(self._topics)

    def new_task(self, data: Any, loop: Any = None) -> Any:
        """Run the task by itself, outside a workflow. For asyncio only, as in 1.x.

        Args:
            data: The argument of the task's coroutine function.
            loop: The event loop; None is the running one.

        Returns:
            A `TukioTask`; see `tukio.task.new_task`, also for the errors.
        """
        # Imported by name, because the model must not depend on the code that runs tasks. Only 1.x
        # asks a template for this.
        new_task = importlib.import_module("tukio.task.task").new_task
        return new_task(self.name, data=data, config=self._config, timeout=self.timeout, loop=loop)

    @classmethod
    def from_dict(cls, task_dict: Mapping[str, Any]) -> Self:
        """Return the template for a dict with the keys of `as_dict`.

        Only `name`, or `workflow`, is needed.

        Raises:
            KeyError: There is neither.
        """
        workflow = task_dict.get("workflow")
        task = cls(
            task_dict["name"] if workflow is None else task_dict.get("name"),
            uid=task_dict.get("id"),
            config=deepcopy(task_dict.get("config")),
            timeout=task_dict.get("timeout"),
            topics=own_topics(task_dict.get("topics", [])),
            join=task_dict.get("join"),
            collect=task_dict.get("collect"),
            on_timeout=task_dict.get("on_timeout"),
            on_error=deepcopy(task_dict.get("on_error")),
            compensate=deepcopy(task_dict.get("compensate")),
            retry=deepcopy(task_dict.get("retry")),
            idle_timeout=task_dict.get("idle_timeout"),
            workflow=deepcopy(workflow),
            map=deepcopy(task_dict.get("map")),
        )
        task.extra.update(extra_keys(task_dict, TASK_KEYS))
        # It is all made of copies.
        object.__setattr__(task, "is_exposed", False)
        return task

    def as_dict(self) -> dict[str, Any]:
        """Return the dict form; changing it changes nothing here.

        The dict has no key for what 1.x does not know, unless it is set.
        """
        return self._as_dict(copied)

    def _as_dict(self, own: Callable[[Any], Any]) -> dict[str, Any]:
        # A task without a name is written only if it is a fault, for `validate` to report.
        named = {} if self._workflow is not None and self.name is None else {"name": self.name}
        document = {
            **named,
            "id": self.uid,
            "config": own(self._config),
            "timeout": self.timeout,
            "topics": own_topics(self._topics),
        }
        for key in _ONLY_IF_SET:
            if (value := getattr(self, key)) is not None:
                document[key] = value
        for key in ("on_error", "compensate", "retry", "map", "workflow"):
            if (value := getattr(self, f"_{key}")) is not None:
                document[key] = own(value)
        return {**document, **own(self._extra)}

    def __str__(self) -> str:
        what = f"name={self.name}"
        if self._workflow is not None:
            what = f"workflow={shown(id_of(self._workflow))}"
        return f"<TaskTemplate {what}, uid={self.uid}>"

    __repr__ = __str__


def _original(task: TaskTemplate) -> TaskTemplate:
    return task if task._origin is None else task._origin


def copied(value: Any) -> Any:
    """Return a deep copy of a value."""
    # A shortcut for the empty dict, which most values are.
    return deepcopy(value) if value or type(value) is not dict else {}


def extra_keys(document: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return a copy of the keys of a document that are the user's own."""
    return {key: deepcopy(value) for key, value in document.items() if key not in known}
