"""The invariants of every run that is over, whatever was done to the run.

Source: the guarantees of the README; each check has the number of its guarantee.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from .._model.report_json import report_from_json, report_to_json
from .._model.state import EVENT_OF, TASK_BEGIN, TERMINAL, FutureState, TaskExecState

if TYPE_CHECKING:
    from .._run.task_run import TaskRun
    from .._run.workflow import Workflow
    from .timeline import Moment, Timeline

TASK_ENDS = frozenset(EVENT_OF.values())

_WITH_OUTPUT = frozenset({TaskExecState.END.value, TaskExecState.TIMEOUT.value})
_RESTORED = frozenset(state.value for state in FutureState if state.done())


class BrokenGuarantee(AssertionError):
    """A run, or an event of it, contradicts a guarantee.

    Args:
        guarantee: The number of the guarantee: "G2".
        problem: The problem, as a sentence.

    Attributes:
        guarantee: The number of the guarantee: "G2".
    """

    def __init__(self, guarantee: str, problem: str) -> None:
        super().__init__(f"{guarantee}: {problem}")
        self.guarantee: str = guarantee


def demand(guarantee: str, holds: object, problem: str, *about: object) -> None:
    """Make sure that a guarantee holds.

    Args:
        guarantee: The number of the guarantee.
        holds: Whether the guarantee holds.
        problem: The problem if it does not, with `{}` for each of the objects.
        about: The objects for the message; they are not formatted if the guarantee holds.

    Raises:
        BrokenGuarantee: The guarantee does not hold.
    """
    if not holds:
        raise BrokenGuarantee(guarantee, problem.format(*about))


def check_guarantees(run: Workflow, timeline: Timeline) -> None:
    """Check a run that is over, and its events, against the guarantees of the engine.

    Args:
        run: The run, after `wait()` has returned.
        timeline: All events of the run; those of other runs are ignored.

    Raises:
        BrokenGuarantee: A guarantee does not hold.
    """
    moments = timeline.of_run(run.uid).moments
    _no_orphans(run)
    _one_ending(run, moments)
    _events_in_pairs(run, moments)
    _no_lost_error(run, moments)
    _closed_in_turn(run, moments)
    report = run.report()
    _report_is_data(run, report)
    _report_is_what_happened(report, moments)


def all_of(run: Workflow) -> list[TaskRun]:
    """Return the executions of the tasks of a run, and of those that it closed with."""
    return [*run.tasks, *run.closing]


def _no_orphans(run: Workflow) -> None:
    for step in all_of(run):
        demand("G1", step.driver is None, "the run is over, and {!r} is at work", step)


def _one_ending(run: Workflow, moments: list[Moment]) -> None:
    endings = [moment for moment in moments if moment.kind in TERMINAL]
    demand("G2", len(endings) == 1, "{} terminal events instead of one", len(endings))
    last = moments[-1]
    demand("G2", last is endings[0], "{!r} came after the terminal event", last.kind)
    expected = {
        FutureState.finished: None,
        FutureState.cancelled: {"cancel": True},
        FutureState.timeout: {"cancel": True, "timeout": True},
    }
    content = endings[0].content
    fits = run.state not in expected or content == expected[run.state]
    demand("G2", fits, "the run is {}, its event says {!r}", run.state.value, content)


def _events_in_pairs(run: Workflow, moments: list[Moment]) -> None:
    begun = Counter(moment.execution for moment in moments if moment.kind == TASK_BEGIN)
    ended = Counter(moment.execution for moment in moments if moment.kind in TASK_ENDS)
    told = {moment.execution: moment.kind for moment in moments if moment.kind in TASK_ENDS}
    # Steps that a rescue has restored: their events were sent before the rescue.
    restored = {step.uid for step in all_of(run) if step.done() and step.uid not in begun}
    for execution, count in ended.items():
        counts = begun[execution], count
        demand("G2", counts == (1, 1), "{} begins and {} ends of one task", counts[0], counts[1])
    for step in all_of(run):
        if step.uid in restored or step.state is FutureState.suspended:
            continue
        ended_too = step.started_at is None or step.done()
        demand("G1", ended_too, "{!r} began, and never ended", step)
        if step.done():
            kind = told.get(step.uid)
            demand("G2", kind == EVENT_OF[step.state], "{!r} was told of as {!r}", step, kind)


def _no_lost_error(run: Workflow, moments: list[Moment]) -> None:
    for step in all_of(run):
        kept = step.state is not FutureState.exception or _is_known(run, step)
        demand("G7", kept, "the error of {!r} is not in the errors of the run", step)
    for moment in moments:
        kept = moment.kind != TaskExecState.ERROR.value or moment.task in run.errors
        demand("G7", kept, "the error of {!r} is not kept", moment.task)


def _is_known(run: Workflow, step: TaskRun) -> bool:
    known = run.errors.get(step.template.uid)
    if known is step.error:
        return True
    # Not `in`, which asks the errors whether they are equal.
    return isinstance(known, BaseExceptionGroup) and any(
        error is step.error for error in known.exceptions
    )


def _report_is_data(run: Workflow, report: dict[str, Any]) -> None:
    demand("G10", run.report() == report, "two reports of a run that is over differ")
    text = report_to_json(report)
    same = report_to_json(report_from_json(text)) == text
    demand("G10", same, "the report does not survive JSON")
    by_id = {task["id"]: task["exec"] for task in _shown_in(report)}
    for step in all_of(run):
        shown = by_id[step.template.uid]
        fits = shown["id"] != step.uid or shown["state"] == step.state.value
        demand("G10", fits, "the report shows {!r} as {!r}", step, shown["state"])


def _shown_in(report: dict[str, Any]) -> list[Any]:
    """Return the tasks in a report, and those that the run closed with."""
    closing = report["closing"] if "ending" in report["exec"] else []
    return [*report["tasks"], *closing]


def _closed_in_turn(run: Workflow, moments: list[Moment]) -> None:
    """Check that a run has closed with one task after the other, and within its limit."""
    # Those of before a rescue are not told of, and are kept to the microsecond.
    told = {moment.execution for moment in moments if moment.kind == TASK_BEGIN}
    began = [step for step in run.closing if step.started_at is not None and step.uid in told]
    for one, other in itertools.pairwise(began):
        over = one.ended_at is not None and other.started_at is not None
        in_turn = over and one.ended_at <= other.started_at  # type: ignore[operator]  # as it says
        demand("G16", in_turn, "{!r} began before {!r} was over", other, one)
    limit = run._run.template.closing_timeout
    if began and limit and began[0].started_at is not None:
        late = (began[-1].started_at or 0.0) > began[0].started_at + limit
        demand("G16", not late, "{!r} began past the limit of the closing", began[-1])


def _report_is_what_happened(report: dict[str, Any], moments: list[Moment]) -> None:
    """Check the report's executions against their events."""
    shown = {task["exec"]["id"]: task["exec"] for task in _shown_in(report) if task["exec"]}
    for moment in moments:
        known = shown.get(moment.execution)
        if known is None:
            continue  # an event of the run itself, or of an execution that was interrupted
        about = moment.task
        if moment.kind == TASK_BEGIN:
            demand("G10", known["start"], "the report shows no start of {!r}", about)
            fits = moment.content == known["inputs"]
            demand("G10", fits, "the report shows other inputs of {!r}", about)
        elif moment.kind in _WITH_OUTPUT:
            demand("G10", known["end"], "the report shows no end of {!r}", about)
            fits = moment.content == known["outputs"]
            demand("G10", fits, "the report shows another output of {!r}", about)
        elif moment.kind == TaskExecState.ERROR.value:
            demand("G10", known.get("error"), "the report shows no error of {!r}", about)
    begun = {moment.execution for moment in moments if moment.kind == TASK_BEGIN}
    # One that was cancelled is restored only if the run was closing then.
    closed = {FutureState.cancelled.value} if "ending" in report["exec"] else set[str]()
    for uid, known in shown.items():
        # The begin of an execution that a rescue has restored was told before the rescue.
        told = uid in begun or known["state"] in _RESTORED | closed or not known["start"]
        demand("G10", told, "the report shows an execution that never began: {}", known)
