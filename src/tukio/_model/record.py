"""Records: reports that were read and checked; a rescue starts from one.

Owns:   the conditions under which a report can be continued.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from .account import as_fact, read_account
from .appointments import FIRST_DAY, LAST_DAY
from .attempts import read_attempts
from .changes import exact
from .children import read_child
from .detach import detached
from .display import listed, shown
from .errors import RescueError
from .expect import expect_list, expect_text
from .items_record import read_items
from .report_json import decoded
from .state import FutureState

if TYPE_CHECKING:
    from .account import ErrorFact
    from .attempts import Attempt
    from .items_record import ItemsRecord
    from .template import WorkflowTemplate


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One execution of a task, as a report shows it.

    Attributes:
        uid: The id of the execution.
        start: The time of its start; None if it was waiting in the queue.
        end: The time of its end; None if it had not ended.
        state: The state of the execution.
        inputs: The inputs of the task.
        outputs: The output of the task; None if the task returned None.
        chosen: The ids of the successors that were chosen; None for all.
        error: The exception, as facts have it; None if there was none.
        extra: Has `reporting` if the report does.
        overran: The seconds by which the task ended later than its limit; 0 if it did not.
        attempts: The executions before this one that have failed.
        due: When this one is due; None if it does not wait for that.
        tried: The seconds for which the task was tried, if it is to be tried again.
        handled: Whether the task has failed, and its template provides for that.
        child: The report of the run that the execution has started; None if there is none.
        items: The items of a mapped task; None if the report shows none.
    """

    uid: str
    start: datetime | None
    end: datetime | None
    state: FutureState
    inputs: Any
    outputs: Any
    chosen: list[str] | None
    error: ErrorFact | None
    extra: dict[str, Any]
    overran: float
    attempts: tuple[Attempt, ...]
    due: datetime | None
    tried: float
    handled: bool
    child: dict[str, Any] | None
    items: ItemsRecord | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as a report shows it.

    Attributes:
        uid: The execution id of the run.
        start: The time of its start.
        elapsed: The seconds of its time limit that were used up.
        steps: Task id -> the execution of the task; only tasks that were due.
        order: The ids of the tasks that ended, in the order of their ends; None if the report does
            not have it.
        forked_from: The id of the run that this one was made from, by `again`; None if it was not.
        appointment: When the run ends at the latest, as its start has said; None if that has not.
        ending: How the run ends, if it is closing; else None.
        closing: Likewise, the id of each task of the closing -> its execution.
        undone: The id of a task that was undone when the run was cut, which is over; None if there
            is none. There is no going on from where it was.
    """

    uid: str
    start: datetime
    elapsed: float
    steps: dict[str, StepRecord]
    order: list[str] | None
    forked_from: str | None
    appointment: datetime | None
    ending: FutureState | None
    closing: dict[str, StepRecord]
    undone: str | None


NOT_WHOLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""Raised when data that is not a report is read as one."""


def read(report: Any, template: WorkflowTemplate, *, is_child: bool = False) -> RunRecord:
    """Return the record of a report about a run of a template; the run must have started.

    Args:
        report: The report, as `Workflow.report()` made it, or after it went through JSON, whoever
            has read the text.
        template: The template of the run; it may have gained tasks since.
        is_child: Whether the report is in that of another run. Then the values in it were read, and
            its time limit may be used up: the run ends by that.

    Raises:
        RescueError: The data is not a report, or it is not about such a run.
    """
    report = report if is_child else decoded(report)
    uid = _uid_of(report)
    if uid is None:
        raise RescueError(None, "it is not the report of a run: there is no 'exec.id'")
    try:
        record = _read(uid, report)
    except NOT_WHOLE as error:
        raise RescueError(uid, f"it is not a whole report ({shown(error)})") from error
    # Compared with a tuple and not looked up in a set, because the id may be an unhashable object.
    if exact(report.get("id")) not in (None, template.uid):
        refuse(record, f"it is about template {shown(report['id'])}, not {template.uid!r}")
    known = {task.uid for task in template.tasks}
    if unknown := [task for task in record.steps if task not in known]:
        refuse(record, f"executed tasks are not in the template: {listed(unknown)}")
    if template.root().uid not in record.steps:
        refuse(record, "its root task was never due - start the workflow anew")
    is_past = bool(template.timeout) and record.elapsed >= (template.timeout or 0)
    if is_past and record.ending is None and not is_child:
        refuse(record, f"its time limit of {template.timeout} s is used up - raise it first")
    return record


def refuse(record: RunRecord, reason: str) -> NoReturn:
    """Raise a `RescueError` about the run of a record."""
    raise RescueError(record.uid, reason)


def _uid_of(report: Any) -> str | None:
    execution = report.get("exec") if isinstance(report, Mapping) else None
    uid = execution.get("id") if isinstance(execution, Mapping) else None
    return exact(uid) if isinstance(uid, str) else None


def _read(uid: str, report: Mapping[str, Any]) -> RunRecord:
    execution = report["exec"]
    start, end = _time(execution["start"]), _time(execution["end"])
    state, ending = _state(execution["state"]), execution.get("ending")
    if start is None:
        raise RescueError(uid, "it never started - start the workflow anew")
    steps: dict[str, StepRecord] = {}
    for task in expect_list(report["tasks"]):
        if task["exec"]:
            name = expect_text(task["id"])
            if name in steps:
                msg = f"task {shown(name)} is in it twice"
                raise ValueError(msg)
            steps[name] = _read_step(task["exec"])
    order = execution.get("order")
    ids = None if order is None else [expect_text(task) for task in expect_list(order)]
    forked_from = execution.get("forked_from")
    origin = None if forked_from is None else expect_text(forked_from)
    elapsed, at = _elapsed(execution, start, end, steps), _time(execution.get("appointment"))
    known = (uid, start, elapsed, steps, ids, origin, at)
    if ending is None:
        return RunRecord(*known, None, {}, None)
    closing, undone = _read_closing(report)
    if state in {FutureState.cancelled, FutureState.timeout}:
        return RunRecord(*known, None, closing, undone)
    return RunRecord(*known, _state(ending), closing, None)


def _elapsed(
    execution: Mapping[str, Any],
    start: datetime,
    end: datetime | None,
    steps: Mapping[str, StepRecord],
) -> float:
    """Return the seconds of its time limit that a run has used up."""
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
    # Not negative, even if the clock was set back meanwhile.
    return max(elapsed, 0.0)


def _read_closing(report: Mapping[str, Any]) -> tuple[dict[str, StepRecord], str | None]:
    """Return the executions that a run closes with, and the id of a task that was undone."""
    found: dict[str, StepRecord] = {}
    undone: str | None = None
    for task in expect_list(report["closing"]):
        if task["exec"]:
            found[expect_text(task["id"])] = execution = _read_step(task["exec"])
            if execution.start is not None and "undoes" in task:
                undone = expect_text(task["undoes"])
    return found, undone


def _read_step(execution: Mapping[str, Any]) -> StepRecord:
    error = execution.get("error")
    chosen = execution.get("chosen")
    record = StepRecord(
        uid=expect_text(execution["id"]),
        start=_time(execution["start"]),
        end=_time(execution["end"]),
        state=_state(execution["state"]),
        inputs=detached(execution["inputs"]),
        outputs=detached(execution["outputs"]),
        chosen=None if chosen is None else expect_list(chosen),
        error=None if error is None else as_fact(read_account(error)),
        extra={key: detached(execution[key]) for key in ("reporting",) if key in execution},
        overran=float(execution.get("overran", 0.0)),
        attempts=read_attempts(execution.get("attempts", []), _time),
        due=_time(execution.get("due")),
        tried=max(float(execution.get("elapsed", 0.0)), 0.0),
        handled=execution.get("handled") is True,
        child=read_child(execution.get("child")),
        items=read_items(execution.get("items"), _time),
    )
    if record.state.done() and record.end is None:
        msg = f"an execution that is {record.state.value} has no end"
        raise ValueError(msg)
    return record


def _state(value: Any) -> FutureState:
    return FutureState(expect_text(value))


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    if not FIRST_DAY <= time <= LAST_DAY:
        msg = f"{shown(value)} would be lost on the clock of the run"
        raise ValueError(msg)
    return time
