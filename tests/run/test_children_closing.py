"""Children of a run that closes: one budget for the clean-up of a tree of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import step_of
from support.silence import silence
from tukio.errors import CleanupTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> Iterator[None]:
    """Register `quick`, `slow` (10 s), and `undo` (8 s)."""

    @task
    async def quick(event: tukio.Event) -> None: ...

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    @task
    async def undo(event: tukio.Event) -> None:
        await anyio.sleep(8)

    with silence():
        yield


def tree(depth: int, timeout: float, inner: float = 25) -> dict[str, Any]:
    """Return a workflow with a task to undo, and behind that one that waits, so many deep.

    Args:
        depth: How many runs that makes.
        timeout: The `closing_timeout` of the outermost.
        inner: That of the others.
    """
    behind: dict[str, Any] = {"id": "b", "name": "slow"}
    if depth > 1:
        behind = {"id": "b", "workflow": tree(depth - 1, inner, inner)}
    return {
        "id": f"depth {depth}",
        "tasks": [{"id": "a", "name": "quick", "compensate": "undo"}, behind],
        "graph": {"a": ["b"]},
        "closing_timeout": timeout,
    }


async def closed(template: dict[str, Any]) -> tuple[Any, float]:
    """Cancel a run of a template after a second; return it, and how long it took to close."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(template, {})
        await anyio.sleep(1)
        run.cancel()
        await run.wait()
        return run, anyio.current_time() - run._run.started_at - 1


async def test_parent_and_child_close_one_after_the_other() -> None:
    """The child first, if there is time enough for both."""
    run, seconds = await closed(tree(2, 20))
    assert seconds == 16
    assert run.errors == {}


@pytest.mark.parametrize("depth", [2, 3])
async def test_a_tree_closes_within_the_limit_of_its_root(depth: int) -> None:
    """What a child has taken is not there for its parent any more."""
    run, seconds = await closed(tree(depth, 10))
    assert seconds == 10
    assert isinstance(run.errors["a.compensate"], CleanupTimedOut)


async def test_the_limit_of_a_child_counts_for_the_child_alone() -> None:
    """Its parent has what is left of its own."""
    run, seconds = await closed(tree(2, 20, inner=3))
    assert seconds == 3 + 8
    [failed] = run.errors.items()
    assert failed[0] == "b"
    [cut] = failed[1].exceptions
    assert isinstance(cut, CleanupTimedOut)


async def test_a_child_that_closes_alone_takes_nothing_of_its_parent() -> None:
    """Its parent goes on, and has the whole of its limit when it stops."""
    template = tree(2, 10, inner=3)
    child = template["tasks"][1]["workflow"]
    child["timeout"] = 1
    template["tasks"].append({"id": "c", "name": "slow"})
    template["graph"] = {"a": ["b", "c"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.start(template, {})
        await anyio.sleep(5)
        assert "b" in run.errors
        run.cancel()
        await run.wait()
        assert anyio.current_time() - run._run.started_at == 5 + 8


async def test_a_limit_that_comes_as_a_child_ends_came_first(task: Tasks) -> None:
    """Then the run closes from that instant on, whichever the backend tells it of first."""

    @task
    async def stuck(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(13)

    @task
    async def two(event: tukio.Event) -> None:
        await anyio.sleep(2)

    child = {"tasks": [{"id": "x", "name": "two"}]}
    template = {
        "id": "tie",
        "policy": "start-new",
        "tasks": [
            {"id": "a", "name": "quick", "compensate": "slow"},
            {"id": "b", "name": "stuck"},
            {"id": "c", "map": {"over": "$.list", "limit": 1}, "workflow": child},
        ],
        "graph": {"a": ["b", "c"]},
        "timeout": 6,
        "closing_timeout": 8,
    }
    async with tukio.Engine() as engine:
        runs: list[Any] = [await engine.start(template, {"list": [1, 2, 3]}) for _ in range(20)]
        start = anyio.current_time()
        for run in runs:
            await run.wait()
            assert isinstance(run.errors["a.compensate"], CleanupTimedOut)
        assert anyio.current_time() - start == 6 + 8


@pytest.mark.parametrize("is_cut", [False, True], ids=["left alone", "cancelled then"])
async def test_the_children_of_a_map_end_for_what_their_run_ends_for(is_cut: bool) -> None:
    """Its limit, also if they are cancelled at that instant, before anybody learns of it."""
    ends: list[Any] = []
    runs: list[Any] = []
    template = {
        "id": "late",
        "policy": "start-new",
        "tasks": [{"id": "a", "map": {"over": "$.list"}, "workflow": tree(1, 25)}],
        "timeout": 6,
    }

    def hear(event: tukio.Event) -> None:
        if event.source.workflow_template_id == "depth 1" and "end" in event.data["type"]:
            ends.append(event.data["content"])

    async def cut() -> None:
        await anyio.sleep(6)
        for run in runs if is_cut else ():
            step_of(run, "a").cancel()

    async with tukio.Engine() as engine, anyio.create_task_group() as others:
        engine.broker.register(hear, tukio.EXEC_TOPIC)
        # It sleeps before the runs do.
        others.start_soon(cut)
        await anyio.lowlevel.checkpoint()
        runs += [await engine.start(template, {"list": [1, 2]}) for _ in range(20)]
        for run in runs:
            await run.wait()
    told = [end for end in ends if end and "timeout" in end]
    assert len(told) == 2 * len(runs)
