"""Templates that do not change: tasks and graphs of flows."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from .._model.changes import own, set_state
from .._model.dag import DAG
from .._model.task_template import TaskTemplate

if TYPE_CHECKING:
    from .._model.template import WorkflowTemplate

ADVICE = "change a copy of it, flow.copy(), or make another flow"


class FixedTask(TaskTemplate):
    """A task of a flow: a template whose fields cannot be set; what it hands out are copies."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        msg = f"task {self.uid!r} is of a flow, and {name!r} of it cannot be set - {ADVICE}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        return TaskTemplate.from_dict, (self.as_dict(),)

    def hand_out(self, value: Any) -> Any:
        """Return a copy of the value of a field."""
        return own(value)

    def take(self, slot: str, value: Any) -> None:
        """Refuse to set a field."""
        self.__setattr__(slot.removeprefix("_"), value)


class FixedGraph(DAG[TaskTemplate]):
    """The graph of a flow; it cannot be changed."""

    __slots__ = ()

    @classmethod
    def of(cls, template: WorkflowTemplate) -> Self:
        """Return the graph of a template, with tasks that cannot be changed."""
        fixed = {task: _fixed(task) for task in template.dag.graph}
        graph = cls.__new__(cls)
        put = object.__setattr__
        put(graph, "changes", 0)
        links = {
            fixed[task]: MappingProxyType({fixed[successor]: None for successor in successors})
            for task, successors in template.dag.graph.items()
        }
        put(graph, "graph", MappingProxyType(links))
        return graph

    def __init__(self) -> None:
        msg = f"the graph of a flow does not change - {ADVICE}"
        raise AttributeError(msg)

    def __setattr__(self, name: str, value: Any) -> None:
        msg = f"a flow does not change: {name!r} of its graph cannot be set - {ADVICE}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def add_node(self, node: TaskTemplate) -> NoReturn:
        """Refuse to add a task."""
        raise AttributeError(_refusal(node))

    def delete_node(self, node: TaskTemplate) -> NoReturn:
        """Refuse to remove a task."""
        raise AttributeError(_refusal(node))

    def add_edge(self, predecessor: TaskTemplate, successor: TaskTemplate) -> NoReturn:
        """Refuse to link two tasks."""
        del successor
        raise AttributeError(_refusal(predecessor))

    def delete_edge(self, predecessor: TaskTemplate, successor: TaskTemplate) -> NoReturn:
        """Refuse to unlink two tasks."""
        del successor
        raise AttributeError(_refusal(predecessor))


def _fixed(task: TaskTemplate) -> TaskTemplate:
    twin = FixedTask.__new__(FixedTask)
    set_state(twin, task.__getstate__())
    return twin


def _refusal(task: TaskTemplate) -> str:
    return f"a flow does not change: task {task.uid!r} and its links stay as they are - {ADVICE}"
