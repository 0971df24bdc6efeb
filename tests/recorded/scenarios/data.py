"""How data flows from task to task, and which tasks it reaches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.utils import SkipTask

from ..stage import add, pause, this_task, this_workflow

if TYPE_CHECKING:
    from ..stage import Stage

README = {"f1": ["f2"], "f2": ["f3", "f4"], "f3": ["f5"], "f4": ["f6"], "f5": [], "f6": []}


async def chain(stage: Stage) -> None:
    """Two tasks, one after the other."""
    await stage.play("a b")


async def single_task(stage: Stage) -> None:
    """The smallest workflow."""
    await stage.play("a")


async def readme_graph(stage: Stage) -> None:
    """The graph and the tasks of the README: one returns data, the other its event."""

    @stage.task
    async def task1(event: Any) -> Any:
        uid = this_task().template.uid
        stage.note(f"in {uid}", event.data)
        return {uid: "data from task1"}

    @stage.task
    async def task2(event: Any) -> Any:
        uid = this_task().template.uid
        stage.note(f"in {uid}", event.data)
        event.data[uid] = "data from task2"
        return event

    second = dict.fromkeys(("f1", "f2", "f5"), "task2")
    await stage.play(README, {**dict.fromkeys(("f3", "f4", "f6"), "task1"), **second})


async def fan_out(stage: Stage) -> None:
    """Each of many successors gets a dict of its own."""

    @stage.task
    async def scribble(event: Any) -> None:
        uid = this_task().template.uid
        event.data[uid] = "scribbled"
        stage.note(f"in {uid}", event.data)

    leaves = [f"leaf{number}" for number in range(8)]
    await stage.play({"a": leaves}, dict.fromkeys(leaves, "scribble"))


async def none_passes_inputs_on(stage: Stage) -> None:
    """A task that returns nothing hands on what it was given."""

    @stage.task
    async def silent(event: Any) -> None:
        stage.note("silent got", event.data)

    await stage.play("a b c", {"b": "silent"})


async def changed_inputs_do_not_pass(stage: Stage) -> None:
    """What passes on is the data as it was given, not as the task has changed it."""

    @stage.task
    async def changes(event: Any) -> None:
        event.data["changed"] = True

    @stage.task
    async def changes_and_fails(event: Any) -> None:
        event.data["changed"] = True
        raise ValueError("after a change")

    await stage.play({"a": ["b", "x"], "b": ["c"]}, {"b": "changes", "x": "changes_and_fails"})


async def event_as_result(stage: Stage) -> None:
    """Of a returned event only the data travels on; its topic does not."""

    @stage.task
    async def returns_event(event: Any) -> Any:
        return tukio.Event({"own": 1}, topic="lost")

    @stage.task
    async def looks(event: Any) -> None:
        stage.note("topic", event.topic)
        stage.note("data", event.data)

    await stage.play("a b", {"a": "returns_event", "b": "looks"})


async def leaf_returns_anything(stage: Stage) -> None:
    """The result of a leaf may be any object."""

    @stage.task
    async def returns_text(event: Any) -> str:
        return "text"

    @stage.task
    async def returns_list(event: Any) -> Any:
        return [1, {"two": 3}]

    @stage.task
    async def returns_zero(event: Any) -> int:
        return 0

    names = {"b": "returns_text", "c": "returns_list", "d": "returns_zero"}
    await stage.play({"a": ["b", "c", "d"]}, names)


async def skip(stage: Stage) -> None:
    """A skipped task hands on its inputs."""

    @stage.task
    async def skips(event: Any) -> None:
        raise SkipTask("nothing to do")

    await stage.play("a b c", {"b": "skips"})


async def skip_at_the_root(stage: Stage) -> None:
    """So does a skipped root."""

    @stage.task
    async def skips(event: Any) -> None:
        raise SkipTask

    await stage.play("a b", {"a": "skips"})


async def source_of_an_event(stage: Stage) -> None:
    """A task knows who has sent it its event: its parent; the root, nobody."""

    @stage.task
    async def looks(event: Any) -> None:
        uid = this_task().template.uid
        stage.note(f"source in {uid}", event.source.as_dict() if event.source else None)
        stage.note(f"topic in {uid}", event.topic)

    await stage.play("a b c", dict.fromkeys("abc", "looks"))


async def next_tasks(stage: Stage) -> None:
    """A task may choose among its successors."""

    @stage.task
    async def chooses(event: Any) -> Any:
        this_workflow().set_next_tasks(["c"])
        return await add(event)

    await stage.play({"a": ["b", "c", "d"], "c": ["e"], "b": ["f"]}, {"a": "chooses"})


async def next_tasks_none_at_all(stage: Stage) -> None:
    """An empty choice stops the branch."""

    @stage.task
    async def stops(event: Any) -> None:
        this_workflow().set_next_tasks([])

    await stage.play({"a": ["b", "c"], "b": ["d"]}, {"b": "stops"})


async def next_tasks_last_choice_counts(stage: Stage) -> None:
    """A task may change its mind, and name a successor twice."""

    @stage.task
    async def wavers(event: Any) -> None:
        workflow = this_workflow()
        workflow.set_next_tasks(["b"])
        workflow.set_next_tasks(["c", "c"])

    await stage.play({"a": ["b", "c"]}, {"a": "wavers"})


async def next_tasks_of_a_skipped_task(stage: Stage) -> None:
    """A choice made before the skip still counts."""

    @stage.task
    async def chooses_and_skips(event: Any) -> None:
        this_workflow().set_next_tasks(["b"])
        raise SkipTask("chosen")

    await stage.play({"a": ["b", "c"]}, {"a": "chooses_and_skips"})


async def next_tasks_from_outside(stage: Stage) -> None:
    """Only a task of the workflow may choose."""
    workflow = await stage.start("a", {"a": pause(0.1)})
    await asyncio.sleep(0.05)
    await stage.refuses("from outside", RuntimeError, workflow.set_next_tasks, [])
    await stage.over(workflow)


async def late_parent_lands_in_the_queue(stage: Stage) -> None:
    """Where branches meet, the first parent starts the task, a later one is in its queue."""

    @stage.task
    class Reads(tukio.TaskHolder):
        async def execute(self, event: Any) -> Any:
            queue: Any = self.queue
            late = await queue.get()
            stage.note("late", late)
            await asyncio.sleep(0.1)
            stage.note("still in the queue", queue.qsize())
            return {"first": event.data, "late": late.data}

    graph = {"a": ["b", "c", "x"], "b": ["d"], "c": ["d"], "x": ["d"], "d": ["e"]}
    times = {"b": pause(0.1), "c": pause(0.2), "x": pause(0.25), "d": "Reads"}
    await stage.play(graph, times)


async def parent_is_too_late(stage: Stage) -> None:
    """A parent that ends after the task where branches meet is dropped."""
    graph = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}
    await stage.play(graph, {"b": pause(0.1), "c": pause(0.2)})


async def shortcut(stage: Stage) -> None:
    """With an edge that skips a task, the meeting task starts with the first data."""
    graph = {"a": ["b", "d"], "b": ["d"]}
    await stage.play(graph, {"b": pause(0.1), "d": pause(0.3)})


async def two_runs_at_once(stage: Stage) -> None:
    """Runs of one template do not meet."""
    template = stage.template("a b", {"a": pause(0.1)})
    await stage.engine.load(template)
    (first,) = await stage.engine.data_received({"run": 1})
    await asyncio.sleep(0.05)
    (second,) = await stage.engine.data_received({"run": 2})
    await stage.over(first, second)
