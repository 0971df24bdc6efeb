"""What the engine of tukio 1.1.2 does is still there: templates, data, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.engine import Engine
from tukio.testing.clock import settle
from tukio.utils import FutureState
from tukio.workflow import WorkflowRootTaskError

if TYPE_CHECKING:
    from support.flow import Tasks


def one(uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one `quick` task, `a`."""
    return flow("a", names={"a": "quick"}, id=uid, **fields)


def lasting(uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one `slow` task, `a`."""
    return flow("a", names={"a": "slow"}, id=uid, **fields)


def with_topics(topics: Any) -> tukio.WorkflowTemplate:
    """Return a template with topics that may not be topics."""
    template = one()
    template.topics = topics
    return template


def ids(runs: Any) -> list[str]:
    """Return the ids of the templates of some runs."""
    return sorted(run.template.uid for run in runs)


# Templates ----------------------------------------------------------------------------------------


async def test_a_loaded_template_is_triggered_by_data(ran: list[str]) -> None:
    """The run has an id of its own and is of that template."""
    template = one()
    async with Engine() as engine:
        await engine.load(template)
        first: Any = (await engine.data_received({"n": 1}))[0]
        (second,) = await engine.data_received({"n": 2})
        assert isinstance(first, tukio.Workflow)
        assert first.template is template
        assert first.uid != second.uid
        await first.wait()

    assert first.report()["tasks"][0]["exec"]["outputs"] == {"n": 1, "a": 1}
    assert ran == ["a", "a"]


async def test_a_template_with_the_id_of_another_takes_its_place(ran: list[str]) -> None:
    """Also its topics."""
    old, new = one(topics=["old"]), one(topics=["new"])
    async with Engine() as engine:
        await engine.load(old)
        await engine.load(new)
        assert await engine.data_received({}, "old") == []
        (run,) = await engine.data_received({}, "new")
        assert run.template is new


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: tukio.WorkflowTemplate("flow"), WorkflowRootTaskError),
        (
            lambda: flow({"a": [], "b": []}, names=dict.fromkeys("ab", "quick")),
            WorkflowRootTaskError,
        ),
        (lambda: flow("unheard_of"), tukio.UnknownTaskName),
        (lambda: with_topics("a"), TypeError),
        (lambda: {"id": "flow"}, WorkflowRootTaskError),
        (lambda: None, TypeError),
    ],
    ids=["no root", "two roots", "unknown name", "topics", "a dict", "None"],
)
async def test_what_cannot_be_run_cannot_be_loaded(ran: list[str], make: Any, kind: Any) -> None:
    """Nor be loaded again in place of what is."""
    async with Engine() as engine:
        with pytest.raises(kind):
            await engine.load(make())
        with pytest.raises(kind):
            await engine.reload([make()])
        assert await engine.data_received({}) == []


async def test_all_templates_are_replaced_at_once(ran: list[str]) -> None:
    """By others, or by none."""
    async with Engine() as engine:
        await engine.load(one("old"))
        await engine.reload([one("new"), one("other")])
        assert ids(await engine.data_received({})) == ["new", "other"]
        await engine.reload([])
        assert await engine.data_received({}) == []


async def test_an_unloaded_template_is_handed_back(ran: list[str]) -> None:
    """It can be loaded again."""
    template = one()
    async with Engine() as engine:
        await engine.load(template)
        assert await engine.unload("flow") is template
        assert await engine.data_received({}) == []
        assert not await engine.trigger("flow", {})
        with pytest.raises(KeyError, match="flow"):
            await engine.unload("flow")
        await engine.load(template)
        assert ids(await engine.data_received({})) == ["flow"]


@pytest.mark.parametrize("how", ["unload", "reload", "replace"])
async def test_runs_in_progress_survive_their_template(ran: list[str], how: str) -> None:
    """They go on with what they were started with."""
    async with Engine() as engine:
        await engine.load(flow("a b", names={"a": "slow", "b": "quick"}))
        (run,) = await engine.data_received({})
        await anyio.sleep(1)
        if how == "unload":
            await engine.unload("flow")
        elif how == "reload":
            await engine.reload([])
        else:
            await engine.load(one())
        assert await run.wait() is FutureState.finished

    assert ran == ["a", "b"]


# Data ---------------------------------------------------------------------------------------------

TRIGGERED = {
    None: ["all"],
    "": ["all"],
    "zz": ["all"],
    "none": ["all"],
    "a": ["ab", "all"],
    "b": ["ab", "all"],
}


@pytest.mark.parametrize(("topic", "expected"), TRIGGERED.items(), ids=repr)
async def test_data_triggers_those_that_listen_to_its_topic(
    ran: list[str], topic: str | None, expected: list[str]
) -> None:
    """And those that listen to everything."""
    async with Engine() as engine:
        await engine.load(one("all", topics=None))
        await engine.load(one("none", topics=[]))
        await engine.load(one("ab", topics=["a", "b"]))
        assert ids(await engine.data_received({}, topic)) == expected
        assert ids(await engine.data_received({}, topic=topic)) == expected


async def test_the_root_task_is_told_the_topic(task: Tasks) -> None:
    """As it was given; a triggered run has none, and none of them has a source."""
    seen: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append((event.data, event.topic, event.source))

    async with Engine() as engine:
        await engine.load(flow("a", topics=["news"]))
        for start in (
            engine.data_received({"n": 1}, "news"),
            engine.data_received(tukio.Event({"n": 2}, "other"), "news"),
            engine.trigger("flow", {"n": 3}),
            engine.trigger("flow", tukio.Event({"n": 4}, "news")),
        ):
            await start
            await settle()

    assert seen == [
        ({"n": 1}, "news", None),
        ({"n": 2}, "news", None),
        ({"n": 3}, None, None),
        ({"n": 4}, None, None),
    ]


async def test_data_reaches_handlers_and_running_tasks(task: Tasks) -> None:
    """Each by its topic; a run does not get what it was started by into its queue."""
    got: list[Any] = []
    heard: list[Any] = []

    @task
    async def reads(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        await anyio.sleep(1)
        got.append([queue.get_nowait().data for _ in range(queue.qsize())])

    template = flow("reads", topics=["start"])
    template.tasks[0].topics = ["start", "news"]
    async with Engine() as engine:
        engine.broker.register(heard.append, "news")
        await engine.load(template)
        await engine.data_received({"n": 0}, "start")
        await anyio.sleep(0.5)
        for number, topic in enumerate(("news", "other", None), 1):
            await engine.data_received({"n": number}, topic)

    assert got == [[{"n": 1}]]
    assert [(event.data, event.topic) for event in heard] == [({"n": 1}, "news")]


@pytest.mark.parametrize("data", [None, "text", 5, [1]], ids=repr)
async def test_data_that_is_neither_dict_nor_event_is_a_value_error(
    ran: list[str], data: Any
) -> None:
    """Whichever way it comes; nothing is started."""
    async with Engine() as engine:
        await engine.load(one())
        for start in (
            engine.data_received(data),
            engine.trigger("flow", data),
            engine.run_once(one(), data),
        ):
            with pytest.raises(ValueError, match="data must be a dict or Event"):
                await start
        assert engine.instances == []

    assert ran == []


@pytest.mark.parametrize("topic", [["a"], 5], ids=repr)
async def test_a_topic_is_no_list_or_number(ran: list[str], topic: Any) -> None:
    """That is a TypeError."""
    async with Engine() as engine:
        await engine.load(one())
        with pytest.raises(TypeError):
            await engine.data_received({}, topic)

    assert ran == []


# Runs ---------------------------------------------------------------------------------------------


async def test_a_template_is_triggered_whatever_its_topics(ran: list[str]) -> None:
    """That one only; an unknown one gets a falsy answer, no error."""
    async with Engine() as engine:
        for topics in (None, [], ["a"]):
            await engine.load(one(str(topics), topics=topics))
        run: Any = await engine.trigger("[]", {"n": 1})
        assert (run.template.uid, len(engine.instances)) == ("[]", 1)
        assert not await engine.trigger("unheard of", {})


async def test_what_is_triggered_is_told_to_no_handler(ran: list[str]) -> None:
    """Only received data is dispatched."""
    heard: list[Any] = []
    async with Engine() as engine:
        engine.broker.register(heard.append)
        await engine.load(one())
        await engine.trigger("flow", {"n": 1})
        await engine.run_once(one(), {"n": 2})
        await engine.data_received({"n": 3})

    assert [event.data for event in heard] == [{"n": 3}]


async def test_a_run_by_itself_needs_no_loaded_template_and_no_policy(ran: list[str]) -> None:
    """But the policies of others do count it."""
    template = lasting(policy="skip")
    async with Engine() as engine:
        first = await engine.run_once(template, {})
        second = await engine.run_once(template, {})
        assert engine.instances == [first, second]
        assert not await engine.trigger("flow", {})
        await engine.load(template)
        assert not await engine.trigger("flow", {})
        assert await engine.data_received({}) == []

    assert ran == ["a", "a"]


async def test_the_instances_are_those_in_progress(ran: list[str]) -> None:
    """In the order they were started."""
    async with Engine() as engine:
        assert engine.instances == []
        first: Any = await engine.run_once(lasting("first"), {})
        await anyio.sleep(5)
        second: Any = await engine.run_once(lasting("second"), {})
        assert engine.instances == [first, second]
        await first.wait()
        assert engine.instances == [second]
        await second.wait()
        assert engine.instances == []


async def test_tasks_may_call_the_engine(task: Tasks, ran: list[str]) -> None:
    """Without a deadlock; the policy of their own template holds for them, too."""
    refused: list[Any] = []

    @task
    async def calls(event: tukio.Event) -> None:
        refused.append(await engine.trigger("flow", {}))
        await engine.load(one("inner", topics=["inner"]))
        (inner,) = await engine.data_received({}, "inner")
        await inner.wait()
        assert (await engine.unload("inner")).uid == "inner"

    async with Engine() as engine:
        await engine.load(flow("a", names={"a": "calls"}, policy="skip"))
        run: Any = await engine.trigger("flow", {})
        assert await run.wait() is FutureState.finished

    assert run.errors == {}
    assert [bool(answer) for answer in refused] == [False]
    assert ran == ["a"]
