"""The items of a mapped task: which are due, what has become of each, and what cuts them.

Owns:   which items are open; those are due or at work, or wait for their next attempts.
Knows:  the items, which are steps outside of the graph, and the queue of the plan that they are put
        into. How many of them may fail is decided by the model.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .._model.guard import call_all
from .._model.mapping import input_of
from .._model.state import (
    CANCELLED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    SKIPPED,
    STOPPING,
    TIMED_OUT,
)
from .._model.step import LOOSE
from .._step.items import Work
from .later import put_off, withdraw
from .task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .item import ItemStep


NONE_DUE: Final[Iterator[None]] = iter(())

# Kept in a variable, because it is needed for every item.
new: Any = object.__new__


class StepWithItems(TaskRun):
    """A step that makes items due, and takes what they come to."""

    __slots__ = ()

    @property
    def work(self) -> Work:
        """The items of this task, made on first use."""
        extras = self.extras
        if extras.items is None:
            extras.items = Work(self.run.plan.shape.mapped(self.number))
        return extras.items

    @property
    def _retry(self) -> None:
        """It is that of the items."""
        return

    def _begin_items(self) -> None:
        run, work = self.run, self.work
        mapped = work.common.mapped
        values = mapped.items_in(self.template.uid, self.input_data)
        kind = run.environment.kinds.class_of(work.common.kinds)
        work.begin(values, kind, run.plan.ready)
        # That of a run that was rescued is known before.
        work.is_closed = work.has_failed = work.items.went_wrong > work.allowed
        # A handler of its begin may have cut it.
        if not work.is_closed and self.run.phase is RUNNING and self.interrupted_for is None:
            self._next(mapped.limit)

    def _problem(self) -> BaseExceptionGroup[Any] | None:
        """Return the error of the task if too many items have gone wrong; None if they have not."""
        work = self.work
        if work.items.went_wrong <= work.allowed:
            return None
        return work.items.problem(self.template.uid)

    def _output(self) -> dict[str, Any]:
        work = self.work
        output = work.common.mapped.passed_on(self.input_data, work.items.in_order())
        if work.common.undo is None:
            # The output has them.
            work.items.results = work.results = {}
        work.values = []
        return output

    # Its items ------------------------------------------------------------------------------------

    def _next(self, number: int | None) -> None:
        """Make the next items due, and one more in the place of each that is over from now on.

        Args:
            number: How many, at most; None for all.
        """
        self.work.due = due = self._made_due(in_turn=number is not None)
        for _ in islice(due, number):
            pass

    def _made_due(self, *, in_turn: bool) -> Iterator[None]:
        """Make items due, as often as this is advanced: one each time, or else all at once."""
        # A generator, as there may be thousands: what it looks up here, it has for all of them.
        work: Any = self.work
        run, values, kind, template_kind = self.run, work.values, work.kind, work.template
        ready, made, earlier = work.ready, work.open, work.earlier
        for index in work.waiting:
            value = values[index]
            template = new(template_kind)
            template.index = index
            inputs = value if type(value) is dict else input_of(value)
            item = kind(run, LOOSE, template, inputs, self)
            made[item] = None
            if not earlier or index not in earlier:
                ready.append(item)
            else:
                self._go_on_with(earlier.pop(index), item)
            if in_turn:
                yield
        work.has_more = False

    def _go_on_with(self, earlier: Any, item: Any) -> None:
        """Make an item due that takes the place of an earlier execution, or put it off."""
        earlier.hand_over(item)
        due, item.cancel_called = item.extras.due, earlier.cancel_called
        if due is None or due <= self.run.backend.time() or item.cancel_called:
            item.extras.due = None
            self.run.plan.ready.append(item)
        else:
            put_off(self.run, item, due)

    def take(self, item: ItemStep) -> None:
        """Called when an item is over: the next one takes its place."""
        work: Any = self._extras.items  # type: ignore[union-attr]  # it has begun
        if item not in work.open:
            # It was called off.
            return
        # Facts first: Ctrl-C may come at any line.
        if item.state is FINISHED:
            output, place = item.output_data, item.template.index  # type: ignore[attr-defined]
            work.results[place] = item.input_data if output is None else output
            del work.open[item]
        else:
            self.note(item)
            del work.open[item]
            if item.state is FAILED:
                work.items.keep_few_frames(item._place)
            if work.items.went_wrong > work.allowed and not work.is_closed:
                work.has_failed = self.run.phase is not STOPPING
                self._close()
        if work.has_more and self.run.phase is RUNNING:
            next(work.due, None)

    def note(self, item: ItemStep) -> None:
        """Take note of what has become of an item, before anybody is told; again, it is the same.

        Whoever is told may take a report.
        """
        work, index = self.work, item._place
        if item.state is FAILED:
            assert item.error is not None
            work.items.note_failure(index, item.error, item.output_data)
        elif item.state is CANCELLED:
            # A suspension calls no item off.
            is_own = self.interrupted_for is INTERRUPTED and item.cancel_called
            if self.run.phase is STOPPING or (work.is_closed and not is_own):
                # With the whole; it is run again with that, at least by a rescue.
                if item._made:
                    work.tried[index] = item._made
                self._note_begun(item)
                return
            work.items.cancelled.add(index)
        else:
            if item.state is TIMED_OUT:
                work.items.late.add(index)
            elif item.state is SKIPPED:
                work.items.skipped.add(index)
            output = item.output_data
            work.items.results[index] = item.input_data if output is None else output

    def replace(self, item: ItemStep, new: ItemStep) -> None:
        """Called when an item is run again: the next execution of it is open in its place."""
        work = self.work
        if item in work.open:
            del work.open[item]
            work.open[new] = None

    def take_interrupted(self, item: ItemStep) -> None:
        """Called when an item was interrupted and has unwound; it is made anew with the whole."""
        self._note_begun(item)
        del self.work.open[item]
        self._keep(item)

    def _note_begun(self, item: ItemStep) -> None:
        """Take note of an item that has begun, now or in an earlier execution, if that counts."""
        undo = self.work.common.undo
        if undo is not None and undo.begun and (item.started_at is not None or item._made):
            self.work.items.begun.add(item._place)

    def _keep(self, item: ItemStep) -> None:
        """Keep an item that is to be made anew, if anybody may wait for it, or it was tried."""
        if item._extras is not None or item._retry is not None:
            self.work.earlier[item._place] = item

    def _close(self) -> None:
        """Have no further item begin, call off those that have not begun, and cut the others."""
        work, is_again = self.work, self.interrupted_for is INTERRUPTED
        work.is_closed, work.has_more = True, False
        work.due = NONE_DUE
        unbegun = [item for item in work.open if item.started_at is None]
        withdraw(self.run, unbegun)
        for item in unbegun:
            self._note_begun(item)
            del work.open[item]
            item.state = INTERRUPTED if is_again else CANCELLED
        for item in list(work.open):
            self._cut(item, is_again=is_again)
        if is_again:
            for item in unbegun:
                self._keep(item)
            return
        for item in unbegun:
            self.note(item)
        # Most have nobody that waits for them.
        call_all(item._let_go for item in unbegun if item._extras is not None)

    def _cut(self, item: Any, *, is_again: bool) -> None:
        """Cut an item that is at work, to be run again or not."""
        driver = item.driver
        if not is_again:
            item.cancel_called = True
        elif driver is None or item.interrupted_for is not None or driver.scope_spent:
            return
        else:
            item.interrupted_for = INTERRUPTED
        if driver is not None:
            self.run.interrupt(driver)

    def hand_over(self, new: Any) -> None:
        """Called when this is run again: what has become of its items stays."""
        super().hand_over(new)
        new.extras.items = self.extras.items

    def restore_items(self, total: int | None, facts: Iterable[Any]) -> None:
        """Set what facts tell of items; see `Step.restore_items`."""
        work = self.work
        work.items.total = total
        due = work.items.take(facts)
        kind: Any = self.run.environment.kinds.class_of(work.common.kinds)
        for fact in due:
            # It only stands for the attempts until the item is made.
            item = kind(self.run, LOOSE, work.common.template(fact.place), {}, self)
            item.state = INTERRUPTED
            item.restore_earlier(fact)
            work.earlier[fact.place] = item
