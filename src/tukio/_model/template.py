"""Workflow templates: the description of a workflow, as objects and as data.

Owns:   the fields of a template, its dict form in both directions, and when a template is refused.
Knows:  which task names are registered; nothing about runs.
Source: 1.x `WorkflowTemplate`, which dropped `title`, `meta` and keys of the user's own; here they
        are kept.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Self
from uuid import uuid4

from .changes import Changeable, Data, exact, set_state, state_without
from .closing_words import TIMEOUT
from .dag import DAG
from .defaults import as_data
from .errors import Fault, TemplateError, WorkflowRootTaskError
from .fan_in import find_unsaid
from .findings import first_of
from .keys import WORKFLOW_KEYS
from .listen import Listen, own_topics
from .policy import ErrorPolicy, OverrunPolicy, member_of, value_of
from .registry import registry_for
from .task_template import TaskTemplate, copied, extra_keys
from .validation import find_all_faults, find_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .registry import Registry


_ONLY_IF_SET = ("_meta", "_defaults", "_finally_", "_compensate_on")
"""The slots of keys that the dict form has only if they are set."""


class WorkflowTemplate(Changeable):
    """A workflow: tasks that are linked to a DAG, which starts at a single root task.

    A template may be changed at any time. This counts for the runs that are made from then on; runs
    that were made before stay what they are, and so do their reports.

    Args:
        uid: The id of the template; None makes a new one.
        policy: The overrun policy, for data during a run; None is `skip-until-unlock`.
        topics: The topics whose events trigger the workflow; None is every event, [] is none.
        timeout: Seconds that a run may take; None or 0 is no limit.
        schema: The version of the template, for the user; None is 1.
        title: A name for people.
        on_error: The effect of a failed task on the others; None is `continue`.
        finally_: The tasks that each run ends with, in order, as dicts; None is none.
        closing_timeout: Seconds that compensations and these may take together; None or 0 is none.
        compensate_on: The endings that are followed by compensations; None is all but a good one.
        defaults: What each task takes that says nothing of it: a dict with some of `timeout`,
            `idle_timeout`, `on_timeout` and `retry`. None is nothing.

    Raises:
        ValueError: `policy` or `on_error` is not one of the allowed values.

    Attributes:
        dag: The graph; its nodes are `TaskTemplate` objects.
        meta: Free data of the user, kept in `as_dict` and in reports.
        extra: Further keys of the user's own, kept likewise.
    """

    DATA: ClassVar[tuple[str, ...]] = ("_topics", "_extra", *_ONLY_IF_SET)

    __slots__ = (
        "__weakref__",
        *DATA,
        "closing_timeout",
        "compiled",
        "dag",
        "on_error",
        "policy",
        "schema",
        "timeout",
        "title",
        "uid",
    )

    # The shape of the template, made on first use; only `shape_of` reads and sets it.
    compiled: Any

    _topics: list[str] | None
    _finally_: list[dict[str, Any]] | None
    _compensate_on: list[str] | None
    _meta: Any
    _defaults: dict[str, Any] | None
    _extra: dict[str, Any]

    topics: Data[list[str] | None] = Data()
    meta: Data[Any] = Data()
    defaults: Data[dict[str, Any] | None] = Data()
    extra: Data[dict[str, Any]] = Data()
    finally_: Data[list[dict[str, Any]] | None] = Data()
    compensate_on: Data[list[str] | None] = Data()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance that has no shape, and whose data nobody holds."""
        del args, kwargs
        template = super().__new__(cls)
        set_state(template, (None, {"compiled": None, "is_exposed": False}))
        return template

    def __init__(  # noqa: PLR0913 - the fields of a template, by name
        self,
        uid: str | None = None,
        policy: OverrunPolicy | str | None = None,
        topics: list[str] | None = None,
        timeout: float | None = None,
        schema: int | None = None,
        *,
        title: str | None = None,
        on_error: ErrorPolicy | str | None = None,
        finally_: list[dict[str, Any]] | None = None,
        closing_timeout: float | None = TIMEOUT,
        compensate_on: list[str] | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self.uid: str = uid or str(uuid4())
        self.policy: OverrunPolicy = OverrunPolicy.get(policy)
        blank = dict.fromkeys(self.DATA)
        set_state(self, (None, {**blank, "_extra": {}}))
        self.topics, self.defaults = topics, defaults
        self.finally_, self.compensate_on = finally_, compensate_on
        self.closing_timeout: float | None = closing_timeout
        self.timeout: float | None = timeout
        self.schema: int = schema or 1
        self.title: str | None = title
        self.on_error: ErrorPolicy = ErrorPolicy(on_error or ErrorPolicy.CONTINUE)
        self.dag: DAG[TaskTemplate] = DAG()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"uid", "title"}:
            value = exact(value)
        elif name in {"policy", "on_error"}:
            value = member_of(OverrunPolicy if name == "policy" else ErrorPolicy, value)
        super().__setattr__(name, value)
        if name != "compiled":
            self.note_change(name)

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return the fields; a copy makes a shape of its own, and nobody holds its data yet."""
        return state_without(self, "compiled", "is_exposed")

    def take(self, slot: str, value: Any) -> None:
        """Set the value of a field to one that a user may hold."""
        super().take(slot, as_data(value) if slot == "_defaults" else value)

    def note_change(self, name: str) -> None:
        """Have the shape made anew for the next run."""
        del name
        object.__setattr__(self, "compiled", None)

    def bare_copy(self) -> Self:
        """Return a copy that shares its data and its graph with this template."""
        copy = type(self).__new__(type(self))
        set_state(copy, self.__getstate__())
        return copy

    @property
    def tasks(self) -> list[TaskTemplate]:
        """The tasks, in the order they were added."""
        return list(self.dag.graph)

    @property
    def listen(self) -> Listen:
        """Which events trigger the workflow.

        Raises:
            TypeError: `topics` is neither None nor a list.
        """
        return Listen.get(self._topics)

    def add(self, task_tmpl: TaskTemplate) -> None:
        """Add a task, not linked to any other yet.

        Raises:
            TypeError: The argument is not a `TaskTemplate`.
            ValueError: The task is in the workflow already.
        """
        if not isinstance(task_tmpl, TaskTemplate):
            msg = f"expected a 'TaskTemplate' instance, not {type(task_tmpl).__name__}"
            raise TypeError(msg)
        self.dag.add_node(task_tmpl)

    def delete(self, task_tmpl: TaskTemplate) -> None:
        """Remove a task and its links.

        Raises:
            KeyError: The task is not in the workflow.
        """
        self.dag.delete_node(task_tmpl)

    def link(self, up_task_tmpl: TaskTemplate, down_task_tmpl: TaskTemplate) -> None:
        """Make a task the last successor of another one.

        Raises:
            KeyError: One of the tasks is not in the workflow.
        """
        self.dag.add_edge(up_task_tmpl, down_task_tmpl)

    def unlink(self, task_tmpl1: TaskTemplate, task_tmpl2: TaskTemplate) -> None:
        """Remove the link between two tasks, in either direction.

        Raises:
            KeyError: The tasks are not linked.
        """
        if task_tmpl2 in self.dag.graph.get(task_tmpl1, ()):
            self.dag.delete_edge(task_tmpl1, task_tmpl2)
        else:
            self.dag.delete_edge(task_tmpl2, task_tmpl1)

    def root(self) -> TaskTemplate:
        """Return the single root task.

        Raises:
            WorkflowRootTaskError: There is no root task, or there are several.
        """
        roots = self.dag.root_nodes()
        if len(roots) != 1:
            raise WorkflowRootTaskError(len(roots))
        return roots[0]

    def validate(self, registry: Registry | None = None) -> bool:
        """Return True if the template is ready to run.

        Args:
            registry: The registry of task names; None is the one of the process.

        Raises:
            TemplateError: The template is not ready; the error holds every fault with its path.
            TypeError: `registry` is no registry.
        """
        known = registry_for(registry)
        # Without copies, because it is not known yet whether the data can be copied.
        document = self._as_dict(_itself)
        if faults := find_all_faults(document, known.tasks, known.predicates):
            raise TemplateError(faults)
        return True

    def warnings(self) -> list[Fault]:
        """Return what is likely a mistake, and no fault; an engine logs it at load.

        That is each task with several parents that does not say, by `join`, for which it waits.
        """
        return first_of(find_unsaid(self._as_dict(_itself)))

    @classmethod
    def from_dict(cls, wf_dict: Mapping[str, Any]) -> Self:
        """Return the template for a dict with the keys of `as_dict`, all of which are optional.

        The number of root tasks and the names of tasks are checked by `validate` (and by the
        engine's `load`), so that a draft can be built in steps.

        Raises:
            TemplateError: The dict has faults, or is larger than a template may be. The error holds
                every fault with its path.
        """
        if isinstance(wf_dict, WorkflowTemplate):
            advice = "use it as it is, or a copy by its method copy()"
            raise TemplateError([Fault("", "this is a template already", advice, TypeError)])
        if faults := find_faults(wf_dict, complete=False):
            raise TemplateError(faults)
        return cls._from_sound(wf_dict)

    @classmethod
    def _from_sound(cls, wf_dict: Mapping[str, Any]) -> Self:
        """Return the template for a dict that is known to have no faults."""
        template = cls(
            uid=wf_dict.get("id"),
            policy=wf_dict.get("policy"),
            topics=own_topics(wf_dict.get("topics")),
            timeout=wf_dict.get("timeout"),
            schema=wf_dict.get("schema"),
            title=wf_dict.get("title"),
            on_error=wf_dict.get("on_error"),
            finally_=deepcopy(wf_dict.get("finally")),
            closing_timeout=wf_dict.get("closing_timeout", TIMEOUT),
            compensate_on=deepcopy(wf_dict.get("compensate_on")),
            defaults=deepcopy(wf_dict.get("defaults")),
        )
        template.meta = deepcopy(wf_dict.get("meta"))
        template.extra.update(extra_keys(wf_dict, WORKFLOW_KEYS))
        by_id: dict[str, TaskTemplate] = {}
        for task_dict in wf_dict.get("tasks", ()):
            task = TaskTemplate.from_dict(task_dict)
            template.add(task)
            by_id[task.uid] = task
        for upstream, downstream in wf_dict.get("graph", {}).items():
            for uid in downstream:
                template.link(by_id[exact(upstream)], by_id[exact(uid)])
        # It is all made of copies.
        object.__setattr__(template, "is_exposed", False)
        return template

    def as_dict(self) -> dict[str, Any]:
        """Return the dict form; changing it changes nothing here.

        The dict has keys that 1.x does not know only if they are set.
        """
        return self._as_dict(copied)

    def _as_dict(self, own: Callable[[Any], Any]) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": self.uid,
            "policy": value_of(self.policy),
            "topics": own_topics(self._topics),
            "timeout": self.timeout,
            "schema": self.schema,
            "tasks": [task._as_dict(own) for task in self.dag.graph],
            "graph": {
                task.uid: [next_.uid for next_ in successors]
                for task, successors in self.dag.graph.items()
            },
        }
        if self.title is not None:
            document["title"] = self.title
        for slot in _ONLY_IF_SET:
            if (value := getattr(self, slot)) is not None:
                document[slot.strip("_")] = own(value)
        if self.on_error is not ErrorPolicy.CONTINUE:
            document["on_error"] = value_of(self.on_error)
        if self.closing_timeout != TIMEOUT:
            document["closing_timeout"] = self.closing_timeout
        return {**document, **own(self._extra)}

    def copy(self) -> Self:
        """Return an equal template that shares nothing with this one."""
        return deepcopy(self)

    def __str__(self) -> str:
        return f"<WorkflowTemplate uid={self.uid}>"

    __repr__ = __str__


def _itself(value: Any) -> Any:
    return value
