"""A mapped task that is a workflow: each item of its list is a run of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import listen, step_of
from support.maps import execution, results
from tukio.errors import TaskCancelled, WorkflowFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


@pytest.fixture(autouse=True)
def begun(task: Tasks) -> list[Any]:
    """Register what the children run; return which item has begun which task."""
    begun: list[Any] = []

    def note(event: tukio.Event) -> None:
        begun.append(
            (event.data.get("n", event.data.get("item")), tukio.current_task().template.uid)
        )

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        note(event)
        return {**event.data, "quick": 1}

    @task
    async def nap(event: tukio.Event) -> dict[str, Any]:
        note(event)
        await anyio.sleep(event.data.get("takes", 1))
        if event.data.get("bad"):
            raise ValueError(event.data["n"])
        return {"twice": event.data["n"] * 2}

    @task
    async def shields(event: tukio.Event) -> dict[str, Any]:
        note(event)
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
        return {}

    @task
    async def fine(event: tukio.Event) -> None: ...

    return begun


def child(last: Any = "nap", **fields: Any) -> dict[str, Any]:
    """Return the document of the runs: a task that ends at once, and another one."""
    tasks = [{"id": "x", "name": "quick"}, {"id": "y", "name": last}]
    return {"id": "child", "tasks": tasks, "graph": {"x": ["y"]}, "on_error": "abort", **fields}


def mapped(workflow: Any = None, keys: Any = None, **words: Any) -> dict[str, Any]:
    """Return a workflow whose first task is a map of workflows; the last one has the results."""
    each = {"id": "each", "workflow": workflow or child(), "map": {"over": "$.list", **words}}
    tasks = [each | (keys or {}), {"id": "end", "name": "fine"}]
    return {"id": "mapped", "policy": "start-new", "tasks": tasks, "graph": {"each": ["end"]}}


def items(*more: dict[str, Any], count: int = 3) -> dict[str, Any]:
    """Return the data of a run: a list of items, with some in the place of the first ones."""
    plain = [{"n": number} for number in range(count)]
    return {
        "list": [{**one, **extra} for one, extra in zip(plain, more, strict=False)]
        + plain[len(more) :]
    }


def children_of(run: Any, engine: tukio.Engine) -> list[Any]:
    """Return the children of a run that are alive."""
    return [one for one in engine.instances if one.parent is run]


async def ended(
    template: Any, data: Any, act: Callable[[Any], object] | None = None, after: float = 0.5
) -> Any:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(template, data, id="r")
        if act is not None:
            await anyio.sleep(after)
            act(run)
        await run.wait()
        assert len(engine.instances) == 0
    return run


def seconds(run: Any, uid: str = "each") -> float:
    """Return how long a task has taken."""
    step = step_of(run, uid)
    return float(step.ended_at - step.started_at)


# What comes of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "takes"), [(None, 1), (2, 2), (1, 3)])
async def test_each_item_is_a_run(begun: list[Any], limit: int | None, takes: float) -> None:
    """Its child gets the item, and hands over the result; no more at once than the limit."""
    run = await ended(mapped(limit=limit), items())
    assert results(run) == [{"twice": 0}, {"twice": 2}, {"twice": 4}]
    assert (run.status, seconds(run)) == ("finished", takes)
    assert sorted(begun) == [(n, uid) for n in range(3) for uid in "xy"]


async def test_the_template_may_be_a_loaded_one() -> None:
    """It is looked for when an item begins; without it the item has failed."""
    async with tukio.Engine() as engine:
        await engine.load(child())
        run: Any = await engine.start(mapped("child"), items())
        await run.wait(check=True)
        await engine.unload("child")
        other: Any = await engine.start(mapped("child", tolerate="all"), items())
        await other.wait()
    assert len(results(run)) == 3
    assert [type(error) for error in other.errors.values()] == [LookupError] * 3
    assert results(other) == [None] * 3


async def test_an_item_that_is_no_dict() -> None:
    """It comes as `item`, as in any map; a child without an output has its inputs for result."""
    only = {"id": "only", "tasks": [{"id": "x", "name": "fine"}]}
    run = await ended(mapped(only), {"list": ["a", 2, None]})
    assert results(run) == [{"item": "a"}, {"item": 2}, {"item": None}]


async def test_an_empty_list() -> None:
    """No child at all."""
    run = await ended(mapped(), {"list": []})
    assert (results(run), run.status) == ([], "finished")


async def test_ids_and_events() -> None:
    """Each child is in the engine's instances, by the id of its item."""
    async with tukio.Engine() as engine:
        told = listen(engine)
        run: Any = await engine.start(mapped(limit=2), items(), id="r/1")
        await anyio.sleep(0.5)
        ids = [one.uid for one in children_of(run, engine)]
        assert (ids, run.status) == (["r%2F1/each[0]/1", "r%2F1/each[1]/1"], "waiting")
        await run.wait(check=True)
    own = [(kind, uid) for kind, uid, _ in told if uid and uid.startswith("each[")]
    assert sorted(own) == sorted(
        (kind, f"each[{place}]") for place in range(3) for kind in ("task-begin", "task-end")
    )


# What goes wrong ----------------------------------------------------------------------------------


async def test_failures_are_counted(begun: list[Any]) -> None:
    """As those of any item; the error of a child is that of its item."""
    run = await ended(mapped(tolerate=1), items({"bad": True}))
    assert (run.status, results(run)) == ("finished", [None, {"twice": 2}, {"twice": 4}])
    error = run.errors["each[0]"]
    assert isinstance(error, WorkflowFailed)
    assert [str(one) for one in error.exceptions] == ["0"]


async def test_too_many_failures_cut_the_other_children() -> None:
    """They are, when the one that fails has unwound, and the task is over when they have."""
    last = child("shields")
    tasks = [*last["tasks"], {"id": "z", "name": "nap"}]
    template = last | {"tasks": tasks, "graph": {"x": ["y", "z"]}}
    run = await ended(mapped(template), items({"bad": True}, {"takes": 9}, {"takes": 9}))
    assert (run.status, seconds(run)) == ("flawed", 5)
    assert isinstance(run.errors["each"], ExceptionGroup)
    assert step_of(run, "each").state.value == "exception"


async def test_a_child_that_finishes_with_errors() -> None:
    """Its item goes on with what came of it; the errors are the run's, and the report is kept."""
    flawed = child(on_error="continue")
    run = await ended(mapped(flawed), items({"bad": True}))
    assert run.status == "flawed"
    assert results(run)[1:] == [{"twice": 2}, {"twice": 4}]
    assert list(run.unhandled) == ["each[0]"]
    kept = execution(run)["items"]
    assert list(kept["children"]) == list(kept["errors"]) == ["0"]
    assert kept["children"]["0"]["exec"]["id"] == "r/each[0]/1"
    bare = run.report(data=False)["tasks"][0]["exec"]["items"]["children"]["0"]
    assert all("inputs" not in one["exec"] for one in bare["tasks"] if one["exec"])


async def test_retries_are_new_children(begun: list[Any]) -> None:
    """As many as the task says, for each item."""
    keys = {"retry": {"attempts": 2, "initial": 1, "jitter": "none"}}
    run = await ended(mapped(keys=keys, tolerate=1), items({"bad": True}))
    assert seconds(run) == 3
    assert begun.count((0, "y")) == 2
    assert results(run)[0] is None


async def test_an_item_may_have_a_limit() -> None:
    """Its child is cut as by a limit of its own, and has unwound when the item is over."""
    run = await ended(mapped(child("shields"), timeout=1, limit=1), items(count=2))
    assert (run.status, seconds(run)) == ("flawed", 6)
    assert results(run) == [{"n": 0}, {"n": 1}]
    assert execution(run)["items"]["timed_out"] == [0, 1]


# What cuts it -------------------------------------------------------------------------------------


CUTS: dict[str, Callable[[Any], object]] = {
    "the run": lambda run: run.cancel(),
    "the task": lambda run: step_of(run, "each").cancel(),
    "its limit": lambda run: step_of(run, "each").timeout(),
}


@pytest.mark.parametrize("what", CUTS)
@pytest.mark.parametrize("when", ["at work", "suspended"])
async def test_whatever_cuts_the_task_cuts_the_children(
    begun: list[Any], what: str, when: str
) -> None:
    """None begins any more; the task is over when they have unwound."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(child("shields"), limit=2), items())
        await anyio.sleep(1)
        children = children_of(run, engine)
        assert len(children) == 2
        if when == "suspended":
            run.suspend()
            await anyio.sleep(3)
        CUTS[what](run)
        await anyio.lowlevel.checkpoint()
        if when == "suspended":
            run.resume()
        await run.wait()
        assert len(engine.instances) == 0
    assert {one.state.value for one in children} == {"cancelled"}
    step = step_of(run, "each")
    assert step.state.value == ("timeout" if what == "its limit" else "cancelled")
    assert step.ended_at == max(one._run.ended_at for one in children)
    assert sorted(n for n, uid in begun if uid == "x") == [0, 1]


async def test_one_item_is_cancelled() -> None:
    """It counts as one that went wrong; the next one takes its place."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(limit=1, tolerate=1), items())
        await anyio.sleep(0.5)
        [first] = children_of(run, engine)
        [item] = step_of(run, "each").work.open
        assert item.cancel()
        await run.wait()
    assert first.state.value == "cancelled"
    assert (results(run), seconds(run)) == ([None, {"twice": 2}, {"twice": 4}], 2.5)


async def test_a_child_that_somebody_cancels_fails_its_item() -> None:
    """As that of a task that is a workflow."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(), items())
        await anyio.sleep(0.5)
        children_of(run, engine)[1].cancel()
        await run.wait()
    assert type(run.errors["each[1]"]).__name__ == "WorkflowCancelled"
    assert step_of(run, "each").state.value == "exception"


# Suspension and rescue ----------------------------------------------------------------------------


async def test_a_suspended_run_goes_on_with_its_children(begun: list[Any]) -> None:
    """They are suspended; no item that has not begun begins meanwhile, and none is run again."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(limit=2), items())
        await anyio.sleep(0.5)
        children = children_of(run, engine)
        run.suspend()
        assert [one.status for one in children] == ["suspended"] * 2
        await anyio.sleep(5)
        assert len(begun) == 4
        run.resume()
        await run.wait(check=True)
    assert results(run) == [{"twice": 0}, {"twice": 2}, {"twice": 4}]
    # The tasks at work are run again: those of the children, from their begin.
    assert sorted(n for n, uid in begun if uid == "x") == [0, 1, 2]


async def test_an_item_that_ends_while_its_run_is_suspended() -> None:
    """Its place is taken when that is resumed."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(limit=1, tolerate="all"), items())
        await anyio.sleep(0.5)
        run.suspend()
        [first] = children_of(run, engine)
        first.cancel()
        await anyio.sleep(5)
        assert children_of(run, engine) == []
        run.resume()
        await run.wait()
    assert results(run) == [None, {"twice": 2}, {"twice": 4}]
    assert seconds(run) == 7.5


async def test_all_items_end_while_their_run_is_suspended() -> None:
    """The task is over then; what comes after it waits."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(tolerate="all"), items())
        await anyio.sleep(0.5)
        run.suspend()
        for one in children_of(run, engine):
            one.cancel()
        await anyio.sleep(1)
        assert (step_of(run, "each").state.value, run.status) == ("finished", "suspended")
        run.resume()
        await run.wait()
    assert results(run) == [None] * 3


@pytest.mark.parametrize("how", ["live", "of the end", "twice"])
async def test_a_rescued_run_goes_on_with_its_children(begun: list[Any], how: str) -> None:
    """What was over in a child is not run again, nor an item that was over."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(limit=2), items({"takes": 0.25}))
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await run.wait()
        if how != "live":
            report = run.report()
        for _ in range(1 + (how == "twice")):
            text = tukio.report_to_json(report)
            run = await engine.rescue(mapped(limit=2), tukio.report_from_json(text))
            await anyio.sleep(0.25)
            ids = [one.uid for one in children_of(run, engine)]
            assert ids == [f"{run.uid}/each[{place}]/1" for place in (1, 2)]
            report = run.report()
            if how == "twice":
                run.cancel()
                await run.wait()
        if how == "twice":
            run = await engine.rescue(mapped(limit=2), report)
        await run.wait(check=True)
    assert results(run) == [{"twice": 0}, {"twice": 2}, {"twice": 4}]
    assert sorted(n for n, uid in begun if uid == "x") == [0, 1, 2]
    assert begun.count((0, "y")) == 1


async def test_errors_of_children_outlive_a_rescue() -> None:
    """Those of items that have finished with errors."""
    flawed = mapped(child(on_error="continue"), limit=1)
    async with tukio.Engine() as engine:
        run: Any = await engine.start(flawed, items({"bad": True}))
        await anyio.sleep(1.5)
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()
        await run.wait()
        run = await engine.rescue(flawed, report)
        await run.wait()
    assert run.status == "flawed"
    assert list(run.unhandled) == ["each[0]"]
    assert list(execution(run)["items"]["children"]) == ["0"]


async def test_a_report_of_a_child_that_cannot_go_on() -> None:
    """It is refused as that of its parent would be; nothing starts."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(), items())
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await run.wait()
        report["tasks"][0]["exec"]["items"]["children"]["1"]["exec"]["start"] = "never"
        with pytest.raises(tukio.RescueError, match="not a whole report"):
            await engine.rescue(mapped(), report)
        report["tasks"][0]["exec"]["items"]["children"]["1"] = "nonsense"
        with pytest.raises(tukio.RescueError, match="not the report of a child"):
            await engine.rescue(mapped(), report)
        assert len(engine.instances) == 0


async def test_again_runs_all_of_it(begun: list[Any]) -> None:
    """Each item has a child of a new id."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(mapped(), items({"bad": True}))
        await run.wait()
        again = await engine.rescue(mapped(), tukio.again(run.report()))
        await again.wait()
    assert again.uid != run.uid
    assert begun.count((1, "x")) == 2


# What is refused ----------------------------------------------------------------------------------


def test_the_recursion_of_maps_is_bounded() -> None:
    """A workflow may lead to itself, 32 deep."""

    async def main() -> Any:
        async with tukio.Engine() as engine:
            itself = {
                "id": "self",
                "policy": "start-new",
                "tasks": [{"id": "each", "workflow": "self", "map": {"over": "$.list"}}],
            }
            await engine.load(itself)
            run: Any = await engine.start(
                itself, {"list": [{"list": []}, {"list": [{"list": []}]}]}
            )
            await run.wait(check=True)
            nested: Any = []
            for _ in range(40):
                nested = [{"list": nested}]
            deep: Any = await engine.start(itself, {"list": nested})
            await deep.wait()
            assert len(engine.instances) == 0
            return deep

    deep = anyio.run(main)
    assert deep.status == "flawed"
    assert "RecursionError" in str(deep.report()["tasks"][0]["exec"])


@pytest.mark.parametrize("key", ["name", "config", "topics", "idle_timeout"])
def test_what_cannot_stand_beside_it(key: str) -> None:
    """As for any task that is a workflow."""
    value = {"name": "nap", "config": {"a": 1}, "topics": ["t"], "idle_timeout": 1}[key]
    with pytest.raises(tukio.TemplateError, match=f"workflow: beside '{key}'"):
        tukio.WorkflowTemplate.from_dict(mapped(keys={key: value}))


def test_faults_of_the_workflow_are_found() -> None:
    """With their own paths."""
    document = child() | {"tasks": [{"id": "x"}], "graph": {}}
    with pytest.raises(tukio.TemplateError, match=r"tasks\[0\].workflow.tasks\[0\].name: missing"):
        tukio.WorkflowTemplate.from_dict(mapped(document))


async def test_an_item_called_off_has_no_child(begun: list[Any]) -> None:
    """One that never began is cancelled with its task; no child is left of it."""
    run = await ended(mapped(limit=1), items(), act=lambda run: run.cancel())
    assert begun == [(0, "x"), (0, "y")]
    assert not [one for one in run.unhandled.values() if isinstance(one, TaskCancelled)]
