"""Replay: bring a plan to the progress that the facts of a run tell of.

Owns:   how the progress of a run follows from facts. Always by their order, never by their times.
Knows:  the plan, which decides on the next steps as in a live run.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from .facts import ItemDue, ItemEnded, RunClosing, RunStarted, StepDue, StepEnded
from .kinds import MAP
from .no_items import NoItems
from .state import CANCELLED, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .facts import Fact
    from .plan import Plan
    from .shape import Shape


class Contradiction(Exception):
    """Facts do not fit the plan, or each other.

    Args:
        reason: The reason, as part of a sentence.
    """


def replay(plan: Plan[Any], facts: Iterable[Fact]) -> None:
    """Bring a new plan to the progress that the facts of a run tell of.

    Steps that are over are restored, and lead to the same successors as before. All other steps
    that were reached are ready, to be run from scratch.

    Args:
        plan: The plan, without any step yet.
        facts: The facts, in order; the first one is that the run started.

    Raises:
        Contradiction: The facts do not fit the graph, or lack data that must be passed on. The plan
            must not be used then.
    """
    numbers = {task.uid: number for number, task in enumerate(plan.shape.tasks)}
    due: dict[str, StepDue] = {}
    # What undoes steps, and what comes last, is in no plan.
    facts = list(takewhile(lambda fact: not isinstance(fact, RunClosing), facts))
    reached = [fact.task for fact in facts if isinstance(fact, StepEnded | StepDue)]
    plan.expect(numbers[task] for task in reached if task in numbers)
    for fact in facts:
        if isinstance(fact, RunStarted):
            if plan.steps[plan.shape.root] is not None:
                msg = "it started more than once"
                raise Contradiction(msg)
            plan.begin(fact.data)
        elif isinstance(fact, StepEnded):
            # It was due before that.
            due.pop(fact.task, None)
            _end(plan, _reached(plan, numbers, fact.task, "has an outcome"), fact)
        elif isinstance(fact, StepDue):
            # Handled after all ends, because a later end may still lead to this step.
            due[fact.task] = fact
    ready = [step for step in plan.ready if step.ended_at is None]
    plan.ready.clear()
    plan.ready.extend(ready)
    for fact in due.values():
        _make_due(plan, numbers, fact)
    for task, items in _by_task(facts).items():
        _restore_items(plan, numbers, task, items)


def _make_due(plan: Plan[Any], numbers: dict[str, int], fact: StepDue) -> None:
    """Restore a step that is to be run, which is ready.

    Raises:
        Contradiction: There is no such step.
    """
    step = _reached(plan, numbers, fact.task, "was begun" if fact.begun else "was due")
    _give_inputs(step, fact.inputs)
    if not fact.is_first:
        step.restore_earlier(fact)


def _by_task(facts: list[Fact]) -> dict[str, list[ItemEnded | ItemDue]]:
    """Return the facts about items of mapped tasks, by the ids of the tasks."""
    items: dict[str, list[ItemEnded | ItemDue]] = {}
    for known in facts:
        if isinstance(known, ItemEnded | ItemDue):
            items.setdefault(known.task, []).append(known)
    return items


def _restore_items(
    plan: Plan[Any], numbers: dict[str, int], task: str, facts: list[ItemEnded | ItemDue]
) -> None:
    """Restore the items of a mapped task.

    Raises:
        Contradiction: There are no such items.
    """
    number = numbers.get(task)
    step = None if number is None else plan.steps[number]
    if step is None:
        msg = f"nothing led to task {task!r}, whose items have begun"
        raise Contradiction(msg)
    if MAP not in plan.shape.kinds.get(step.number, ()):
        # It is not mapped any more: all of it is run.
        return
    try:
        total = total_of(plan.shape, step)
    except Contradiction:
        if step.ended_at is None:
            raise
        # Nobody needs the list any more.
        total = None
    if total is not None and any(fact.place >= total for fact in facts):
        msg = f"task {task!r} has {total:,} items, and others have begun"
        raise Contradiction(msg)
    step.restore_items(total, facts)


def total_of(shape: Shape, step: Any) -> int | None:
    """Return how many items a step has, which is not over; None if its task is not mapped.

    Raises:
        Contradiction: It has no list of them.
    """
    if MAP not in shape.kinds.get(step.number, ()):
        return None
    try:
        return len(shape.mapped(step.number).mapped.items_in(step.template.uid, step.input_data))
    except NoItems as error:
        raise Contradiction(str(error)) from error


def _reached(plan: Plan[Any], numbers: dict[str, int], task: str, verb: str) -> Any:
    """Return the step that a fact is about; it must have been reached, and not be over.

    Args:
        plan: The plan.
        numbers: Task id -> number.
        task: The id of the task.
        verb: What the fact tells of the step, for the message.

    Raises:
        Contradiction: There is no such step.
    """
    number = numbers.get(task)
    if number is None:
        msg = f"executed tasks are not in the template: {task}"
        raise Contradiction(msg)
    step = plan.reached_early(number)
    if step is None:
        msg = f"nothing led to task {task!r}, which {verb}"
        raise Contradiction(msg)
    if step.ended_at is not None:
        msg = f"task {task!r} {verb} after it was over"
        raise Contradiction(msg)
    return step


def _end(plan: Plan[Any], step: Any, fact: StepEnded) -> None:
    """Restore a step that is over, and make its successors ready.

    Raises:
        Contradiction: The fact does not fit the graph, or lacks data that must be passed on.
    """
    if fact.chosen is not None:
        try:
            plan.choose(step, fact.chosen)
        except (TypeError, LookupError) as error:
            msg = f"its routing does not fit the template: {error}"
            raise Contradiction(msg) from error
    if not fact.inputs:
        fact = fact._replace(inputs=(step.input_data,))
    step.restore(fact)
    if fact.state is CANCELLED or (fact.state is FAILED and not fact.handled):
        plan.stop_branch(step)
        return
    data, successors = fact.passes_on, plan.shape.successors[step.number]
    if not isinstance(data, dict) and (successors if step.chosen is None else step.chosen):
        kind = type(data).__name__
        msg = f"{step.template.uid!r} ended with a {kind}: nothing to pass on"
        raise Contradiction(msg)
    plan.follow(step, data)


def _give_inputs(step: Any, inputs: Any) -> None:
    """Set the inputs of a step that is run again, and its parent to the one with these inputs.

    Parents that ended at the same instant may be in another order than they were.
    """
    for position, (data, parent) in enumerate(step.late):
        if step.input_data != inputs and data == inputs:
            late = [*step.late]
            late[position] = (step.input_data, step.parent)
            step.input_data, step.parent, step.late = data, parent, late
    step.input_data = inputs
