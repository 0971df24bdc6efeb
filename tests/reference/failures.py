"""What follows from the failure of a task, as its `on_error` says.

Knows:  the run, for what it leads to.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data, Step


def words_of(step: Step) -> Data:
    """Return what a task says of going on from its failure; empty if it does not go on."""
    words = step.task.get("on_error")
    return words if isinstance(words, dict) else {}


def gives_output(step: Step) -> bool:
    """Say whether a step has failed, and has an output all the same."""
    return step.state == "exception" and "output" in words_of(step)


def begin(run: Run, step: Step) -> None:
    """Let a step lead to what is not there for its failure, unless it chooses otherwise."""
    words = words_of(step)
    if "to" in words:
        step.chosen = [uid for uid in run.graph[step.uid] if uid not in words["to"]]


def aborts(run: Run, step: Step) -> bool:
    """Say whether the run ends by a failure that it does not go on from; not by that of an item."""
    if step.whole is not None:
        return False
    said = step.task.get("on_error")
    return said == "abort" or (said is None and run.aborts)


def handled(run: Run, step: Step, error: str) -> Data | None:
    """Return what a step that has failed leads on with; None if it does not."""
    words = words_of(step)
    if "output" in words:
        return dict(deepcopy(words["output"]))
    if "to" not in words:
        return None
    step.chosen = [uid for uid in run.graph[step.uid] if uid in words["to"]]
    told = {"task": step.uid, "type": error, "attempts": step.attempt}
    return {**step.inputs, "error": told}
