"""Items: the steps of a mapped task, each of which is an execution for one item of a list.

Knows:  its whole, the step of the mapped task, which is told of its end and of its interruption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .._model.account import as_fact, described
from .._model.display import escaped_id
from .._model.facts import ItemDue, ItemEnded
from .._model.state import CANCELLED, FAILED, INTERRUPTED
from .task_run import TaskRun

if TYPE_CHECKING:
    from .._model.facts import StepDue
    from .._model.task_template import TaskTemplate
    from .._step.items import Work
    from .outcome import Ending


class Whole(Protocol):
    """The step of a mapped task, as far as its items are concerned."""

    template: TaskTemplate

    @property
    def work(self) -> Work:
        """What is kept of its items."""
        ...

    def take(self, item: ItemStep) -> None:
        """Take an item that is over."""
        ...

    def note(self, item: ItemStep) -> None:
        """Take note of what has become of an item, before anybody is told."""
        ...

    def replace(self, item: ItemStep, new: ItemStep) -> None:
        """Take another execution of an item for it."""
        ...

    def take_interrupted(self, item: ItemStep) -> None:
        """Take an item that was interrupted and has unwound."""
        ...

    def take_put_off(self) -> None:
        """Take note that the next attempt at an item was put off."""
        ...

    def end_if_over(self) -> None:
        """End the whole if it has nothing to wait for any more."""
        ...


def _fact_of(error: BaseException | None) -> Any:
    return None if error is None else as_fact(described(error))


class ItemStep(TaskRun):
    """The execution of one item. Its parent is its whole."""

    __slots__ = ()

    is_item: ClassVar[bool] = True

    @property
    def index(self) -> int | None:
        """The place of the item in the list, from 0 on."""
        index: int = self._place
        return index

    @property
    def _place(self) -> int:
        task: Any = self.template
        place: int = task.index
        return place

    @property
    def _whole(self) -> Whole:
        whole: Any = self.parent
        return whole  # type: ignore[no-any-return]  # the whole has made it

    @property
    def _key(self) -> str:
        """What is the same for all executions of this item in this run, and no other."""
        whole = self._whole.template.uid
        return f"{escaped_id(self.run.uid)}/{escaped_id(whole)}[{self._place}]"

    def cancel(self) -> bool:
        """Cancel this item only; it counts as one that went wrong, the others go on.

        Returns:
            Whether it was due, at work, or to be run again.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        step = self._latest
        if step.state is not INTERRUPTED:
            return super().cancel()
        self.run.backend.check_here()
        # It is called off when it is its turn.
        step.cancel_called = True
        return True

    def hand_over(self, new: Any) -> None:
        """Called when this item is run again: the next execution takes its place."""
        # Made, if it has none: then its end is told in any case.
        new.extras.due, new.extras.first_at = self.extras.due, self.extras.first_at
        super().hand_over(new)
        self._whole.replace(self, new)

    def note_end(self) -> None:
        """Called when this item is over, before anybody is told: have the whole know of it."""
        self._whole.note(self)

    def due_fact(self, fact: StepDue) -> ItemDue:
        """Return the fact that this item is to be run after a failure."""
        whole = self._whole.template.uid
        return ItemDue(whole, self._place, fact.attempts, fact.due, fact.tried)

    def end_fact(self, ending: Ending) -> Any:
        """Return the fact that this item is over; None if it is to be run again by a rescue."""
        state, _, output, leads_to, error, _ = ending
        if state is CANCELLED:
            return None
        whole = self._whole.template.uid
        if state is FAILED:
            return ItemEnded(whole, self._place, state, output, _fact_of(error))
        beside = _fact_of(self.run.errors.get(self.template.uid)) if self.run.errors else None
        result = leads_to if output is None else output
        return ItemEnded(whole, self._place, state, result, beside)

    # For the run ---------------------------------------------------------------------------------

    def _is_run_again(self) -> bool:
        """Called when this item was interrupted and has unwound: its whole makes it anew."""
        try:
            self._whole.take_interrupted(self)
        finally:
            self._whole.end_if_over()
        return False

    def _end_attempt(self) -> None:
        """Called when this item was tried in vain, and the next attempt was put off."""
        try:
            super()._end_attempt()
        finally:
            self._whole.take_put_off()

    def _let_go(self) -> None:
        """Called when this item is over: tell the whole, and let go of the rest, if any."""
        # There may be thousands, and most have nothing to let go of.
        if self._extras is not None:
            super()._let_go()
            return
        whole: Any = self.parent
        try:
            whole.take(self)
        finally:
            if not whole._extras.items.open:
                whole.end_if_over()

    def _run_done_callbacks(self) -> None:
        """Called when this item is over: tell the whole, and those that wait for that."""
        whole = self._whole
        # If not, it was called off by the whole, which sees to its own end.
        is_open = self in whole.work.open
        try:
            try:
                whole.take(self)
            finally:
                super()._run_done_callbacks()
        finally:
            # Those who wait for the item are told first.
            if is_open:
                whole.end_if_over()
