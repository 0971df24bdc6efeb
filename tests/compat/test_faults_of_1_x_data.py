"""Faults of tukio 1.1.2, B36-B39, B41-B43, B55, B56, B59: reports, events, broker and config."""

from __future__ import annotations

import gc
import json
import logging
import weakref
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.broker import workflow_exec_topics
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
NEWS = {"n": 1}


# Reports ------------------------------------------------------------------------------------------


async def test_b36_a_report_that_fails_harms_neither_its_run_nor_its_reader(
    task: Tasks, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """In 1.1.2 to read it ended the run with that error, and its key was missing.

    The end of a later task with topics then cancelled all the others.
    """

    @task
    class Mute(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, int]:
            await anyio.sleep(10)
            return {"out": 1}

        def report(self) -> None:
            raise LookupError("report")

    template = flow({"a": ["b", "c"]}, names={"a": "Mute", "b": "quick", "c": "slow"})
    template.tasks[1].topics = ["news"]
    read: list[Any] = []
    async with tukio.Engine() as engine:
        story = listen(engine)
        engine.broker.register(lambda _: read.append(run.report()), tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(template, {"in": 0})
        assert await run.wait() is FINISHED

    assert len(story) == 8
    assert kinds(story)[-2:] == ["task-end c", "workflow-end"]
    assert run.errors == {}
    assert run.outputs == {"a": {"out": 1}, "b": {"out": 1, "b": 1}, "c": {"out": 1, "c": 1}}
    first = [report["tasks"][0]["exec"] for report in read]
    # At the begin of the run there is no holder to ask.
    assert [entry.get("reporting", "nobody") for entry in first] == ["nobody", *[None] * 7]
    assert [entry["inputs"] for entry in first] == [{"in": 0}] * 8
    assert {record.getMessage() for record in caplog.records} == {"report() of task 'a' failed"}


@pytest.fixture
def hands(task: Tasks) -> list[Any]:
    """Register `keeper`, which keeps here what it is given, and what it returns."""
    kept: list[Any] = []

    async def keeper(event: tukio.Event) -> dict[str, Any]:
        output = {"out": [1]}
        kept.extend([event.data, event.data["in"], output, output["out"]])
        return output

    task(keeper)
    return kept


def spoil(*containers: Any) -> None:
    """Change some dicts and lists."""
    for container in containers:
        if isinstance(container, dict):
            container["spoilt"] = True
        else:
            container.append("spoilt")


async def test_b37_a_report_is_a_snapshot(hands: list[Any], ran: list[str]) -> None:
    """In 1.1.2 it held the live objects: it changed when the run or its template did."""
    data = {"in": [1]}
    template = flow("keeper slow", topics=["t"])
    template.tasks[0].config = {"list": [1]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        await anyio.sleep(1)
        report = run.report()
        before = deepcopy(report)
        spoil(*hands, data, template.topics, template.tasks[0].config["list"])
        assert run.report() != before

    assert report == before


async def test_b37_to_change_a_report_changes_neither_run_nor_template(
    hands: list[Any], ran: list[str]
) -> None:
    """In 1.1.2 the config and the topics in it were those of the template."""
    template = flow("keeper slow", topics=["t"])
    template.tasks[0].config = {"list": [1]}
    template.tasks[0].topics = ["t"]
    described = template.as_dict()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": [1]})
        await anyio.sleep(1)
        before, report = run.report(), run.report()
        keeper = report["tasks"][0]
        spoil(report["topics"], keeper["topics"], keeper["config"], keeper["config"]["list"])
        spoil(keeper["exec"]["inputs"]["in"], keeper["exec"]["outputs"]["out"], report["graph"])
        assert run.report() == before
        await run.wait()

    assert template.as_dict() == described
    assert run.outputs["slow"] == {"out": [1], "slow": 1}


async def test_b37_a_report_has_a_json_form(task: Tasks) -> None:
    """In 1.1.2 `json.dumps` failed on its datetimes; they are still there before it is a text."""
    at = datetime(2024, 2, 29, tzinfo=UTC)

    @task
    async def odd(event: tukio.Event) -> dict[str, Any]:
        return {"at": at, "set": {1}, "what": object()}

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("odd"), {"in": 1})
        await run.wait()
    report = run.report()
    text = tukio.report_to_json(report)
    execution = report["tasks"][0]["exec"]
    back = tukio.report_from_json(text)["tasks"][0]["exec"]

    assert execution["start"].tzinfo is execution["end"].tzinfo is UTC
    assert json.loads(text)["exec"]["start"] == report["exec"]["start"].isoformat()
    assert datetime.fromisoformat(back["end"]) == execution["end"]
    assert (back["inputs"], back["outputs"]["at"]) == ({"in": 1}, at)
    assert back["outputs"]["set"] == {1}
    assert repr(back["outputs"]["what"]).startswith("<lost: <object object at")


# Data ---------------------------------------------------------------------------------------------


async def test_b38_what_a_handler_does_to_an_event_changes_no_record(ran: list[str]) -> None:
    """In 1.1.2 the content was the task's recorded inputs and outputs themselves."""

    def vandal(event: tukio.Event) -> None:
        if event.data["content"] is not None:
            event.data["content"]["spoilt"] = True
        event.data["type"] = "spoilt"

    async with tukio.Engine() as engine:
        engine.broker.register(vandal, tukio.EXEC_TOPIC)
        story = listen(engine)
        run: Any = await engine.run_once(flow("a b", names={"a": "quick", "b": "slow"}), {"in": 0})
        await run.wait()

    assert story == [
        ("workflow-begin", None, {"in": 0}),
        ("task-begin", "a", {"in": 0}),
        ("task-end", "a", {"in": 0, "a": 1}),
        ("task-begin", "b", {"in": 0, "a": 1}),
        ("task-end", "b", {"in": 0, "a": 1, "b": 1}),
        ("workflow-end", None, None),
    ]
    executions = [task["exec"] for task in run.report()["tasks"]]
    assert [execution["inputs"] for execution in executions] == [{"in": 0}, {"in": 0, "a": 1}]
    assert run.outputs == {"a": {"in": 0, "a": 1}, "b": {"in": 0, "a": 1, "b": 1}}


async def test_b38_workflows_started_by_one_event_do_not_share_it(task: Tasks) -> None:
    """In 1.1.2 all roots got the same event: {'n': 0}, {'n': 0, 'W3': 1}, and so on."""
    got: dict[str, Any] = {}

    @task
    async def mark(event: tukio.Event) -> None:
        uid = tukio.current_workflow().template.uid
        got[uid] = dict(event.data)
        event.data[uid] = 1
        await anyio.sleep(1)

    event = tukio.Event({"n": 0})
    async with tukio.Engine() as engine:
        for uid in ("W1", "W2", "W3"):
            await engine.load(flow("mark", id=uid))
        runs = await engine.data_received(event)

    assert got == {"W1": {"n": 0}, "W2": {"n": 0}, "W3": {"n": 0}}
    assert event.data == {"n": 0}
    assert [next(iter(run.tasks)).inputs for run in runs] == [{"n": 0}] * 3


async def test_b38_each_branch_has_a_dict_of_its_own_one_level_deep(task: Tasks) -> None:
    """As in 1.1.2 what is nested is shared by all, the caller included; now it is documented."""

    async def mark(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        event.data[uid] = 1
        event.data["nested"].append(uid)
        await anyio.sleep(1)
        return event.data

    task(mark)
    data: dict[str, Any] = {"nested": []}
    template = flow({"a": ["b", "c"]}, names=dict.fromkeys("abc", "mark"))
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        await run.wait()

    nested = ["a", "b", "c"]
    assert data == {"nested": nested}
    assert run.outputs == {
        "a": {"nested": nested, "a": 1},
        "b": {"nested": nested, "a": 1, "b": 1},
        "c": {"nested": nested, "a": 1, "c": 1},
    }
    assert "one level deep" in (tukio.Event.__doc__ or "")


async def test_b55_each_run_has_a_config_of_its_own(task: Tasks) -> None:
    """In 1.1.2 it was the template's: {'n': 1}, {'n': 2}, {'n': 3} over three runs."""
    seen: list[Any] = []

    @task
    class Counter(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            self.config["n"] += 1
            self.config["list"].append(1)
            seen.append(self.config)

    config = {"n": 0, "list": [0]}
    template = flow("Counter")
    template.tasks[0].config = config
    async with tukio.Engine() as engine:
        await engine.load(template)
        runs: list[Any] = [await engine.trigger("flow", {}) for _ in range(3)]

    assert seen == [{"n": 1, "list": [0, 1]}] * 3
    assert [run.report()["tasks"][0]["config"] for run in runs] == [{"n": 0, "list": [0]}] * 3
    assert config == {"n": 0, "list": [0]}


async def test_b55_a_task_that_is_run_again_has_a_new_config(task: Tasks) -> None:
    """In 1.1.2 it found what it had left in it."""
    seen: list[Any] = []

    @task
    class Counter(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            seen.append(list(self.config["list"]))
            self.config["list"].append(1)
            await anyio.sleep(10)

    template = flow("Counter")
    template.tasks[0].config = {"list": []}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        run.suspend()
        run.resume()
        assert await run.wait() is FINISHED

    assert seen == [[], []]


@pytest.mark.parametrize("order", ["hcalbkfdjeig", "giejdfkblach"])
@pytest.mark.parametrize("linked", [False, True], ids=["from_dict", "link"])
async def test_b56_successors_start_in_the_order_they_were_declared(
    ran: list[str], order: str, linked: bool
) -> None:
    """In 1.1.2 they were a set of objects hashed by address: any order, another in each run."""
    names = {uid: "slow" if uid in "aceg" else "quick" for uid in ["root", *sorted(order)]}
    graph = {"root": [] if linked else list(order)}
    tasks = [{"id": uid, "name": name} for uid, name in names.items()]
    template = tukio.WorkflowTemplate.from_dict({"tasks": tasks, "graph": graph})
    if linked:
        root, *others = template.tasks
        for uid in order:
            template.link(root, next(one for one in others if one.uid == uid))
    async with tukio.Engine() as engine:
        story = listen(engine)
        for _ in range(5):
            run: Any = await engine.run_once(template, {})
            await run.wait()

    assert ran == ["root", *order] * 5
    assert [uid for kind, uid, _ in story if kind == "task-begin"] == ran


# Topics -------------------------------------------------------------------------------------------


@pytest.fixture
def reader(task: Tasks) -> list[Any]:
    """Register `reader`, which after 10 s notes here the `n` in its queue."""
    got: list[Any] = []

    async def reader(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        await anyio.sleep(10)
        while not queue.empty():
            got.append(queue.get_nowait().data["n"])

    task(reader)
    return got


async def test_b39_a_topic_named_twice_is_one_topic(reader: list[Any]) -> None:
    """In 1.1.2 the end of the task was a KeyError: the run failed, and no `task-end` was told."""
    template = flow("reader")
    template.tasks[0].topics = ["news", "news"]
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received(NEWS, "news")
        assert await run.wait() is FINISHED

    assert reader == [1]
    assert kinds(story) == [
        "workflow-begin",
        "task-begin reader",
        "task-end reader",
        "workflow-end",
    ]


@pytest.mark.parametrize("topics", [["news"], None], ids=["news", "everything"])
async def test_b39_a_task_may_unsubscribe_from_a_topic_of_its_template(
    task: Tasks, topics: list[str] | None
) -> None:
    """In 1.1.2 that was the same KeyError; with topics None, to subscribe was a ValueError."""
    got: list[Any] = []

    @task
    async def fickle(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        with tukio.broker.TopicManager("news"), tukio.broker.TopicManager("news"):
            await anyio.sleep(2)
        await anyio.sleep(2)
        tukio.broker.TopicManager.unsubscribe("news")
        await anyio.sleep(2)
        while not queue.empty():
            got.append(queue.get_nowait().data["n"])

    template = flow("fickle")
    template.tasks[0].topics = topics
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, {})
        for number in (1, 3, 5):
            await anyio.sleep(1)
            await engine.data_received({"n": number}, "news")
            await anyio.sleep(1)
        assert await run.wait() is FINISHED

    assert got == ([1, 3] if topics else [1, 3, 5])
    assert kinds(story)[-2:] == ["task-end fickle", "workflow-end"]


async def test_b41_everything_is_without_execution_events(reader: list[Any]) -> None:
    """In 1.1.2 they were in it: a task with topics None got its own `task-begin` first."""
    template = flow("reader")
    template.tasks[0].topics = None
    heard: list[Any] = []
    async with tukio.Engine() as engine, engine.subscribe() as events:
        story = listen(engine)
        engine.broker.register(lambda event: heard.append(event.data["n"]))
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received({"n": 1}, "news")
        await engine.data_received({"n": 2})
        await run.wait()
        await engine.data_received({"n": 3})
        streamed = [(await anext(events)).data["n"] for _ in range(3)]

    assert len(story) == 4
    assert reader == [1, 2]
    assert heard == streamed == [1, 2, 3]


async def test_b41_execution_events_are_for_those_who_ask(task: Tasks, ran: list[str]) -> None:
    """For all of them, also in a task that gets everything, or for those of one run."""
    got: list[Any] = []

    @task
    async def watcher(event: tukio.Event) -> None:
        tukio.broker.TopicManager.subscribe(tukio.EXEC_TOPIC)
        await anyio.sleep(5)
        while not (queue := tukio.current_task().queue).empty():
            got.append(queue.get_nowait().data)

    template = flow("watcher")
    template.tasks[0].topics = None
    async with tukio.Engine() as engine:
        await engine.run_once(template, {})
        await settle()
        one: Any = await engine.run_once(flow("quick"), {"n": 1})
        _, topic = workflow_exec_topics(one.uid)
        async with engine.subscribe(topic) as events:
            await one.wait()
            two: Any = await engine.run_once(flow("quick"), {"n": 2})
            await two.wait()
            await engine.data_received(NEWS, topic)
            own = [(await anext(events)).data for _ in range(5)]

    contents = [{"n": 1}, {"n": 1}, {"n": 1, "quick": 1}, None]
    assert [data["content"] for data in own[:4]] == contents
    assert own[4] == NEWS
    assert got[:4] == own[:4]
    assert [data["type"] for data in got[4:-1]] == [data["type"] for data in own[:4]]
    assert got[-1] == NEWS


# The broker ---------------------------------------------------------------------------------------


async def test_b42_handlers_are_called_in_the_order_they_were_registered() -> None:
    """In 1.1.2 they were a set; those of every topic come first."""
    called: list[int] = []

    def handler(number: int, event: tukio.Event) -> None:
        called.append(number)

    numbers = [7, 3, 11, 0, 5, 2, 9, 4]
    async with tukio.Engine() as engine:
        for number in numbers:
            engine.broker.register(partial(handler, number), None if number == 9 else "news")
        for _ in range(3):
            await engine.data_received(NEWS, "news")

    assert called == [9, 7, 3, 11, 0, 5, 2, 4] * 3


async def test_b42_an_async_handler_gets_one_event_after_the_other() -> None:
    """In 1.1.2 each ran in a task of its own: one that waited saw them out of order."""
    story: list[tuple[str, int]] = []
    start = anyio.current_time()

    async def slow(event: tukio.Event) -> None:
        story.append(("begin", event.data["n"]))
        await anyio.sleep(9 - event.data["n"])
        story.append(("end", event.data["n"]))

    async with tukio.Engine(cleanup_timeout=60) as engine:
        engine.broker.register(slow, "news")
        engine.broker.register(lambda event: story.append(("sync", event.data["n"])), "news")
        for number in range(3):
            await engine.data_received({"n": number}, "news")
        assert anyio.current_time() == start

    assert story[:3] == [("sync", 0), ("sync", 1), ("sync", 2)]
    assert story[3:] == [(what, number) for number in range(3) for what in ("begin", "end")]
    assert anyio.current_time() - start == 9 + 8 + 7


@pytest.mark.parametrize("how", ["object", "partial", "plain function"])
async def test_b42_whatever_returns_an_awaitable_is_awaited(how: str) -> None:
    """In 1.1.2 the coroutine of an object or a plain function was never awaited."""
    got: list[int] = []

    async def handler(event: tukio.Event) -> None:
        await anyio.sleep(1)
        got.append(event.data["n"])

    class Handler:
        async def __call__(self, event: tukio.Event) -> None:
            await handler(event)

    def call(event: tukio.Event) -> Any:
        return handler(event)

    handlers: dict[str, Callable[[tukio.Event], object]] = {
        "object": Handler(),
        "partial": partial(handler),
        "plain function": call,
    }
    async with tukio.Engine() as engine:
        engine.broker.register(handlers[how])
        await engine.data_received({"n": 1})
        await engine.data_received({"n": 2})

    assert got == [1, 2]


@pytest.mark.parametrize("wait", [False, True], ids=["sync", "async"])
async def test_b42_a_handler_that_raises_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture, wait: bool
) -> None:
    """In 1.1.2 it was for asyncio to tell of it, for async ones only when it collected garbage."""
    got: list[int] = []

    def bad(event: tukio.Event) -> None:
        got.append(-event.data["n"])
        raise LookupError("bad")

    async def bad_later(event: tukio.Event) -> None:
        await anyio.sleep(1)
        bad(event)

    async with tukio.Engine() as engine:
        engine.broker.register(bad_later if wait else bad, "news")
        engine.broker.register(lambda event: got.append(event.data["n"]), "news")
        await engine.data_received({"n": 1}, "news")
        await engine.data_received({"n": 2}, "news")

    assert got == ([1, 2, -1, -2] if wait else [-1, 1, -2, 2])
    errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [repr(error) for error in errors] == ["LookupError('bad')"] * 2


async def test_b42_a_handler_gets_nothing_after_it_was_unregistered() -> None:
    """In 1.1.2 it still got what had been dispatched before."""
    got: list[Any] = []

    async def later(event: tukio.Event) -> None:
        got.append(event)

    async with tukio.Engine() as engine:

        def first(event: tukio.Event) -> None:
            if second in handlers:
                handlers.remove(second)
                engine.broker.unregister(second, "news")

        def second(event: tukio.Event) -> None:
            got.append(event)

        handlers = [first, second]
        for handler in (first, second, later):
            engine.broker.register(handler, "news")
        engine.broker.register(second, "other")
        await engine.data_received(NEWS, "news")
        engine.broker.unregister(later, "news")
        await anyio.sleep(1)

    assert got == []


@pytest.mark.parametrize("listened_to", [True, False])
async def test_b42_what_cannot_be_dispatched_is_refused_in_the_call(listened_to: bool) -> None:
    """In 1.1.2 data that is no dict was refused only if there was a handler."""
    data: Any = ["no", "dict"]
    topic: Any = 5
    async with tukio.Engine() as engine:
        if listened_to:
            engine.broker.register(print)
        with pytest.raises(ValueError, match="data must be a dict or Event"):
            engine.broker.dispatch(data, "news")
        with pytest.raises(TypeError):
            engine.broker.dispatch({}, topic)


async def test_b43_a_broker_is_gone_with_its_engine() -> None:
    """In 1.1.2 engines on one loop shared a broker, which was kept for ever with all handlers."""
    traces: list[weakref.ref[Any]] = []
    heard: list[int] = []

    async def use(number: int) -> None:
        def handler(event: tukio.Event) -> None:
            heard.append(number)

        async with tukio.Engine() as outer:
            outer.broker.register(handler)
            async with tukio.Engine() as engine:
                assert tukio.get_broker() is engine.broker
                await engine.data_received(NEWS)
            assert tukio.get_broker() is outer.broker
            await outer.data_received(NEWS)
            traces.extend(map(weakref.ref, (handler, outer.broker, engine.broker)))

    for number in range(50):
        await use(number)
    gc.collect()

    assert heard == list(range(50))
    assert [trace() for trace in traces if trace() is not None] == []


@pytest.mark.backends("asyncio", "uvloop")
def test_b43_the_broker_of_a_loop_is_gone_with_the_loop(backend: str) -> None:
    """In 1.1.2 fifty times `asyncio.run` left fifty brokers, with their closed loops."""
    traces: list[weakref.ref[Any]] = []

    async def main(loop: Any) -> None:
        broker = tukio.get_broker()
        assert broker is tukio.Engine(loop=loop).broker

        def handler(event: tukio.Event) -> None:
            raise AssertionError

        broker.register(handler, "news")
        traces.extend(map(weakref.ref, (broker, handler, loop)))

    def program() -> None:
        loop: Any = new_loop(backend)
        loop.run_until_complete(main(loop))
        loop.close()

    for _ in range(50):
        program()
    gc.collect()

    assert len(traces) == 150
    assert [trace() for trace in traces if trace() is not None] == []


ENDS: dict[str, Callable[[Any], object]] = {
    "return": lambda run: None,
    "error": lambda run: None,
    "limit": lambda run: None,
    "cancel of the task": lambda run: next(iter(run.tasks)).cancel(),
    "cancel of the run": lambda run: run.cancel(),
}


@pytest.mark.parametrize("end", ENDS)
async def test_b59_what_a_task_subscribed_to_ends_with_it(
    task: Tasks, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """In 1.1.2 the broker kept a task for ever that did not unsubscribe, and sent it more."""
    # What pytest keeps of the log holds the traceback of the failed task.
    caplog.set_level(logging.CRITICAL, logger="tukio")
    traces: list[weakref.ref[Any]] = []

    @task
    class Subscriber(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            tukio.broker.TopicManager.subscribe("news")
            traces.append(weakref.ref(self))
            await anyio.sleep(10)
            if end == "error":
                raise LookupError

    async with tukio.Engine() as engine:
        limits = {"Subscriber": 5 if end == "limit" else 60}
        run: Any = await engine.run_once(flow("Subscriber", limits=limits), {})
        await anyio.sleep(1)
        await engine.data_received({"n": 1}, "news")
        ENDS[end](run)
        await run.wait()
        await engine.data_received({"n": 2}, "news")
        queue = next(iter(run.tasks)).queue
        assert queue.get_nowait().data == {"n": 1}
        assert queue.empty()
        del run, queue
        await settle()
        gc.collect()
        assert [trace() for trace in traces] == [None]


async def test_b59_a_suspended_task_is_not_subscribed(task: Tasks) -> None:
    """In 1.1.2 the broker kept it, and its successor; now that one alone gets what comes then."""
    got: list[Any] = []

    @task
    async def subscriber(event: tukio.Event) -> None:
        tukio.broker.TopicManager.subscribe("news")
        await anyio.sleep(10)
        while not (queue := tukio.current_task().queue).empty():
            got.append(queue.get_nowait().data["n"])

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("subscriber"), {})
        await settle()
        (interrupted,) = run.tasks
        for number, act in enumerate([run.suspend, run.resume, str]):
            await anyio.sleep(1)
            await engine.data_received({"n": number}, "news")
            act()
        assert await run.wait() is FINISHED

    assert got == [2]
    assert [interrupted.queue.get_nowait().data, interrupted.queue.empty()] == [{"n": 0}, True]
