"""The items in a report as facts, those that may be undone among the ends of the tasks.

Owns:   the places of items in the order of ends, for reports that have them and for others; and
        where the results of a mapped task are that is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .facts import ItemEnded
from .item_undo import item_in
from .items_record import ItemsRecord
from .replay import Contradiction
from .state import FINISHED

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from .facts import Fact, ItemDue, StepEnded
    from .record import RunRecord, StepRecord
    from .shape import Shape


def with_items(ends: Sequence[StepEnded], record: RunRecord, shape: Shape) -> list[Fact]:
    """Return the ends of tasks, with those of items that may be undone among them.

    Items that are not in the order of the report have ended just before their tasks, or last.

    Args:
        ends: The tasks that are over, in order.
        record: The report.
        shape: The shape of the template.

    Raises:
        Contradiction: A mapped task is over, and its results are not in the report.
    """
    over = {fact.task for fact in ends}
    left = {uid: _ends_of_items(uid, record, shape, over) for uid in _undone(record, shape)}
    if not left:
        return [*ends]
    found: list[Fact] = []
    waiting = iter(ends)
    for uid in record.order or ():
        item = item_in(uid)
        if uid in over:
            fact = next(waiting)
            found += _rest(left, fact.task)
            found.append(fact)
        elif item is not None and item[0] in left and item[1] in left[item[0]]:
            found.append(left[item[0]].pop(item[1]))
    for fact in waiting:
        found += _rest(left, fact.task)
        found.append(fact)
    for uid in left:
        found += _rest(left, uid)
    return found


def other_items(
    record: RunRecord, shape: Shape, over: Container[str]
) -> Iterator[ItemEnded | ItemDue]:
    """Yield the facts about the items that `with_items` has not.

    Args:
        record: The report.
        shape: The shape of the template.
        over: The ids of the tasks that are over.
    """
    undone = _undone(record, shape)
    for uid, known in record.steps.items():
        for fact in () if known.items is None else known.items.facts(uid, is_over=uid in over):
            if uid not in undone or not isinstance(fact, ItemEnded):
                yield fact


def _rest(left: dict[str, dict[int, ItemEnded]], task: str) -> Iterable[ItemEnded]:
    """Return the items of a task whose ends are not known, by their places; none any more then."""
    facts, left[task] = left.get(task, {}), {}
    return [fact for _, fact in sorted(facts.items())]


def _undone(record: RunRecord, shape: Shape) -> list[str]:
    """Return the ids of the tasks in a report whose items may be undone."""
    words = shape.closing
    return [] if words is None else [uid for uid in words.mapped if uid in record.steps]


def _ends_of_items(
    uid: str, record: RunRecord, shape: Shape, over: Container[str]
) -> dict[int, ItemEnded]:
    known = record.steps[uid]
    items = known.items
    if known.state is FINISHED:
        results = results_of(uid, known, shape)
        done = {place: one for place, one in enumerate(results) if one is not None}
        before = items or ItemsRecord(len(results), {}, {}, {}, frozenset(), {}, {})
        items = before._replace(done=done)
    facts = () if items is None else items.facts(uid, is_over=uid in over)
    return {fact.place: fact for fact in facts if isinstance(fact, ItemEnded)}


def results_of(uid: str, known: StepRecord, shape: Shape) -> Sequence[Any]:
    """Return what a mapped task has passed on for its items, which has finished.

    Args:
        uid: The id of the task.
        known: The execution in the report.
        shape: The shape of the template.

    Raises:
        Contradiction: There is no list of results.
    """
    assert shape.closing is not None
    into = shape.mapped(shape.closing.mapped[uid]).mapped.into
    results = known.outputs.get(into) if isinstance(known.outputs, dict) else None
    if not isinstance(results, list | tuple):
        msg = f"the results of {uid!r} are not in it, and its items may have to be undone"
        raise Contradiction(msg)
    return results
