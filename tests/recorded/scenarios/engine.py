"""The engine: templates, triggers, and its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.task.holder import TaskHolder

from ..stage import pause

if TYPE_CHECKING:
    from ..stage import Stage


async def unknown_template(stage: Stage) -> None:
    """Nothing starts, and what is returned is falsy."""
    stage.note("trigger", bool(await stage.engine.trigger("nobody", {"n": 1})))
    stage.note("data_received", await stage.engine.data_received({"n": 1}, "nowhere"))


async def loading(stage: Stage) -> None:
    """Templates are loaded, replaced by others with the same id, and unloaded."""
    engine = stage.engine
    first = stage.template("a", topics=["first"])
    await engine.load(first)
    await engine.load(stage.template("a b", topics=["second"]))
    stage.note("first", len(await engine.data_received({"n": 1}, "first")))
    (workflow,) = await engine.data_received({"n": 2}, "second")
    await stage.over(workflow)
    template = await engine.unload("flow")
    stage.note("unloaded", template.as_dict())
    stage.note("after", len(await engine.data_received({"n": 3}, "second")))
    await stage.refuses("unload again", KeyError, engine.unload, "flow")


async def reloading(stage: Stage) -> None:
    """All templates are replaced by others."""
    engine = stage.engine
    await engine.load(stage.template("a", id="old", topics=["t"]))
    new = [stage.template("a", id=uid, topics=["t"]) for uid in ("x", "y")]
    await engine.reload(new)
    workflows = await engine.data_received({"n": 1}, "t")
    stage.note("started", sorted(workflow.template.uid for workflow in workflows))
    await stage.over(*workflows)


async def runs_survive_unloading(stage: Stage) -> None:
    """A run goes on with the template it was started with."""
    workflow = await stage.start("a b", {"a": pause(0.5)})
    await asyncio.sleep(0.1)
    await stage.engine.unload("flow")
    await stage.over(workflow)


async def refused_templates(stage: Stage) -> None:
    """What cannot be loaded."""
    from tukio.workflow import WorkflowRootTaskError

    load = stage.engine.load
    roots = stage.template({"a": ["c"], "b": ["c"]})
    unknown = stage.template("a b", {"b": "nobody"})
    empty = tukio.WorkflowTemplate.from_dict({})
    await stage.refuses("two roots", WorkflowRootTaskError, load, roots)
    await stage.refuses("unknown task", tukio.UnknownTaskName, load, unknown)
    await stage.refuses("no task", WorkflowRootTaskError, load, empty)
    stage.note("started", await stage.engine.data_received({"n": 1}))


async def refused_data(stage: Stage) -> None:
    """Data is a dict or an event."""
    engine = stage.engine
    await engine.load(stage.template("a", topics=["never"]))
    await stage.refuses("text", ValueError, engine.data_received, "text")
    await stage.refuses("none", ValueError, engine.data_received, None)
    await stage.refuses("trigger", ValueError, engine.trigger, "flow", [1])
    await stage.refuses("run_once", ValueError, engine.run_once, stage.template("a"), 3)
    stage.note("instances", len(engine.instances))


async def event_as_data(stage: Stage) -> None:
    """An event will do as data; it is copied."""

    @stage.task
    async def looks(event: Any) -> Any:
        stage.note("event", event)
        event.data["changed"] = True
        return event

    event = tukio.Event({"n": 1}, topic="its own")
    await stage.engine.load(stage.template("a b", {"a": "looks", "b": "looks"}))
    workflow = await stage.engine.trigger("flow", event)
    await stage.over(workflow)
    stage.note("sent", event.data)


async def data_is_copied(stage: Stage) -> None:
    """The caller's dict stays as it is."""

    @stage.task
    async def changes(event: Any) -> Any:
        event.data["changed"] = True
        return event.data

    data = {"n": 1}
    await stage.engine.load(stage.template("a", {"a": "changes"}))
    workflow = await stage.engine.trigger("flow", data)
    data["later"] = 2
    await stage.over(workflow)
    stage.note("data", data)


async def instances(stage: Stage) -> None:
    """The runs that are not over."""
    engine = stage.engine
    stage.note("before", len(engine.instances))
    workflow = await stage.start("a", {"a": pause(0.5)})
    stage.note("meanwhile", [engine.instances == [workflow], workflow.done()])
    await stage.over(workflow)
    stage.note("after", len(engine.instances))


async def calls_from_a_task(stage: Stage) -> None:
    """A task may use the engine that runs it."""
    held: list[Any] = []

    @stage.task
    async def calls(event: Any) -> None:
        await stage.engine.load(stage.template("x", id="inner", topics=["inner"]))
        held.extend(await stage.engine.data_received({"from": "inside"}, "inner"))
        held.append(await stage.engine.trigger("inner", {"from": "trigger"}))
        await stage.engine.unload("inner")

    await stage.engine.load(stage.template("a b", {"a": "calls"}, topics=["outer"]))
    (workflow,) = await stage.engine.data_received({"from": "outside"}, "outer")
    await stage.over(workflow)
    await stage.over(*held)


async def async_selector(stage: Stage) -> None:
    """Templates may come from elsewhere, asynchronously."""
    template = stage.template("a b")

    class Selector:
        async def select(self, topic: Any) -> Any:
            await asyncio.sleep(0.1)
            return [template] if topic == "yes" else []

        async def get(self, uid: Any) -> Any:
            await asyncio.sleep(0.1)
            return template if uid == "flow" else None

    engine: Any = tukio.Engine(selector=Selector(), loop=asyncio.get_running_loop())
    stage.note("no", await engine.data_received({"n": 1}, "no"))
    workflows = await engine.data_received({"n": 2}, "yes")
    workflows.append(await engine.trigger("flow", {"n": 3}))
    stage.note("unknown", bool(await engine.trigger("nobody", {"n": 4})))
    await stage.over(*workflows)
    await engine.stop()


async def stop(stage: Stage) -> None:
    """Nothing starts any more; the engine is done when the last run is over."""
    engine = stage.engine
    workflow = await stage.start("a b", {"a": pause(1)})
    await asyncio.sleep(0.1)
    stopping = engine.stop()
    stage.note("done", engine.done())
    stage.note("data_received", bool(await engine.data_received({"n": 1})))
    stage.note("trigger", bool(await engine.trigger("flow", {"n": 2})))
    stage.note("run_once", bool(await engine.run_once(stage.template("a"), {"n": 3})))
    await stopping
    stage.note("done", engine.done())
    stage.note("run is done", workflow.done())


async def stop_by_force(stage: Stage) -> None:
    """The runs are cancelled."""
    workflow = await stage.start("a b", {"a": pause(1)})
    await asyncio.sleep(0.1)
    await stage.engine.stop(force=True)
    stage.note("run is done", workflow.done())


async def stop_then_by_force(stage: Stage) -> None:
    """First in good order, then by force."""
    engine = stage.engine
    workflow = await stage.start("a b", {"a": pause(1)})
    engine.stop()
    await asyncio.sleep(0.5)
    stage.note("run is done", workflow.done())
    await engine.stop(force=True)
    stage.note("run is done", workflow.done())


async def stop_an_idle_engine(stage: Stage) -> None:
    """It is done at once."""
    stage.note("before", stage.engine.done())
    stage.engine.stop()
    stage.note("after", stage.engine.done())
    await stage.engine


async def data_while_stopping(stage: Stage) -> None:
    """Running tasks still get data while the engine is stopping."""

    @stage.task
    class Waits(TaskHolder):
        async def execute(self, event: Any) -> Any:
            queue: Any = self.queue
            return await queue.get()

    tasks = {"a": {"name": "Waits", "topics": ["data"]}}
    workflow = await stage.start("a b", tasks)
    await asyncio.sleep(0.1)
    stopping = stage.engine.stop()
    await asyncio.sleep(0.1)
    await stage.engine.data_received({"last": "words"}, "data")
    await stopping
    await stage.over(workflow)
