"""The join task, in the ways in which it works on 1.1.2: it waits for parents of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.utils import SkipTask

from ..stage import pause

if TYPE_CHECKING:
    from ..stage import Stage

DIAMOND = {"a": ["b", "c"], "b": ["j"], "c": ["j"], "j": ["k"]}


def _join(wait_for: Any, **fields: Any) -> Any:
    return {"name": "join", "config": {"wait_for": wait_for}, **fields}


async def count(stage: Stage) -> None:
    """Wait for a number of parents."""
    await stage.play(DIAMOND, {"b": pause(0.1), "c": pause(0.2), "j": _join(2)})


async def names(stage: Stage) -> None:
    """Wait for parents by name."""
    await stage.play(DIAMOND, {"b": pause(0.1), "c": pause(0.2), "j": _join(["b", "c"])})


async def names_in_another_order(stage: Stage) -> None:
    """The order of the names means nothing: the data is that of the first parent to arrive."""
    await stage.play(DIAMOND, {"b": pause(0.1), "c": pause(0.2), "j": _join(["c", "b"])})


async def two_of_three(stage: Stage) -> None:
    """A third parent is not waited for."""
    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    times = {"b": pause(0.1), "c": pause(0.2), "d": pause(0.3)}
    await stage.play(graph, {**times, "j": _join(2)})


async def first_of_others(stage: Stage) -> None:
    """The first to arrive need not be one that is waited for; its data goes on all the same."""
    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    times = {"b": pause(0.1), "c": pause(0.2), "d": pause(0.3)}
    await stage.play(graph, {**times, "j": _join(["c", "d"])})


async def skipped_parent(stage: Stage) -> None:
    """A parent that skips, reaches its limit or returns nothing has arrived."""

    @stage.task
    async def skips(event: Any) -> None:
        await asyncio.sleep(0.1)
        raise SkipTask("nothing")

    @stage.task
    async def silent(event: Any) -> None:
        await asyncio.sleep(0.2)

    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    tasks = {"b": "skips", "c": "silent", "d": pause(1, timeout=0.3)}
    await stage.play(graph, {**tasks, "j": _join(3)})


async def time_limit(stage: Stage) -> None:
    """Past its limit it goes on with what it has; a late parent is ignored."""
    times = {"b": pause(0.1), "c": pause(0.5)}
    await stage.play(DIAMOND, {**times, "j": _join(2, timeout=0.2)})


async def cancelled(stage: Stage) -> None:
    """A run that is cancelled while it joins."""
    workflow = await stage.start(DIAMOND, {"b": pause(0.1), "c": pause(0.5), "j": _join(2)})
    await asyncio.sleep(0.2)
    workflow.cancel()
    await stage.over(workflow)


async def report_while_joining(stage: Stage) -> None:
    """The report names those who have arrived."""
    workflow = await stage.start(DIAMOND, {"b": pause(0.1), "c": pause(0.5), "j": _join(2)})
    await asyncio.sleep(0.2)
    (task,) = [task for task in workflow.report()["tasks"] if task["id"] == "j"]
    stage.note("join", task["exec"])
    await stage.over(workflow)


async def two_in_a_row(stage: Stage) -> None:
    """A join behind a join."""
    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "j": ["k"], "d": ["k"], "k": ["z"]}
    times = {"b": pause(0.1), "c": pause(0.2), "d": pause(0.3)}
    await stage.play(graph, {**times, "j": _join(2), "k": _join(["j", "d"])})


async def registration(stage: Stage) -> None:
    """It is there without being registered, under the name `join`."""
    from tukio.task.join import JoinTask

    holder, function = tukio.TaskRegistry.get("join")
    stage.note("class", [holder is JoinTask, holder is tukio.JoinTask, JoinTask.TASK_NAME])
    stage.note("method", function.__name__)
    stage.note("a holder", issubclass(JoinTask, tukio.TaskHolder))
