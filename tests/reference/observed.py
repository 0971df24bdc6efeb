"""What there is to see of a run on the engine, in the words of the model.

Knows:  plays and reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .parts import SEEN, Outcome

if TYPE_CHECKING:
    from datetime import datetime

    import tukio
    from tukio.testing import Played

    from .parts import Data
    from .timeline import Told

STUCK = "task-stuck"
TWICE = "failed more than once"
"""What the engine calls a group that it has made."""


def outcomes(played: Played) -> list[Outcome]:
    """Return what there is to see of each run of a play."""
    return [outcome(played, run) for run in played.runs]


def outcome(played: Played, run: tukio.Workflow) -> Outcome:
    """Return what there is to see of one run; its time begins with it.

    A deadline is a time of the calendar, whose fractions of a second are rounded.
    """
    report = run.report()
    began = report["exec"]["start"]
    moments = [moment for moment in played.timeline if moment.run == run.uid]
    start = moments[-1].time - (report["exec"]["end"] - began).total_seconds()
    story: list[Told] = [
        (round(moment.time - start, 6), moment.kind, moment.task, plain(moment.content))
        for moment in moments
        if moment.kind != STUCK
    ]
    stuck = {
        moment.task: moment.content["seconds"]
        for moment in moments
        if moment.kind == STUCK and moment.task
    }
    shown = [*report["tasks"], *report.get("closing", ())]
    tasks = {task["id"]: seen(task, began) for task in shown}
    errors = {uid: kinds(error) for uid, error in run.errors.items()}
    outputs = {uid: untold(output) for uid, output in run.outputs.items()}
    return Outcome(run.state.value, story[-1][0], tasks, errors, outputs, story, slow=stuck)


def untold(data: Any) -> Any:
    """Return data without the texts of errors in it, which the model does not have."""
    if isinstance(data, list):
        return [untold(one) for one in data]
    if not isinstance(data, dict):
        return data
    is_error = "type" in data and "message" in data
    return {
        key: untold(value) for key, value in data.items() if not (is_error and key == "message")
    }


def plain(content: Any) -> Any:
    """Return the content of an event as the model has it."""
    if isinstance(content, BaseException):
        return type(content).__name__
    if isinstance(content, dict) and "exception" in content:
        return {**content, "exception": type(content["exception"]).__name__}
    if isinstance(content, dict) and "status" in content:
        return tuple(parent["id"] for parent in content["tasks"]), content["status"]
    return untold(content)


def kinds(error: BaseException) -> list[str]:
    """Return the types of an error, or of those that the engine has put together."""
    together = isinstance(error, BaseExceptionGroup) and TWICE in error.message
    errors = error.exceptions if together else [error]  # type: ignore[attr-defined]
    return sorted(type(one).__name__ for one in errors)


def seen(task: Data, began: datetime) -> Data | None:
    """Return what a report has to say about a task."""
    step = task["exec"]
    if step is None or step["start"] is None:
        return None
    known = {key: untold(step.get(key)) for key in SEEN}
    items = known["items"] = step.get("items")
    if items is not None:
        failed = {place: error["type"] for place, error in items["failed"].items()}
        known["items"] = {key: items[key] for key in items if key != "children"}
        known["items"]["failed"] = failed
        if "errors" in items:
            beside = {place: error["type"] for place, error in items["errors"].items()}
            known["items"]["errors"] = beside
        if "attempts" in items:
            tried = {place: len(made["attempts"]) for place, made in items["attempts"].items()}
            known["items"]["attempts"] = tried
        # The model keeps no reports of children, for which alone there may be something here.
        if "children" in items and not failed and len(known["items"]) == len(("total", "failed")):
            known["items"] = None
    for key in ("start", "end"):
        known[key] = known[key] and (known[key] - began).total_seconds()
    if task.get("name") == "join":
        # One that was called off before it began has nothing to say.
        reporting = step.get("reporting", {"tasks": [], "status": "running"})
        known["joined"] = [parent["id"] for parent in reporting["tasks"]]
        known["status"] = reporting["status"]
    return known
