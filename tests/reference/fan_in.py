"""For which parents a task waits before it is due, by its keys `join` and `collect`.

Knows:  the run, for who has come, who will not, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data


def waits(run: Run, uid: str) -> bool:
    """Say whether a task waits for more than the first parent."""
    return run.tasks[uid].get("join") not in (None, "first")


def is_due(run: Run, uid: str) -> bool:
    """Say whether enough parents have come, or all that can, and at least one."""
    join, came = run.tasks[uid]["join"], run.came[uid]
    if not came or is_hopeless(run, uid):
        return False
    return len(came) == join or not set(run.parents[uid]) - came.keys() - run.lost[uid]


def is_hopeless(run: Run, uid: str) -> bool:
    """Say whether a task will never be due; without a failure `all` is only those that come."""
    join, lost = run.tasks[uid].get("join"), run.lost[uid]
    return lost == set(run.parents[uid]) or (join == "all" and uid in run.spoilt)


def collected(run: Run, uid: str) -> Data:
    """Return what a task starts with that has waited."""
    came = run.came[uid]
    match run.tasks[uid].get("collect", "merge"):
        case "all":
            return {parent: dict(data) for parent, data in came.items()}
        case "first":
            return next(iter(came.values()))
        case _:
            return {key: value for data in came.values() for key, value in data.items()}
