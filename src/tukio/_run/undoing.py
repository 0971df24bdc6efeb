"""What is undone when a run closes: steps, and items of mapped tasks, which are made anew for that.

Owns:   what stands for an item that is undone.
Knows:  the whole of an item, which has kept what has become of it: items are let go of as they end,
        for there may be thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.mapping import input_of
from .._model.no_items import NoItems
from .._model.state import CANCELLED, FAILED, FINISHED, TIMED_OUT
from .._model.step import LOOSE
from .._model.undo_order import ItemsToUndo, ends_to_undo
from .._step.items import work_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._model.closing import ClosingWords, StepsToClose
    from .._model.state import FutureState
    from .._model.task_template import TaskTemplate
    from .._model.undo_order import Ended
    from .._step.step import LiveStep


def what_undoes(
    words: ClosingWords, steps: StepsToClose, order: Iterable[Ended], ending: FutureState
) -> Iterator[tuple[TaskTemplate, LiveStep]]:
    """Yield what is to be undone when a run ends, in order, each behind the task that undoes it.

    Args:
        words: What the template says.
        steps: The step of each task, by number.
        order: What is over, in the order of the ends.
        ending: How the run ends.
    """
    wholes = {number: _Whole(step) for number, step in _that_have_begun(words, steps)}
    items = {number: whole.to_undo() for number, whole in wholes.items()}
    for one in ends_to_undo(words, steps, items, order, ending):
        if isinstance(one, int):
            yield words.undo[one].task, steps[one]
        else:
            number, place = one
            make: Any = words.undo[number].item
            yield make(place), wholes[number].item(place)


def _that_have_begun(words: ClosingWords, steps: StepsToClose) -> Iterator[tuple[int, Any]]:
    """Yield the number and the step of each mapped task, of whose items anything is known."""
    for number in words.mapped.values():
        step = steps[number]
        if work_of(step) is not None:
            yield number, step


class _Whole:
    """A mapped task whose items are undone.

    Args:
        step: Its step.
    """

    __slots__ = ("_kind", "_step", "_values", "_work")

    def __init__(self, step: Any) -> None:
        work = step.work
        self._step: Any = step
        self._work: Any = work
        self._kind: Any = step.run.environment.kinds.class_of(work.common.kinds)
        self._values: list[Any] | None = None

    def to_undo(self) -> ItemsToUndo:
        """Return the places of the items that may be undone."""
        work = self._work
        begun = [*work.begun(), *work.items.failed] if work.common.undo.begun else []
        return ItemsToUndo(work.items.done(), begun)

    def item(self, place: int) -> LiveStep:
        """Return what stands for an item: what it was given, and what has become of it."""
        step, items = self._step, self._work.items
        item = self._kind(step.run, LOOSE, self._work.template(place), self._input(place), step)
        item.output_data = items.outputs.get(place, items.results.get(place))
        item.error = items.failed.get(place)
        item.state = self._state_of(place)
        return item  # type: ignore[no-any-return]  # a step

    def _state_of(self, place: int) -> FutureState:
        items = self._work.items
        if place in items.failed:
            return FAILED
        if place not in items.results:
            return CANCELLED
        return TIMED_OUT if place in items.late else FINISHED

    def _input(self, place: int) -> Any:
        """Return what an item was given; None if it is not known any more."""
        if self._values is None:
            self._values = _values_of(self._step, self._work)
        return input_of(self._values[place]) if place < len(self._values) else None


def _values_of(step: Any, work: Any) -> list[Any]:
    """Return the items of a mapped task, as its step was given them; none if they are not known."""
    try:
        values: list[Any] = work.common.mapped.items_in(step.template.uid, step.input_data)
    except NoItems:
        return []
    return values
