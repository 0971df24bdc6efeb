"""The errors of items: which of those of a run their mapped tasks have taken, and which are left.

Knows:  the steps and their errors, to read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.account import RecordedError
from .._model.facts import ItemEnded
from .._model.item_template import item_id
from .._model.state import FAILED
from .._model.task_ends import TaskTimedOut
from .._model.time_limits import goes_well_at_limit
from .._step.items import work_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .._model.facts import Fact
    from .._model.task_template import TaskTemplate
    from .._step.items import Work
    from .._step.step import LiveStep


def of_items(steps: Sequence[LiveStep | None]) -> dict[str, BaseException]:
    """Return what items have failed with, by their ids; their tasks decide what comes of that."""
    found: dict[str, BaseException] = {}
    for step in steps:
        work = work_of(step)
        if step is not None and work is not None:
            found |= work.items.errors(step.template.uid)
    return found


def beside_items(facts: Iterable[Fact]) -> dict[str, BaseException]:
    """Return what items have raised that have not failed, as facts tell of it, by their ids."""
    return {
        item_id(fact.task, fact.place): RecordedError(*fact.error)
        for fact in facts
        if isinstance(fact, ItemEnded) and fact.state is not FAILED and fact.error is not None
    }


def not_of_items(
    errors: Mapping[str, BaseException], steps: Sequence[LiveStep | None]
) -> dict[str, BaseException]:
    """Return the errors of a run but for those of items, which their tasks have taken."""
    taken = of_items(steps)
    return {uid: error for uid, error in errors.items() if uid not in taken}


def unhandled_of(
    errors: Mapping[str, BaseException], task: TaskTemplate, work: Work
) -> dict[str, BaseException]:
    """Return what went wrong with items and is not among the failures that their task counts.

    These are errors of their clean-ups, and limits that were reached.

    Args:
        errors: The errors of the run.
        task: The template of the mapped task.
        work: Its items.
    """
    items = work.items
    found = {uid: errors[uid] for _, uid in items.beside(task.uid, errors)}
    if not goes_well_at_limit(task):
        for place in sorted(items.late):
            uid = item_id(task.uid, place)
            found.setdefault(uid, TaskTimedOut(uid, work.common.mapped.timeout))
    return found
