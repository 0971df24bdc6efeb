"""G11: a rescued run goes on by itself, from any moment, and comes to the same outcome."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import pytest

import tukio
from support.flow import flow
from support.gallery import WORKFLOWS, register_tasks
from support.hurry import hurry
from tukio.testing import Timeline, outcome_of, rescue_everywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


def every_workflow(test: Any) -> Any:
    """Run a test for each workflow of the gallery."""
    return pytest.mark.in_turn(pytest.mark.parametrize("name", WORKFLOWS)(test))


@pytest.mark.parametrize("through_json", [False, True], ids=["live", "json"])
@every_workflow
async def test_g11_a_run_is_rescued_after_every_event(
    task: Tasks, name: str, through_json: bool
) -> None:
    """Each time it comes to the outcome of a run that was left alone."""
    register_tasks(task)

    async def make_run(engine: tukio.Engine) -> Any:
        hurry()
        return await engine.run_once(WORKFLOWS[name], {"in": 0})

    events = await rescue_everywhere(make_run, through_json=through_json)
    assert events >= 4


async def suspended(engine: tukio.Engine, name: str) -> Any:
    """Start a run that is suspended and resumed several times."""
    hurry()
    run: Any = await engine.run_once(WORKFLOWS[name], {"in": 0})
    for seconds in (0, 0.5, 0.75):
        await anyio.sleep(seconds)
        run.suspend()
        await anyio.sleep(10 * seconds)
        run.resume()
    return run


# Being suspended uses up the limit of a workflow, so that it comes to another outcome.
@pytest.mark.in_turn
@pytest.mark.parametrize("name", [name for name in WORKFLOWS if not WORKFLOWS[name].timeout])
async def test_g11_a_run_that_was_suspended_is_rescued_after_every_event(
    task: Tasks, name: str
) -> None:
    """Also right after it was suspended, and right after it was resumed."""
    register_tasks(task)
    events = await rescue_everywhere(partial(suspended, name=name))
    assert events >= 5


@pytest.mark.parametrize(
    ("seconds", "again"),
    [(0.5, "a x b c y"), (1.5, "x b c y"), (2.5, "x c y"), (3.5, "x y")],
    ids=["in a", "in b", "in c", "over"],
)
async def test_g11_a_run_whose_template_has_gained_tasks_is_rescued(
    task: Tasks, seconds: float, again: str
) -> None:
    """They run as if they had been there from the start, with what those before had returned."""
    register_tasks(task)
    names = dict.fromkeys("abc", "slow") | dict.fromkeys("xy", "quick")
    grown = flow({"a": ["x", "b"], "b": ["c"], "c": ["y"]}, names=names)
    async with tukio.Engine() as engine:
        from_the_start: Any = await engine.run_once(grown, {"in": 0})
        run: Any = await engine.run_once(flow("a b c", names=names), {"in": 0})
        await anyio.sleep(seconds)
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()

    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        rescued: Any = await engine.rescue(grown, report)
        assert await rescued.wait() is tukio.FutureState.finished
    begun = [moment.task for moment in timeline if moment.kind == "task-begin"]
    assert sorted(map(str, begun)) == sorted(again.split())
    assert rescued.outputs == from_the_start.outputs


async def test_g11_a_run_that_is_still_in_progress_is_not_rescued(task: Tasks) -> None:
    """It would be there twice; when it is over, nothing is in the way."""
    register_tasks(task)
    template = flow("a", names={"a": "slow"})
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(0.5)
        report = run.report()
        for _ in range(2):
            with pytest.raises(tukio.RescueError, match="still in progress"):
                await engine.rescue(template, report)
            run.suspend()
        assert engine.instances == [run]
        run.cancel()
        await run.wait()
        rescued: Any = await engine.rescue(template, report)
        assert await rescued.wait() is tukio.FutureState.finished


async def test_g11_a_clean_up_that_failed_does_not_abort_a_rescued_run(task: Tasks) -> None:
    """It did not abort the run before: only a task that fails does (G5)."""

    @task
    class spoilt(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(9)

        def teardown(self) -> None:
            raise LookupError("spoilt")

    @task
    async def nap(event: tukio.Event) -> None:
        await anyio.sleep(1)

    template = flow("spoilt nap", limits={"spoilt": 2}, on_error="abort")
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(2.5)
        report = run.report()
        assert await run.wait() is tukio.FutureState.finished
    async with tukio.Engine() as engine:
        rescued: Any = await engine.rescue(template, report)
        assert await rescued.wait() is tukio.FutureState.finished
    assert outcome_of(rescued) == outcome_of(run)


@pytest.mark.parametrize("on_error", ["continue", "abort"])
async def test_g11_a_failed_task_without_an_error_is_one_that_failed(
    task: Tasks, on_error: str
) -> None:
    """Reports of 1.x have no errors; the run ends by it all the same."""

    @task
    async def fail(event: tukio.Event) -> None:
        raise ValueError

    template = flow("fail")
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()
        report = run.report()
        del report["tasks"][0]["exec"]["error"]
        rescued: Any = await engine.rescue(flow("fail", on_error=on_error), report)
        ending = await rescued.wait()

    assert ending.value == ("exception" if on_error == "abort" else "finished")
    assert "does not say" in str(rescued.errors["fail"])


@pytest.mark.parametrize("read", [json.loads, tukio.report_from_json])
async def test_g11_a_report_is_rescued_whoever_has_read_its_text(
    task: Tasks, read: Callable[[str], Any]
) -> None:
    """A database or a web framework hands back what a JSON parser made: never data with our tags.

    The next task gets times in their zones, of the same behaviour, and all else as it was; data of
    the user's own that looks like one of our forms, too.
    """
    zone = ZoneInfo("Europe/Paris")
    data = {
        "day": datetime(2026, 3, 28, 12, tzinfo=zone),
        "hour": datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=1),
        "pair": (1, Decimal("1.10")),
        "alike": {"$tukio": "set", "value": [1]},
    }
    got: list[dict[str, Any]] = []

    @task
    async def make(event: tukio.Event) -> dict[str, Any]:
        return data

    @task
    async def wait(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def look(event: tukio.Event) -> None:
        got.append(event.data)

    template = flow("make wait look")
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(0.5)
        text = tukio.report_to_json(run.report())
        run.cancel()
        await run.wait()
        rescued: Any = await engine.rescue(template, read(text))
        await rescued.wait()

    assert got == [data]
    assert got[0]["hour"].fold == 1
    assert got[0]["day"] + timedelta(1) == data["day"] + timedelta(1)  # type: ignore[operator]
    assert type(got[0]["pair"]) is tuple


async def test_g11_data_with_our_tags_in_it_starts_nothing(task: Tasks) -> None:
    """Where the key is missing that says that a report is one of JSON, it is refused."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {"pair": (1, 2)})
        await anyio.sleep(0.5)
        report = json.loads(tukio.report_to_json(run.report()))
        run.cancel()
        await run.wait()
        del report["$tukio"]
        with pytest.raises(
            tukio.RescueError, match=r"tasks\[0\]\.exec\.inputs\.pair is in the form"
        ):
            await engine.rescue(flow("a"), report)
        assert engine.instances == []
