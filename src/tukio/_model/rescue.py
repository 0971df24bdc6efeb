"""Rescue: from a report to facts, and from these to the progress of a plan.

Owns:   the order of ends, for reports that do not have it.
Source: 1.x `fast_forward`, for the states that count as done.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from .decoding import find_lost
from .display import shown
from .errors import RescueError
from .facts import UNTOLD, RunClosing, RunStarted, StepDue, StepEnded
from .item_facts import other_items, with_items
from .replay import Contradiction, replay, total_of
from .state import CANCELLED, FAILED

if TYPE_CHECKING:
    from .facts import Fact
    from .plan import Plan
    from .record import RunRecord, StepRecord
    from .shape import Shape
    from .step import Step


def restore(plan: Plan[Any], record: RunRecord) -> list[Fact]:
    """Bring a new plan to the progress of the run that a report shows; return it as facts.

    Raises:
        RescueError: The report contradicts the graph, or lacks data that must be passed on. The
            plan must not be used then.
    """
    if record.undone is not None:
        reason = f"it is over, and {shown(record.undone)} was undone"
        raise RescueError(record.uid, f"{reason} - run it again, by tukio.again(report)")
    try:
        facts = facts_of(record, plan.shape)
        replay(plan, facts)
        for step in plan.ready:
            _refuse_what_is_lost(step, record)
            _refuse_other_items(step, record, plan.shape)
    except Contradiction as error:
        raise RescueError(record.uid, str(error)) from error
    except RecursionError as error:
        raise RescueError(record.uid, "its data is nested too deeply") from error
    return facts


def facts_of(record: RunRecord, shape: Shape) -> list[Fact]:
    """Return the contents of a report as facts, in order.

    Tasks that were cancelled count as due, because a rescue runs them again.

    Raises:
        Contradiction: The order of ends in the report is not that of the tasks that are over; or
            results are missing that may have to be undone.
    """
    steps = record.steps
    root = steps[shape.tasks[shape.root].uid]
    started = RunStarted(record.uid, record.start, root.inputs, record.appointment)
    ends = [step_ended(uid, steps[uid]) for uid in order_of_ends(record, shape)]
    over = with_items(ends, record, shape)
    closing: list[Fact] = []
    if record.ending is not None:
        closing.append(RunClosing(record.ending))
        closing += [step_ended(*one) for one in record.closing.items() if one[1].state.done()]
    due = [_step_due(uid, known) for uid, known in steps.items() if not is_over(known, record)]
    items = other_items(record, shape, {fact.task for fact in ends})
    return [started, *over, *due, *items, *closing]


def is_over(known: StepRecord, record: RunRecord) -> bool:
    """Return whether a step in a report will not run again.

    One that was cancelled is run again, unless its run comes to its end.
    """
    return known.state.done() or (
        record.ending is not None and known.state is CANCELLED and known.end is not None
    )


def _step_due(uid: str, known: StepRecord) -> StepDue:
    begun = known.start is not None
    # One that waits for its next attempt has no child: that of the attempt before is over.
    child = None if known.due is not None else known.child
    earlier = (known.attempts, known.due, known.tried, child)
    return StepDue(uid, known.inputs, begun, *earlier)


def order_of_ends(record: RunRecord, shape: Shape) -> list[str]:
    """Return the ids of the tasks that are over, in the order in which they ended.

    The order in the report counts. For a report without it, the times of the ends decide, then
    those of the starts, then the declared order.

    Raises:
        Contradiction: The order of ends in the report is not that of the tasks that are over.
    """
    over = {uid for uid, known in record.steps.items() if is_over(known, record)}
    if record.order is not None:
        # Without the cancelled tasks, which the report's order has, too.
        order = [uid for uid in record.order if uid in over]
        if len(order) != len(over) or set(order) != over:
            msg = "its exec.order is not that of the tasks that are over"
            raise Contradiction(msg)
        return order
    return _order_by_instants(record, shape, over)


def _order_by_instants(record: RunRecord, shape: Shape, over: set[str]) -> list[str]:
    """Return the tasks that are over by the times of their ends, each after a possible parent.

    The times alone are not enough: a run that was rescued before may have gone on where the clock
    was behind.
    """
    tasks = shape.tasks
    due: dict[int, tuple[Any, Any, int]] = {}
    for number, task in enumerate(tasks):
        if task.uid in over:
            known = record.steps[task.uid]
            due[number] = (known.end, known.start or known.end, number)
    reached = [due.pop(shape.root)] if shape.root in due else []
    order: list[str] = []
    while reached:
        *_, number = heappop(reached)
        order.append(tasks[number].uid)
        for successor in _successors(record.steps[tasks[number].uid], shape, number):
            if successor in due:
                heappush(reached, due.pop(successor))
    # Tasks that no task led to come last; `replay` refuses them.
    return [*order, *(tasks[number].uid for number in due)]


def _successors(known: StepRecord, shape: Shape, number: int) -> list[int]:
    """Return the numbers of the successors that a task has led to."""
    if known.state is CANCELLED or (known.state is FAILED and not known.handled):
        return []
    successors = shape.successors[number]
    if known.chosen is None:
        return list(successors)
    # In a report from elsewhere, there may be anything among the ids.
    ids: list[Any] = [*known.chosen]
    chosen = frozenset(uid for uid in ids if isinstance(uid, str))
    return [successor for successor in successors if shape.tasks[successor].uid in chosen]


def step_ended(uid: str, known: StepRecord) -> StepEnded:
    """Return the fact that a step is over, as a report shows it.

    Args:
        uid: The id of the task in the template.
        known: The execution in the report.
    """
    return StepEnded(
        task=uid,
        state=known.state,
        output=known.outputs,
        chosen=None if known.chosen is None else tuple(known.chosen),
        error=UNTOLD if known.error is None and known.state is FAILED else known.error,
        start=known.start,
        end=known.end,
        uid=known.uid,
        inputs=(known.inputs,),
        reporting=(known.extra["reporting"],) if "reporting" in known.extra else (),
        overran=known.overran,
        attempts=known.attempts,
        handled=known.handled and known.state is FAILED,
        child=known.child,
    )


def _refuse_what_is_lost(step: Step, record: RunRecord) -> None:
    """Make sure that the inputs of a step have survived JSON.

    Raises:
        RescueError: A value is lost.
    """
    known = record.steps.get(step.template.uid)
    items = known.items if known is not None else None
    done = [] if items is None else [(f"{step.template.uid}.items.done", items.done)]
    late = [(f"{parent.template.uid}.outputs", data) for data, parent in step.late]
    for path, data in [(f"{step.template.uid}.inputs", step.input_data), *late, *done]:
        lost = find_lost(data, path)
        if lost is not None:
            raise RescueError(record.uid, f"{lost} was lost on its way through JSON")


def _refuse_other_items(step: Step, record: RunRecord, shape: Shape) -> None:
    """Make sure that the items of a mapped task are those that the report tells of.

    Raises:
        RescueError: There are more of them, or fewer.
    """
    known = record.steps.get(step.template.uid)
    if known is None or known.items is None or known.items.total is None:
        return
    total = total_of(shape, step)
    if total is not None and total != known.items.total:
        there = f"{step.template.uid!r} has {total:,} items"
        raise RescueError(record.uid, f"{there}, and the report tells of {known.items.total:,}")
