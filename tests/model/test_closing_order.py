"""Which steps are undone, and in which order, from what is known of their ends."""

from __future__ import annotations

from typing import Any

from support.flow import flow
from tukio._model.closing import StepsToClose, steps_to_undo
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._model.step import Step


def steps_of(*states: FutureState | None) -> tuple[Any, StepsToClose]:
    """Return the words of a chain whose tasks can be undone, and its steps in some states."""
    template = flow(" ".join("abc"[: len(states)]))
    for task in template.tasks:
        task.compensate = "undo"
    shape = shape_of(template)
    steps = StepsToClose(len(states))
    for number, state in enumerate(states):
        if state is not None:
            steps[number] = Step(None, number, shape.tasks[number], {}, None)
            steps[number].state = state
    return shape.closing, steps


def test_a_step_whose_end_was_not_noted_is_undone_first() -> None:
    """Ctrl-C may come between the end of a step and the note of it."""
    finished = FutureState.finished
    words, steps = steps_of(finished, finished, finished)
    found = steps_to_undo(words, steps, [1, 0], FutureState.cancelled)
    assert [step.number for step in found] == [2, 0, 1]


def test_one_that_has_not_ended_is_not_undone() -> None:
    """Nor one that was not reached."""
    words, steps = steps_of(FutureState.finished, FutureState.pending, None)
    found = steps_to_undo(words, steps, [0], FutureState.cancelled)
    assert [step.number for step in found] == [0]
