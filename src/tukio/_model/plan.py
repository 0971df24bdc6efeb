"""The progress of one run: which steps are ready, and what the outcome of a step leads to.

Owns:   the steps of a run, their order, the choice of successors, and the data that is passed on.
Knows:  the shape of the graph by numbers; nothing about drivers, scopes or a clock.
Source: 1.x `_run_next_tasks`: a successor starts with the first parent that ends. The successor
        receives the data of later parents while it runs; once it is over, they are ignored.
"""

from __future__ import annotations

from collections import deque
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from .closing import StepsToClose
from .display import listed, shown
from .errors import InvalidResult, NotAwaited
from .event import Event
from .guard import attempt
from .step import LOOSE, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .shape import Shape
    from .task_template import TaskTemplate


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {**data}


S = TypeVar("S", bound=Step)

Make: TypeAlias = "Callable[[Any, int, TaskTemplate, Any, S | None], S]"


class Plan(Generic[S]):
    """The steps of one run.

    Args:
        shape: The graph by numbers.
        make: Makes a step: `Step` itself, or a subclass.
        run: The run that the steps belong to.

    Attributes:
        shape: The graph by numbers.
        make: Makes a step.
        steps: The step of each task, by number; None while the task was not reached.
        ready: Steps to start, first in, first out: breadth first in declared order.
    """

    __slots__ = ("_open", "_run", "make", "ready", "shape", "steps")

    def __init__(self, shape: Shape, make: Make[S], run: Any = None) -> None:
        self.shape: Shape = shape
        self.make: Make[S] = make
        self._run: Any = run
        count = len(shape.tasks)
        self.steps: list[S | None] = (
            [None] * count if shape.closing is None else StepsToClose(count)
        )
        self.ready: deque[S] = deque()
        # For each number, the number of its predecessors that may still lead to it. None until
        # `open_parents` is first called, and counted down from then on.
        self._open: list[int] | None = None

    def begin(self, data: Any) -> S:
        """Make the root step ready, with some data as its input, and return the step."""
        return self._reach(self.shape.root, data, None)

    def follow(self, step: S, data: dict[str, Any]) -> None:
        """Pass data on from a step that is over to the successors that the step leads to."""
        chosen = step.chosen
        leads_to = self.shape.successors[step.number] if chosen is None else chosen
        if leads_to:
            # Local variables, because up to Python 3.11 calling an attribute is slow.
            steps, tasks, make = self.steps, self.shape.tasks, self.make
            for number in leads_to:
                successor = steps[number]
                if successor is None:
                    # As in `_reach`, written out: for most steps its call would cost more than all.
                    new = make(self._run, number, tasks[number], data, step)
                    steps[number] = new
                    self.ready.append(new)
                elif successor.ended_at is None:
                    successor.receive(data, step)
        if self._open is not None:
            self._close(step.number, None if chosen is None else frozenset(chosen))

    def stop_branch(self, step: S) -> None:
        """Called when a step is over and leads to no successor."""
        if self._open is not None:
            self._close(step.number, frozenset())

    def requeue(self, step: S) -> S:
        """Make a step ready once more, from scratch, with the data of all parents so far."""
        new = self.renew(step)
        self.ready.append(new)
        return new

    def renew(self, step: S) -> S:
        """Put a new execution in the place of a step, with the data of all parents so far.

        It is not ready: that is for the caller to say.
        """
        parent: Any = step.parent
        # Of its own class: a step outside of the graph has no number to find another by.
        new = type(step)(self._run, step.number, step.template, step.input_data, parent)
        if step.number != LOOSE:
            self.steps[step.number] = new
            if step.started_at is not None and isinstance(self.steps, StepsToClose):
                self.steps.closing.begun.add(step.number)
        for data, parent in step.late:
            new.receive(data, parent)
        step.hand_over(new)
        return new

    def arrivals(self, step: S) -> list[tuple[Any, Any]]:
        """Return the data of the parents that have led to a step so far, each with the parent."""
        led_to = [] if step.parent is None else [(step.input_data, step.parent)]
        return [*led_to, *step.late]

    def expect(self, numbers: Iterable[int]) -> None:
        """Called before a replay with the numbers of the tasks that were reached."""

    def reached_early(self, number: int) -> S | None:
        """Return the step of a task that was reached by fewer parents than lead to it now."""
        return self.steps[number]

    def open_parents(self, step: S) -> set[int]:
        """Return the numbers of the predecessors that may still pass data on to a step.

        From now on `give_up_on` of a step is called for each predecessor that will not.
        """
        if step.number == LOOSE:
            return set()
        if self._open is None:
            self._open = self._count_open()
        open_, predecessors = self._open, self.shape.predecessors[step.number]
        return {number for number in predecessors if self._may_lead_on(number, open_)}

    def _may_lead_on(self, number: int, open_: list[int]) -> bool:
        """Return whether a task was reached and is not over, or may still be reached."""
        step = self.steps[number]
        return open_[number] > 0 if step is None else step.ended_at is None

    def _count_open(self) -> list[int]:
        """Return for each task the number of its predecessors that may still lead to it."""
        open_ = [0] * len(self.steps)
        for number in self.shape.order:
            if self._may_lead_on(number, open_):
                for successor in self.shape.successors[number]:
                    open_[successor] += 1
        return open_

    def _close(self, number: int, leads_to: frozenset[int] | None) -> None:
        """Count down the open predecessors of the successors of a task.

        Called for each task once, when it is over or out of reach. So each edge is counted once in
        a run, however many tasks wait for others.

        Args:
            number: The number of the task.
            leads_to: The numbers of the successors that the task did lead to; None for all.
        """
        assert self._open is not None
        closing: list[tuple[int, frozenset[int] | None]] = [(number, leads_to)]
        while closing:
            number, leads_to = closing.pop()
            for successor in self.shape.successors[number]:
                self._open[successor] -= 1
                step = self.steps[successor]
                if step is not None:
                    if leads_to is not None and successor not in leads_to:
                        step.give_up_on(number)
                elif not self._open[successor]:
                    closing.append((successor, frozenset()))

    def call_off(self) -> list[S]:
        """Return the steps that are ready, which are so no more; from now on none becomes ready."""
        unbegun = list(self.ready)
        self.ready.clear()
        return unbegun

    def choose(self, step: S, ids: Iterable[str]) -> None:
        """Restrict a step to some of its successors; the last choice counts.

        Args:
            step: The step; it must not be over.
            ids: The ids of the tasks to go on with; empty to stop the branch here.

        Raises:
            TypeError: `ids` is a string, or not an iterable of strings. The choice is as before.
            LookupError: An id is not that of a successor. The choice is as before.
        """
        if isinstance(ids, str):
            msg = f"expected a list of task ids, not the string {shown(ids)}"
            raise TypeError(msg)
        wanted = list(ids)
        if not all(isinstance(uid, str) for uid in wanted):
            msg = f"expected a list of task ids, not {shown(wanted)}"
            raise TypeError(msg)
        tasks = self.shape.tasks
        successors = {tasks[number].uid: number for number in self.shape.successors[step.number]}
        if unknown := [uid for uid in wanted if uid not in successors]:
            names = listed(successors) or "none"
            msg = f"{shown(unknown)} not among the successors of {step.template.uid!r}: {names}"
            raise LookupError(msg)
        chosen = set(wanted)
        step.chosen = tuple(number for uid, number in successors.items() if uid in chosen)

    def passed_on(self, step: S, result: Any) -> tuple[Any, Any]:
        """Return the output of a step, and the data that its successors receive.

        Args:
            step: The step.
            result: The result of its coroutine.

        Raises:
            InvalidResult: The step has successors, which cannot receive this result.
            NotAwaited: The same, of what is to be awaited; also of a coroutine without successors.
        """
        if isinstance(result, dict):
            # One copy is the output of this step and the input of all successors.
            data, error = attempt(_plain, result)
            if error is not None:
                # A dict of a user's class, whose methods may raise anything.
                raise InvalidResult(step.template.uid, type(result).__name__) from error
            return data, data
        if type(result) is Event:
            return self.passed_on(step, result.data)
        if result is None:
            return result, step.input_data
        kind = type(result)
        if kind is not CoroutineType and not self.shape.successors[step.number]:
            return result, step.input_data
        refuse = NotAwaited if hasattr(kind, "__await__") else InvalidResult
        raise refuse(step.template.uid, kind.__name__)

    def reached(self) -> list[S]:
        """Return the steps that were reached, begun or not, in the order of the tasks."""
        return [step for step in self.steps if step is not None]

    def replace(self, other: Plan[S]) -> None:
        """Take the place of another plan of the same run; `steps` is its list object from now on.

        The other plan must not be used any more.
        """
        other.steps[:] = self.steps
        self.steps = other.steps

    def _reach(self, number: int, data: Any, parent: S | None) -> S:
        """Make the step of a task, and make it ready."""
        step = self.make(self._run, number, self.shape.tasks[number], data, parent)
        self.steps[number] = step
        self.ready.append(step)
        return step


def empty_plan(shape: Shape) -> Plan[Any]:
    """Return a plan without steps; all runs of a shape that are over share one."""
    plan: Plan[Any] | None = shape.empty_plan
    if plan is None:
        plan = shape.empty_plan = Plan(shape, Step)
        plan.steps = []
        # Of size zero, because nothing may be added to a plan that runs share.
        plan.ready = deque(maxlen=0)
    return plan
