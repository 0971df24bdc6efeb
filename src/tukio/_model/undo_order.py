"""The order of undoing: the reverse of that in which tasks, and items of mapped tasks, have ended.

Owns:   what is undone when a run ends, and in which order.
Knows:  the states of steps, and which items are done; nothing of what undoes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .item_template import item_id
from .state import FINISHED, SKIPPED, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .closing import ClosingWords, Compensation, StepsToClose
    from .shape import Shape
    from .state import FutureState

Ended: TypeAlias = int | tuple[int, int]
"""What has ended: the number of a task; or that of a mapped task, and the place of an item."""

DONE = frozenset({FINISHED, TIMED_OUT})
"""The states of a step that has done what it was to do, so that it may be undone."""


class ItemsToUndo(NamedTuple):
    """The items of a mapped task that may be undone, by their places.

    Attributes:
        done: Those that have done what they were to do, in the order of their ends.
        begun: The others that have begun, if these are undone, too.
    """

    done: Collection[int]
    begun: Collection[int]


def id_of_each(order: Iterable[Ended], shape: Shape) -> list[str]:
    """Return the ids of tasks and items that have ended."""
    ids = [task.uid for task in shape.tasks]
    return [ids[one] if isinstance(one, int) else item_id(ids[one[0]], one[1]) for one in order]


def ends_to_undo(
    words: ClosingWords,
    steps: StepsToClose,
    items: Mapping[int, ItemsToUndo],
    order: Iterable[Ended],
    ending: FutureState,
) -> list[Ended]:
    """Return what to undo when a run ends, what has ended last first.

    What was to be run again, and was not, comes before. In the place of a mapped task stand its
    items, whatever has become of the whole.

    Args:
        words: What the template says.
        steps: The step of each task, by number.
        items: For the number of each mapped task that has begun, the items to undo.
        order: What is over, in the order of the ends.
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
    to_undo: set[Ended] = set(_tasks_to_undo(words, steps))
    again: list[Ended] = [number for number in sorted(steps.closing.begun) if number not in ended]
    for number, known in sorted(items.items()):
        done = [(number, place) for place in known.done]
        begun = [(number, place) for place in sorted(known.begun)]
        ended |= dict.fromkeys(one for one in done if one not in ended)
        again += [one for one in begun if one not in ended]
        to_undo.update(done, begun)
    return [one for one in reversed([*ended, *again]) if one in to_undo]


def _tasks_to_undo(words: ClosingWords, steps: StepsToClose) -> Iterable[int]:
    """Yield the numbers of the tasks to undo; not those whose items are undone."""
    for number, undo in words.undo.items():
        if undo.item is None and _is_to_undo(undo, steps, number):
            yield number


def _is_to_undo(undo: Compensation, steps: StepsToClose, number: int) -> bool:
    step = steps[number]
    if step is None:
        return False
    if step.state in DONE:
        return True
    has_begun = step.started_at is not None or number in steps.closing.begun
    return undo.begun and has_begun and step.state is not SKIPPED
