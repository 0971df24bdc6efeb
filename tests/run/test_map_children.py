"""Items of a mapped task whose code runs a workflow for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from tukio.errors import WorkflowFailed

if TYPE_CHECKING:
    from support.flow import Tasks

CHILD = {"id": "child", "tasks": [{"id": "x", "name": "get"}], "on_error": "abort"}
MAPPED = {
    "id": "mapped",
    "tasks": [{"id": "each", "name": "visit", "map": {"over": "$.list", "limit": 2}}],
}
ITEMS = [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.fixture(autouse=True)
def begun(task: Tasks) -> list[int]:
    """Register `visit`, which runs a child, and `get` (1 s); return which items have begun."""
    begun: list[int] = []

    @task
    async def get(event: tukio.Event) -> dict[str, int]:
        begun.append(event.data["n"])
        await anyio.sleep(1)
        if event.data.get("bad"):
            raise ValueError(event.data["n"])
        return {"twice": 2 * event.data["n"]}

    @task
    async def visit(event: tukio.Event) -> Any:
        return await tukio.run_child(CHILD, event.data)

    return begun


async def test_each_item_hands_over_what_its_child_does(begun: list[int]) -> None:
    """No more at once than the map says."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(MAPPED, {"list": ITEMS})
        await run.wait(check=True)
        assert anyio.current_time() - run._run.started_at == 2
    assert run.output["each"]["results"] == [{"twice": 2}, {"twice": 4}, {"twice": 6}]
    assert begun == [1, 2, 3]


async def test_a_child_that_fails_fails_its_item() -> None:
    """And with it the task, whose other items are cut with their children."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(MAPPED, {"list": [{"n": 1, "bad": True}, *ITEMS]})
        await run.wait()
        assert len(engine.instances) == 0
    assert isinstance(run.errors["each[0]"], WorkflowFailed)
    assert isinstance(run.errors["each"], ExceptionGroup)


async def test_cancelled_no_child_is_left(begun: list[int]) -> None:
    """All of them have unwound when the run is over."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(MAPPED, {"list": ITEMS})
        await anyio.sleep(0.5)
        children = [one for one in engine.instances if one.parent is run]
        assert len(children) == 2
        run.cancel()
        await run.wait()
        assert [child.status for child in children] == ["cancelled"] * 2
        assert len(engine.instances) == 0
    assert begun == [1, 2]


@pytest.mark.parametrize("how", ["suspended", "rescued"])
async def test_items_that_were_over_have_no_other_child(begun: list[int], how: str) -> None:
    """The others go on, or begin anew."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(MAPPED, {"list": ITEMS})
        await anyio.sleep(1.5)
        if how == "suspended":
            run.suspend()
            await anyio.sleep(1)
            run.resume()
        else:
            report = run.report()
            run.cancel()
            await run.wait()
            run = await engine.rescue(MAPPED, report)
        await run.wait(check=True)
    assert run.output["each"]["results"] == [{"twice": 2}, {"twice": 4}, {"twice": 6}]
    assert begun.count(1) == begun.count(2) == 1
