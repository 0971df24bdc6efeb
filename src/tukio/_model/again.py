"""A run that is over, run again from what failed: as the report of a new run.

Owns:   which tasks have not run in the new report, and what it keeps of the old one.
Knows:  the form of reports; `rescue` goes on from the new one as from any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .changes import exact
from .codecs import DecodedReport
from .display import listed, shown
from .errors import RescueError
from .expect import expect_list, expect_text
from .item_undo import item_in
from .record import NOT_WHOLE, read
from .report_json import decoded
from .state import CANCELLED, FAILED, FINISHED, PENDING, TIMED_OUT
from .template import WorkflowTemplate

if TYPE_CHECKING:
    from collections.abc import Collection, Container

WENT_WRONG = {FAILED.value, TIMED_OUT.value, CANCELLED.value}
"""The states of the tasks that are run again unless others are named."""

ENDED = {FINISHED.value, *WENT_WRONG}
"""The states of a run that is over."""


def again(report: Any, steps: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the report of a new run, in which some tasks of a run have not run yet.

    `engine.rescue(template, again(report))` starts that run. It has the results of all other tasks,
    which are not run again; the run of the report stays what it is.

    The new run has a new id, and `forked_from` in its `exec` is the id of the old one. Its time
    limits begin anew, and so do the attempts at a task that is tried again.

    Args:
        report: The report of a run that is over, with its data. It may have gone through JSON. It
            is not changed.
        steps: The ids of the tasks to run again, with the inputs that they had. Whatever comes
            after them has not run either. None is each that has failed, has reached its time limit,
            or was cancelled, but for a failure that its template provides for. One that was
            cancelled, or was undone when the run closed, is run again in any case.

    Raises:
        TypeError: `steps` is a string, or has something else than strings in it.
        LookupError: One of them is not a task of the run, or was not reached.
        ValueError: The run is not over, or there is nothing to run again.
        RescueError: The report is not a whole one, with its data, or cannot be continued.
    """
    report = decoded(report)
    tasks, graph = _parts(report)
    known = {task["id"]: task.get("exec") for task in tasks}
    undone = _undone(report, known) & set(known)
    first = _chosen(steps, known, undone) | undone
    later = _after(first, graph)
    kept = {key: value for key, value in report.items() if key != "closing" or not _closed(report)}
    fresh: dict[str, Any] = DecodedReport({**kept, "tasks": tasks})
    for task in tasks:
        if task["id"] in later:
            task["exec"] = None
        elif task["id"] in first:
            task["exec"] = _due(task["exec"])
    fresh["exec"] = _of_new_run(report["exec"], first | later, known)
    # What cannot be rescued is refused here, and not when somebody needs it.
    read(fresh, WorkflowTemplate.from_dict(fresh))
    return fresh


def _parts(report: Any) -> tuple[list[dict[str, Any]], Mapping[str, list[str]]]:
    """Return the tasks in a report, as copies, and its graph.

    Raises:
        RescueError: It is not a whole report, with its data.
        ValueError: The run is not over.
    """
    uid = None
    try:
        execution = report["exec"]
        uid, state = expect_text(execution["id"]), expect_text(execution["state"])
        tasks = [dict(task) for task in expect_list(report["tasks"])]
        ran = [task["exec"] for task in tasks if task["exec"]]
        has_data = all("inputs" in one for one in ran)
        for task in tasks:
            task["id"] = expect_text(task["id"])
        graph = {expect_text(up): expect_list(downs) for up, downs in report["graph"].items()}
    except NOT_WHOLE as error:
        raise RescueError(uid, f"it is not a whole report ({shown(error)})") from error
    if not has_data:
        raise RescueError(uid, "it has no data - take it by report(), without data=False")
    if state not in ENDED:
        msg = f"run {uid} is not over: it is {shown(state)} - go on with it, by rescue"
        raise ValueError(msg)
    return tasks, graph


def _closed(report: Mapping[str, Any]) -> bool:
    """Return whether the run has closed; else `closing` in the report is the user's own."""
    return "ending" in report["exec"]


def _undone(report: Mapping[str, Any], tasks: Container[str]) -> set[str]:
    """Return the ids of the tasks that were undone when the run closed, or may have been.

    That an item was undone is enough.

    Args:
        report: The report.
        tasks: The ids of its tasks.

    Raises:
        RescueError: It is not a whole report.
    """
    if not _closed(report):
        return set()
    try:
        undone = {
            expect_text(task["undoes"])
            for task in expect_list(report["closing"])
            if "undoes" in task and task["exec"] and task["exec"]["start"] is not None
        }
    except NOT_WHOLE as error:
        uid = report["exec"]["id"]
        raise RescueError(uid, f"it is not a whole report ({shown(error)})") from error
    return {_task_of(uid, tasks) for uid in undone}


def _task_of(uid: Any, tasks: Container[str]) -> Any:
    """Return the id of a task; that of the mapped task, for an item of one.

    Args:
        uid: The id of a task, or of an item.
        tasks: The ids of all tasks.
    """
    item = item_in(uid) if isinstance(uid, str) and uid not in tasks else None
    return uid if item is None else item[0]


def _chosen(
    steps: Iterable[str] | None, known: Mapping[str, Any], undone: Collection[str]
) -> set[str]:
    """Return the ids of the tasks to run again.

    Args:
        steps: The ids that the caller has named; None if none.
        known: Task id -> its execution; None for one that was not reached.
        undone: The ids of the tasks that are run again in any case.

    Raises:
        TypeError: These are not ids.
        LookupError: One of them is not a task of the run, or was not reached.
        ValueError: There is nothing to run again.
    """
    ran = {uid: execution for uid, execution in known.items() if execution}
    if steps is None:
        wrong = {uid for uid, execution in ran.items() if _went_wrong(execution)}
        if not wrong and not undone:
            msg = f"nothing went wrong - name the tasks to run again: {listed(ran)}"
            raise ValueError(msg)
        return wrong
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        msg = f"expected a list of task ids, not {shown(steps)}"
        raise TypeError(msg)
    chosen = list(steps)
    if not chosen or not all(isinstance(uid, str) for uid in chosen):
        msg = f"expected a list of task ids, not {shown(chosen)}"
        raise TypeError(msg)
    ids = {exact(uid) for uid in chosen}
    if missing := sorted(ids - set(ran)):
        why = "was not reached" if missing[0] in known else "is not a task of the run"
        msg = f"{shown(missing[0])} {why} - those that have run: {listed(ran)}"
        raise LookupError(msg)
    return ids


def _went_wrong(execution: Mapping[str, Any]) -> bool:
    """Return whether an execution did not go well, and the run did not go on from that."""
    return execution["state"] in WENT_WRONG and execution.get("handled") is not True


def _after(first: Collection[str], graph: Mapping[str, list[str]]) -> set[str]:
    """Return the ids of the tasks that come after some."""
    later: set[str] = set()
    waiting = list(first)
    while waiting:
        for uid in graph.get(waiting.pop(), ()):
            if uid not in later:
                later.add(uid)
                waiting.append(uid)
    return later


def _due(execution: Mapping[str, Any]) -> dict[str, Any]:
    """Return the execution of a task that is to be run, with the inputs of one that was."""
    times = {"id": str(uuid4()), "start": None, "end": None, "state": PENDING.value}
    return {**times, "inputs": execution["inputs"], "outputs": None}


def _of_new_run(
    execution: Mapping[str, Any], undone: Collection[str], tasks: Container[str]
) -> dict[str, Any]:
    """Return what the report tells of the new run itself.

    Args:
        execution: What the report tells of the old one.
        undone: The ids of the tasks that have not run.
        tasks: The ids of all tasks.
    """
    fresh: dict[str, Any] = {
        "id": str(uuid4()),
        "start": execution["start"],
        "end": None,
        "state": PENDING.value,
        "forked_from": execution["id"],
        "elapsed": 0.0,
    }
    if execution.get("order") is not None:
        fresh["order"] = [uid for uid in execution["order"] if _task_of(uid, tasks) not in undone]
    return fresh
