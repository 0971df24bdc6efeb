"""A template as it was when runs were made of it: what these run, and what their reports show.

Owns:   the copy of a template that its runs execute, and how a change of the template is noticed.

Users may change a template at any time: assign to its fields and to those of its tasks, link the
tasks otherwise, change a config in place. Runs that were made before go on with their edition.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .changes import exact, own
from .dag import DAG

if TYPE_CHECKING:
    from .changes import Changeable
    from .task_template import TaskTemplate
    from .template import WorkflowTemplate


class Edition:
    """A template as it is now, whatever becomes of it.

    A change is noticed when the next run is made. An assignment empties `template.compiled`, or
    puts something into the list that the task is watched by; links are counted by the graph. What
    can be changed in place is compared, if anybody may hold it.

    Attributes:
        template: A copy of the template with copies of its tasks, which nobody changes. Each of
            its tasks is equal to the task that it is a copy of.
        watched: Lists that stay empty for as long as no field of a task is assigned to.
        given: Data of the template that somebody may change in place.
        kept: What `given` is equal to for as long as nobody changes it.
    """

    __slots__ = (
        "_document",
        "_graph",
        "_original",
        "_tasks",
        "given",
        "kept",
        "template",
        "watched",
    )

    def __init__(self, template: WorkflowTemplate) -> None:
        self.given: list[Any] = []
        self.kept: list[Any] = []
        self._original: Any = weakref.ref(template)
        graph = template.dag.graph
        fresh: list[str] = []
        watched = [task.watch(fresh) for task in graph]
        self.watched: tuple[list[str], ...] = tuple({id(one): one for one in watched}.values())
        copies = {task: task.bare_copy() for task in graph}
        self.template: WorkflowTemplate = template.bare_copy()
        for original, copy in [(template, self.template), *copies.items()]:
            self._separate(original, copy)
        dag: DAG[TaskTemplate] = DAG()
        dag.graph = {
            copies[task]: dict.fromkeys(copies[successor] for successor in successors)
            for task, successors in graph.items()
        }
        object.__setattr__(self.template, "dag", dag)
        self._document: dict[str, Any] = _described(self.template)
        self._tasks: list[dict[str, Any]] = [_described(task) for task in copies.values()]
        self._graph: dict[str, list[str]] = self._document["graph"]

    @property
    def original(self) -> WorkflowTemplate:
        """The template that this is an edition of; if nobody has it any more, an equal one."""
        template: WorkflowTemplate | None = self._original()
        if template is None:
            template = twin = self.template.copy()
            # Kept from now on, so that there is only one.
            self._original = lambda: twin
        return template

    def describe(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the dict form of the template and, apart, those of its tasks; all of it new."""
        tasks = [{key: own(value) for key, value in task.items()} for task in self._tasks]
        graph = {uid: [*successors] for uid, successors in self._graph.items()}
        apart = {"tasks": tasks, "graph": graph}
        document = {
            key: apart[key] if key in apart else own(value) for key, value in self._document.items()
        }
        return document, tasks

    def _separate(self, original: Changeable, copy: Changeable) -> None:
        """Give a copy data of its own; have changes of the original data noticed."""
        for slot in original.DATA:
            value = getattr(original, slot)
            twin = own(value)
            if original.is_exposed and twin is not value:
                if not is_same([twin], [value]):
                    # It cannot be told whether it changes: so it is shared, and never out of date.
                    continue
                self.given.append(value)
                self.kept.append(twin)
            object.__setattr__(copy, slot, own(twin) if original.is_exposed else twin)


def is_same(given: list[Any], kept: list[Any]) -> bool:
    """Return whether data is as it was; data that cannot be compared is not."""
    try:
        return given == kept
    except Exception:  # noqa: BLE001 - the data is the user's
        return False


def _described(thing: Any) -> dict[str, Any]:
    """Return the dict form of a template or task, with exact texts, which JSON keeps."""
    document = {key: exact(value) for key, value in thing._as_dict(own).items()}
    topics = document.get("topics")
    if isinstance(topics, list):
        document["topics"] = [exact(topic) for topic in topics]
    return document
