"""The items of a step whose task is mapped, while they are at work."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .._model.items import Items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._model.attempts import Attempt
    from .._model.item_template import ItemTemplate
    from .._model.shape import ItemsInCommon


def work_of(step: Any) -> Work | None:
    """Return the items of a step, which may not be there; None if it has none so far."""
    extras = None if step is None else step._extras
    return None if extras is None else extras.items


class Work:
    """The items of one mapped task, of all executions of it in one run.

    Args:
        common: What they have in common.

    Attributes:
        common: What they have in common.
        items: What has become of them.
        values: The items themselves.
        kind: The class of their steps; None until the task has begun.
        template: The class of their templates.
        results: What stands for each in the results: that of `items`.
        ready: The queue of the plan.
        allowed: How many of them may go wrong.
        waiting: The places of those that have not been made, in order.
        due: Makes one due each time it is advanced.
        has_more: Whether there may be any, and they may begin.
        open: The steps that are due or at work, or wait for their next attempts.
        earlier: By its place, the step that was interrupted of an item that is to be run again, if
            anybody may have got hold of it, or it was tried before.
        tried: By its place, the attempts at an item that was cancelled with the task: a rescue goes
            on with them.
        is_closed: Whether no further one begins, for the task was cut or has failed.
        has_failed: Whether that is because too many have gone wrong: no cut that came later counts.
        call_off: Calls off the alarm of the limit of the task; None if there is none.
    """

    __slots__ = (
        "allowed",
        "call_off",
        "common",
        "due",
        "earlier",
        "has_failed",
        "has_more",
        "is_closed",
        "items",
        "kind",
        "open",
        "ready",
        "results",
        "template",
        "tried",
        "values",
        "waiting",
    )

    def __init__(self, common: ItemsInCommon) -> None:
        self.common: ItemsInCommon = common
        self.items: Items = Items()
        self.values: list[Any] = []
        self.kind: type[Any] | None = None
        self.template: type[ItemTemplate] = common.template
        self.results: dict[int, Any] = self.items.results
        self.ready: deque[Any] = deque()
        self.allowed: int = 0
        self.has_more: bool = False
        self.waiting: Iterator[int] = iter(())
        self.due: Iterator[None] = iter(())
        self.open: dict[Any, None] = {}
        self.earlier: dict[int, Any] = {}
        self.tried: dict[int, tuple[Attempt, ...]] = {}
        self.is_closed: bool = False
        self.has_failed: bool = False
        self.call_off: Callable[[], None] | None = None

    def begin(self, values: list[Any], kind: type[Any], ready: deque[Any]) -> None:
        """Called when an execution of the task begins: its items are to be made.

        Args:
            values: The items.
            kind: The class of their steps.
            ready: The queue of the plan.
        """
        items, total = self.items, len(values)
        items.total = total
        self.values, self.kind, self.ready = values, kind, ready
        self.allowed = self.common.mapped.tolerated(total)
        is_fresh = not (items.results or items.went_wrong)
        self.waiting = iter(range(total)) if is_fresh else items.left()
        self.is_closed, self.has_more = False, True

    def wait_again(self) -> None:
        """Have those items wait that are neither over nor open: they were not to be made before."""
        made = {item._place for item in self.open}
        self.waiting = iter([index for index in self.items.left() if index not in made])
        self.has_more = True

    def steps(self) -> list[Any]:
        """Return the steps of the items that were made, and are not over, in order."""
        return sorted([*self.open, *self.earlier.values()], key=attrgetter("_place"))

    def begun(self) -> list[int]:
        """Return the places of items that have begun and not finished, if these are undone, too.

        Those that have failed are not among them.
        """
        undo, items = self.common.undo, self.items
        if undo is None or not undo.begun:
            return []
        at_work = {item.index for item in self.open if _has_begun(item)}
        begun = items.begun | items.cancelled | at_work
        return sorted(begun - items.results.keys() - items.failed.keys())

    def is_over(self) -> bool:
        """Return whether the task has nothing to wait for but the items that are open."""
        return self.is_closed or self.items.are_over()


def _has_begun(item: Any) -> bool:
    """Return whether an item has begun, in this execution of it or in one before."""
    return item.started_at is not None or bool(item._made)
