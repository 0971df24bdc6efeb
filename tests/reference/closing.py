"""What a run does when all else of it is over: it undoes its tasks, and runs what comes last.

Knows:  the run, whose order of ends it reads.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from . import cuts
from .parts import Step

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data

SECONDS = 25
"""How long all of it may take, unless the template says otherwise."""
DONE = {"finished", "timeout"}


def close(run: Run) -> bool:
    """Go on with it, and say whether there was anything to do."""
    if run.phase != "closing":
        if not begin(run):
            return False
        run.later(run.closes_until, partial(expire, run))
    if not run.to_close:
        return False
    run.ready.append(run.to_close.pop(0))
    return True


def begin(run: Run) -> bool:
    """Begin with it; a run that was cut before it began is told of as one that did."""
    run.to_close = [*due(run)]
    if not run.to_close:
        return False
    was_new, run.phase = run.phase == "new", "closing"
    run.ending = run.ending or "finished"
    run.closes_until = min(run.closes_until, run.now + limit(run))
    if was_new:
        run.tell("workflow-begin", None, run.data)
    run.tell("workflow-closing", None, {"state": run.ending})
    return True


def limit(run: Run) -> float:
    """Return how many seconds all of it may take."""
    return float(run.template.get("closing_timeout", SECONDS))


def bound(run: Run, instant: float) -> None:
    """Have all of it be over by an instant, begun or not."""
    if instant < run.closes_until:
        run.closes_until = instant
        if run.phase == "closing":
            run.later(instant, partial(expire, run))


def budget(run: Run | None) -> float:
    """Return by when the children of a run must have closed: the runs above that stop say so."""
    until = float("inf")
    while run is not None:
        if run.ending and run.phase != "closing":
            run.closes_until = min(run.closes_until, run.now + limit(run))
            until = min(until, run.closes_until)
        run = getattr(run, "parent", None)
    return until


def due(run: Run) -> list[Step]:
    """Return what is to be done, in order, none of which has begun."""
    ending = run.ending or "finished"
    steps: list[Step] = []
    if ending in run.template.get("compensate_on", ("exception", "timeout", "cancelled")):
        for step in reversed([run.steps[uid] for uid in [*run.ended, *begun(run)]]):
            uid, words = step.uid, words_of(run, step)
            if words and is_undone(run, words, step):
                given = step.inputs if step.outputs is None else step.outputs
                given = given if isinstance(given, dict) else {"output": given}
                steps.append(loose(run, f"{uid}.compensate", words, given))
    told: Data = {
        uid: {"type": kinds[0] if len(kinds) == 1 else "ExceptionGroup"}
        for uid, kinds in run.errors.items()
    }
    data = {"state": ending, "errors": told}
    last = run.template.get("finally", ())
    return [*steps, *(loose(run, words["id"], words, data) for words in last)]


def begun(run: Run) -> list[str]:
    """Return the ids of tasks, and then of items, that have begun and are to be run again."""
    items = [step for step in run.steps.values() if step.whole is not None]
    ids = list(run.tasks)
    items.sort(key=lambda item: (ids.index(item.whole.uid), item.place))
    again = run.begun | {item.uid for item in items if item.start is not None}
    known = [*ids, *(item.uid for item in items)]
    return [uid for uid in known if uid in again and uid not in run.ended]


def words_of(run: Run, step: Step) -> Data | None:
    """Return what undoes a task or an item; None for nothing, and for a task with items."""
    if step.items is not None:
        return None
    task = run.tasks[step.uid if step.whole is None else step.whole.uid]
    return task.get("compensate")


def is_undone(run: Run, words: Data, step: Step) -> bool:
    """Say whether a task is undone: it has done its part, or may have."""
    if step.state in DONE:
        return True
    has_begun = step.start is not None or step.uid in run.begun
    return bool(words.get("begun") and has_begun and step.state != "skipped")


def loose(run: Run, uid: str, words: Data, given: Any) -> Step:
    """Return a step that is of no task in the graph."""
    task = {**words, "id": uid, "on_timeout": "retry" if words.get("retry") else "fail"}
    run.graph[uid] = []
    run.steps[uid] = step = Step(uid, task, deepcopy(given), loose=True)
    return step


def expire(run: Run) -> None:
    """Let there be no time left: nothing more begins, and what is at work is cut."""
    if run.phase != "closing":
        return
    run.no_time = True
    for step in (*run.ready, *run.waiting, *run.to_close):
        run.note(step, "CleanupTimedOut")
    run.ready, run.waiting, run.to_close = [], [], []
    for step in list(run.steps.values()):
        if step.loose:
            cuts.cut(run, step, "run")
