"""Workflows that are cancelled, failed and rescued at every point.

Owns:   the passes over a run, one for each point, and the check of each pass.
Knows:  the points of a run; nothing of backends or of virtual time.
"""

from __future__ import annotations

import inspect
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

from .._engine.engine import Engine
from .._model.account import described
from .._model.children import children_in
from .._model.errors import RescueError
from .._model.report_json import report_from_json, report_to_json
from .._model.state import FutureState
from .._run.workflow import Workflow
from .faults import no_faults
from .invariants import all_of, check_guarantees, demand
from .points import PointedEngine, Points
from .telling import told
from .timeline import Timeline
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Act = Callable[[Workflow], BaseException | None]
    MakeRun = Callable[[Engine], Awaitable[Workflow]]
    Check = Callable[[Workflow, Timeline], Any]


class InjectedFault(Exception):
    """The exception that `fail_everywhere` raises in a task, by default."""


class BrokenThere(AssertionError):
    """A guarantee or a check did not hold after the interference at one point of a run.

    The message has the point, what was wrong, and the events. The cause is the exception of the
    guarantee or the check.

    Args:
        deed: The interference, as a participle: "cancelled".
        number: The number of the point, from 1.
        points: The descriptions of the points, up to the end of the run.
        timeline: The events of the run.
        problem: The exception of the guarantee or the check.

    Attributes:
        number: The number of the point, from 1.
        timeline: The events of the run.
    """

    def __init__(
        self, deed: str, number: int, points: list[str], timeline: Timeline, problem: BaseException
    ) -> None:
        where = points[number - 1] if number <= len(points) else "after the last"
        super().__init__(f"{deed} at point {number}, {where}: {told(problem)}\n{timeline}")
        self.number: int = number
        self.timeline: Timeline = timeline


async def cancel_everywhere(make_run: MakeRun, check: Check | None = None) -> int:
    """Run a workflow many times, and cancel it at its first point, then at its second, and so on.

    The points are the beginning and each suspension of a task, and each execution event.

        points = await cancel_everywhere(lambda engine: engine.run_once(template, {"n": 1}))

    Args:
        make_run: Starts the workflow in the given engine, and returns the run.
        check: Called after each pass with the run, which is over, and its timeline; may raise.

    Returns:
        The number of points.

    Raises:
        BrokenThere: A guarantee or `check` did not hold after the run was cancelled at a point. One
            guarantee is that the run ends as cancelled, unless it was ending already.
    """
    ending: FutureState | None = None

    def cancel(run: Workflow) -> None:
        nonlocal ending
        ending = run._run.ending
        run.cancel()

    def check_cancelled(run: Workflow, timeline: Timeline) -> Any:
        cancelled = run.state is (ending or FutureState.cancelled)
        demand("G3", cancelled, "it was cancelled, and ended {}", run.state.value)
        return None if check is None else check(run, timeline)

    return await _everywhere("cancelled", make_run, Points, cancel, check_cancelled)


async def act_everywhere(
    make_run: MakeRun, act: Callable[[Workflow], object], check: Check | None = None
) -> int:
    """Run a workflow many times, and act on it at its first point, then at its second, and so on.

    The points are the beginning and each suspension of a task, and each execution event.

    Args:
        make_run: Starts the workflow in the given engine, and returns the run.
        act: Called with the run at the point; the run must still come to an end.
        check: Called after each pass with the run, which is over, and its timeline; may raise.

    Returns:
        The number of points.

    Raises:
        BrokenThere: A guarantee or `check` did not hold after the act at a point.
    """

    def do(run: Workflow) -> None:
        act(run)

    return await _everywhere("disturbed", make_run, Points, do, check)


async def fail_everywhere(
    make_run: MakeRun,
    check: Check | None = None,
    *,
    error: Callable[[], Exception] = lambda: InjectedFault("injected"),
) -> int:
    """Run a workflow many times, with an error at its first point, then at its second, and so on.

    The points are the beginning and each suspension of a task; the task raises the error there.

    Args:
        make_run: Starts the workflow in the given engine, and returns the run.
        check: Called after each pass with the run, which is over, and its timeline; may raise.
        error: Makes the error.

    Returns:
        The number of points.

    Raises:
        BrokenThere: A guarantee or `check` did not hold after the error was raised at a point.
    """

    def fail(run: Workflow) -> Exception:
        del run
        return error()

    points = partial(Points, of_events=False)
    return await _everywhere("an error", make_run, points, fail, check)


async def rescue_everywhere(make_run: MakeRun, *, through_json: bool = True) -> int:
    """Run a workflow many times; abandon it at its first event, then its second, and rescue it.

    At the event the report is taken and the run is thrown away, as if the program had crashed. Then
    the report goes to `Engine.rescue` of another engine. The outcome must be that of an undisturbed
    run, and no task that was over may be run again.

    Args:
        make_run: Starts the workflow in the given engine, and returns the run. Its tasks should do
            the same each time, and may be run again.
        through_json: Whether the reports go through JSON before the rescue.

    Returns:
        The number of events.

    Raises:
        BrokenThere: The run was not rescued after an event, or had another outcome.
    """
    async with PointedEngine(Points()) as engine:
        undisturbed = await made_by(make_run, engine)
        await undisturbed.wait()
    deed = "thrown away"
    for number in itertools.count(1):
        report: dict[str, Any] = {}

        def crash(run: Workflow, report: dict[str, Any] = report) -> None:
            report.update(run.report())
            run.cancel()

        points = Points(number, crash, of_steps=False)
        async with PointedEngine(points) as engine:
            before = Timeline.of(engine)
            run = await made_by(make_run, engine)
            await run.wait()
        if not points.reached:
            return number - 1
        try:
            if through_json:
                report = report_from_json(report_to_json(report))
            await _rescue(run, report, undisturbed)
        except Exception as problem:
            raise BrokenThere(deed, number, points.passed, before, problem) from problem
    raise AssertionError  # unreachable: the count has no end


async def _everywhere(
    deed: str,
    make_run: MakeRun,
    make_points: Callable[[int, Act], Points],
    act: Act,
    check: Check | None,
) -> int:
    for number in itertools.count(1):
        points, timeline = make_points(number, act), Timeline()
        try:
            with no_faults():
                async with PointedEngine(points) as engine:
                    timeline = Timeline.of(engine)
                    run = await made_by(make_run, engine)
                    await run.wait()
            engine.watch.check()
            check_guarantees(run, timeline)
            if not points.reached:
                return number - 1
            if check is not None:
                await result_of(check(run, timeline))
        except Exception as problem:
            raise BrokenThere(deed, number, points.passed, timeline, problem) from problem
    raise AssertionError  # unreachable: the count has no end


async def made_by(make_run: MakeRun, engine: Engine) -> Workflow:
    """Start a run, and return it.

    Raises:
        TypeError: `make_run` has returned something else.
    """
    run = await make_run(engine)
    if not isinstance(run, Workflow):
        msg = f"make_run returned {run!r} - it must return the run it started"
        raise TypeError(msg)
    return run


async def result_of(result: Any) -> Any:
    """Return the result of a check, which may be async."""
    return await result if inspect.isawaitable(result) else result


async def _rescue(run: Workflow, report: dict[str, Any], undisturbed: Workflow) -> None:
    over = set(_over(report))
    async with Engine() as engine:
        watch, timeline = Watch.of(engine), Timeline.of(engine)
        try:
            rescued = await engine.rescue(run.template, report)
        except RescueError:
            # Right if the time limit is used up: such a run cannot be continued.
            if report["timeout"] and report["exec"]["elapsed"] >= report["timeout"]:
                return
            # And if it is over and was undone.
            if report["exec"]["end"] and "ending" in report["exec"]:
                return
            raise
        assert isinstance(rescued, Workflow)
        await rescued.wait()
    watch.check()
    check_guarantees(rescued, timeline)
    begun = {(moment.run, moment.task) for moment in timeline if moment.kind == "task-begin"}
    again = sorted(uid for _, uid in over & begun)
    demand("G11", not again, "run again though they were over: {}\n{}", again, timeline)
    expected, outcome = outcome_of(undisturbed), outcome_of(rescued)
    problem = "the rescued run came to\n{}\ninstead of\n{}\n{}"
    demand("G11", outcome == expected, problem, outcome, expected, timeline)


def _over(report: Any) -> Iterator[tuple[str, str]]:
    """Yield the ids of runs and of their tasks that were over, of children and of items, too."""
    run = report["exec"]["id"]
    for task in report["tasks"]:
        shown = task["exec"] or {"end": None}
        if shown["end"] is not None and shown["state"] != FutureState.cancelled.value:
            yield run, task["id"]
            continue
        items = shown.get("items") or {"done": {}, "failed": {}}
        for place in [*items["done"], *items["failed"]]:
            yield run, f"{task['id']}[{place}]"
        if not task.get("retry"):
            # The next attempt would have another child, which runs all of it.
            for child in children_in(shown):
                yield from _over(child)


def _without_id(told: Any, uid: str) -> Any:
    """Return what is told of an error without the id of the run, which those of children have."""
    if isinstance(told, str):
        return told.replace(uid, "...")
    if isinstance(told, list):
        return [_without_id(one, uid) for one in told]
    if isinstance(told, dict):
        return {key: _without_id(value, uid) for key, value in told.items()}
    return told


def outcome_of(run: Workflow) -> dict[str, Any]:
    """Return the outcome of a run: its state, and the state, output and error of each task.

    The outcome has no times and ids, which differ from run to run, and no tasks that were
    cancelled, which have no outcome.
    """
    errors = run.errors
    tasks: dict[str, Any] = {}
    for step in all_of(run):
        if step.done() and not step.cancelled():
            # Looked up in the errors of the run first: they have errors of a `teardown()`, too.
            error = errors.get(step.template.uid, step.error)
            told = None if error is None else _without_id(described(error), run.uid)
            tasks[step.template.uid] = (step.state.value, step.outputs, told)
    return {"state": run.state.value, "tasks": dict(sorted(tasks.items()))}
