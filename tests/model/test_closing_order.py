"""Which steps are undone, and in which order, from what is known of their ends."""

from __future__ import annotations

from typing import Any

from support.flow import flow
from tukio._model.closing import StepsToClose
from tukio._model.item_undo import ItemUndo
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._model.step import Step
from tukio._model.undo_order import Ended, ItemsToUndo, ends_to_undo


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
    assert ends_to_undo(words, steps, {}, [1, 0], FutureState.cancelled) == [2, 0, 1]


def test_one_that_has_not_ended_is_not_undone() -> None:
    """Nor one that was not reached."""
    words, steps = steps_of(FutureState.finished, FutureState.pending, None)
    assert ends_to_undo(words, steps, {}, [0], FutureState.cancelled) == [0]


def test_items_stand_in_the_place_of_their_task() -> None:
    """Among the other tasks, each by its own end; those that have only begun come first."""
    finished, cut = FutureState.finished, FutureState.cancelled
    words, steps = steps_of(finished, cut, finished)
    words.undo[1] = words.undo[1]._replace(item=ItemUndo)
    items = {1: ItemsToUndo(done=[4, 0, 7], begun=[9, 2, 3])}
    order: list[Ended] = [(1, 4), 0, (1, 5), (1, 0), 2, (1, 3), 1]
    found = ends_to_undo(words, steps, items, order, cut)
    # The end of 7 was not noted, 5 was skipped, and 3 was cut with the whole.
    assert found == [(1, 9), (1, 2), (1, 7), (1, 3), 2, (1, 0), 0, (1, 4)]
    assert ends_to_undo(words, steps, items, order, finished) == []
