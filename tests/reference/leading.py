"""What a step that is over leads to: its successors begin, or learn that it will not come.

Knows:  the run, for who has come to which task, and who will not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import body, fan_in, joins, maps

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data, Step


def lead_on(run: Run, step: Step, data: Data | None) -> None:
    """Start the successors, in declared order (G8), each with data of its own (G9).

    Not those that were not chosen; with None, nothing. An item leads to its whole.
    """
    if step.whole is not None:
        maps.take(run, step)
        return
    for down in run.graph[step.uid]:
        if data is None or (step.chosen is not None and down not in step.chosen):
            lose(run, step.uid, down, spoilt=data is None)
            continue
        if down in run.steps or not fan_in.is_hopeless(run, down):
            run.came[down][step.uid] = dict(data)
            arrive(run, down, data)


def arrive(run: Run, uid: str, data: Data) -> None:
    """Let a parent's data come to a task that is at work, or that begins with it."""
    if run.ending:
        return
    if uid not in run.steps:
        if not fan_in.waits(run, uid):
            run.make_ready(uid, data)
        elif fan_in.is_due(run, uid):
            run.make_ready(uid, fan_in.collected(run, uid))
        return
    successor = run.steps[uid]
    if successor.end is None:
        successor.late.append(dict(data))
        body.receive(run, successor, dict(data))
    joins.wake(run, uid)


def lose(run: Run, parent: str, uid: str, *, spoilt: bool) -> None:
    """Learn that a parent will not lead to a task; what is out of reach is lost in turn."""
    pending = [(parent, uid, spoilt)]
    while pending:
        parent, uid, spoilt = pending.pop(0)
        was_hopeless = fan_in.is_hopeless(run, uid)
        run.lost[uid].add(parent)
        if spoilt:
            run.spoilt.add(uid)
        joins.wake(run, uid)
        if uid in run.steps or was_hopeless:
            continue
        if fan_in.is_hopeless(run, uid):
            pending += [(uid, down, uid in run.spoilt) for down in run.graph[uid]]
        elif fan_in.waits(run, uid) and fan_in.is_due(run, uid) and not run.ending:
            run.make_ready(uid, fan_in.collected(run, uid))
