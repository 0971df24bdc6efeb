"""The parents of a task, as it asks for them; the joins that are made of this: tests/tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from support.flow import Tasks

FAN = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"]}
SECONDS = {"b": 1, "c": 2, "d": 3}


@pytest.fixture(autouse=True)
def after(task: Tasks) -> None:
    """Register `after`, which takes as long as its id says."""

    @task
    async def after(event: tukio.Event) -> dict[str, int]:
        seconds = SECONDS.get(tukio.current_task().template.uid, 0)
        await anyio.sleep(seconds)
        return {"seconds": seconds}


async def run_to_its_end(graph: Any, **names: str) -> Any:
    """Run a graph of `after` and of what else is named."""
    uids = {uid for up, downs in graph.items() for uid in (up, *downs)}
    template = flow(graph, names=dict.fromkeys(uids, "after") | names)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()
    assert run.errors == {}
    return run


async def test_the_first_task_has_no_parents(task: Tasks) -> None:
    """It need not wait to know."""
    met: list[Any] = []

    @task
    async def first(event: tukio.Event) -> None:
        parents = tukio.current_task().parents()
        assert parents.expected == []
        met.extend([one async for one in parents])

    await run_to_its_end({"a": []}, a="first")
    assert met == []


async def test_only_those_who_are_asked_for_are_waited_for_and_returned(task: Tasks) -> None:
    """Others go by without a word, those who have come before included."""
    met: list[Any] = []

    @task
    async def some(event: tukio.Event) -> None:
        parents = tukio.current_task().parents(["c"])
        met.append(parents.expected)
        met.extend([(uid, anyio.current_time()) async for uid, _ in parents])
        met.append(parents.expected)
        assert parents.ended_at("b") is None

    await run_to_its_end(FAN, j="some")
    assert met == [["c"], ("c", 2), []]


async def test_others_are_returned_if_they_come_meanwhile(task: Tasks) -> None:
    """The end is when those who are waited for are there."""
    met: list[Any] = []

    @task
    async def some(event: tukio.Event) -> None:
        met.extend([uid async for uid, _ in tukio.current_task().parents(["c"], others=True)])

    await run_to_its_end(FAN, j="some")
    assert met == ["b", "c"]


async def test_two_may_wait_for_the_parents_of_one_task(task: Tasks) -> None:
    """Each parent is for one of them, and both see the end."""
    met: list[tuple[str, str]] = []
    ends: list[float] = []

    @task
    async def shared(event: tukio.Event) -> None:
        parents = tukio.current_task().parents()

        async def read(name: str) -> None:
            async for uid, data in parents:
                assert data == {"seconds": SECONDS[uid]}
                met.append((name, uid))
            ends.append(anyio.current_time())

        async with anyio.create_task_group() as group:
            for name in ("first", "second"):
                group.start_soon(read, name)

    await run_to_its_end(FAN, j="shared")
    assert [uid for _, uid in met] == ["b", "c", "d"]
    assert ends == [3, 3]
