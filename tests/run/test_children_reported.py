"""A task that is a run of its own: its report, and its rescue."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

import tukio
from support.children import Begun, child_in, ended, inner, outer, since, the_child

# Reports ------------------------------------------------------------------------------------------


async def test_a_report_has_that_of_the_child_while_it_runs(begun: Begun) -> None:
    """And no longer: then the outputs say it all."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        assert child_in(run.report()) == child.report()
        short = run.report(data=False)
        assert child_in(short) == child.report(data=False)
        await run.wait()
    assert child_in(run.report()) is None


@pytest.mark.parametrize("how", ["running", "suspended", "cancelled"])
@pytest.mark.parametrize("through", ["as it is", "our JSON", "any JSON"])
async def test_a_rescue_goes_on_with_the_child(begun: Begun, how: str, through: str) -> None:
    """What is over in the child is not run again, whatever becomes of the first run."""
    middle = {
        "id": "middle",
        "tasks": [{"id": "before", "name": "quick"}, {"id": "m", "workflow": inner()}],
        "graph": {"before": ["m"]},
    }
    template = outer(middle)
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"k": (1, 2)}, id="run")
        await anyio.sleep(0.5)
        if how == "suspended":
            run.suspend()
            await anyio.sleep(1)
        if how == "cancelled":
            run.cancel()
            await run.wait()
        report = run.report()
        run.cancel()
        await run.wait()
        begun.clear()
        if through != "as it is":
            text = tukio.report_to_json(report)
            report = tukio.report_from_json(text) if through == "our JSON" else json.loads(text)
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        assert child_in(again.report())["exec"]["id"] == "run/sub/1"
        await anyio.sleep(0.5)
        assert [one.uid for one in engine.instances] == [
            "run",
            "run/sub/1",
            "run%2Fsub%2F1/m/1",
        ]
        assert the_child(engine).parent is engine.instances[1]
        await again.wait(check=True)
    assert since(begun) == [(0, "nap"), (1, "last")]
    expected = {"k": (1, 2), "first": 1, "before": 1, "in": 1, "nap": 1, "last": 1}
    assert again.output == {"last": expected}


async def test_a_report_of_a_child_that_cannot_go_on_is_refused(begun: Begun) -> None:
    """Before anything starts; the error is about the child."""
    template = outer()
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(template, {}, id="run")
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await run.wait()
        spoilt: list[Any] = [
            {**child_in(report), "id": "other"},
            {**child_in(report), "exec": {}},
            {**child_in(report), "tasks": []},
        ]
        for one in spoilt:
            broken = run.report() | report
            broken["tasks"] = [{**task} for task in report["tasks"]]
            broken["tasks"][1]["exec"] = {**report["tasks"][1]["exec"], "child": one}
            with pytest.raises(tukio.RescueError):
                await engine.rescue(template, broken)
            assert engine.instances == []
        broken["tasks"][1]["exec"]["child"] = 5
        with pytest.raises(tukio.RescueError, match="not the report of a child"):
            await engine.rescue(template, broken)


async def test_a_child_goes_on_without_its_template(begun: Begun) -> None:
    """The report has it; a run that was started keeps its template."""
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(outer(), {})
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await engine.unload("inner")
        await run.wait()
        begun.clear()
        again = await engine.rescue(outer(), report)
        assert isinstance(again, tukio.Workflow)
        await again.wait(check=True)
        assert [uid for _, uid in begun] == ["nap", "last"]
        # What is neither loaded nor there is refused.
        child_in(report).pop("graph")
        child_in(report)["tasks"][0]["name"] = []
        with pytest.raises(tukio.RescueError, match="its template is not loaded"):
            await engine.rescue(outer(), report)


async def test_a_child_whose_time_is_used_up_ends_by_that(begun: Begun) -> None:
    """The rescue of its parent is not refused: the task has failed."""
    template = outer(inner("shields", timeout=0.75))
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        await again.wait()
    assert isinstance(again.errors["sub"], tukio.WorkflowTimedOut)


async def test_a_rescued_attempt_keeps_its_number(begun: Begun) -> None:
    """A retry has its own child, and a rescue finds that one."""
    template = outer(
        inner("flaky nap", on_error="abort"), retry={"attempts": 3, "jitter": "none", "initial": 1}
    )
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"good": 3}, id="run")
        await anyio.sleep(0.5)
        waiting = run.report()
        assert child_in(waiting) is None
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
        assert child_in(report)["exec"]["id"] == "run/sub/2"
        begun.clear()
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        await anyio.sleep(0.5)
        assert the_child(engine).uid == "run/sub/2"
        await again.wait(check=True)
    assert [uid for _, uid in begun] == ["nap", "last"]


async def test_a_kept_report_without_data_has_none_at_any_depth(begun: Begun) -> None:
    """Of a task that was cancelled the report is kept, and its child has one."""
    middle = {"id": "middle", "tasks": [{"id": "m", "workflow": inner()}]}
    run = await ended(outer(middle), {"k": "SECRET"}, act=lambda run, _: run.cancel())
    whole, short = run.report(), run.report(data=False)
    assert "SECRET" in str(child_in(whole)["tasks"][0]["exec"]["child"])
    assert "SECRET" not in str(short)
    state = child_in(short)["tasks"][0]["exec"]["child"]["exec"]["state"]
    assert state == "cancelled"
    assert run.report() == whole
    child_in(whole)["tasks"].clear()
    assert child_in(run.report())["tasks"]
