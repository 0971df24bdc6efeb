"""The progress of a run with tasks that wait for several of their parents.

Owns:   what has arrived for each such task, and when such a task becomes due, or never will.
Knows:  the rules of fan-in; the rest is as in any plan.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from .fan_in import collected
from .plan import Plan
from .step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .plan import Make
    from .shape import Shape

S = TypeVar("S", bound=Step)


class GatheringPlan(Plan[S]):
    """The steps of one run, some of which wait for several parents.

    Each link of the graph is decided once: the parent *arrives* with its data, or it is *missing*
    for good. It is missing because it has chosen other successors, because it has failed or was
    cancelled, or because it cannot be reached itself. A task that waits becomes due, or out of
    reach, with the decision that settles this.
    """

    __slots__ = ("_called_off", "_expected", "_gathered", "_spoilt", "_undecided")

    def __init__(self, shape: Shape, make: Make[S], run: Any = None) -> None:
        super().__init__(shape, make, run)
        # For each number, the number of links to the task that are not decided yet; 0 for a task
        # that is out of reach. It serves as the open predecessors, too.
        self._undecided: list[int] = [len(parents) for parents in shape.predecessors]
        self._open = self._undecided
        # For each task that waits, the data that has arrived until the task became due, with the
        # parent, in the order of the arrivals.
        self._gathered: dict[int, list[tuple[Any, S]]] = {number: [] for number in shape.joins}
        # The numbers of the tasks that a parent is missing for because some task has failed.
        self._spoilt: set[int] = set()
        # The numbers of tasks that were reached in a run that is replayed: whatever is missing now,
        # they are not out of reach.
        self._expected: frozenset[int] = frozenset()
        # Set for good by `call_off`: what a step that is cancelled settles starts nothing then.
        self._called_off: bool = False

    def follow(self, step: S, data: dict[str, Any]) -> None:
        """Pass data on from a step that is over to the successors that the step leads to."""
        # A set: a task may have chosen thousands.
        chosen = None if step.chosen is None else frozenset(step.chosen)
        # In declared order, whether they are led to or not: so is what becomes due.
        for number in self.shape.successors[step.number]:
            if chosen is None or number in chosen:
                self._arrive(number, data, step)
            else:
                self._miss(number, step.number, is_spoilt=False)

    def stop_branch(self, step: S) -> None:
        """Called when a step is over and leads to no successor."""
        for number in self.shape.successors[step.number]:
            self._miss(number, step.number, is_spoilt=True)

    def call_off(self) -> list[S]:
        """Return the steps that are ready, which are so no more; from now on none becomes ready."""
        self._called_off = True
        return super().call_off()

    def arrivals(self, step: S) -> list[tuple[Any, Any]]:
        """Return the data of the parents that have led to a step, each with the parent."""
        gathered = self._gathered.get(step.number)
        return super().arrivals(step) if gathered is None else [*gathered, *step.late]

    def expect(self, numbers: Iterable[int]) -> None:
        """Called before a replay with the numbers of the tasks that were reached."""
        self._expected = frozenset(numbers)

    def reached_early(self, number: int) -> S | None:
        """Return the step of a task; a task that waits becomes due with what has arrived."""
        if self.steps[number] is None and self._gathered.get(number):
            return self._make_due(number)
        return self.steps[number]

    def _arrive(self, number: int, data: Any, parent: S) -> None:
        """Take the data of a parent for a task."""
        step, gathered = self.steps[number], self._gathered.get(number)
        if step is not None:
            self._undecided[number] -= 1
            if step.ended_at is None:
                step.receive(data, parent)
        elif gathered is None:
            self._undecided[number] -= 1
            self._reach(number, data, parent)
        elif self._undecided[number]:
            self._undecided[number] -= 1
            gathered.append((data, parent))
            self._decide(number)

    def _miss(self, number: int, parent: int, *, is_spoilt: bool) -> None:
        """Take note that a parent will not arrive at a task, and of all that follows from that."""
        missing = deque([(number, parent, is_spoilt)])
        while missing:
            number, parent, is_spoilt = missing.popleft()
            if not self._undecided[number]:
                # Out of reach already.
                continue
            self._undecided[number] -= 1
            if is_spoilt:
                self._spoilt.add(number)
            step = self.steps[number]
            if step is not None:
                step.give_up_on(parent)
            elif not self._decide(number) and self._is_out_of_reach(number):
                self._undecided[number] = 0
                spoilt = number in self._spoilt
                missing.extend((after, number, spoilt) for after in self.shape.successors[number])

    def _decide(self, number: int) -> bool:
        """Make a task due that has waited for long enough; return whether it has."""
        gathered = self._gathered.get(number)
        if not gathered or self._called_off:
            return False
        join = self.shape.joins[number]
        if join.strict and number in self._spoilt:
            return False
        if self._undecided[number] and len(gathered) != join.wanted:
            return False
        self._make_due(number)
        return True

    def _is_out_of_reach(self, number: int) -> bool:
        """Return whether a task that is not due can never be."""
        if number in self._expected:
            return False
        join = self.shape.joins.get(number)
        return not self._undecided[number] or (
            join is not None and join.strict and number in self._spoilt
        )

    def _make_due(self, number: int) -> S:
        gathered = self._gathered[number]
        _, last = gathered[-1]
        return self._reach(number, collected(self.shape.joins[number].collect, gathered), last)


def plan_for(shape: Shape, make: Make[S], run: Any = None) -> Plan[S]:
    """Return a plan without steps for one run of a shape; see `Plan`."""
    return GatheringPlan(shape, make, run) if shape.joins else Plan(shape, make, run)
