"""The graph of a template by numbers: what the plans of its runs work from.

Owns:   the numbers of tasks, and what is worked out from the graph once for all runs.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from .task_template import TaskTemplate
    from .template import WorkflowTemplate

JOIN: Final = "join"
"""The name of the task that waits for several parents."""

Numbers: TypeAlias = tuple[tuple[int, ...], ...]


class Shape:
    """The graph of a template by numbers, made once per template and shared by its runs.

    Attributes:
        tasks: The task templates, in declared order; the number of a task is its index.
        successors: For each number, the numbers of its successors, in declared order.
        root: The number of the root task.
        predecessors: For each number, the numbers of its predecessors.
        order: All numbers, each after its predecessors; made when first needed.
        keeps_order: Whether the order of ends is kept for the report: a join depends on it.
        empty_plan: A plan without steps, which all runs share that are over; None before the first
            is. `Plan` makes it.
        changes: The state of the graph that this was made from.
    """

    # Slots, as each step asks for three of these: up to Python 3.11 an attribute is looked for
    # each time if some of its kind are added later.
    __slots__ = (
        "_order",
        "changes",
        "empty_plan",
        "keeps_order",
        "predecessors",
        "root",
        "successors",
        "tasks",
    )

    def __init__(self, template: WorkflowTemplate) -> None:
        graph = template.dag.graph
        number = {task: position for position, task in enumerate(graph)}
        self.tasks: tuple[TaskTemplate, ...] = tuple(graph)
        self.successors: Numbers = tuple(
            tuple(number[task] for task in successors) for successors in graph.values()
        )
        self.root: int = number[template.root()]
        self.predecessors: Numbers = _turned_round(self.successors)
        self._order: tuple[int, ...] = ()
        self.keeps_order: bool = any(task.name == JOIN for task in self.tasks)
        self.empty_plan: Any = None
        self.changes: int = template.dag.changes

    @property
    def order(self) -> tuple[int, ...]:
        """All numbers, each after its predecessors."""
        if not self._order:
            # Not when this is made: a template that nobody has validated may have a cycle.
            sorter = TopologicalSorter(dict(enumerate(self.predecessors)))
            self._order = tuple(sorter.static_order())
        return self._order


def _turned_round(successors: Numbers) -> Numbers:
    predecessors: list[list[int]] = [[] for _ in successors]
    for number, leads_to in enumerate(successors):
        for successor in leads_to:
            predecessors[successor].append(number)
    return tuple(map(tuple, predecessors))


def shape_of(template: WorkflowTemplate) -> Shape:
    """Return the shape of a template's graph as it is now.

    Raises:
        WorkflowRootTaskError: There is not exactly one root task.
    """
    shape = template.compiled
    if shape is None or shape.changes != template.dag.changes:
        shape = template.compiled = Shape(template)
    return shape  # type: ignore[no-any-return]  # the template does not know what a shape is
