"""An engine that keeps the facts of its runs, as a journal would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tukio
from tukio._run.ledger import Ledger

if TYPE_CHECKING:
    from tukio._model.facts import Fact


class KeepingEngine(tukio.Engine):
    """Keeps the facts of each run from before its start.

    Attributes:
        kept: Each run with its facts so far, in the order in which the runs were made.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kept: list[tuple[Any, list[Fact]]] = []
        make = self._binding.new_workflow

        def new_workflow(template: tukio.WorkflowTemplate) -> tukio.Workflow:
            workflow = make(template)
            facts: list[Fact] = []
            workflow._run.ledger = Ledger(keep=facts.append)
            self.kept.append((workflow, facts))
            return workflow

        vars(self._binding)["new_workflow"] = new_workflow

    def facts_of(self, run: Any) -> list[Fact]:
        """Return the facts of a run."""
        (facts,) = [facts for workflow, facts in self.kept if workflow is run]
        return facts
