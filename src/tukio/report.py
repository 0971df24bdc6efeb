"""A run as plain data, read back: what a rescue starts from.

Owns:   what a report shares with its run (nothing), what it must hold to be continued, and how the
        progress of the run follows from it.
Knows:  the plan, which decides what comes next as it does in a live run.
Source: 1.x `fast_forward`, for the states that count as done.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NoReturn

from .encoding import find_lost
from .errors import RecordedError, RescueError
from .state import FutureState
from .wording import listed, shown

if TYPE_CHECKING:
    from .plan import Plan, Step
    from .template import WorkflowTemplate


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a report says of one execution of a task.

    Attributes:
        uid: Its id.
        start: When it started; None if it waited in the queue.
        end: When it ended; None if it did not.
        state: How it stood.
        inputs: What it was given.
        outputs: What it returned; None if it returned None.
        chosen: Ids of the successors it chose; None for all.
        error: Type and message of what it raised; None if it did not.
        extra: Holds `reporting` if the report does.
    """

    uid: str
    start: datetime | None
    end: datetime | None
    state: FutureState
    inputs: Any
    outputs: Any
    chosen: list[str] | None
    error: tuple[str, str] | None
    extra: dict[str, Any]

    @property
    def passed_on(self) -> Any:
        """What its successors receive, if there are any to come."""
        if self.state is FutureState.skipped or self.outputs is None:
            return self.inputs
        if self.state is FutureState.timeout and not isinstance(self.outputs, dict):
            # What its `teardown()` returned could not be passed on.
            return self.inputs
        return self.outputs


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a report says of a run.

    Attributes:
        uid: Its id.
        start: When it started.
        elapsed: Seconds of its time limit that were used up.
        steps: Task id -> what is known of its execution; without those never due.
    """

    uid: str
    start: datetime
    elapsed: float
    steps: dict[str, StepRecord]


_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})


def detached(value: Any) -> Any:
    """Return data with dicts, lists, tuples and sets of its own, at every depth.

    Other objects, kinds of dict and so on of the user's own among them, are shared.

    Raises:
        RecursionError: It is nested too deeply.
    """
    return _detach(value, {}) if type(value) in _CONTAINERS else value


def described(error: BaseException) -> dict[str, str]:
    """Return an error as a report shows it: its `type` and `message`."""
    if isinstance(error, RecordedError):
        return {"type": error.kind, "message": error.message}
    name = type(error).__qualname__
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a report is taken whatever the task raised
        message = f"<a {name} that cannot be shown>"
    return {"type": name, "message": message}


# The very first and the very last one do not exist everywhere on earth.
_FIRST_DAY = datetime(1, 1, 3, tzinfo=UTC)
_LAST_DAY = datetime(9999, 12, 29, tzinfo=UTC)

_NOT_WHOLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What comes of looking for a report in data that is none."""


def read(report: Any, template: WorkflowTemplate) -> RunRecord:
    """Return what a report says, if it is about a run of this template that started.

    Args:
        report: The report, as `Workflow.report()` made it or after it went through JSON.
        template: What was run; it may have gained tasks since.

    Raises:
        RescueError: The report is not one, or is about something else.
    """
    uid = _uid_of(report)
    if uid is None:
        raise RescueError(None, "it is not the report of a run: there is no 'exec.id'")
    try:
        record = _read(uid, report)
    except _NOT_WHOLE as error:
        raise RescueError(uid, f"it is not a whole report ({shown(error)})") from error
    # Not in a set: it may be anything.
    if report.get("id") not in (None, template.uid):
        _refuse(record, f"it is about template {shown(report['id'])}, not {template.uid!r}")
    known = {task.uid for task in template.tasks}
    if unknown := [task for task in record.steps if task not in known]:
        _refuse(record, f"executed tasks are not in the template: {listed(unknown)}")
    if template.root().uid not in record.steps:
        _refuse(record, "its root task was never due - start the workflow anew")
    if template.timeout and record.elapsed >= template.timeout:
        _refuse(record, f"its time limit of {template.timeout} s is used up - raise it first")
    return record


def restore(plan: Plan[Any], record: RunRecord) -> None:
    """Bring a new plan to where a report says that the run was.

    The steps that are over are taken as they are; each leads on as it did. Those that were not
    over are ready, to be run from scratch.

    Raises:
        RescueError: The report contradicts the graph, or lacks data that would have to be passed
            on. The plan is of no use then.
    """
    try:
        _restore(plan, record)
    except RecursionError as error:
        raise RescueError(record.uid, "its data is nested too deeply") from error


def _restore(plan: Plan[Any], record: RunRecord) -> None:
    tasks = plan.shape.tasks
    by_number = {
        number: record.steps[task.uid]
        for number, task in enumerate(tasks)
        if task.uid in record.steps
    }
    plan.begin(by_number[plan.shape.root].inputs)
    _take_what_is_over(plan, by_number, record)
    for number, known in by_number.items():
        step = plan.steps[number]
        if step is None:
            verb = "has an outcome" if known.state.done() else "was begun"
            _refuse(record, f"nothing led to task {tasks[number].uid!r}, which {verb}")
        if step.ended_at is None:
            _give_inputs(step, known)
    for step in plan.ready:
        _refuse_what_is_lost(step, record)


def _take_what_is_over(
    plan: Plan[Any], by_number: dict[int, StepRecord], record: RunRecord
) -> None:
    """Take the steps that are over in the order they ended, each after one that led to it.

    The times alone do not tell: the clock of an earlier rescue may have been behind.
    """
    place = {number: place for place, number in enumerate(plan.shape.order)}
    due = {
        number: (known.end, place[number], number)
        for number, known in by_number.items()
        if known.end is not None and known.state.done()
    }
    root = due.pop(plan.shape.root, None)
    reached = [] if root is None else [root]
    while reached:
        *_, number = heappop(reached)
        _take_as_it_was(plan, plan.steps[number], by_number[number], record)
        for successor in plan.shape.successors[number]:
            if successor in due and plan.steps[successor] is not None:
                heappush(reached, due.pop(successor))
    ready = [step for step in plan.ready if step.ended_at is None]
    plan.ready.clear()
    plan.ready.extend(ready)


def _take_as_it_was(plan: Plan[Any], step: Any, known: StepRecord, record: RunRecord) -> None:
    if known.chosen is not None:
        try:
            plan.choose(step, known.chosen)
        except (TypeError, LookupError) as error:
            _refuse(record, f"its routing does not fit the template: {error}")
    step.restore(known)
    if known.state is FutureState.exception:
        plan.stop_branch(step)
        return
    data, successors = known.passed_on, plan.shape.successors[step.number]
    if not isinstance(data, dict) and (successors if step.chosen is None else step.chosen):
        kind = type(data).__name__
        _refuse(record, f"{step.template.uid!r} ended with a {kind}: nothing to pass on")
    plan.follow(step, data)


def _refuse_what_is_lost(step: Step, record: RunRecord) -> None:
    late = [(f"{parent.template.uid}.outputs", data) for data, parent in step.late]
    for path, data in [(f"{step.template.uid}.inputs", step.input_data), *late]:
        lost = find_lost(data, path)
        if lost is not None:
            _refuse(record, f"{lost} was lost on its way through JSON")


def _give_inputs(step: Step, known: StepRecord) -> None:
    """Give a step that is run again what it had; of parents that ended at once, the right one."""
    for place, (data, parent) in enumerate(step.late):
        if step.input_data != known.inputs and data == known.inputs:
            late = [*step.late]
            late[place] = (step.input_data, step.parent)
            step.input_data, step.parent, step.late = data, parent, late
    step.input_data = known.inputs


def _detach(value: Any, known: dict[int, Any]) -> Any:
    """Copy a container.

    Args:
        value: The container.
        known: Id of each container met so far -> its copy: data may contain itself.
    """
    if id(value) in known:
        return known[id(value)]
    kind = type(value)
    own: Any
    if kind is dict or kind is list:
        # Mostly there are no containers within: then this is all there is to do.
        own = known[id(value)] = value.copy()
        for place, part in value.items() if kind is dict else enumerate(value):
            if type(part) in _CONTAINERS:
                own[place] = _detach(part, known)
    elif kind is tuple:
        own = known[id(value)] = tuple(
            [_detach(part, known) if type(part) in _CONTAINERS else part for part in value]
        )
    else:
        # What is in a set can be hashed, and so holds nothing that could be changed.
        own = value.copy()
    return own


def _uid_of(report: Any) -> str | None:
    execution = report.get("exec") if isinstance(report, Mapping) else None
    uid = execution.get("id") if isinstance(execution, Mapping) else None
    return uid if isinstance(uid, str) else None


def _read(uid: str, report: Mapping[str, Any]) -> RunRecord:
    execution = report["exec"]
    start, end = _time(execution["start"]), _time(execution["end"])
    _state(execution["state"])
    if start is None:
        raise RescueError(uid, "it never started - start the workflow anew")
    steps: dict[str, StepRecord] = {}
    for task in _list(report["tasks"]):
        if task["exec"]:
            name = _text(task["id"])
            if name in steps:
                msg = f"task {shown(name)} is in it twice"
                raise ValueError(msg)
            steps[name] = _read_step(task["exec"])
    elapsed = execution.get("elapsed")
    if elapsed is None:
        times = [
            start,
            *(time for step in steps.values() for time in (step.start, step.end) if time),
        ]
        elapsed = ((end or max(times)) - start).total_seconds()
    elapsed = float(elapsed)
    if math.isnan(elapsed):
        msg = "exec.elapsed is not a number"
        raise ValueError(msg)
    # A clock may have been set back meanwhile.
    return RunRecord(uid, start, max(elapsed, 0.0), steps)


def _read_step(execution: Mapping[str, Any]) -> StepRecord:
    error = execution.get("error")
    chosen = execution.get("chosen")
    record = StepRecord(
        uid=_text(execution["id"]),
        start=_time(execution["start"]),
        end=_time(execution["end"]),
        state=_state(execution["state"]),
        inputs=detached(execution["inputs"]),
        outputs=detached(execution["outputs"]),
        chosen=None if chosen is None else _list(chosen),
        error=None if error is None else (_text(error["type"]), _text(error["message"])),
        extra={key: detached(execution[key]) for key in ("reporting",) if key in execution},
    )
    if record.state.done() and record.end is None:
        msg = f"an execution that is {record.state.value} has no end"
        raise ValueError(msg)
    return record


def _text(value: Any) -> str:
    # Looked at before it is used as a key: hashing what is nested deeply ends the process.
    if not isinstance(value, str):
        msg = f"expected a text, not {shown(value)}"
        raise TypeError(msg)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        msg = f"expected a list, not {shown(value)}"
        raise TypeError(msg)
    return list(value)


def _state(value: Any) -> FutureState:
    return FutureState(_text(value))


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    if not _FIRST_DAY <= time <= _LAST_DAY:
        msg = f"{shown(value)} would be lost on the clock of the run"
        raise ValueError(msg)
    return time


def _refuse(record: RunRecord, reason: str) -> NoReturn:
    raise RescueError(record.uid, reason)
