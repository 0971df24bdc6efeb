"""The template of an item of a mapped task: its place in the list, and what all items share.

Owns:   the ids of items, and which words of the task are those of each item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .task_template import TaskTemplate


class ItemTemplate:
    """The template of one item, which answers like that of the task, and does not change.

    There is a class of its own for each mapped task, which has what its items share: an instance
    has its place in the list and nothing else, for there may be thousands.

    Args:
        index: The place of the item in the list, from 0 on.

    Attributes:
        index: The place of the item in the list.
        whole: The template of the mapped task.
    """

    __slots__ = ("index",)

    whole: ClassVar[TaskTemplate]
    timeout: ClassVar[float | None]
    map: ClassVar[None] = None
    # What follows from a failure, and what undoes it, is said of the whole.
    _on_error: ClassVar[None] = None
    _compensate: ClassVar[None] = None

    def __init__(self, index: int) -> None:
        self.index: int = index

    @property
    def uid(self) -> str:
        """The id of the item: that of the task, and its place."""
        return item_id(self.whole.uid, self.index)

    def as_dict(self) -> dict[str, Any]:
        """Return the dict form of the task, as if it were for this item alone."""
        document = {**self.whole.as_dict(), "id": self.uid, "timeout": self.timeout}
        del document["map"]
        return document

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def __str__(self) -> str:
        return f"<TaskTemplate name={self.whole.name}, uid={self.uid}>"

    __repr__ = __str__


_SHARED = ("name", "on_timeout", "idle_timeout", "_config", "_retry", "_topics")
"""What is looked at for each item, and so must not be looked for in the task each time."""


def item_class(task: TaskTemplate, timeout: float | None) -> type[ItemTemplate]:
    """Return the class of the templates of the items of a task, which does not change any more.

    Args:
        task: The template of the task.
        timeout: The time limit of an item.
    """
    shared = {key: getattr(task, key) for key in _SHARED}
    own = {"__slots__": (), "whole": task, "timeout": timeout}
    return type(ItemTemplate.__name__, (ItemTemplate,), {**shared, **own})


def item_id(whole: str, index: int) -> str:
    """Return the id of an item.

    Args:
        whole: The id of the mapped task.
        index: The place of the item in the list.
    """
    return f"{whole}[{index}]"


def place_in(whole: str, uid: str) -> int | None:
    """Return the place of an item of a task; None if an id is not that of one.

    Args:
        whole: The id of the mapped task.
        uid: The id.
    """
    number = uid[len(whole) + 1 : -1]
    if number.isascii() and number.isdecimal() and uid == item_id(whole, int(number)):
        return int(number)
    return None
