"""What undoes the items of a mapped task: a task of closing for each item that is to be undone.

Owns:   the ids of these tasks, and the faults of ids that are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from .closing_words import SUFFIX, closing_tasks, compensation_id
from .display import shown
from .errors import Fault
from .item_template import ItemTemplate, class_for_items, item_id, place_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .task_template import TaskTemplate

ADVICE: Final = "give it another id"


class ItemUndo(ItemTemplate):
    """The template of what undoes one item.

    As with those of items, there is a class of its own for each mapped task.

    Attributes:
        mapped: The id of the mapped task.
    """

    __slots__ = ()

    mapped: ClassVar[str]

    @property
    def uid(self) -> str:
        """The id: that of the item, and what stands behind the id of each compensation."""
        return compensation_id(item_id(self.mapped, self.index))


def item_undo_class(mapped: str, task: TaskTemplate) -> type[ItemUndo]:
    """Return the class of the templates of what undoes the items of a task.

    Args:
        mapped: The id of the mapped task.
        task: What its `compensate` says, as a task.
    """
    return class_for_items(ItemUndo, task, task.timeout, mapped=mapped)


def undone_item(uid: str) -> tuple[str, int] | None:
    """Return of which mapped task, by its id, and at which place the item is that a task undoes.

    Args:
        uid: The id of the task that undoes something; None comes of any other id.
    """
    item = uid.removesuffix(SUFFIX)
    return None if item == uid else item_in(item)


def item_in(uid: str) -> tuple[str, int] | None:
    """Return of which mapped task, by its id, and at which place an item is; None if it is none.

    Whether there is such a task is for the caller to know.

    Args:
        uid: The id of the item.
    """
    whole = uid.rpartition("[")[0]
    place = place_in(whole, uid)
    return None if place is None else (whole, place)


def find_item_undo_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each task whose id is that of what undoes an item of another one.

    Of a task of `finally`, also for the id of an item itself.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
    """
    tasks = document["tasks"]
    mapped = {task["id"]: task.get("compensate") for task in tasks if task.get("map") is not None}
    if not mapped:
        return
    last = [(path, uid) for path, uid, _ in closing_tasks(document) if path.startswith("finally")]
    for path, uid in last:
        item = item_in(uid)
        if item is not None and item[0] in mapped:
            problem = f"{shown(uid)} is the id of an item of {shown(item[0])}"
            yield Fault(path, problem, ADVICE)
    ids = [(f"tasks[{number}].id", task["id"]) for number, task in enumerate(tasks)]
    for path, uid in [*ids, *last]:
        item = undone_item(uid)
        if item is not None and mapped.get(item[0]) is not None:
            problem = f"{shown(uid)} is the id of what undoes an item of {shown(item[0])}"
            yield Fault(path, problem, ADVICE)
