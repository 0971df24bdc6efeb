"""What a report says of a run, read back and looked through: what a rescue starts from.

Owns:   what a report must hold to be continued.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from .detach import detached
from .display import listed, shown
from .errors import RescueError
from .state import FutureState

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a report says of a run.

    Attributes:
        uid: Its id.
        start: When it started.
        elapsed: Seconds of its time limit that were used up.
        steps: Task id -> what is known of its execution; without those never due.
        order: Ids of the tasks that ended, in the order of their ends; None if it does not tell.
    """

    uid: str
    start: datetime
    elapsed: float
    steps: dict[str, StepRecord]
    order: list[str] | None


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
        refuse(record, f"it is about template {shown(report['id'])}, not {template.uid!r}")
    known = {task.uid for task in template.tasks}
    if unknown := [task for task in record.steps if task not in known]:
        refuse(record, f"executed tasks are not in the template: {listed(unknown)}")
    if template.root().uid not in record.steps:
        refuse(record, "its root task was never due - start the workflow anew")
    if template.timeout and record.elapsed >= template.timeout:
        refuse(record, f"its time limit of {template.timeout} s is used up - raise it first")
    return record


def refuse(record: RunRecord, reason: str) -> NoReturn:
    """Raise a `RescueError` about the run of a record."""
    raise RescueError(record.uid, reason)


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
    order = execution.get("order")
    ids = None if order is None else [_text(task) for task in _list(order)]
    return RunRecord(uid, start, max(elapsed, 0.0), steps, ids)


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
