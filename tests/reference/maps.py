"""A task that is run once for each item of a list: which items are due, and what they come to.

Knows:  the run, whose steps the items are, outside of the graph. The step of the task is their
        *whole*, which is over with the last of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import cuts, retries
from .parts import WEIGHTS, Items, Step

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data

OF_ITEMS = ("name", "config", "topics", "retry", "idle_timeout")
"""The words of a task that are those of its items alone."""
OF_WHOLE = ("map", "join", "collect", "on_error", "compensate")
"""Those that no item has; it has a limit of its own."""


def step_of(uid: str, task: Data, inputs: Any) -> Step:
    """Return the step of a task, which is due."""
    if "map" not in task:
        return Step(uid, task, inputs)
    own = {key: word for key, word in task.items() if key not in OF_ITEMS}
    return Step(uid, own, inputs, items=Items())


def of_item(task: Data) -> Data:
    """Return the words of a task that are those of each of its items."""
    own = {key: word for key, word in task.items() if key not in OF_WHOLE}
    return own | {"timeout": task["map"].get("timeout")}


def begin(run: Run, whole: Step) -> None:
    """Begin with those items that are not over, as many as may be at work at once."""
    values = find_list(whole)
    if values is None:
        run.fail(whole, "NoItems")
        return
    items = whole.work
    items.values, items.total = values, len(values)
    items.left = [place for place in range(len(values)) if place not in items.over]
    items.tolerated = tolerated(whole, len(values))
    items.unwinds, items.again, items.closed = False, False, items.are_too_bad
    if not items.closed:
        for _ in range(whole.task["map"].get("limit") or len(values)):
            begin_next(run, whole)
    look(run, whole)


def go_on(run: Run, whole: Step) -> None:
    """Begin with what was not to begin while the run was suspended, of a task that was not cut."""
    items = whole.items
    if items is None or items.closed or not (whole.at_work and whole.task.get("workflow")):
        return
    made = {item.place for item in items.open}
    items.left = [n for n in range(len(items.values)) if n not in made | items.over]
    for _ in range((whole.task["map"].get("limit") or len(items.values)) - len(made)):
        begin_next(run, whole)


def find_list(whole: Step) -> list[Any] | None:
    """Return the items in what a task is given; None if there is no list."""
    found = whole.inputs
    for key in whole.task["map"]["over"].split(".")[1:]:
        found = found.get(key) if isinstance(found, dict) else None
    return [*found] if isinstance(found, list) else None


def begin_next(run: Run, whole: Step) -> None:
    """Let the next item be due, if there is one, or wait for its next attempt."""
    items = whole.work
    if not items.left:
        return
    place = items.left.pop(0)
    earlier, value = items.earlier.pop(place, None), items.values[place]
    if earlier is None:
        inputs = value if isinstance(value, dict) else {"item": value}
        item = Step(f"{whole.uid}[{place}]", of_item(run.tasks[whole.uid]), inputs, place=place)
        run.steps[item.uid] = item
    else:
        item = run.again(earlier)
        item.due = earlier.due
    item.whole = whole
    items.open.append(item)
    if item.due > run.now:
        retries.put_off(run, item, item.due)
    else:
        run.ready.append(item)


def tolerated(whole: Step, total: int) -> int:
    """Return how many of a number of items may go wrong."""
    tolerate: int | str = whole.task["map"].get("tolerate", 0)
    if isinstance(tolerate, int):
        return tolerate
    return total if tolerate == "all" else int(tolerate.removesuffix("%")) * total // 100


def take(run: Run, item: Step) -> None:
    """Take an item that is over: the next one takes its place, or all are cut for its failure."""
    whole = item.whole
    assert whole is not None
    items = whole.work
    if item not in items.open:
        return
    items.open.remove(item)
    note(run, whole, item)
    if items.are_too_bad and not items.closed:
        close(run, whole)
    if is_going_on(run, whole):
        begin_next(run, whole)
    look(run, whole)


def note(run: Run, whole: Step, item: Step) -> None:
    """Take note of what has become of an item."""
    items, place = whole.work, item.place
    if item.state == "exception":
        items.failed[place] = item.error
        if item.outputs is not None:
            items.outputs[place] = item.outputs
    elif item.state != "cancelled":
        items.results[place] = item.inputs if item.outputs is None else item.outputs
        if item.state == "timeout":
            items.late.append(place)
        elif item.state == "skipped":
            items.skipped.append(place)
    elif not run.ending and (items.again or not items.closed):
        # Else it was cancelled with its whole, and is to be run again if that is.
        items.cancelled.add(place)


def is_going_on(run: Run, whole: Step) -> bool:
    """Say whether items may begin."""
    return run.phase == "running" and not run.ending and whole.cut != "suspend"


def replace(run: Run, item: Step, new: Step) -> None:
    """Take the next execution of an item for it."""
    whole = new.whole = item.whole
    if whole is None:
        return
    items, new.place = whole.work, item.place
    if item in items.open:
        items.open[items.open.index(item)] = new


def put_off(run: Run, item: Step) -> None:
    """Have an item wait for its next attempt, unless its task was cut."""
    whole = item.whole
    if whole is not None and whole.work.closed:
        close(run, whole)
        look(run, whole)


def interrupted(run: Run, item: Step) -> None:
    """Keep an item that was interrupted, and has unwound: it is made anew with its whole."""
    whole = item.whole
    assert whole is not None
    items = whole.work
    items.open.remove(item)
    items.earlier[item.place] = item
    look(run, whole)


def cut(run: Run, whole: Step, why: str) -> None:
    """Cut all items of a whole; one of which too many have gone wrong has failed in any case."""
    items = whole.work
    if whole.cut is None or WEIGHTS[why] > WEIGHTS[whole.cut]:
        whole.cut, whole.cut_at = why, run.now
    if not items.closed:
        run.forget(whole)
        items.unwinds, items.again = True, why == "suspend"
        close(run, whole)
        look(run, whole)


def close(run: Run, whole: Step) -> None:
    """Have no further item begin, call off those that are due, and cut those at work."""
    items, is_again = whole.work, whole.work.again
    items.closed, items.left = True, []
    for item in [*items.open]:
        if item.start is None:
            items.open.remove(item)
            withdraw(run, item)
            if is_again:
                items.earlier[item.place] = item
            continue
        # It is too late for one that is cleaning up; but it is not tried again.
        item.called_off |= item.cleaning and not is_again
        cuts.cut(run, item, "suspend" if is_again else "task")


def withdraw(run: Run, item: Step) -> None:
    """Take an item out of those that are due, or wait for that."""
    run.forget(item)
    run.ready = [step for step in run.ready if step is not item]
    run.waiting = [step for step in run.waiting if step is not item]


def look(run: Run, whole: Step) -> None:
    """Let a whole come to its end if all items are over, or those that it has cut."""
    items, limit = whole.work, whole.task.get("timeout")
    if items.open or not (items.closed or len(items.over) == len(items.values)):
        return
    if whole.cut is None and not items.closed and limit and run.now >= (whole.start or 0) + limit:
        # The limit comes first.
        whole.cut, whole.cut_at, items.unwinds = "limit", run.now, True
    if items.unwinds:
        run.come_to_end(whole, "passes")
    else:
        run.come_to_end(whole, "group error" if items.are_too_bad else "dict")


def end_interrupted(run: Run, whole: Step) -> None:
    """End the items that were interrupted, and are not run again."""
    earlier = {} if whole.items is None else whole.items.earlier
    while earlier:
        item = earlier.pop(next(iter(earlier)))
        if item.start is not None:
            run.end(item, "cancelled", "task-cancel", None)


def counted(run: Run) -> set[str]:
    """Return the ids of the items whose failures their tasks have counted."""
    wholes = [step for step in run.steps.values() if step.items is not None]
    return {f"{step.uid}[{place}]" for step in wholes if step.items for place in step.items.failed}
