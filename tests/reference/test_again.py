"""A random run that is over is run again from what went wrong, by the report of a new run."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from hypothesis import assume, given

import tukio
from support.hurry import hurry
from support.keeping import KeepingEngine
from support.profiles import many
from tukio.testing import play
from tukio.testing.clock import run
from tukio.testing.strategies import histories, workflow_templates

from .test_engine_is_model import DATA, HERE
from .test_rescue import rescued, through_json

if TYPE_CHECKING:
    from tukio.testing import Action

    from .parts import Data


async def played(template: Data, history: list[Action]) -> Data | None:
    """Return the report of the first run when it is over; None if it never started."""
    hurry()
    engine = KeepingEngine()
    await play(template, history, DATA, engine=engine)
    first = engine.kept[0][0]
    return None if first._run.started_at is None else through_json(first)


@many(150)
@given(template=workflow_templates(), history=histories())
def test_what_is_kept_never_runs_and_all_else_comes_to_its_end(
    template: Data, history: list[Action]
) -> None:
    """Only what went wrong, and what comes after it, begins; the old report is as it was."""
    for backend in HERE:
        report = run(played, template, history, backend=backend)
        assume(report is not None)
        assert report is not None
        before = deepcopy(report)
        try:
            fresh = tukio.again(report)
        except (ValueError, tukio.RescueError):
            # Nothing went wrong, or the root was never due.
            continue
        assert report == before
        kept = {task["id"]: task["exec"] for task in fresh["tasks"] if task["exec"]}
        again = run(rescued, template, fresh, backend=backend)
        assert again
        final = again[0].report()
        begun = {moment.task for moment in again[1] if moment.kind == "task-begin"}
        for task in through_json(again[0])["tasks"]:
            uid = task["id"]
            if uid in kept and kept[uid]["end"] is not None:
                assert task["exec"] == kept[uid]
                assert uid not in begun
        assert final["exec"]["forked_from"] == report["exec"]["id"] != final["exec"]["id"]
