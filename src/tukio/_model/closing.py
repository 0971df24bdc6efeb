"""Closing: what a run still does when all else of it is over, and in which order.

Owns:   which steps are undone, the templates of the tasks that undo them or come last, and what a
        run keeps of its closing.
Knows:  how the run ends, and the order in which its steps have ended; no driver and no clock.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .changes import exact, own
from .closing_words import ENDINGS, compensation_id, compensation_in, id_of_finally
from .state import FINISHED, SKIPPED, TIMED_OUT
from .task_template import TaskTemplate
from .time_limits import FAIL, RETRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .facts import StepEnded
    from .state import FutureState
    from .step import Step
    from .template import WorkflowTemplate

DONE: Final = {FINISHED, TIMED_OUT}
"""The states of a step that has done what it was to do, so that it may be undone."""


class Compensation(NamedTuple):
    """What undoes a task.

    Attributes:
        task: The task that does it.
        begun: Whether it also undoes a step that has begun and not finished.
    """

    task: TaskTemplate
    begun: bool


class ClosingWords:
    """What a template says of closing, made once for all of its runs.

    Attributes:
        undo: The number of each task that can be undone -> what undoes it.
        last: The tasks of `finally`, in order.
        ids: The ids of all of these.
        endings: The endings of a run that are followed by compensations.
    """

    __slots__ = ("endings", "ids", "last", "undo")

    def __init__(self, template: WorkflowTemplate, tasks: Sequence[TaskTemplate]) -> None:
        self.undo: dict[int, Compensation] = {
            number: Compensation(
                _task(compensation_id(task.uid), words), begun=words.get("begun") is True
            )
            for number, task in enumerate(tasks)
            if (words := compensation_in(task._compensate))
        }
        finals: Any = template._finally_ or ()
        self.last: tuple[TaskTemplate, ...] = tuple(
            _task(id_of_finally(words), words) for words in finals
        )
        undoing = [undo.task for undo in self.undo.values()]
        self.ids: frozenset[str] = frozenset(task.uid for task in [*undoing, *self.last])
        on = template._compensate_on
        self.endings: frozenset[str] = frozenset(map(exact, ENDINGS if on is None else on))


def words_of_closing(
    template: WorkflowTemplate, tasks: Sequence[TaskTemplate]
) -> ClosingWords | None:
    """Return what a template says of closing; None if its runs end without."""
    if template._finally_ or any(task._compensate is not None for task in tasks):
        words = ClosingWords(template, tasks)
        return words if words.undo or words.last else None
    return None


def steps_to_undo(
    words: ClosingWords, steps: StepsToClose, order: Iterable[int], ending: FutureState
) -> list[Any]:
    """Return the steps to undo when a run ends, the one that has ended last first.

    Those that were to be run again, and were not, come before.

    Args:
        words: What the template says.
        steps: The step of each task, by number.
        order: The numbers of the steps that are over, in the order of their ends.
        ending: How the run ends.
    """
    if ending.value not in words.endings:
        return []
    ended = dict.fromkeys(order)
    # Ctrl-C may come between the end of a step and the note of it.
    ended |= dict.fromkeys(
        step.number
        for step in steps
        if step is not None and step.state.done() and step.number not in ended
    )
    again = sorted(number for number in steps.closing.begun if number not in ended)
    return [
        steps[number]
        for number in reversed([*ended, *again])
        if number in words.undo and _is_to_undo(words.undo[number], steps, number)
    ]


def _is_to_undo(undo: Compensation, steps: StepsToClose, number: int) -> bool:
    step = steps[number]
    if step.state in DONE:
        return True
    has_begun = step.started_at is not None or number in steps.closing.begun
    return undo.begun and has_begun and step.state is not SKIPPED


def given_to_undo(step: Step) -> Any:
    """Return what a compensation is given: the output of the step, as a successor gets it.

    An output that is no dict, which only a task without successors may have, comes as `output`.
    """
    output = step.output_data
    if output is None:
        return step.input_data
    return output if isinstance(output, dict) else {"output": output}


def given_at_the_end(
    ending: FutureState, errors: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what the tasks of `finally` are given.

    Args:
        ending: How the run ends.
        errors: What its tasks have raised, in the form of reports.
    """
    told = {
        uid: {"type": error["type"], "message": error["message"]} for uid, error in errors.items()
    }
    return {"state": ending.value, "errors": told}


def _task(uid: str, words: Mapping[Any, Any]) -> TaskTemplate:
    """Return the template of a task of closing: one that does not end in time has failed."""
    retry = own(words.get("retry"))
    return TaskTemplate(
        exact(words["name"]),
        uid=uid,
        config=own(words.get("config")),
        timeout=words.get("timeout"),
        on_timeout=FAIL if retry is None else RETRY,
        retry=retry,
    )


class Closing:
    """What is kept of the closing of one run.

    Attributes:
        steps: Its steps in order, each by its latest execution; empty until it begins.
        due: Those that are to begin.
        until: When it must be over, on the clock of the run; inf for never.
        began_at: When it began, likewise; None before.
        begun: The numbers of the tasks that have begun, and are to be run again: whatever becomes
            of that, something may have been done.
        known: The id of each task of it that was over in the report that the run goes on from.
    """

    __slots__ = ("began_at", "begun", "due", "known", "steps", "until")

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.due: deque[Any] = deque()
        self.until: float = math.inf
        self.began_at: float | None = None
        self.begun: set[int] = set()
        self.known: dict[str, StepEnded] = {}

    def replace(self, step: Any, new: Any) -> None:
        """Put another execution in the place of one."""
        self.steps[self.steps.index(step)] = new


class StepsToClose(list[Any]):
    """The step of each task of a run, by number; and beside them those of its closing.

    Attributes:
        closing: What is kept of the closing.
    """

    __slots__ = ("closing",)

    def __init__(self, count: int) -> None:
        super().__init__([None] * count)
        self.closing: Closing = Closing()
