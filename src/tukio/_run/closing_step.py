"""The steps of a closing: of no task of the graph, each undoes another step or comes last."""

from __future__ import annotations

from typing import Any

from .closing import closing_of
from .task_run import TaskRun


class ClosingStep(TaskRun):
    """A step that a run closes with."""

    __slots__ = ()

    @property
    def undoes(self) -> TaskRun | None:
        """The execution that this one undoes; None for a task of `finally`."""
        step: Any = self.parent
        return step  # type: ignore[no-any-return]  # the steps of a run are TaskRuns

    def hand_over(self, new: Any) -> None:
        """Called when this step is followed by another attempt."""
        super().hand_over(new)
        closing_of(self.run).replace(self, new)
