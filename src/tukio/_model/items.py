"""The items of one mapped task: which of them are over, and what has become of each.

Owns:   the results and failures of items, what a report shows of them, and how that is read.
Knows:  items by their places in the list; nothing about steps or a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .account import RecordedError, as_fact, described, read_account
from .attempts import read_attempts
from .changes import exact
from .children import read_child
from .detach import detached
from .display import listed, shown
from .expect import expect_list, expect_text
from .facts import UNTOLD, ItemDue, ItemEnded
from .guard import exceptions_in
from .item_template import item_id, place_in
from .mapping import MOST_ITEMS
from .state import FAILED, FINISHED, SKIPPED, TIMED_OUT
from .task_ends import TaskCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from .account import ErrorFact
    from .attempts import Attempt

WITH_FRAMES: Final = 100
"""How many failures of one task are kept with their tracebacks, which have all that was there."""

LONGEST_CHAIN: Final = 100
"""How many exceptions, each the context of the one before, are looked at for their tracebacks."""


class Items:
    """What has become of the items of one mapped task so far.

    Attributes:
        total: How many there are; None until the task has begun.
        results: What stands for each item in the results, by its place; of those that are over,
            and have neither failed nor were cancelled.
        failed: What each item has raised that has failed, by its place.
        cancelled: The places of the items that somebody has cancelled, and not the task.
        late: The places of the items that have reached their limit, and have a result.
        skipped: The places of the items that were skipped, and have a result.
        begun: The places of items that have begun, and are to be run again or were cancelled with
            the task; kept if these are undone, too.
        children: By its place, what reports the run of an item that is over, if that is kept.
    """

    __slots__ = ("begun", "cancelled", "children", "failed", "late", "results", "skipped", "total")

    def __init__(self) -> None:
        self.total: int | None = None
        self.results: dict[int, Any] = {}
        self.failed: dict[int, BaseException] = {}
        self.cancelled: set[int] = set()
        self.late: set[int] = set()
        self.skipped: set[int] = set()
        self.begun: set[int] = set()
        self.children: dict[int, Any] = {}

    def is_over(self, index: int) -> bool:
        """Return whether an item is over, and not to be run again."""
        return index in self.results or index in self.failed or index in self.cancelled

    def are_over(self) -> bool:
        """Return whether all items are over."""
        return len(self.results) + self.went_wrong == self.total

    @property
    def went_wrong(self) -> int:
        """How many have failed, or were cancelled."""
        return len(self.failed) + len(self.cancelled)

    def done(self) -> list[int]:
        """Return the places of those that have done what they were to do, the first end first."""
        # Of a task that is over, a report may have no results.
        known = [index for index, result in self.results.items() if result is not None]
        return [index for index in known if index not in self.skipped]

    def left(self) -> Iterator[int]:
        """Yield the places of the items that are not over when it is their turn."""
        for index in range(self.total or 0):
            if not self.is_over(index):
                yield index

    def keep_few_frames(self, index: int) -> None:
        """Let go of the traceback of an item that has failed, if there are many others."""
        if len(self.failed) > WITH_FRAMES:
            let_go_of_frames(self.failed[index])

    def take(self, facts: Iterable[ItemEnded | ItemDue]) -> list[ItemDue]:
        """Take what facts tell of items that are over; return those to go on with."""
        due: dict[int, ItemDue] = {}
        for fact in facts:
            # It was due before that.
            due.pop(fact.place, None)
            if isinstance(fact, ItemDue):
                due[fact.place] = fact
                self.begun.add(fact.place)
            elif fact.state is FAILED:
                known: Any = UNTOLD if fact.error is None else fact.error
                self.failed[fact.place] = RecordedError(*known)
            else:
                self.results[fact.place] = fact.result
                if fact.state is TIMED_OUT:
                    self.late.add(fact.place)
                elif fact.state is SKIPPED:
                    self.skipped.add(fact.place)
        return [fact for fact in due.values() if not fact.is_first]

    def in_order(self) -> list[Any]:
        """Return what stands for each item; None for one that has failed, or was cancelled."""
        return [*map(self.results.get, range(self.total or 0))]

    def problem(self, uid: str) -> BaseExceptionGroup[Any]:
        """Return the error of a task of whose items too many went wrong: all errors so far.

        Args:
            uid: The id of the task.
        """
        errors = [
            error if isinstance(error, Exception) else RecordedError(*as_fact(described(error)))
            for error in self.failed.values()
        ]
        errors += [TaskCancelled(item_id(uid, index)) for index in sorted(self.cancelled)]
        number = "1 item" if len(errors) == 1 else f"{len(errors):,} items"
        return ExceptionGroup(f"{number} of {self.total:,} of task {uid!r} failed", errors)

    def beside(self, uid: str, errors: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Yield the place and the id of each item that has an error, and has not failed.

        Args:
            uid: The id of the task.
            errors: The ids of all that has errors.
        """
        for one in errors:
            place = place_in(uid, one)
            if place is not None and place not in self.failed:
                yield place, one

    def errors(self, uid: str) -> dict[str, BaseException]:
        """Return what items have failed with, by their ids.

        Args:
            uid: The id of the task.
        """
        return {item_id(uid, index): error for index, error in self.failed.items()}

    def report(
        self, flaws: dict[str, Any], attempts: Mapping[int, Any], *, data: bool
    ) -> dict[str, Any]:
        """Return what a report shows of the items of a task, of which nothing else has the results.

        Args:
            flaws: What `flaws` has returned.
            attempts: What it shows of the attempts at items that are not over.
            data: Whether the results are in it; without them it has only their number.
        """
        done: Any = len(self.results)
        if data:
            done = {str(index): detached(result) for index, result in self.results.items()}
        return {**flaws, "done": done, "attempts": _by_text(attempts)}

    def flaws(
        self, begun: Sequence[int], beside: Mapping[int, Any], children: Mapping[int, Any]
    ) -> dict[str, Any]:
        """Return what a report shows of the items that did not do all of what they were to do.

        Args:
            begun: The places of those that have begun and not finished, if these are undone, too.
            beside: What it shows of errors of items that have not failed.
            children: The reports of the runs that items are, as far as it shows them.
        """
        failed = {str(index): described(error) for index, error in self.failed.items()}
        found: dict[str, Any] = {"total": self.total, "failed": failed}
        if self.late:
            found["timed_out"] = sorted(self.late)
        if self.skipped:
            found["skipped"] = sorted(self.skipped)
        if begun:
            found["begun"] = begun
        if beside:
            found["errors"] = _by_text(beside)
        if children:
            found["children"] = _by_text(children)
        return found

    def has_flaws(self) -> bool:
        """Return whether items have failed, were skipped, or have reached their limit."""
        return bool(self.failed or self.late or self.skipped)


def _by_text(found: Mapping[int, Any]) -> dict[str, Any]:
    return {str(index): value for index, value in found.items()}


def let_go_of_frames(error: BaseException) -> None:
    """Let go of the tracebacks of an exception, of those in it, and of those that led to it."""
    waiting, known = [error], set[int]()
    while waiting and len(known) < LONGEST_CHAIN:
        one = waiting.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        # Not by its own method, which a user's class may have redefined.
        BaseException.with_traceback(one, None)
        if isinstance(one, BaseExceptionGroup):
            waiting += exceptions_in(one)
        waiting += [led for led in (one.__cause__, one.__context__) if led is not None]


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
            yield ItemEnded(uid, index, FAILED, None, error)
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
    if twice := sorted(done.keys() & failed.keys()):
        msg = f"items that have failed are done: {listed(twice)}"
        raise ValueError(msg)
    late, skipped, begun = (
        frozenset(_place(str(index), total) for index in expect_list(data.get(key, [])))
        for key in ("timed_out", "skipped", "begun")
    )
    return ItemsRecord(total, done, failed, tried, late, beside, children, skipped, begun)


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
