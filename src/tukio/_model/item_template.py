"""The template of an item of a mapped task: its place in the list, and what all items share.

Owns:   the ids of items, and which words of the task are those of each item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from .task_template import TaskTemplate

T = TypeVar("T", bound="ItemTemplate")


class ItemTemplate:
    """The template of one item, which answers like that of the task, and does not change.

    There is a class of its own for each mapped task, which has what its items share, or hands on
    what the task says: an instance has its place in the list and nothing else, for there may be
    thousands.

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
    # What follows from a failure is said of the whole.
    on_error: ClassVar[None] = None
    _on_error: ClassVar[None] = None

    def __init__(self, index: int) -> None:
        self.index: int = index

    @property
    def uid(self) -> str:
        """The id of the item: that of the task, and its place."""
        return item_id(self.whole.uid, self.index)

    def as_dict(self) -> dict[str, Any]:
        """Return the dict form of the task, as if it were for this item alone."""
        document = {**self.whole.as_dict(), "id": self.uid, "timeout": self.timeout}
        return {key: value for key, value in document.items() if key not in _OF_THE_WHOLE}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return what the task says; each class has the attributes of its task."""
            ...

    def __str__(self) -> str:
        return f"<TaskTemplate name={self.whole.name}, uid={self.uid}>"

    __repr__ = __str__


_OF_THE_WHOLE = ("map", "on_error")
"""What a task says of all items together."""

_SHARED = ("name", "on_timeout", "idle_timeout", "_config", "_retry", "_topics", "_compensate")
"""What is looked at for each item, and so must not be looked for in the task each time."""


def item_class(task: TaskTemplate, timeout: float | None) -> type[ItemTemplate]:
    """Return the class of the templates of the items of a task, which does not change any more.

    Args:
        task: The template of the task.
        timeout: The time limit of an item.
    """
    return class_for_items(ItemTemplate, task, timeout)


def class_for_items(
    kind: type[T], task: TaskTemplate, timeout: float | None, **more: Any
) -> type[T]:
    """Return a class of templates, one for each item, of which no two differ but by the place.

    Args:
        kind: What it is a class of.
        task: The template that they answer like.
        timeout: The time limit.
        more: What else they share.
    """
    # Not by `__getattr__`: with that, Python looks up slowly what there is, too. What Python itself
    # calls, as `__del__` of a user's subclass, is the task's alone.
    names = [key for key in dir(task) if not (key.startswith("__") or hasattr(kind, key))]
    handed_on = {key: _OfTheTask(key) for key in names}
    shared = {key: getattr(task, key) for key in _SHARED}
    own = {"__slots__": (), "whole": task, "timeout": timeout}
    made: Any = type(kind.__name__, (kind,), {**handed_on, **shared, **own, **more})
    return made  # type: ignore[no-any-return]  # a class of that kind


class _OfTheTask:
    """An attribute of the templates of items that is looked up in the task each time.

    Args:
        name: Its name.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name: str = name

    def __get__(self, item: ItemTemplate, kind: type[ItemTemplate]) -> Any:
        return getattr(kind.whole, self._name)


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
    # Python reads no number of thousands of digits.
    if not (number.isascii() and number.isdecimal() and len(number) <= _DIGITS):
        return None
    return int(number) if uid == item_id(whole, int(number)) else None


_DIGITS = 18
"""More than the number of any item has."""
