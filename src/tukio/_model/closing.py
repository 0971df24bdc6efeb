"""Closing: what a run still does when all else of it is over.

Owns:   the templates of the tasks that undo others or come last, and what a run keeps of its
        closing.
Knows:  how the run ends; no driver and no clock.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from .changes import exact, own
from .closing_words import ENDINGS, compensation_id, compensation_in, id_of_finally
from .item_undo import ItemUndo, item_undo_class, undone_item
from .task_template import TaskTemplate
from .time_limits import FAIL, RETRY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .facts import StepEnded
    from .state import FutureState
    from .step import Step
    from .template import WorkflowTemplate


class Compensation(NamedTuple):
    """What undoes a task.

    Attributes:
        task: The task that does it.
        begun: Whether it also undoes a step that has begun and not finished.
        item: For a mapped task, each item of which is undone: makes the task that undoes one, given
            its place. None for any other task.
    """

    task: TaskTemplate
    begun: bool
    item: type[ItemUndo] | None

    @classmethod
    def of(cls, task: TaskTemplate, words: Mapping[Any, Any]) -> Compensation:
        """Return what undoes a task, given by what its `compensate` says."""
        undo = _task(compensation_id(task.uid), words)
        item = None if task._map is None else item_undo_class(task.uid, undo)
        return cls(undo, words.get("begun") is True, item)


class ClosingWords:
    """What a template says of closing, made once for all of its runs.

    Attributes:
        undo: The number of each task that can be undone -> what undoes it.
        last: The tasks of `finally`, in order.
        ids: The ids of all of these but those that undo items.
        mapped: The id of each mapped task whose items can be undone -> its number.
        endings: The endings of a run that are followed by compensations.
    """

    __slots__ = ("endings", "ids", "last", "mapped", "undo")

    def __init__(self, template: WorkflowTemplate, tasks: Sequence[TaskTemplate]) -> None:
        self.undo: dict[int, Compensation] = {
            number: Compensation.of(task, words)
            for number, task in enumerate(tasks)
            if (words := compensation_in(task._compensate))
        }
        finals: Any = template._finally_ or ()
        self.last: tuple[TaskTemplate, ...] = tuple(
            _task(id_of_finally(words), words) for words in finals
        )
        self.mapped: dict[str, int] = {
            tasks[number].uid: number for number, undo in self.undo.items() if undo.item is not None
        }
        undoing = [undo.task for undo in self.undo.values() if undo.item is None]
        self.ids: frozenset[str] = frozenset(task.uid for task in [*undoing, *self.last])
        on = template._compensate_on
        self.endings: frozenset[str] = frozenset(map(exact, ENDINGS if on is None else on))

    def know(self, uid: str) -> bool:
        """Return whether a run may close with a task of an id."""
        item = undone_item(uid)
        return uid in self.ids or (item is not None and item[0] in self.mapped)


def words_of_closing(
    template: WorkflowTemplate, tasks: Sequence[TaskTemplate]
) -> ClosingWords | None:
    """Return what a template says of closing; None if its runs end without."""
    if template._finally_ or any(task._compensate is not None for task in tasks):
        words = ClosingWords(template, tasks)
        return words if words.undo or words.last else None
    return None


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
        """Put another execution in the place of one that is not due any more."""
        # There may be thousands, and those before the first that is due are the newest.
        place = len(self.steps) - len(self.due) - 1
        while self.steps[place] is not step:
            place -= 1
        self.steps[place] = new


class StepsToClose(list[Any]):
    """The step of each task of a run, by number; and beside them those of its closing.

    Attributes:
        closing: What is kept of the closing.
    """

    __slots__ = ("closing",)

    def __init__(self, count: int) -> None:
        super().__init__([None] * count)
        self.closing: Closing = Closing()
