"""The recording of a run, read off its report: the order of ends, and when the run was stopped.

Owns:   a possible order of ends, for reports whose times do not tell.
Knows:  reports and templates; nothing of engines.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from .._model.after_failure import aborts
from .._model.codecs import encode
from .._model.errors import RescueError
from .._model.record import read
from .._model.rescue import step_ended
from .._model.shape import shape_of
from .._model.state import FutureState
from .._model.template import WorkflowTemplate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .._model.record import StepRecord
    from .._model.task_template import TaskTemplate

LEADS_ON = frozenset({FutureState.finished, FutureState.skipped, FutureState.timeout})
STOPPED = frozenset({FutureState.cancelled, FutureState.timeout})


class Recording:
    """The path of a run, as its report tells of it.

    Args:
        report: The report, as `Workflow.report()` made it, or after it went through JSON.
        name: The name that replaces those of the template's tasks.

    Raises:
        RescueError: The data is not the report of a run that started, or it contradicts itself.
        TemplateError: The template in the report has faults.
        WorkflowRootTaskError: The template has no tasks.

    Attributes:
        template: The template, without time limits, because the recording tells when these were
            reached.
        graph: Task id -> ids of its successors.
        state: The state of the run.
        is_over: Whether the run was over.
        shown: Task id -> the execution in the report, for tasks that were due.
        steps: Task id -> the same execution as a record, for tasks that had begun.
        order: The ids of the tasks that were over, in an order in which they can have ended.
        stopped_at: The number of tasks in `order` that had ended when the run was stopped. None if
            the run was not stopped, or if it was stopped at the very end of a task.
        stopped_with: The id of the task at whose end the run was stopped or suspended; else None.
    """

    def __init__(self, report: Mapping[str, Any], name: object) -> None:
        self.template: WorkflowTemplate = _template(report, name)
        record = read(report, self.template)
        self.graph: dict[str, list[str]] = self.template.as_dict()["graph"]
        tasks = shape_of(self.template).tasks
        # Parents first.
        order = [tasks[number].uid for number in shape_of(self.template).order]
        self._position: dict[str, int] = {uid: position for position, uid in enumerate(order)}
        # All of the graph is over when a run closes, which is not replayed.
        ending = report["exec"].get("ending")
        self.state: FutureState = FutureState(report["exec"]["state"] if ending is None else ending)
        self.is_over: bool = report["exec"]["end"] is not None or ending is not None
        self.shown: dict[str, Mapping[str, Any]] = {
            task["id"]: task["exec"] for task in report["tasks"] if task["exec"]
        }
        self.steps: dict[str, StepRecord] = {
            uid: step for uid, step in record.steps.items() if step.start is not None
        }
        self._tasks: dict[str, TaskTemplate] = {task.uid: task for task in self.template.tasks}
        for uid, step in self.steps.items():
            _fail_as_recorded(self._tasks[uid], step)
        # Task id -> id of the parent whose data the task began with.
        self._first: dict[str, str] = dict(self._first_parents())
        try:
            self.order: list[str] = self._given(record.order) or self._ordered()
        except CycleError as error:
            reason = "no order of its tasks leads to what it says"
            raise RescueError(record.uid, reason) from error
        self.stopped_at: int | None = None
        self.stopped_with: str | None = None
        stopped = self.state in STOPPED if self.is_over else self._is_unwinding()
        if stopped:
            self._find_stop()
        elif self.state is FutureState.suspended and len(self.order) == len(self.steps) > 0:
            self.stopped_with = self.order[-1]  # later the run would have been over

    def leads_to(self, uid: str) -> list[str]:
        """Return the ids of the successors that a task led to."""
        step = self.steps[uid]
        if step.end is None or not (step.state in LEADS_ON or step.handled):
            return []
        chosen = self.graph[uid] if step.chosen is None else step.chosen
        return [down for down in self.graph[uid] if down in chosen]

    def _parents(self, uid: str) -> list[str]:
        return [up for up, downs in self.graph.items() if uid in downs and up in self.steps]

    def _first_parents(self) -> Iterator[tuple[str, str]]:
        for uid, step in self.steps.items():
            inputs = encode(step.inputs)
            leading = [up for up in self._parents(uid) if uid in self.leads_to(up)]
            alike = [
                up for up in leading if encode(step_ended(up, self.steps[up]).passes_on) == inputs
            ]
            if leading:
                yield uid, min(alike or leading, key=self._when)

    def leaves_no_trace(self, uid: str) -> bool:
        """Return whether a task led to others, but one of those was not even due."""
        return any(down not in self.shown for down in self.leads_to(uid))

    def stops(self, position: int) -> bool:
        """Return whether the run was stopped by an end, or right before.

        Args:
            position: The index of that end in `order`.
        """
        uid = self.order[position]
        return self._aborts(uid) or position == self.stopped_at or uid == self.stopped_with

    def _when(self, uid: str) -> tuple[Any, bool, bool, int]:
        step = self.steps[uid]
        leads_elsewhere = self.leads_to(uid) != self.graph[uid]
        return step.end, self.leaves_no_trace(uid), leads_elsewhere, self._position[uid]

    def _given(self, order: list[str] | None) -> list[str]:
        """Return the order of ends in the report; empty unless it has all tasks that were over."""
        over = {uid for uid, step in self.steps.items() if step.end is not None}
        known = [uid for uid in order or () if uid in over]
        return known if set(known) == over and len(known) == len(over) else []

    def _ordered(self) -> list[str]:
        """Return the tasks that were over, by the times of their ends, and in a possible order.

        Raises:
            CycleError: No order is possible.
        """
        over = [uid for uid, step in self.steps.items() if step.end is not None]
        sorter = TopologicalSorter[str]({uid: [] for uid in over})
        for before, after in self._constraints():
            if before in over and after in over and before != after:
                sorter.add(after, before)
        sorter.prepare()
        order: list[str] = []
        ready = [(self._when(uid), uid) for uid in sorter.get_ready()]
        heapify(ready)
        while ready:
            _, uid = heappop(ready)
            order.append(uid)
            sorter.done(uid)
            for freed in sorter.get_ready():
                heappush(ready, (self._when(freed), freed))
        return order

    def _constraints(self) -> Iterator[tuple[str, str]]:
        """Yield pairs of tasks of which the first must have ended before the second."""
        is_aborted = self.state is FutureState.exception
        aborting = [uid for uid in self.steps if is_aborted and self._aborts(uid)]
        for uid, first in self._first.items():
            yield first, uid
            for other in self._parents(uid):
                if uid in self.leads_to(other):
                    yield first, other
            # The task had begun before a failure aborted the run.
            yield from ((first, last) for last in aborting)

    def _is_unwinding(self) -> bool:
        """Return whether a run that is not over was being stopped; its state does not tell."""
        # Without the last end, whose successors may be missing because the report was taken at that
        # moment. In a run that was aborted, missing successors are no sign of a stop.
        led_nowhere = any(map(self.leaves_no_trace, self.order[:-1]))
        return led_nowhere and not any(map(self._aborts, self.order))

    def _aborts(self, uid: str) -> bool:
        """Return whether the run was stopped because a task failed."""
        step = self.steps[uid]
        has_failed = step.state is FutureState.exception and not step.handled
        return has_failed and aborts(self._tasks[uid], self.template.on_error)

    def _find_stop(self) -> None:
        """Set the moment at which the run was stopped.

        That is after all begins, and before the first end that only a stop can explain.
        """
        firsts = [self.order.index(first) + 1 for first in self._first.values()]
        earliest = max([0, *firsts])
        for position, uid in enumerate(self.order[earliest:], earliest):
            if self.steps[uid].state is FutureState.cancelled:
                self.stopped_at = position
                return
            if self._aborts(uid) or self.leaves_no_trace(uid) or uid == self.order[-1]:
                self.stopped_with = uid
                return
        self.stopped_at = len(self.order)


def _fail_as_recorded(task: TaskTemplate, step: StepRecord) -> None:
    """Have a task that has failed lead on as it is recorded; what it chose is recorded, too."""
    if step.handled:
        task.on_error = {"output": step.outputs}
    elif isinstance(task._on_error, dict):
        task.on_error = None


def _template(report: Mapping[str, Any], name: object) -> WorkflowTemplate:
    """Return the template in a report, with one name for all tasks; they end as it is recorded."""
    template = WorkflowTemplate.from_dict(report)
    template.timeout = template.finally_ = template.defaults = None
    for task in template.tasks:
        task.timeout = task.idle_timeout = task.retry = task.map = None
        task.on_timeout = task.compensate = None
        # A child is a task that ends as it did.
        task.workflow = None
        task.name = name
    return template
