"""G11: a random run is thrown away at a random moment, and rescued from its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from hypothesis import given, strategies as st

import tukio
from support.hurry import hurry
from support.profiles import many
from tukio.testing import Timeline, check_guarantees, outcome_of, play
from tukio.testing.clock import run
from tukio.testing.points import PointedEngine, Points
from tukio.testing.strategies import histories, workflow_templates
from tukio.testing.watch import Watch

from .model import HORIZON
from .test_engine_is_model import DATA, HERE

if TYPE_CHECKING:
    from tukio.testing import Action

    from .parts import Data

OVER = {state.value for state in tukio.FutureState if state.done()}


async def thrown_away(template: Data, history: list[Action], moment: int) -> Data | None:
    """Return the report at one event of the first run, through JSON; None if it ended before."""
    reports: list[Data] = []

    def crash(one: tukio.Workflow) -> None:
        reports.append(through_json(one))
        one.cancel()

    hurry()
    points = Points(moment, crash, of_steps=False)
    await play(template, history, DATA, engine=PointedEngine(points))
    return reports[0] if reports else None


def through_json(one: tukio.Workflow) -> Data:
    """Return the report of a run, as it is read from a file."""
    return tukio.report_from_json(tukio.report_to_json(one.report()))


def is_cancelled(execution: Data) -> bool:
    """Return whether an execution in a report was cancelled."""
    return bool(execution["state"] == tukio.FutureState.cancelled.value)


def items_over(task: Data) -> set[str]:
    """Return the ids of the items of a task in a report that are over, and not to be run again."""
    items = task["exec"] and task["exec"].get("items")
    places = [*items["failed"], *items.get("done", ())] if items else []
    return {f"{task['id']}[{place}]" for place in places}


async def rescued(template: Data, report: Data) -> tuple[tukio.Workflow, Timeline] | None:
    """Go on with a run, and check it all the while; None if nothing is left of its limit."""
    hurry()
    async with tukio.Engine() as engine:
        watch, timeline = Watch.of(engine), Timeline.of(engine)
        try:
            again = await engine.rescue(tukio.WorkflowTemplate.from_dict(template), report)
        except tukio.RescueError:
            assert report["exec"]["elapsed"] >= template["timeout"]
            return None
        assert isinstance(again, tukio.Workflow)
        with anyio.move_on_after(HORIZON):
            await again.wait()
        again.cancel()
    watch.check()
    check_guarantees(again, timeline)
    return again, timeline


@many(300)
@given(template=workflow_templates(), history=histories(), moment=st.integers(1, 20))
def test_g11_a_random_run_is_rescued_at_any_moment(
    template: Data, history: list[Action], moment: int
) -> None:
    """What was over stays as it was, the rest comes to its end; and so it does once more."""
    for backend in HERE:
        report = run(thrown_away, template, history, moment, backend=backend)
        if report is None:
            continue
        again = run(rescued, template, report, backend=backend)
        if again is None:
            continue
        final = through_json(again[0])
        shown = {task["id"]: task["exec"] for task in final["tasks"]}
        begun = {moment.task for moment in again[1] if moment.kind == "task-begin"}
        for task in report["tasks"]:
            if task["exec"] and task["exec"]["state"] in OVER:
                assert shown[task["id"]] == task["exec"]
            assert not items_over(task) & begun
        # A task that was cancelled is run again by each rescue.
        is_whole = not any(task["exec"] and is_cancelled(task["exec"]) for task in final["tasks"])
        if again[0].state is tukio.FutureState.finished and is_whole:
            once_more = run(rescued, template, final, backend=backend)
            assert once_more
            assert outcome_of(once_more[0]) == outcome_of(again[0])
            assert "task-begin" not in {moment.kind for moment in once_more[1]}
