"""Any workflow with mapped tasks, any history: the guarantees hold on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import given, strategies as st

import tukio
from support.hurry import hurry
from support.maps import LIST, mapped_templates
from support.profiles import many
from support.silence import silence
from tukio.testing import actors, play
from tukio.testing.clock import BACKENDS, is_available, run as run_on
from tukio.testing.strategies import histories

if TYPE_CHECKING:
    from tukio.testing import Action

HERE = [name for name in BACKENDS if is_available(name)]
DATA = {"items": [*LIST, [3]]}
TEMPLATES = mapped_templates(max_tasks=3)


async def played(template: Any, history: list[Action]) -> list[dict[str, Any]]:
    """Play a template, and return what its runs came to."""
    hurry()
    done = await play(template, history, DATA)
    for run in done.runs:
        for step in run.tasks:
            work = None if step._extras is None else step._extras.items
            if work is None:
                continue
            # Nothing is left of an item when its task is over, and each has come to one end.
            assert not work.open
            assert not work.earlier
            items = work.items
            assert not items.failed.keys() & items.cancelled
            if step.state.value == "finished":
                [results] = [step.outputs[step.run.plan.shape.mapped(step.number).mapped.into]]
                assert len(results) == items.total
                assert items.went_wrong <= work.allowed
    return [run.report(data=False) for run in done.runs]


@many(300)
@given(template=TEMPLATES, history=histories())
def test_the_guarantees_hold_with_maps(template: Any, history: list[Action]) -> None:
    """Whatever is done to the runs, and whenever."""
    with silence(), actors():
        for backend in HERE:
            run_on(played, template, history, backend=backend)


async def rescued(template: Any, moment: int) -> None:
    """Take a report at a moment, throw the run away, and go on from there."""
    hurry()
    async with tukio.Engine() as engine:
        run = await engine.start(template, DATA)
        for _ in range(moment):
            if run.state.value == "pending":
                await anyio.sleep(0.5)
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()
    if report["exec"]["start"] is None:
        return
    over = {
        (task["id"], place)
        for task in report["tasks"]
        if task["exec"] and task["exec"]["state"] == "pending" and "items" in task["exec"]
        for place in task["exec"]["items"]["done"]
    }
    begun: list[str] = []
    async with tukio.Engine() as engine:

        def note(event: tukio.Event) -> None:
            if event.data["type"] == "task-begin" and event.source is not None:
                begun.append(str(event.source.task_template_id))

        engine.broker.register(note, tukio.EXEC_TOPIC)
        try:
            again = await engine.rescue(template, report)
        except tukio.RescueError:
            return
        await again.wait()
    assert not {f"{uid}[{place}]" for uid, place in over} & {*begun}


@many(150)
@given(template=TEMPLATES, moment=st.integers(0, 20))
def test_a_rescue_runs_no_item_again_that_is_over(template: Any, moment: int) -> None:
    """Whenever the report was taken."""
    template = {**template, "timeout": 40}
    with silence(), actors():
        for backend in HERE:
            run_on(rescued, template, moment, backend=backend)


def test_what_is_drawn_has_no_faults() -> None:
    """A join is never mapped."""

    @given(template=TEMPLATES)
    def check(template: Any) -> None:
        tukio.WorkflowTemplate.from_dict(template)

    check()
