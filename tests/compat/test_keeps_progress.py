"""The progress that tasks tell of themselves: any content, any type, in order, as in 1.1.2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.stories import told

if TYPE_CHECKING:
    from support.flow import Tasks

as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

THING = object()


@pytest.mark.parametrize(
    "content",
    [{"percent": 10}, {}, "words", "", 5, 0, None, False, [1], (1, 2), THING],
    ids=lambda content: "object" if content is THING else repr(content),
)
async def test_progress_may_be_anything(task: Tasks, content: Any) -> None:
    """Its event is between those of the begin and the end of its task."""

    @task
    async def tells(event: tukio.Event) -> None:
        tukio.current_task().dispatch_progress(content)

    assert await told(flow("tells"), data={}) == [
        ("workflow-begin", None, {}),
        ("task-begin", "tells", {}),
        ("task-progress", "tells", content),
        ("task-end", "tells", None),
        ("workflow-end", None, None),
    ]


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        (None, "task-progress"),
        ("contact-progress", "contact-progress"),
        ("anything at all", "anything at all"),
        ("task-end", "task-end"),
        ("", ""),
    ],
)
async def test_progress_may_have_a_type_of_its_own(
    task: Tasks, kind: str | None, heard: str
) -> None:
    """Given in its place or by its name; only None is the usual one."""

    @task
    async def tells(event: tukio.Event) -> None:
        tukio.current_task().dispatch_progress({"n": 1}, kind)
        await anyio.sleep(1)
        tukio.current_task().dispatch_progress({"n": 2}, event_type=kind)

    assert (await told(flow("tells")))[2:4] == [
        (heard, "tells", {"n": 1}),
        (heard, "tells", {"n": 2}),
    ]


async def test_progress_is_told_in_the_order_it_was_made(task: Tasks, ran: list[str]) -> None:
    """Sub-tasks and functions that a task calls tell it for their task."""

    @task
    async def tells(event: tukio.Event) -> None:
        def tell(number: int) -> None:
            tukio.current_task().dispatch_progress(number, "count")

        async def later(number: int) -> None:
            await anyio.sleep(number)
            tell(number)

        tell(0)
        async with anyio.create_task_group() as group:
            for number in (3, 1, 2):
                group.start_soon(later, number)
        tell(4)

    story = await told(flow("tells"))
    assert story[2:-2] == [("count", "tells", number) for number in range(5)]


async def test_what_progress_is_told_by_does_not_change_afterwards(task: Tasks) -> None:
    """Each who hears it has a dict of its own; in 1.1.2 all shared that of the task."""
    content = {"n": 1}

    @task
    async def tells(event: tukio.Event) -> None:
        tukio.current_task().dispatch_progress(content)
        content["n"] = 2

    heard: list[Any] = []

    def spoil(event: tukio.Event) -> None:
        if event.data["type"] == "task-progress":
            event.data["content"]["spoilt"] = True

    async with tukio.Engine() as engine:
        engine.broker.register(spoil, tukio.EXEC_TOPIC)
        engine.broker.register(lambda event: heard.append(event.data), tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("tells"), {})
        await run.wait()

    assert heard[2] == {"type": "task-progress", "content": {"n": 1}}
    assert content == {"n": 2}


@as_in_1_x
async def test_progress_is_told_by_the_current_task_of_asyncio(task: Tasks) -> None:
    """As code written for 1.x does."""

    @task
    async def tells(event: tukio.Event) -> None:
        current: Any = asyncio.current_task()
        current.dispatch_progress({"n": 1}, event_type="contact-progress")

    assert (await told(flow("tells")))[2] == ("contact-progress", "tells", {"n": 1})
