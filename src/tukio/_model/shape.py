"""The graph of a template by numbers, as the plans of its runs use it.

Owns:   the numbers of tasks, and all that is computed from a template once for all of its runs.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, TypeAlias

from .closing import words_of_closing
from .defaults import with_defaults
from .edition import Edition, is_same
from .fan_in import JOIN_TASK, join_of
from .item_template import item_class
from .kinds import item_kinds, kinds_of
from .mapping import Mapped
from .template import WorkflowTemplate

if TYPE_CHECKING:
    from .closing import ClosingWords, Compensation
    from .fan_in import Join
    from .item_template import ItemTemplate
    from .task_template import TaskTemplate

Numbers: TypeAlias = tuple[tuple[int, ...], ...]


class ItemsInCommon:
    """What the items of a mapped task have in common.

    Args:
        task: The task.
        undo: What undoes one of them; None if nothing does.

    Attributes:
        mapped: What its `map` says.
        template: Makes the template of an item, given its place.
        kinds: What the steps of items do; see `item_kinds`.
        undo: What undoes one of them; None if nothing does.
    """

    __slots__ = ("kinds", "mapped", "template", "undo")

    def __init__(self, task: TaskTemplate, undo: Compensation | None) -> None:
        assert task._map is not None
        self.mapped: Mapped = Mapped.of(task._map)
        self.undo: Compensation | None = undo
        self.template: type[ItemTemplate] = item_class(task, self.mapped.timeout)
        self.kinds: tuple[str, ...] = item_kinds(task)


class Shape:
    """The graph of a template by numbers, made once per state of the template, shared by its runs.

    Attributes:
        edition: The template as it is in this shape, whatever becomes of it.
        template: The template of the runs: that of the edition.
        tasks: The tasks of the edition, in declared order, with what they take of the defaults; the
            number of a task is its index.
        successors: For each number, the numbers of its successors, in declared order. One more
            entry, the last one, is empty: that of `LOOSE`.
        root: The number of the root task.
        predecessors: For each number, the numbers of its predecessors.
        order: All numbers, each after its predecessors; made when first needed.
        joins: For the number of each task that waits for several parents, how it waits.
        kinds: For the number of each task whose steps do more than calling its function, what they
            do; see `kinds_of`.
        maps: For the number of each mapped task, what its items have in common; made when first
            needed, by `mapped`.
        keeps_order: Whether the order of ends is kept for the report; true if there is a join of
            either kind, or a compensation, which depend on the order.
        driver_name: The name of the tasks of the backend that drive the runs.
        closing: What the runs still do when all else of them is over; None for nothing.
        empty_plan: A plan without steps, shared by all runs that are over; None before the first
            run is. Set once, by `plan.empty_plan`.
        changes: The number of changes of the graph when this shape was made; see `DAG`.
        watched: Lists that are empty while the fields of tasks are as they were; see `Edition`.
        given: Data of the template that somebody may change in place; see `Edition`.
        kept: The same data as it was when this shape was made.
        sound: What the template was found sound by, in the state that this shape is made of; see
            `as_template`. None while it was not looked at.
    """

    # Slots, because each step reads three of these: up to Python 3.11 an attribute is slow to read
    # if further attributes of the instance are added later.
    __slots__ = (
        "_children",
        "_order",
        "changes",
        "closing",
        "driver_name",
        "edition",
        "empty_plan",
        "given",
        "joins",
        "keeps_order",
        "kept",
        "kinds",
        "maps",
        "predecessors",
        "root",
        "sound",
        "successors",
        "tasks",
        "template",
        "watched",
    )

    def __init__(self, template: WorkflowTemplate) -> None:
        self.changes: int = template.dag.changes
        self.edition: Edition = Edition(template)
        self.template: WorkflowTemplate = self.edition.template
        # Here, too, because they are looked at for every run.
        self.watched: tuple[Any, ...] = self.edition.watched
        self.given: list[Any] = self.edition.given
        self.kept: list[Any] = self.edition.kept
        graph = self.template.dag.graph
        number = {task: position for position, task in enumerate(graph)}
        self.tasks: tuple[TaskTemplate, ...] = tuple(graph)
        if self.template._defaults is not None:
            self.tasks = with_defaults(self.tasks, self.template._defaults)
        successors: Numbers = tuple(
            tuple(number[task] for task in successors) for successors in graph.values()
        )
        self.successors: Numbers = (*successors, ())
        self.root: int = number[self.template.root()]
        self.predecessors: Numbers = _turned_round(successors)
        self._order: tuple[int, ...] = ()
        self._children: dict[int, WorkflowTemplate] = {}
        waits = [(number, join_of(task)) for number, task in enumerate(self.tasks)]
        self.joins: dict[int, Join] = {
            number: join for number, join in waits if join is not None and self.predecessors[number]
        }
        self.keeps_order: bool = bool(self.joins) or any(
            task.name == JOIN_TASK for task in self.tasks
        )
        asked = [(number, kinds_of(task)) for number, task in enumerate(self.tasks)]
        self.kinds: dict[int, tuple[str, ...]] = {number: kinds for number, kinds in asked if kinds}
        self.maps: dict[int, ItemsInCommon] = {}
        self.driver_name: str = f"tukio {self.template.uid}"
        self.closing: ClosingWords | None = words_of_closing(self.template, self.tasks)
        if self.closing is not None and self.closing.undo:
            # What is undone depends on the order.
            self.keeps_order = True
        self.empty_plan: Any = None
        self.sound: tuple[Any, int, int] | None = None

    def mapped(self, number: int) -> ItemsInCommon:
        """Return what the items of a mapped task have in common, given its number."""
        common = self.maps.get(number)
        if common is None:
            undo = None if self.closing is None else self.closing.undo.get(number)
            common = self.maps[number] = ItemsInCommon(self.tasks[number], undo)
        return common

    def child(self, number: int) -> WorkflowTemplate | str:
        """Return what a task with a `workflow` runs: its template, or the id of a loaded one."""
        workflow: Any = self.tasks[number]._workflow
        if not isinstance(workflow, dict):
            return workflow  # type: ignore[no-any-return]  # an id, or a fault
        made = self._children.get(number)
        if made is None:
            made = self._children[number] = WorkflowTemplate._from_sound(workflow)
        return made

    @property
    def order(self) -> tuple[int, ...]:
        """All numbers, each after its predecessors."""
        if not self._order:
            # Not in __init__, because a template that was not validated may have a cycle.
            sorter = TopologicalSorter(dict(enumerate(self.predecessors)))
            self._order = tuple(sorter.static_order())
        return self._order


def _turned_round(successors: Numbers) -> Numbers:
    """Return the predecessors of each task, from the successors of each."""
    predecessors: list[list[int]] = [[] for _ in successors]
    for number, leads_to in enumerate(successors):
        for successor in leads_to:
            predecessors[successor].append(number)
    return tuple(map(tuple, predecessors))


def shape_of(template: WorkflowTemplate) -> Shape:
    """Return the shape of a template as the template is now; made anew after any change of it.

    Raises:
        WorkflowRootTaskError: There is not exactly one root task.
    """
    shape = known_shape(template)
    if shape is None:
        shape = template.compiled = Shape(template)
    return shape


def known_shape(template: WorkflowTemplate) -> Shape | None:
    """Return the shape of a template as the template is now; None if none was made of that."""
    shape: Shape | None = template.compiled
    if (
        shape is None
        or shape.changes != template.dag.changes
        or any(shape.watched)
        or (shape.given and not is_same(shape.given, shape.kept))
    ):
        return None
    return shape
