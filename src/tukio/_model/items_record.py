"""The items of one mapped task in a report: how they are read, and the facts that they are.

Owns:   what is looked for in `exec.items` of a report, and which facts come of it.
Knows:  items by their places in the list; what writes that part is `items`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .account import as_fact, read_account
from .attempts import read_attempts
from .changes import exact
from .children import read_child
from .detach import detached
from .display import listed, shown
from .expect import expect_list, expect_text
from .facts import ItemDue, ItemEnded
from .mapping import MOST_ITEMS
from .state import FAILED, FINISHED, SKIPPED, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from .account import ErrorFact
    from .attempts import Attempt


class Tried(NamedTuple):
    """The attempts at an item that is not over, as a report shows them.

    Attributes:
        attempts: The executions that have failed.
        due: When the next one is due, aware UTC; None for at once.
        tried: The seconds for which the item was tried so far.
    """

    attempts: tuple[Attempt, ...]
    due: datetime | None
    tried: float


class ItemsRecord(NamedTuple):
    """The items of one mapped task, as a report shows them, by their places.

    Attributes:
        total: How many there are; None if the task had not begun.
        done: The results.
        failed: What items have failed with.
        tried: The attempts at items that are not over.
        late: The places of those that have reached their limit, and have a result.
        beside: The errors of those that have not failed.
        children: The reports of runs that items are.
        skipped: The places of those that were skipped, and have a result.
        begun: The places of those that have begun and not finished, if these are undone, too.
        outputs: What is shown as the outputs of those that have failed.
    """

    total: int | None
    done: dict[int, Any]
    failed: dict[int, ErrorFact]
    tried: dict[int, Tried]
    late: frozenset[int]
    beside: dict[int, ErrorFact]
    children: dict[int, dict[str, Any]]
    skipped: frozenset[int] = frozenset()
    begun: frozenset[int] = frozenset()
    outputs: Mapping[int, Any] = MappingProxyType({})

    def facts(self, uid: str, *, is_over: bool) -> Iterator[ItemEnded | ItemDue]:
        """Yield what this tells of the items of a task.

        Args:
            uid: The id of the task.
            is_over: Whether the task is over. Then there are no results in here.
        """
        over = self.done.keys() | self.late
        if is_over:
            told = self.beside.keys() | self.children.keys()
            over |= told - self.failed.keys() - self.begun
        for index in [*self.done, *sorted(over - self.done.keys())]:
            state = TIMED_OUT if index in self.late else FINISHED
            state = SKIPPED if index in self.skipped else state
            beside, child = self.beside.get(index), self.children.get(index)
            yield ItemEnded(uid, index, state, self.done.get(index), beside, child)
        for index, error in self.failed.items():
            yield ItemEnded(uid, index, FAILED, self.outputs.get(index), error)
        begun = (self.begun | self.children.keys()) - over
        for index in [*self.tried, *sorted(begun - self.tried.keys())]:
            made = self.tried.get(index, Tried((), None, 0.0))
            # One that waits for its next attempt has no child: that of the one before is over.
            child = None if made.due is not None else self.children.get(index)
            yield ItemDue(uid, index, *made, child)


def read_items(data: Any, time: Callable[[Any], datetime | None]) -> ItemsRecord | None:
    """Return what a report shows of the items of a task; None if it shows none.

    Args:
        data: What the report has of them.
        time: Reads a time.

    Raises:
        KeyError, TypeError, ValueError: It is no such part of a report.
    """
    if data is None:
        return None
    total = data["total"]
    if total is not None and not (type(total) is int and 0 <= total <= MOST_ITEMS):
        msg = f"{shown(total)} is no number of items"
        raise ValueError(msg)
    done = _by_place(data.get("done", {}), total, detached)
    failed = _by_place(data["failed"], total, lambda error: as_fact(read_account(error)))
    tried = _by_place(data.get("attempts", {}), total, lambda made: _tried(made, time))
    beside = _by_place(data.get("errors", {}), total, lambda error: as_fact(read_account(error)))
    children = _by_place(data.get("children", {}), total, read_child)
    outputs = _by_place(data.get("outputs", {}), total, detached)
    if twice := sorted(done.keys() & failed.keys()):
        msg = f"items that have failed are done: {listed(twice)}"
        raise ValueError(msg)
    late, skipped, begun = (
        frozenset(_place(str(index), total) for index in expect_list(data.get(key, [])))
        for key in ("timed_out", "skipped", "begun")
    )
    return ItemsRecord(total, done, failed, tried, late, beside, children, skipped, begun, outputs)


def _tried(made: Any, time: Callable[[Any], datetime | None]) -> Tried:
    attempts = read_attempts(made.get("attempts", []), time)
    return Tried(attempts, time(made.get("due")), max(float(made.get("elapsed", 0.0)), 0.0))


def _by_place(data: Any, total: int | None, read: Callable[[Any], Any]) -> dict[int, Any]:
    """Return what a report has for items, by their places."""
    found: dict[int, Any] = {}
    for key, value in data.items():
        found[_place(key, total)] = read(value)
    return found


def _place(key: Any, total: int | None) -> int:
    text = exact(expect_text(key))
    place = int(text)
    if str(place) != text or not 0 <= place < (total or 0):
        msg = f"{shown(key)} is none of its {total} items"
        raise ValueError(msg)
    return place
