"""Topics: which templates, tasks and handlers get which data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.task.holder import TaskHolder

if TYPE_CHECKING:
    from ..stage import Stage

SENT = ["a", "b", None, "a", "other"]


def _collecting_task(stage: Stage) -> None:
    """Register a holder that writes down what has come into its queue after a second."""

    @stage.task
    class Collects(TaskHolder):
        async def execute(self, event: Any) -> None:
            await asyncio.sleep(1)
            await _empty(stage, f"{self.config['of']} got", self.queue)


async def _empty(stage: Stage, key: str, queue: Any) -> None:
    while not queue.empty():
        stage.note(key, await queue.get())


async def _send(stage: Stage) -> None:
    await asyncio.sleep(0.1)
    for number, topic in enumerate(SENT):
        await stage.engine.data_received({"n": number}, topic)


async def selection(stage: Stage) -> None:
    """Which data triggers which templates."""
    await stage.engine.load(stage.template("a", id="everything", topics=None))
    await stage.engine.load(stage.template("a", id="nothing", topics=[]))
    await stage.engine.load(stage.template("a", id="ab", topics=["ta", "tb"]))
    await stage.engine.load(stage.template("a", id="b", topics=["tb"]))
    for topic in (None, "", "other", "nothing", "ta", "tb"):
        workflows = await stage.engine.data_received({"topic": topic}, topic=topic)
        stage.note(f"{topic}", sorted(workflow.template.uid for workflow in workflows))
        await stage.over(*workflows)


async def trigger_ignores_topics(stage: Stage) -> None:
    """A template can be triggered by its id, whatever it listens to."""
    await stage.engine.load(stage.template("a b", topics=[]))
    await stage.over(await stage.engine.trigger("flow", {"start": 0}))


async def root_event(stage: Stage) -> None:
    """The root task is told the topic of the data."""

    @stage.task
    async def looks(event: Any) -> None:
        stage.note("event", event)

    await stage.engine.load(stage.template("a", {"a": "looks"}))
    for call in (
        stage.engine.data_received({"n": 1}, "topic"),
        stage.engine.data_received({"n": 2}),
        stage.engine.trigger("flow", {"n": 3}),
    ):
        result = await call
        await stage.over(*(result if isinstance(result, list) else [result]))


async def of_tasks(stage: Stage) -> None:
    """Data in the topics of a running task is put into its queue."""
    _collecting_task(stage)
    lists = {"none": [], "one": ["a"], "two": ["b", "a"]}
    tasks = {
        uid: {"name": "Collects", "topics": topics, "config": {"of": uid}}
        for uid, topics in lists.items()
    }
    tasks["absent"] = {"name": "Collects", "config": {"of": "absent"}}
    template = stage.template({"root": list(tasks)}, tasks, topics=["go"])
    await stage.engine.load(template)
    (workflow,) = await stage.engine.data_received({"start": 0}, "go")
    await _send(stage)
    await stage.over(workflow)


async def own_trigger(stage: Stage) -> None:
    """A run does not get the data that started it, but one at work gets that of the next."""
    _collecting_task(stage)
    tasks = {"a": {"name": "Collects", "topics": ["go"], "config": {"of": "a"}}}
    await stage.engine.load(stage.template("a", tasks, topics=["go"]))
    (first,) = await stage.engine.data_received({"n": 1}, "go")
    await asyncio.sleep(0.5)
    (second,) = await stage.engine.data_received({"n": 2}, "go")
    await stage.over(first, second)


async def only_while_running(stage: Stage) -> None:
    """A task that is over, or not begun, gets nothing."""
    _collecting_task(stage)
    tasks = {
        uid: {"name": "Collects", "topics": ["data"], "config": {"of": uid}} for uid in ("a", "b")
    }
    await stage.engine.load(stage.template("a b", tasks, topics=["go"]))
    (workflow,) = await stage.engine.data_received({"start": 0}, "go")
    for number in range(5):
        await asyncio.sleep(0.45)
        await stage.engine.data_received({"n": number}, "data")
    await stage.over(workflow)


async def manager(stage: Stage) -> None:
    """A task may listen to a topic for a while."""
    from tukio.broker import TopicManager

    @stage.task
    class Listens(TaskHolder):
        async def execute(self, event: Any) -> None:
            queue: Any = self.queue
            with TopicManager("a"):
                await asyncio.sleep(0.5)
            stage.note("in the block", queue.qsize())
            await asyncio.sleep(0.5)
            stage.note("after the block", queue.qsize())
            await _empty(stage, "got", self.queue)

    await stage.engine.load(stage.template("a", {"a": "Listens"}, topics=["go"]))
    (workflow,) = await stage.engine.data_received({"start": 0}, "go")
    await _send(stage)
    await asyncio.sleep(0.5)
    await _send(stage)
    await stage.over(workflow)


async def manager_as_functions(stage: Stage) -> None:
    """Likewise by two calls."""
    from tukio.broker import TopicManager

    @stage.task
    class Subscribes(TaskHolder):
        async def execute(self, event: Any) -> None:
            TopicManager.subscribe("a")
            TopicManager.subscribe("b")
            await asyncio.sleep(0.5)
            TopicManager.unsubscribe("a")
            TopicManager.unsubscribe("b")
            await _empty(stage, "got", self.queue)

    await stage.engine.load(stage.template("a", {"a": "Subscribes"}, topics=["go"]))
    (workflow,) = await stage.engine.data_received({"start": 0}, "go")
    await _send(stage)
    await stage.over(workflow)


async def handlers(stage: Stage) -> None:
    """Which handlers get which data, and how often."""

    def global_handler(event: Any) -> None:
        if event.topic is None or tukio.EXEC_TOPIC not in event.topic:
            stage.note("global", event)

    def topic_handler(event: Any) -> None:
        stage.note("in a and b", event)

    async def async_handler(event: Any) -> None:
        stage.note("async, in a", event)

    broker = stage.broker
    broker.register(global_handler)
    broker.register(async_handler, topic="a")
    for topic in ("a", "b", "a"):
        broker.register(topic_handler, topic=topic)
    broker.dispatch({"n": 1}, "a")
    broker.dispatch({"n": 2}, "b")
    broker.dispatch({"n": 3}, "other")
    broker.dispatch({"n": 4})
    broker.dispatch({"n": 5}, ["a", "b"])
    broker.dispatch({"n": 6}, topics="a", source=tukio.EventSource("w", "x"))
    broker.dispatch(tukio.Event({"n": 7}, topic="own"), "a")
    await stage.engine.data_received({"n": 8}, "b")
    await stage.settle()
    broker.unregister(topic_handler, topic="a")
    broker.dispatch({"n": 9}, ["a", "b"])
    await stage.settle()
    broker.unregister(topic_handler, topic="b")
    broker.unregister(async_handler, topic="a")
    broker.unregister(global_handler)
    broker.dispatch({"n": 10}, ["a", "b"])
    await stage.settle()


async def handler_refusals(stage: Stage) -> None:
    """What cannot be registered or unregistered."""

    def handler(event: Any) -> None:
        stage.note("called", event)

    broker = stage.broker
    await stage.refuses("not callable", TypeError, broker.register, "handler")
    await stage.refuses("unknown", KeyError, broker.unregister, handler)
    broker.register(handler)
    await stage.refuses("topic after global", ValueError, broker.register, handler, "a")
    broker.unregister(handler)
    broker.register(handler, "a")
    await stage.refuses("global after topic", ValueError, broker.register, handler)
    await stage.refuses("unknown topic", KeyError, broker.unregister, handler, "b")
    await stage.refuses("no dict", ValueError, broker.dispatch, "text", "a")
    broker.unregister(handler, "a")
    await stage.settle()


async def handlers_do_not_share(stage: Stage) -> None:
    """Each handler gets a dict of its own."""
    results = []

    def scribbles(event: Any) -> None:
        event.data["scribbled"] = len(event.data)
        results.append(event.data)

    def scribbles_too(event: Any) -> None:
        scribbles(event)

    stage.broker.register(scribbles, "a")
    stage.broker.register(scribbles_too, "a")
    data = {"n": 1}
    stage.broker.dispatch(data, "a")
    await stage.settle()
    stage.note("results", results)
    stage.note("sent", data)
    stage.broker.unregister(scribbles, "a")
    stage.broker.unregister(scribbles_too, "a")
