"""`defaults` of a workflow in its runs: limits and retries of tasks that say nothing of them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, states


@pytest.fixture
def begun(task: Tasks) -> list[tuple[float, str]]:
    """Register `nap` (9 s), `fails` and `quick`; give a list of when each has begun."""
    found: list[tuple[float, str]] = []

    def note() -> None:
        found.append((anyio.current_time(), tukio.current_task().template.uid))

    @task
    async def nap(event: tukio.Event) -> None:
        note()
        await anyio.sleep(9)

    @task
    async def fails(event: tukio.Event) -> None:
        note()
        raise OSError

    @task
    async def quick(event: tukio.Event) -> None:
        note()

    return found


async def ended(template: tukio.WorkflowTemplate) -> tuple[Any, float]:
    """Run a workflow to its end; return how long that took, too."""
    async with tukio.Engine() as engine:
        start = anyio.current_time()
        run = await engine.start(template, {})
        await run.wait()
    return run, anyio.current_time() - start


@pytest.mark.parametrize(
    ("defaults", "state", "ok"),
    [
        ({"timeout": 2}, "timeout", False),
        ({"timeout": 2, "on_timeout": "continue"}, "timeout", True),
        ({"timeout": 2, "on_timeout": "fail"}, "exception", False),
        ({"idle_timeout": 2, "on_timeout": "fail"}, "exception", False),
        ({"idle_timeout": 2}, "timeout", False),
    ],
)
async def test_a_limit_of_the_defaults_is_kept(
    begun: Any, defaults: dict[str, Any], state: str, ok: bool
) -> None:
    """As one of the task."""
    run, took = await ended(flow("nap quick", defaults=defaults))
    assert (took, run.ok, states(run)["nap"]) == (2, ok, state)
    assert (states(run)["quick"] == "finished") is (state == "timeout")


@pytest.mark.parametrize("limit", [0, 20, None])
async def test_a_task_that_says_something_is_as_it_says(begun: Any, limit: float | None) -> None:
    """No limit, or another one; null says nothing."""
    template = flow("nap", defaults={"timeout": 2, "on_timeout": "fail"})
    template.tasks[0].timeout = limit
    run, took = await ended(template)
    assert (took, run.ok) == ((2, False) if limit is None else (9, True))


async def test_a_retry_of_the_defaults_is_that_of_each_task(begun: Any) -> None:
    """But for one that has its own."""
    defaults = {"retry": {"attempts": 3, "initial": 1, "factor": 1, "jitter": "none"}}
    template = flow({"quick": ["a", "b"]}, names={"a": "fails", "b": "fails"}, defaults=defaults)
    template.tasks[2].retry = {"attempts": 1}
    run, took = await ended(template)
    assert took == 2
    assert [uid for _, uid in begun] == ["quick", "a", "b", "a", "a"]
    shown = {task["id"]: task["exec"].get("attempts") for task in run.report()["tasks"]}
    assert {uid: len(made or ()) for uid, made in shown.items()} == {"quick": 0, "a": 2, "b": 0}


async def test_a_limit_that_is_followed_by_an_attempt(begun: Any) -> None:
    """All of it said by the defaults."""
    retry = {"attempts": 2, "initial": 1, "jitter": "none"}
    run, took = await ended(
        flow("nap", defaults={"timeout": 2, "on_timeout": "retry", "retry": retry})
    )
    assert (took, len(begun)) == (5, 2)
    assert isinstance(run.errors["nap"], TimeoutError)


async def test_a_report_has_them_apart_and_a_rescue_goes_on_with_them(begun: Any) -> None:
    """The tasks in it are as they were said."""
    retry = {"attempts": 3, "initial": 4, "factor": 1, "jitter": "none"}
    template = flow("fails", defaults={"retry": retry})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(1)
        report: Any = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()
    assert report["defaults"] == {"retry": retry}
    assert "retry" not in report["tasks"][0]
    again = tukio.WorkflowTemplate.from_dict(report)
    async with tukio.Engine() as engine:
        rescued: Any = await engine.rescue(again, report)
        await rescued.wait()
    assert len(begun) == 3
    assert len(rescued.report()["tasks"][0]["exec"]["attempts"]) == 2


async def test_a_run_goes_on_with_those_it_was_made_with(begun: Any) -> None:
    """A change counts for the next one."""
    template = flow("nap", defaults={"timeout": 2})
    async with tukio.Engine() as engine:
        first = await engine.start(template, {})
        template.defaults = {"timeout": 4}
        second = await engine.start(template, {})
        start = anyio.current_time()
        await first.wait()
        assert anyio.current_time() - start == 2
        await second.wait()
        assert anyio.current_time() - start == 4
    assert [one.report()["defaults"]["timeout"] for one in (first, second)] == [2, 4]


async def test_a_run_of_another_template_is_another_run(begun: Any) -> None:
    """Of one id, two starts with other defaults are in conflict."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("nap", defaults={"timeout": 2}), {}, id="one")
        assert await engine.start(flow("nap", defaults={"timeout": 2}), {}, id="one") is run
        with pytest.raises(tukio.IdConflict):
            await engine.start(flow("nap", defaults={"timeout": 3}), {}, id="one")
