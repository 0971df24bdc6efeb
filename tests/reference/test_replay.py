"""The report of a random run, taken at a random moment, is replayed on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given, strategies as st

from support.hurry import hurry
from support.profiles import many
from tukio.testing import play, replay
from tukio.testing.clock import run
from tukio.testing.points import PointedEngine, Points
from tukio.testing.strategies import histories, workflow_templates

from .test_engine_is_model import DATA, HERE
from .test_rescue import through_json

if TYPE_CHECKING:
    import tukio
    from tukio.testing import Action

    from .parts import Data


async def reports(template: Data, history: list[Action], moment: int) -> list[Data]:
    """Return the report at one event of the first run, and those of all runs in the end."""
    found: list[Data] = []

    def note(one: tukio.Workflow) -> None:
        found.append(through_json(one))

    hurry()
    points = Points(moment, note, of_steps=False)
    played = await play(template, history, DATA, engine=PointedEngine(points))
    return found + [one.report() for one in played.runs]


async def replay_all(found: list[Data]) -> None:
    """Replay some reports."""
    hurry()
    for report in found:
        if report["exec"]["start"] and any(task["exec"] for task in report["tasks"]):
            await replay(report)


LATE = {"seconds": 1, "when_cut": "skip", "shields": 1, "teardown": "dict"}


@many(200)
# An error of a task that is past its limit, beside what its clean-up returns.
@example(
    {
        "id": "late",
        "policy": "start-new",
        "topics": [],
        "tasks": [{"id": "a", "name": "actor", "config": LATE, "timeout": 1}],
        "graph": {"a": []},
    },
    [],
    1,
)
@given(template=workflow_templates(), history=histories(), moment=st.integers(1, 20))
def test_a_report_of_a_random_run_is_replayed(
    template: Data, history: list[Action], moment: int
) -> None:
    """What is recorded of the engine is what the engine does."""
    for backend in HERE:
        found = run(reports, template, history, moment, backend=backend)
        for other in HERE:
            run(replay_all, found, backend=other)
