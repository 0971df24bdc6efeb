"""Tasks that wait for several parents, in runs: routing, failures, suspension, rescue, replay."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, execution, flow, kinds, listen, states, step_of
from tukio.testing import replay

if TYPE_CHECKING:
    from collections.abc import Mapping

DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["e"]}
FINISHED = tukio.FutureState.finished


@pytest.fixture(autouse=True)
def work(task: Tasks) -> None:
    """Register `work`: it does what the data it begins with says of its task."""

    @task
    async def work(event: tukio.Event) -> dict[str, Any] | None:
        me = tukio.current_task()
        does = event.data.get("does", {}).get(me.template.uid, {})
        await anyio.sleep(does.get("seconds", 0))
        if "to" in does:
            tukio.current_workflow().set_next_tasks(does["to"])
        if does.get("fails"):
            raise LookupError(me.template.uid)
        if does.get("skips"):
            raise tukio.SkipTask("nothing to do")
        return event.data | {me.template.uid: 1}


def template_of(
    graph: Mapping[str, list[str]] = DIAMOND, **keys: Mapping[str, Any]
) -> tukio.WorkflowTemplate:
    """Return a template of `work`; further keys of tasks by their ids."""
    document = flow(graph).as_dict()
    for one in document["tasks"]:
        one.update({"name": "work", **keys.get(one["id"], {})})
    return tukio.WorkflowTemplate.from_dict(document)


async def begun(
    engine: tukio.Engine, template: tukio.WorkflowTemplate, **does: Mapping[str, Any]
) -> tukio.Workflow:
    """Start a run; what each task does by its id."""
    run = await engine.run_once(template, {"does": does})
    assert isinstance(run, tukio.Workflow)
    return run


async def ended(template: tukio.WorkflowTemplate, **does: Mapping[str, Any]) -> tukio.Workflow:
    """Run a workflow to its end; what each task does by its id."""
    async with tukio.Engine() as engine:
        run = await begun(engine, template, **does)
        await run.wait()
    return run


def inputs(run: tukio.Workflow, uid: str) -> set[str]:
    """Return the tasks whose data a task began with."""
    return {*execution(run, uid)["inputs"]} - {"does"}


@pytest.mark.parametrize("join", ["all", "settled", 2])
async def test_it_begins_when_all_have_come(join: str | int) -> None:
    """Once, with the data of both, at the end of the later one."""
    story: list[Any]
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await begun(engine, template_of(d={"join": join}), b={"seconds": 3})
        await run.wait()
    assert inputs(run, "d") == {"a", "b", "c"}
    assert kinds(story).index("task-begin d") == kinds(story).index("task-end b") + 1
    assert kinds(story).count("task-begin d") == 1
    assert execution(run, "d")["start"] == execution(run, "b")["end"]


@pytest.mark.parametrize("collect", ["first", "merge", "all"])
async def test_what_it_begins_with(collect: str) -> None:
    """The source of its event is the parent that came last."""
    template = template_of(
        {"a": ["b", "c"], "b": ["d"], "c": ["d"]}, d={"join": "all", "collect": collect}
    )
    run = await ended(template, b={"seconds": 3})
    found = execution(run, "d")["inputs"]
    expected = {"first": {"does", "a", "c"}, "merge": {"does", "a", "b", "c"}, "all": {"b", "c"}}
    assert found.keys() == expected[collect]


@pytest.mark.parametrize(
    ("join", "follows"), [("first", True), ("all", False), ("settled", True), (1, True), (2, True)]
)
@pytest.mark.parametrize("seconds", [0, 3])
async def test_a_parent_fails(join: str | int, seconds: int, *, follows: bool) -> None:
    """With `all` the task never begins; the run is over, and has the error (G7)."""
    does = {"fails": True, "seconds": seconds}
    run = await ended(template_of(d={"join": join}), b=does, c={"seconds": 1})
    assert states(run)["d"] == ("finished" if follows else None)
    assert states(run)["e"] == ("finished" if follows else None)
    assert run.state is FINISHED
    assert run.errors.keys() == {"b"}


@pytest.mark.parametrize("join", ["all", "settled", 2])
@pytest.mark.parametrize("does", [{"skips": True}, {"seconds": 9}], ids=["skips", "times out"])
async def test_a_parent_that_leads_on_has_come(join: str | int, does: dict[str, Any]) -> None:
    """One that is skipped or past its limit passes its inputs on, as in 1.x."""
    template = template_of(b={"timeout": 1}, d={"join": join})
    run = await ended(template, b=does)
    assert inputs(run, "d") == {"a", "c"}


@pytest.mark.parametrize("join", ["all", "settled", 2])
async def test_a_route_leaves_a_parent_out(join: str | int) -> None:
    """It is not waited for; this is how an `if` comes together again."""
    run = await ended(template_of(d={"join": join}), a={"to": ["c"]})
    assert states(run) == {
        "a": "finished",
        "b": None,
        "c": "finished",
        "d": "finished",
        "e": "finished",
    }


@pytest.mark.parametrize(("join", "state"), [("all", None), ("settled", "finished")])
async def test_a_parent_is_cancelled_alone(join: str, state: str | None) -> None:
    """It does not come, as one that failed."""
    async with tukio.Engine() as engine:
        run = await begun(engine, template_of(d={"join": join}), b={"seconds": 9})
        await anyio.sleep(1)
        step_of(run, "b").cancel()
        await run.wait()
    assert states(run)["d"] == state


async def test_one_that_comes_late_is_in_the_queue(task: Tasks) -> None:
    """A task that goes on with some of its parents gets the others while it is at work."""
    heard: list[tukio.Event] = []

    @task
    class reads(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            assert self.queue is not None
            heard.append(await self.queue.get())

    await ended(template_of(d={"name": "reads", "join": 1}), b={"seconds": 1})
    (event,) = heard
    assert event.source is not None
    assert event.source.task_template_id == "b"
    assert "b" in event.data


async def test_its_parents_are_those_that_came(task: Tasks) -> None:
    """`parents()` yields each with its data, and then those that come while it is at work."""
    came: list[str] = []

    @task
    async def collect(event: tukio.Event) -> None:
        async for uid, data in tukio.current_task().parents():
            assert uid in data
            came.append(uid)

    graph = {"a": ["b", "c", "x"], "b": ["d"], "c": ["d"], "x": ["d"]}
    template = template_of(graph, d={"name": "collect", "join": 2})
    await ended(template, b={"seconds": 2}, c={"seconds": 1}, x={"seconds": 3})
    assert came == ["c", "b", "x"]


@pytest.mark.parametrize("at", [0.5, 1.5, 2.5, 3.5])
@pytest.mark.parametrize("join", ["all", "settled", 2, 1])
async def test_a_run_that_is_suspended_goes_on(join: str | int, at: float) -> None:
    """Who has come has come; the task runs once, or again with the same data if it was at work."""
    template = template_of(d={"join": join})
    does = {"b": {"seconds": 1}, "c": {"seconds": 2}, "d": {"seconds": 1}}
    async with tukio.Engine() as engine:
        run = await begun(engine, template, **does)
        await anyio.sleep(at)
        run.suspend()
        await anyio.sleep(10)
        run.resume()
        await run.wait()
    expected = {"a", "b"} if join == 1 else {"a", "b", "c"}
    assert inputs(run, "d") == expected
    assert states(run)["e"] == "finished"


@pytest.mark.parametrize("at", [0.5, 1.5, 2.5, 3.5])
@pytest.mark.parametrize("join", ["all", "settled", 2, 1])
async def test_a_run_is_rescued(join: str | int, at: float) -> None:
    """The reports have the order of ends; who has come is not waited for again (G11)."""
    template = template_of(d={"join": join})
    does = {"b": {"seconds": 1}, "c": {"seconds": 2}, "d": {"seconds": 1}}
    async with tukio.Engine() as engine:
        run = await begun(engine, template, **does)
        await anyio.sleep(at)
        text = tukio.report_to_json(run.report())
        run.cancel()
        await run.wait()
    async with tukio.Engine() as engine:
        again = await engine.rescue(template, tukio.report_from_json(text))
        assert isinstance(again, tukio.Workflow)
        await again.wait()
    assert inputs(again, "d") == ({"a", "b"} if join == 1 else {"a", "b", "c"})
    assert set(states(again).values()) == {"finished"}
    await replay(again.report())


async def test_a_rescue_knows_that_it_had_begun_without_a_parent() -> None:
    """A parent that was cancelled alone is run again; the task that went on without it is not."""
    template = template_of(d={"join": "settled"})
    async with tukio.Engine() as engine:
        run = await begun(engine, template, b={"seconds": 9}, e={"seconds": 9})
        await anyio.sleep(1)
        step_of(run, "b").cancel()
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
    assert execution(run, "d")["state"] == "finished"
    async with tukio.Engine() as engine:
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        await again.wait()
    assert states(again) == dict.fromkeys("abcde", "finished")
    assert inputs(again, "d") == inputs(again, "e") - {"d"} == {"a", "c"}


@pytest.mark.parametrize("fails_first", [True, False])
async def test_a_rescue_knows_that_it_had_begun_before_it_gained_a_parent(
    *, fails_first: bool
) -> None:
    """Though that parent can never come: what was reached was not out of reach."""
    graph = {"a": ["x", "b", "c"], "b": ["d"], "c": ["e"], "d": ["e"]}
    keys = {"d": {"join": "all"}, "e": {"join": "all"}}
    does = {
        "x": {"fails": True, "seconds": 1 if fails_first else 2},
        "b": {"seconds": 2 if fails_first else 1},
        "c": {"seconds": 20},
        "d": {"seconds": 9},
    }
    async with tukio.Engine() as engine:
        run = await begun(engine, template_of(graph, **keys), **does)
        await anyio.sleep(3)
        report = run.report()
        run.cancel()
        await run.wait()
    assert execution(run, "d")["start"] is not None
    gained = template_of(graph | {"x": ["new"], "new": ["d"]}, **keys)
    async with tukio.Engine() as engine:
        again = await engine.rescue(gained, report)
        assert isinstance(again, tukio.Workflow)
        await again.wait()
    expected: dict[str, str | None] = dict.fromkeys("abcde", "finished")
    assert states(again) == expected | {"x": "exception", "new": None}
    assert inputs(again, "e") == {"a", "b", "c", "d"}


async def test_a_failure_still_counts_after_a_rescue() -> None:
    """`all` stays never due."""
    template = template_of(d={"join": "all"})
    async with tukio.Engine() as engine:
        run = await begun(engine, template, b={"fails": True}, c={"seconds": 9})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
    async with tukio.Engine() as engine:
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        await again.wait()
    assert states(again)["c"] == "finished"
    assert states(again)["d"] is None


@pytest.mark.parametrize("join", ["all", "settled", 2])
async def test_nothing_begins_in_a_run_that_is_cancelled(join: str | int) -> None:
    """A parent that is cut settles its link; the task does not even become due (G3)."""
    async with tukio.Engine() as engine:
        run = await begun(engine, template_of(d={"join": join}), b={"seconds": 9})
        await anyio.sleep(1)
        run.cancel()
        await run.wait()
    assert states(run)["d"] is None


async def test_an_abort_begins_nothing() -> None:
    """The failure that aborts a run settles a link, too."""
    document = template_of(d={"join": "settled"}).as_dict() | {"on_error": "abort"}
    template = tukio.WorkflowTemplate.from_dict(document)
    run = await ended(template, b={"fails": True, "seconds": 1})
    assert run.state is tukio.FutureState.exception
    assert execution(run, "d") is None or execution(run, "d")["start"] is None


async def test_loading_tells_of_a_task_that_does_not_say(caplog: pytest.LogCaptureFixture) -> None:
    """Two arrows into a task do not wait by themselves: this is said once, with the remedy."""
    caplog.set_level(logging.WARNING, "tukio")
    graph = DIAMOND | {"a": ["b", "c", "e"]}
    async with tukio.Engine() as engine:
        await engine.load(template_of(graph, e={"join": "first"}))
        await engine.reload([template_of(d={"join": "all"})])
        await engine.load(template_of(graph))
    problem = "not said: the task starts with the first of its 2 parents that ends"
    advice = "write 'join': 'all' to wait for all, or 'join': 'first' if that is meant"
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"workflow flow, tasks[4].join: {problem} - {advice}",
        f"workflow flow, tasks[3].join: {problem} - {advice}; 1 more in template.warnings()",
    ]
