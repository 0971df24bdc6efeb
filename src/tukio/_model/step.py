"""One execution of one task within a run, as plain data.

Owns:   the fields of an execution, from the moment when the task is due until it is over.
Knows:  the facts that it is restored from; nothing about drivers, scopes or a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .state import FutureState

if TYPE_CHECKING:
    from .facts import ItemDue, ItemEnded, StepDue, StepEnded
    from .task_template import TaskTemplate


LOOSE: Final = -1
"""The number of each step that is outside of the graph: nothing leads to it, or follows it.

It is the last entry of `Shape.successors`, which is empty.
"""


class Step:
    """One execution of one task within a run, as plain data.

    Attributes:
        run: The run of the step; None for a plan without a run.
        number: The number of the task in the shape, or `LOOSE`.
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

    def restore_earlier(self, known: StepDue) -> None:
        """Called when this step is to be run, and was before: a fact tells what came of that."""

    def restore_items(self, total: int | None, facts: list[ItemEnded | ItemDue]) -> None:
        """Called when this step is one of a mapped task, and facts tell of its items.

        Args:
            total: How many items there are; None if the step is over.
            facts: What they tell.
        """

    def hand_over(self, new: Any) -> None:
        """Called when this step is followed by another execution of the same task."""

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, will not pass data on any more."""
