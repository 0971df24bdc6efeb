"""Steps with handlers: successors that are there for their failure alone."""

from __future__ import annotations

from typing import Any

from .._model.after_failure import without_handlers
from .task_run import TaskRun


class HandledStep(TaskRun):
    """A step that leads to the handlers of its failure only if it has failed."""

    __slots__ = ()

    def _begin(self) -> Any:
        """Begin as any step does, with the other successors chosen: the task may choose anew."""
        self.chosen = without_handlers(self.run.plan.shape, self.number)
        return super()._begin()
