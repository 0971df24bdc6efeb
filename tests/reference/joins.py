"""What a join does: it notices its parents, and knows when it need not wait any longer.

Knows:  the run, for who has come and who will not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data, Step


def look_round(run: Run, join: Step) -> None:
    """Notice the parents that have come; a join has finished when no more is needed (B05)."""
    join.woken = False
    for parent in run.came[join.uid]:
        if has_all(join):
            break
        if parent not in join.joined:
            join.joined.append(parent)
            run.tell("task-progress", join.uid, (tuple(join.joined), "running"))
            # It may take a turn for each, if others want one; cut by now, it will get no other.
            if run.due_now() and not has_all(join) and not join.cut:
                wake(run, join.uid)
                return
    if has_all(join) or not still_to_come(run, join):
        join.status = "done"
        run.tell("task-progress", join.uid, (tuple(join.joined), "done"))
        run.finish(join, collected(run, join))


def has_all(join: Step) -> bool:
    """Say whether all have come that a join waits for; others may have come before them."""
    wanted = join.config["wait_for"]
    if isinstance(wanted, list):
        return set(wanted) <= set(join.joined)
    return len(join.joined) >= wanted  # type: ignore[no-any-return]


def still_to_come(run: Run, join: Step) -> set[str]:
    """Return those that a join waits for and that can still arrive."""
    return awaited(join, run.parents[join.uid]) - set(join.joined) - run.lost[join.uid]


def awaited(join: Step, parents: list[str]) -> set[str]:
    """Return those among some parents that a join waits for."""
    wanted = join.config["wait_for"]
    return set(parents) & set(wanted) if isinstance(wanted, list) else set(parents)


def collected(run: Run, join: Step) -> Data:
    """Return what a join passes on; the first to come may be one that it did not wait for."""
    came = run.came[join.uid]
    how = join.config.get("collect", "first")
    named = [parent for parent in join.joined if parent in awaited(join, join.joined)]
    if how == "all":
        return {parent: came[parent] for parent in named}
    if how == "merge":
        return {key: value for parent in named for key, value in came[parent].items()}
    return next((came[parent] for parent in join.joined), join.inputs)


def wake(run: Run, uid: str) -> None:
    """Let a join look round, in a turn of its own; also one that has yet to learn of its cut."""
    join = run.steps.get(uid)
    if join and join.is_join and join.at_work and not (join.reached or join.woken):
        join.woken = True
        run.later(run.now, lambda: look_round(run, join), join)
