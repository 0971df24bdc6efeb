"""A step that is a run of its own: what the model asks of that, and what follows from its end.

Owns:   when such a run begins, what cuts it, and how the step ends then.
Knows:  the model of one run, which is that of a child, too; the events of a child are told nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import closing, cuts
from .leading import lead_on
from .limits import has_overrun
from .parts import WEIGHTS

if TYPE_CHECKING:
    from .model import Run
    from .parts import Step

OUTPUTS = ("finished", "skipped", "timeout")
FAILURES = {
    "exception": "WorkflowFailed",
    "timeout": "WorkflowTimedOut",
    "cancelled": "WorkflowCancelled",
}


def begin(run: Run, step: Step) -> None:
    """Start the child; it begins in a turn of its own."""
    step.child = type(run).child_of(run, step)


def cut(run: Run, step: Step, why: str) -> None:
    """Cut a child for what cuts its step, which is over when the child is."""
    child = step.child
    if why == "suspend":
        child.suspend()
        return
    if step.cut is None or WEIGHTS[why] > WEIGHTS[step.cut]:
        step.cut, step.cut_at = why, run.now
    closing.bound(child, closing.budget(run))
    late = why == "limit" or (why == "run" and run.ending == "timeout")
    child.stop("timeout" if late else "cancelled")


def over(run: Run, step: Step) -> None:
    """End a step whose child is over."""
    child = step.child
    step.child = None
    step.overran = has_overrun(run, step)
    errors = bool(child.unhandled())
    if run.ending or step.cut in {"task", "run"}:
        if errors:
            run.note(step, "WorkflowFailed")
        run.end(step, "cancelled", "task-cancel", None)
        lead_on(run, step, None)
    elif step.overran or step.cut == "limit":
        step.cut = "limit"
        if errors:
            step.beside.append("WorkflowFailed")
        cuts.end_torn_down(run, step, "passes", step.inputs)
    elif child.ending == "finished":
        if errors:
            run.note(step, "WorkflowFailed")
        run.finish(step, child.handed_over())
    else:
        run.fail(step, FAILURES[child.ending])
