"""Maps of workflows: mapped tasks each of whose items is a run of its own.

Owns:   what a suspension, a resumption and a cut of such a task are for its items, and which
        reports of children are kept for it.
Knows:  the rest of maps and of children, which goes on as it does elsewhere.

The task itself is not interrupted by a suspension: there is nothing to begin anew, for the children
are suspended, and resumed, by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.facts import ItemEnded
from .._model.state import CANCELLED, RUNNING, STOPPING
from .._step.child import reported
from .child_step import ChildStep
from .children import stop_all
from .item import ItemStep
from .whole import MapStep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._model.template import WorkflowTemplate


class MapOfRuns(MapStep):
    """The execution of a mapped task that is a workflow: the whole of its children."""

    __slots__ = ()

    def interrupt(self) -> None:
        """Called when the run is suspended: the children are suspended by themselves."""

    def go_on(self) -> None:
        """Called when the run is resumed: have those items begin that were not to meanwhile."""
        work = self.work
        if work.is_closed or not self._is_parked():
            return
        work.wait_again()
        limit = work.common.mapped.limit
        self._next(None if limit is None else max(limit - len(work.open), 0))

    def take(self, item: ItemStep) -> None:
        """Called when an item is over: the next one takes its place."""
        self._keep_report(item)
        super().take(item)

    def note(self, item: ItemStep) -> None:
        """Take note of what has become of an item, before anybody is told."""
        self._keep_report(item)
        super().note(item)

    def take_interrupted(self, item: ItemStep) -> None:
        """Called when the begin of an item was interrupted; it begins anew when that is resumed."""
        super().take_interrupted(item)
        if self.run.phase is RUNNING and not self.work.is_closed:
            # It was resumed meanwhile.
            self.go_on()

    def restore_items(self, total: int | None, facts: Iterable[Any]) -> None:
        """Set what facts tell of items; see `Step.restore_items`."""
        facts = list(facts)
        super().restore_items(total, facts)
        for fact in facts:
            child = reported(fact.child)
            if child is not None and isinstance(fact, ItemEnded):
                self.work.items.children[fact.place] = child

    def _keep_report(self, item: ItemStep) -> None:
        """Keep the report of the child of an item that is over, if the item does."""
        child = item.extras.child
        if child is not None:
            self.work.items.children[item._place] = child

    def _close(self) -> None:
        """Have no further item begin, call off those that have not begun, and cut the others."""
        try:
            super()._close()
        finally:
            # Last, because handlers run in here. An item waits until its child has unwound.
            awaited = [item._awaited_child() for item in self.work.open]
            final = self.run.phase is not STOPPING
            stop_all([child for child in awaited if child is not None], CANCELLED, final=final)


class RunOfItem(ItemStep, ChildStep):
    """The execution of one item that is a run of its own."""

    __slots__ = ()

    def _workflow(self) -> WorkflowTemplate | str:
        whole: Any = self._whole
        found: WorkflowTemplate | str = self.run.plan.shape.child(whole.number)
        return found

    def hand_over(self, new: Any) -> None:
        """Called when this item is run again: what its child is in a report goes on with it."""
        super().hand_over(new)
        child = self._child
        if child is not None:
            child.step, new.extras.child, self.extras.child = new, child, None
