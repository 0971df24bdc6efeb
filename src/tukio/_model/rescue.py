"""From a report to facts, and a plan brought to where these say that its run was.

Owns:   in which order the ends of a report came, where the report does not say.
Source: 1.x `fast_forward`, for the states that count as done.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from .errors import RescueError
from .facts import RunStarted, StepDue, StepEnded
from .replay import Contradiction, replay
from .report_json import find_lost
from .state import FAILED

if TYPE_CHECKING:
    from .facts import Fact
    from .plan import Plan, Step
    from .record import RunRecord, StepRecord
    from .shape import Shape


def restore(plan: Plan[Any], record: RunRecord) -> list[Fact]:
    """Bring a new plan to where a report says that the run was, and return the facts of it.

    Raises:
        RescueError: The report contradicts the graph, or lacks data that would have to be passed
            on. The plan is of no use then.
    """
    try:
        facts = facts_of(record, plan.shape)
        replay(plan, facts)
        for step in plan.ready:
            _refuse_what_is_lost(step, record)
    except Contradiction as error:
        raise RescueError(record.uid, str(error)) from error
    except RecursionError as error:
        raise RescueError(record.uid, "its data is nested too deeply") from error
    return facts


def facts_of(record: RunRecord, shape: Shape) -> list[Fact]:
    """Return what a report tells, as facts in order.

    Tasks that were cancelled count as due: a rescue runs them again.

    Raises:
        Contradiction: What the report says is an order of ends is none.
    """
    steps = record.steps
    root = steps[shape.tasks[shape.root].uid]
    started = RunStarted(record.uid, record.start, root.inputs)
    over = [step_ended(uid, steps[uid]) for uid in order_of_ends(record, shape)]
    due = [
        StepDue(uid, known.inputs, known.start is not None)
        for uid, known in steps.items()
        if not known.state.done()
    ]
    return [started, *over, *due]


def order_of_ends(record: RunRecord, shape: Shape) -> list[str]:
    """Return the ids of the tasks that are over, in the order in which they ended.

    That is the order that the report gives. One that gives none tells the instants; where these
    are equal, whoever started first ended first, and then the declared order decides.

    Raises:
        Contradiction: The report gives an order, and not of all the tasks that are over.
    """
    over = {uid for uid, known in record.steps.items() if known.state.done()}
    if record.order is not None:
        # Those that were cancelled are in it, too.
        order = [uid for uid in record.order if uid in over]
        if len(order) != len(over) or set(order) != over:
            msg = "its exec.order is not that of the tasks that are over"
            raise Contradiction(msg)
        return order
    return _order_by_instants(record, shape, over)


def _order_by_instants(record: RunRecord, shape: Shape, over: set[str]) -> list[str]:
    """Return the tasks that are over by their ends, each after one that can have led to it.

    The instants alone do not tell: the clock of an earlier rescue may have been behind.
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
    # What nothing led to comes last: whoever replays this says so.
    return [*order, *(tasks[number].uid for number in due)]


def _successors(known: StepRecord, shape: Shape, number: int) -> list[int]:
    if known.state is FAILED:
        return []
    successors = shape.successors[number]
    if known.chosen is None:
        return list(successors)
    return [successor for successor in successors if shape.tasks[successor].uid in known.chosen]


def step_ended(uid: str, known: StepRecord) -> StepEnded:
    """Return what a report says of a step that is over, as a fact."""
    return StepEnded(
        task=uid,
        state=known.state,
        output=known.outputs,
        chosen=None if known.chosen is None else tuple(known.chosen),
        error=known.error,
        start=known.start,
        end=known.end,
        uid=known.uid,
        inputs=(known.inputs,),
        reporting=(known.extra["reporting"],) if "reporting" in known.extra else (),
    )


def _refuse_what_is_lost(step: Step, record: RunRecord) -> None:
    late = [(f"{parent.template.uid}.outputs", data) for data, parent in step.late]
    for path, data in [(f"{step.template.uid}.inputs", step.input_data), *late]:
        lost = find_lost(data, path)
        if lost is not None:
            raise RescueError(record.uid, f"{lost} was lost on its way through JSON")
