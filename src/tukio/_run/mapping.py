"""Mapped tasks: one step that waits for its items, and passes on what they come to.

Owns:   which items are due, and when; the end of the whole.
Knows:  the items, which are steps outside of the graph, and the queue of the plan that they are put
        into. How many of them may fail is decided by the model.

The whole has one driver for all the time, so it is cancelled, cut and suspended as any other step.
Whatever cuts it, it is over when its items have unwound.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from .._loop.surroundings import surroundings
from .._model.guard import call_all, program_end
from .._model.mapping import input_of
from .._model.state import (
    CANCELLED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    SKIPPED,
    TASK_BEGIN,
    TIMED_OUT,
)
from .._model.step import LOOSE
from .._step.items import Work
from .later import put_off, withdraw
from .outcome import CalledOff, cancelled
from .settling import settle
from .task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .item import ItemStep
    from .run import Run


# Kept in a variable, because it is needed for every item.
new: Any = object.__new__


class MapStep(TaskRun):
    """The execution of a mapped task: the whole of its items."""

    __slots__ = ()

    def _begin(self) -> Any:
        """Return the coroutine that waits for the items; tell that the task begins.

        Raises:
            CalledOff: The task was cancelled while it was due.
        """
        run: Run = self.run
        assert run.face is not None
        surroundings.set((self, run.face))
        if run.broker.has_listeners:
            run.emit(TASK_BEGIN, self.input_data, self)
        if run.announcement is not None:
            run.has_begun(self)
        if self.cancel_called:
            raise CalledOff
        return self._all()

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

    async def _all(self) -> dict[str, Any]:
        """Wait for all items, and return what the task passes on.

        Raises:
            NoItems: There is no list.
            ExceptionGroup: Too many items went wrong.

        Cancellation: the items are cut, and this goes on until they have unwound.
        """
        self._begin_items()
        work, backend, problem = self.work, self.run.backend, None
        while not work.is_over():
            try:
                if work.is_closed:
                    with backend.scope(math.inf, shield=True):
                        await work.changed.wait()
                else:
                    await work.changed.wait()
            except BaseException as error:  # noqa: ASYNC103 - it is raised when nothing is at work
                self._close()
                if isinstance(error, GeneratorExit) or program_end(error) is not None:
                    raise
                # Whatever has cut it, at the first time: raised when nothing is at work.
                problem = error if problem is None else problem
            work.changed = type(work.changed)()
            if work.is_closed:
                # One of them may have come to wait for its next attempt.
                self._close()
        if problem is not None:
            raise problem
        return self._output()

    def _begin_items(self) -> None:
        run, work = self.run, self.work
        mapped = work.common.mapped
        values = mapped.items_in(self.template.uid, self.input_data)
        kind = run.environment.kinds.class_of(work.common.kinds)
        work.begin(values, kind, run.plan.ready)
        # That of a run that was rescued is known before.
        work.is_closed = work.items.went_wrong > work.allowed
        # A handler of its begin may have cut it.
        if not work.is_closed and self.run.phase is RUNNING and self.interrupted_for is None:
            self._next(mapped.limit)

    def _output(self) -> dict[str, Any]:
        work = self.work
        if work.items.went_wrong > work.allowed:
            raise work.items.problem(self.template.uid)
        output = work.common.mapped.passed_on(self.input_data, work.items.in_order())
        if work.common.undo is None:
            # The output has them.
            work.items.results = work.results = {}
        work.values = []
        return output

    # Its items ------------------------------------------------------------------------------------

    def _next(self, number: int | None = 1) -> None:
        """Make the next items due.

        Args:
            number: How many, at most; None for all.
        """
        # All of this is done for each item, of which there may be thousands.
        work: Any = self._extras.items  # type: ignore[union-attr]  # it has begun
        run, values, kind, template_kind = self.run, work.values, work.kind, work.template
        ready, made, earlier = work.ready, work.open, work.earlier
        index = None
        for index in islice(work.waiting, number):
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
        if number is None or index is None:
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
                self._close()
                work.changed.set()
        if work.has_more and self.run.phase is RUNNING and self.interrupted_for is None:
            self._next()
        # One that never began was called off with the run, which cuts this, too: whoever does that
        # may be called just as this comes to wait.
        if not work.open and item.started_at is not None:
            work.changed.set()

    def note(self, item: ItemStep) -> None:
        """Take note of what has become of an item, before anybody is told; again, it is the same.

        Whoever is told may take a report.
        """
        work, index = self.work, item._place
        if item.state is FAILED:
            assert item.error is not None
            work.items.note_failure(index, item.error, item.output_data)
        elif item.state is CANCELLED:
            if work.is_closed or self.run.phase is not RUNNING or self.interrupted_for is not None:
                # With the whole; a rescue runs it again.
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
            if work.is_closed:
                work.changed.set()

    def take_interrupted(self, item: ItemStep) -> None:
        """Called when an item was interrupted and has unwound; it is made anew with the whole."""
        work = self.work
        self._note_begun(item)
        del work.open[item]
        self._keep(item)
        if not work.open:
            work.changed.set()

    def _note_begun(self, item: ItemStep) -> None:
        """Take note of an item that has begun, now or in an earlier execution, if that counts."""
        undo = self.work.common.undo
        if undo is not None and undo.begun and (item.started_at is not None or item._made):
            self.work.items.begun.add(item._place)

    def _keep(self, item: ItemStep) -> None:
        """Keep an item that is to be made anew, if anybody may wait for it, or it was tried."""
        if item._extras is not None or item._retry is not None:
            self.work.earlier[item._place] = item

    # Its end --------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Have no further item begin, call off those that have not begun, and cut the others."""
        work, is_again = self.work, self.interrupted_for is INTERRUPTED
        work.is_closed, work.has_more = True, False
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

    def note_end(self) -> None:
        """Called when this is over, before anybody is told: its items are over first."""
        self._end_interrupted()

    def _run_done_callbacks(self) -> None:
        """Called when this is over: tell those that wait for it, or for items of it."""
        self._end_interrupted()
        super()._run_done_callbacks()

    def _end_interrupted(self) -> None:
        """Cancel the items that were interrupted, and that are not run again."""
        work, run = self.work, self.run
        earlier, work.earlier = work.earlier, {}
        if not earlier:
            return
        work.tried.update({place: item._made for place, item in earlier.items() if item._made})
        calls: list[Callable[[], object]] = []
        for item in earlier.values():
            if item.started_at is not None:
                calls.append(partial(settle, run, item, cancelled(run.backend.time())))
            else:
                # It never began, so it has no end to tell.
                item.state = CANCELLED
                calls.append(item._run_done_callbacks)
        call_all(calls)

    def hand_over(self, new: Any) -> None:
        """Called when this is run again: what has become of its items stays."""
        super().hand_over(new)
        new.extras.items = self.extras.items

    def waits_for_others(self) -> bool:
        """Return that this only waits for items, which are looked at themselves."""
        # Also in the turn in which none is left: no code of the user's is in here.
        return True

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
