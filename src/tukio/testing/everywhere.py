"""A workflow cut off, broken and rescued at every point of it.

Owns:   the passes over a run, one per point, and what each is compared with.
Knows:  the points of a run; nothing of backends or of virtual time.
"""

from __future__ import annotations

import inspect
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

from .._engine.engine import Engine
from .._model.detach import described
from .._model.errors import RescueError
from .._model.report_json import report_from_json, report_to_json
from .._model.state import FutureState
from .._run.workflow import Workflow
from .invariants import check_guarantees, demand
from .points import PointedEngine, Points
from .timeline import Timeline
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Act = Callable[[Workflow], BaseException | None]
    MakeRun = Callable[[Engine], Awaitable[Workflow]]
    Check = Callable[[Workflow, Timeline], Any]


class InjectedFault(Exception):
    """What `fail_everywhere` raises in a task."""


class BrokenThere(AssertionError):
    """A run did not hold what it should when something came in between at one point.

    The cause is what went wrong.

    Args:
        deed: What was done there.
        number: The number of the point, from 1.
        points: What the points were, as far as the run got.
        timeline: What happened.

    Attributes:
        number: The number of the point, from 1.
        timeline: What happened.
    """

    def __init__(self, deed: str, number: int, points: list[str], timeline: Timeline) -> None:
        where = points[number - 1] if number <= len(points) else "after the last"
        super().__init__(f"{deed} at point {number}, {where}:\n{timeline}")
        self.number: int = number
        self.timeline: Timeline = timeline


async def cancel_everywhere(make_run: MakeRun, check: Check | None = None) -> int:
    """Run a workflow again and again, cancelled at its first point, its second, and so on.

    The points are the beginning and each suspension of a task, and each execution event.

        points = await cancel_everywhere(lambda engine: engine.run_once(template, {"n": 1}))

    Args:
        make_run: Starts the workflow in the engine that it is given, and returns the run.
        check: Called after each pass with the run, which is over, and its timeline; may raise.

    Returns:
        How many points there were.

    Raises:
        BrokenThere: A guarantee or `check` did not hold after the run was cancelled at a point; it
            did not end as cancelled, for one, though it was not about to end already.
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
    """Run a workflow again and again, with something done to it at one point after the other.

    The points are the beginning and each suspension of a task, and each execution event.

    Args:
        make_run: Starts the workflow in the engine that it is given, and returns the run.
        act: Called with the run at the point; what it does must let the run end.
        check: Called after each pass with the run, which is over, and its timeline; may raise.

    Returns:
        How many points there were.

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
    """Run a workflow again and again; an error is raised in it at one point after the other.

    The points are the beginning and each suspension of a task; there the error is raised.

    Args:
        make_run: Starts the workflow in the engine that it is given, and returns the run.
        check: Called after each pass with the run, which is over, and its timeline; may raise.
        error: Makes the error.

    Returns:
        How many points there were.

    Raises:
        BrokenThere: A guarantee or `check` did not hold after the error was raised at a point.
    """

    def fail(run: Workflow) -> Exception:
        del run
        return error()

    points = partial(Points, of_events=False)
    return await _everywhere("an error", make_run, points, fail, check)


async def rescue_everywhere(make_run: MakeRun, *, through_json: bool = True) -> int:
    """Run a workflow again and again; stop it after one event after the other, and rescue it.

    At each event the report is taken and the run is thrown away, as if the program had crashed.
    The report goes to `Engine.rescue` of another engine. The outcome must be that of a run that
    was left alone, and no task that was over may be run again.

    Args:
        make_run: Starts the workflow in the engine that it is given, and returns the run. Its
            tasks should do the same each time, and be fit to be run again.
        through_json: Whether the reports go through JSON on their way.

    Returns:
        How many events there were.

    Raises:
        BrokenThere: The run was not rescued after one of them, or came to another outcome.
    """
    async with PointedEngine(Points()) as engine:
        undisturbed = await _made(make_run, engine)
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
            run = await _made(make_run, engine)
            await run.wait()
        if not points.reached:
            return number - 1
        try:
            if through_json:
                report = report_from_json(report_to_json(report))
            await _rescue(run, report, undisturbed)
        except Exception as problem:
            raise BrokenThere(deed, number, points.passed, before) from problem
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
            async with PointedEngine(points) as engine:
                timeline = Timeline.of(engine)
                run = await _made(make_run, engine)
                await run.wait()
            engine.watch.check()
            check_guarantees(run, timeline)
            if not points.reached:
                return number - 1
            result = None if check is None else check(run, timeline)
            if inspect.isawaitable(result):
                await result
        except Exception as problem:
            raise BrokenThere(deed, number, points.passed, timeline) from problem
    raise AssertionError  # unreachable: the count has no end


async def _made(make_run: MakeRun, engine: Engine) -> Workflow:
    run = await make_run(engine)
    if not isinstance(run, Workflow):
        msg = f"make_run returned {run!r} - it must return the run it started"
        raise TypeError(msg)
    return run


async def _rescue(run: Workflow, report: dict[str, Any], undisturbed: Workflow) -> None:
    over = {task["id"] for task in report["tasks"] if task["exec"] and task["exec"]["end"]}
    async with Engine() as engine:
        watch, timeline = Watch.of(engine), Timeline.of(engine)
        try:
            rescued = await engine.rescue(run.template, report)
        except RescueError:
            # Rightly so if nothing is left of its limit.
            if report["timeout"] and report["exec"]["elapsed"] >= report["timeout"]:
                return
            raise
        assert isinstance(rescued, Workflow)
        await rescued.wait()
    watch.check()
    check_guarantees(rescued, timeline)
    again = sorted(over & {moment.task for moment in timeline if moment.kind == "task-begin"})
    demand("G11", not again, "run again though they were over: {}\n{}", again, timeline)
    expected, outcome = outcome_of(undisturbed), outcome_of(rescued)
    problem = "the rescued run came to\n{}\ninstead of\n{}\n{}"
    demand("G11", outcome == expected, problem, outcome, expected, timeline)


def outcome_of(run: Workflow) -> dict[str, Any]:
    """Return what a run came to: its state, and of each task the state, output and error.

    It does not show times and ids, which differ from run to run, nor tasks that were cancelled,
    which came to nothing.
    """
    errors = run.errors
    tasks: dict[str, Any] = {}
    for step in run.tasks:
        if step.done() and not step.cancelled():
            # A task whose teardown failed has an error as well, and ended in another way.
            error = errors.get(step.template.uid) or step.error
            told = None if error is None else described(error)
            tasks[step.template.uid] = (step.state.value, step.outputs, told)
    return {"state": run.state.value, "tasks": dict(sorted(tasks.items()))}
