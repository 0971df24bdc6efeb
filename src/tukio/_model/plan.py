"""The progress of one run: which steps are ready, and what the outcome of a step leads to.

Owns:   the steps of a run, their order, the choice of successors, and the data that is passed on.
Knows:  the shape of the graph by numbers; nothing about drivers, scopes or a clock.
Source: 1.x `_run_next_tasks`: a successor starts with the first parent that ends. The successor
        receives the data of later parents while it runs; once it is over, they are ignored.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from .display import listed, shown
from .errors import InvalidResult
from .event import Event
from .guard import attempt
from .state import FutureState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .facts import StepEnded
    from .shape import Shape
    from .task_template import TaskTemplate


class Step:
    """One execution of one task within a run, as plain data.

    Attributes:
        run: The run of the step; None for a plan without a run.
        number: The number of the task in the shape.
        template: The template of the task.
        input_data: The inputs: always shared with the parent's output, and so never changed.
        parent: The step whose outcome started this one; None for the root.
        state: The state of the step; pending until the step is over.
        output_data: A copy of the task's result; None before, and if the task returned None.
        late: The data of further parents, as pairs of data and parent, in the order they arrived.
        error: The exception of the task; None if there is none.
        chosen: The numbers of the successors that the step chose; None for all.
        started_at: The instant at which the step began, on the clock of the run; None while the
            step waits in the queue.
        ended_at: The instant at which the step was over; None until then.
    """

    __slots__ = (
        "chosen",
        "ended_at",
        "error",
        "input_data",
        "late",
        "number",
        "output_data",
        "parent",
        "run",
        "started_at",
        "state",
        "template",
    )

    def __init__(
        self, run: Any, number: int, template: TaskTemplate, input_data: Any, parent: Step | None
    ) -> None:
        self.run: Any = run
        self.number: int = number
        self.template: TaskTemplate = template
        self.input_data: Any = input_data
        self.parent: Step | None = parent
        self.state: FutureState = FutureState.pending
        self.output_data: Any = None
        self.late: list[tuple[dict[str, Any], Any]] | tuple[()] = ()
        self.error: BaseException | None = None
        self.chosen: tuple[int, ...] | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Called when a further parent ends while this step is queued or running."""
        if not self.late:
            self.late = []
        self.late.append((data, parent))

    def restore(self, known: StepEnded) -> None:
        """Set the fields of this step as a fact tells of an execution that is over.

        Args:
            known: The fact, with its `inputs`.
        """
        self.state = known.state
        self.input_data, self.output_data = known.inputs[0], known.output
        # Any instant will do: a plan has no clock, and asks only whether there is one.
        self.started_at = self.ended_at = 0.0

    def hand_over(self, new: Any) -> None:
        """Called when this step was interrupted, and is run again as a new one."""

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, will not pass data on any more."""


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
        self.steps: list[S | None] = [None] * len(shape.tasks)
        self.ready: deque[S] = deque()
        # For each number, the number of its predecessors that may still lead to it. None until
        # `open_parents` is first called, and counted down from then on.
        self._open: list[int] | None = None

    def begin(self, data: Any) -> S:
        """Make the root step ready, with some data as its input, and return the step."""
        return self._reach(self.shape.root, data, None)

    def follow(self, step: S, data: dict[str, Any]) -> None:
        """Pass data on from a step that is over to the successors that the step leads to."""
        # `make` is a local variable, because up to Python 3.11 calling an attribute is slow.
        steps, shape, make = self.steps, self.shape, self.make
        chosen = step.chosen
        leads_to = shape.successors[step.number] if chosen is None else chosen
        for number in leads_to:
            successor = steps[number]
            if successor is None:
                # As in `_reach`, written out: for most steps its call would cost more than this.
                new = make(self._run, number, shape.tasks[number], data, step)
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
        parent: Any = step.parent
        new = self._reach(step.number, step.input_data, parent)
        for data, parent in step.late:
            new.receive(data, parent)
        step.hand_over(new)
        return new

    def open_parents(self, step: S) -> set[int]:
        """Return the numbers of the predecessors that may still pass data on to a step.

        From now on `give_up_on` of a step is called for each predecessor that will not.
        """
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
        if result is None or not self.shape.successors[step.number]:
            return result, step.input_data
        raise InvalidResult(step.template.uid, type(result).__name__)

    def has_failed(self) -> bool:
        """Return whether a step has ended by an error; errors of clean-ups do not count."""
        return any(step.state is FutureState.exception for step in self.reached())

    def reached(self) -> list[S]:
        """Return the steps that were reached, begun or not, in the order of the tasks."""
        return [step for step in self.steps if step is not None]

    def take_over(self, other: Plan[S]) -> None:
        """Take all steps of another plan of the same run; `steps` stays the same list object."""
        self.shape, self.make, self.ready = other.shape, other.make, other.ready
        self.steps[:] = other.steps
        self._open = other._open

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
