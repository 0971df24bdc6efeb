"""Names that 1.x code imports from here. `OverrunPolicyHandler` is defined here, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._model.errors import RescueError, TemplateGraphError, WorkflowError, WorkflowRootTaskError
from ._model.policy import Decision, OverrunPolicy, decide
from ._model.state import WorkflowExecState
from ._model.template import WorkflowTemplate
from ._run.current import current_workflow
from ._run.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "OverrunPolicy",
    "OverrunPolicyHandler",
    "RescueError",
    "TemplateGraphError",
    "Workflow",
    "WorkflowError",
    "WorkflowExecState",
    "WorkflowRootTaskError",
    "WorkflowTemplate",
    "current_workflow",
    "new_workflow",
]


class OverrunPolicyHandler:
    """Makes a run of a template without an engine, if its overrun policy allows; as in 1.x.

    Args:
        template: The template to run.
        loop: An asyncio event loop; None is the running one.

    Attributes:
        template: The same template.
        policy: The overrun policy that the template had when the handler was made.
    """

    __slots__ = ("_loop", "policy", "template")

    def __init__(self, template: WorkflowTemplate, loop: Any = None) -> None:
        self.template: WorkflowTemplate = template
        self.policy: OverrunPolicy = template.policy
        self._loop: Any = loop

    def new_workflow(self, running: Iterable[Workflow] | None = None) -> Workflow | None:
        """Return a new run, not started; None if the policy says to skip it.

        With the policy `abort-running`, the runs in progress of this template are cancelled.

        Args:
            running: The runs in progress, of any template.
        """
        others = [other for other in running or () if other.template.uid == self.template.uid]
        locked = sum(other.lock.locked() for other in others)
        decision = decide(self.policy, running=len(others), locked=locked)
        if decision is Decision.SKIP:
            return None
        if decision is Decision.ABORT_OTHERS_THEN_START:
            for other in others:
                other.cancel()
        return Workflow(self.template, loop=self._loop)


def new_workflow(
    wf_tmpl: WorkflowTemplate, running: Iterable[Workflow] | None = None, loop: Any = None
) -> Workflow | None:
    """Return a new run without an engine, or None; see `OverrunPolicyHandler.new_workflow`."""
    return OverrunPolicyHandler(wf_tmpl, loop=loop).new_workflow(running)
