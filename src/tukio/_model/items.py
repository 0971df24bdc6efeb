"""The items of one mapped task: which of them are over, and what has become of each.

Owns:   the results and failures of items, and what a report shows of them.
Knows:  items by their places in the list; nothing about steps or a clock. How a report is read is
        in `items_record`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .account import RecordedError, as_fact, described
from .detach import detached
from .facts import UNTOLD, ItemDue, ItemEnded
from .guard import exceptions_in
from .item_template import item_id, place_in
from .state import FAILED, SKIPPED, TIMED_OUT
from .task_ends import TaskCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
        outputs: What is shown as the output of an item that has failed, if there is any.
        cancelled: The places of the items that somebody has cancelled, and not the task.
        late: The places of the items that have reached their limit, and have a result.
        skipped: The places of the items that were skipped, and have a result.
        begun: The places of items that have begun, and are to be run again or were cancelled with
            the task; kept if these are undone, too.
        children: By its place, what reports the run of an item that is over, if that is kept.
    """

    __slots__ = (
        "begun",
        "cancelled",
        "children",
        "failed",
        "late",
        "outputs",
        "results",
        "skipped",
        "total",
    )

    def __init__(self) -> None:
        self.total: int | None = None
        self.results: dict[int, Any] = {}
        self.failed: dict[int, BaseException] = {}
        self.outputs: dict[int, Any] = {}
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

    def note_failure(self, index: int, error: BaseException, output: Any) -> None:
        """Take note that an item has failed.

        Args:
            index: Its place.
            error: What it has raised.
            output: What is shown as its output; None if there is none.
        """
        self.failed[index] = error
        if output is not None:
            self.outputs[index] = output

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
                self.note_failure(fact.place, RecordedError(*known), fact.result)
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
            done = _by_text(self.results, detached)
        return {**flaws, "done": done, "attempts": _by_text(attempts)}

    def flaws(
        self,
        begun: Sequence[int],
        beside: Mapping[int, Any],
        children: Mapping[int, Any],
        *,
        data: bool,
    ) -> dict[str, Any]:
        """Return what a report shows of the items that did not do all of what they were to do.

        Args:
            begun: The places of those that have begun and not finished, if these are undone, too.
            beside: What it shows of errors of items that have not failed.
            children: The reports of the runs that items are, as far as it shows them.
            data: Whether it shows outputs.
        """
        failed = _by_text(self.failed, described)
        found: dict[str, Any] = {"total": self.total, "failed": failed}
        if self.outputs and data:
            found["outputs"] = _by_text(self.outputs, detached)
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


def _by_text(found: Mapping[int, Any], shows: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """Return what is shown of items, by their places as texts."""
    return {str(index): value if shows is None else shows(value) for index, value in found.items()}


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
