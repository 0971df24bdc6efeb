"""What a task sees of itself and of its run, and what it tells others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.task import new_task
from tukio.task.holder import TaskHolder

from ..stage import pause, this_task, this_workflow

if TYPE_CHECKING:
    from ..stage import Stage


async def current_task_in_a_function(stage: Stage) -> None:
    """What `asyncio.current_task()` is in a task."""

    @stage.task
    async def looks(event: Any) -> None:
        task = this_task()
        stage.note("template", task.template.as_dict())
        stage.note("workflow", task.workflow is this_workflow())
        stage.note("inputs", task.inputs)
        stage.note("outputs", task.outputs)
        stage.note("holder", task.holder)
        stage.note("in progress", task.in_progress())
        stage.note("timed out", task.timed_out)
        stage.note("committed", task.committed)
        stage.note("as_dict", task.as_dict())
        stage.note("source", task.event_source.as_dict())
        stage.note("queue", task.queue.qsize())

    await stage.play("a", {"a": {"name": "looks", "config": {"unseen": 1}}})


async def current_task_in_a_holder(stage: Stage) -> None:
    """And in a holder, which has the same queue and id."""

    @stage.task
    class Looks(TaskHolder):
        async def execute(self, event: Any) -> Any:
            task = this_task()
            stage.note("holder", task.holder is self)
            stage.note("queue", task.queue is self.queue)
            stage.note("uid", task.uid == self.uid)
            stage.note("config", self.config)
            stage.note("name", self.TASK_NAME)
            return {"seen": True}

    await stage.play("a b", {"a": {"name": "Looks", "config": {"deep": {"n": [1]}}}})


async def holder_without_a_base(stage: Stage) -> None:
    """Any class that takes the config will do."""

    @stage.task
    class Plain:
        def __init__(self, config: Any) -> None:
            self.config = config

        async def execute(self, event: Any) -> Any:
            return {"config": self.config}

    await stage.play("a b", {"a": {"name": "Plain", "config": {"n": 1}}, "b": "Plain"})


async def holder_with_an_id(stage: Stage) -> None:
    """A holder may choose the id of its execution."""

    @stage.task
    class Named(TaskHolder):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.uid = "chosen"

        async def execute(self, event: Any) -> Any:
            task = this_task()
            stage.note("uid", task.uid)
            stage.note("source", task.event_source.as_dict()["task_exec_id"] == "chosen")

    await stage.play("a", {"a": "Named"})


async def holder_with_a_report(stage: Stage) -> None:
    """What a holder reports is in the report of the run."""

    @stage.task
    class Reports(TaskHolder):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.progress = 0

        async def execute(self, event: Any) -> None:
            await asyncio.sleep(0.1)
            self.progress = 50
            await asyncio.sleep(0.1)
            self.progress = 100

        def report(self) -> Any:
            return {"progress": self.progress}

    workflow = await stage.start("a b c", {"a": "Reports", "b": pause(0.1)})
    for _ in range(2):
        await asyncio.sleep(0.08)
        stage.note("report", [task["exec"] for task in workflow.report()["tasks"]])
    await stage.over(workflow)


async def progress(stage: Stage) -> None:
    """A task may tell of its progress, in words of its own."""

    @stage.task
    async def tells(event: Any) -> Any:
        task = this_task()
        task.dispatch_progress({"percent": 10})
        await asyncio.sleep(0.1)
        task.dispatch_progress({"percent": 50}, event_type="contact-progress")
        task.dispatch_progress("words")
        return {"told": True}

    await stage.play("a b", {"a": "tells"})


async def events_of_one_run(stage: Stage) -> None:
    """Each run has a topic of its own for its events."""
    for uid in ("flow", "other"):
        await stage.engine.load(stage.template("a b", {"a": pause(0.1)}, id=uid))
    workflow = await stage.engine.trigger("flow", {"n": 1})
    other = await stage.engine.trigger("other", {"n": 2})
    await asyncio.sleep(0.05)
    topic = f"{tukio.EXEC_TOPIC}/{workflow.uid}"
    seen: list[str] = []

    def handler(event: Any) -> None:
        source = event.source.as_dict()
        seen.append(f"{source['workflow_template_id']} {event.data['type']}")
        stage.note("topics", event.topic == (tukio.EXEC_TOPIC, topic))

    stage.broker.register(handler, topic=topic)
    await stage.over(workflow, other)
    stage.broker.unregister(handler, topic=topic)
    stage.note("types", seen)


async def current_workflow(stage: Stage) -> None:
    """A task knows the run that it is part of."""
    held: dict[str, Any] = {}

    @stage.task
    async def looks(event: Any) -> None:
        held["workflow"] = workflow = this_workflow()
        await asyncio.sleep(0.1)
        stage.note("the same later", workflow is this_workflow())
        stage.note("policy", workflow.policy)
        stage.note("template", workflow.template.uid)
        stage.note("done", workflow.done())

    workflow = await stage.play("a", {"a": "looks"})
    stage.note("what was returned", workflow is held["workflow"])
    stage.note("done", workflow.done())


async def tasks_of_a_run(stage: Stage) -> None:
    """A run has the set of its tasks, which can be looked at like futures when it is over."""

    @stage.task
    async def fails(event: Any) -> None:
        raise ValueError("no")

    workflow = await stage.play({"a": ["b", "c"], "b": ["d"]}, {"b": "fails"})
    for task in sorted(workflow.tasks, key=lambda task: task.template.uid):
        stage.note("task", [task.template.uid, task.done(), task.cancelled(), task.exception()])
    stage.note("the result", workflow.result() == set(workflow.tasks))


async def alone(stage: Stage) -> None:
    """A registered task may be run by itself."""

    @stage.task
    async def doubles(data: Any) -> Any:
        return {"twice": data["n"] * 2}

    @stage.task
    class Scales(TaskHolder):
        async def execute(self, data: Any) -> Any:
            return {"scaled": data["n"] * self.config["by"]}

    stage.note("function", await new_task("doubles", data={"n": 21}))
    stage.note("holder", await new_task("Scales", data={"n": 21}, config={"by": 3}))
    await stage.refuses("unknown", tukio.UnknownTaskName, new_task, "nobody")


async def done_callback(stage: Stage) -> None:
    """A task may have something called when it is over."""

    def called(task: Any) -> None:
        stage.note("done", task.done())

    @stage.task
    async def asks(event: Any) -> Any:
        task = this_task()
        task.add_done_callback(called)
        await asyncio.sleep(0.1)
        return {"asked": True}

    await stage.play("a b", {"a": "asks"})


async def sub_tasks(stage: Stage) -> None:
    """A task may have tasks of its own."""

    @stage.task
    async def gathers(event: Any) -> Any:
        async def part(number: int) -> int:
            await asyncio.sleep(number / 10)
            return number

        first = asyncio.ensure_future(part(1))
        numbers = await asyncio.gather(part(2), part(3), first)
        return {"numbers": numbers, "limited": await asyncio.wait_for(part(4), 1)}

    await stage.play("a b", {"a": "gathers"})
