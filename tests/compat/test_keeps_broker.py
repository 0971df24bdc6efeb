"""Brokers, topics and execution events of tukio 1.1.2 work as they did."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.broker import Broker, get_broker, workflow_exec_topics
from tukio.engine import Engine
from tukio.testing.clock import settle
from tukio.workflow import Workflow

as_in_1_x = pytest.mark.backends("asyncio", "uvloop")


# Handlers -----------------------------------------------------------------------------------------


async def test_a_handler_gets_the_events_of_its_topics() -> None:
    """One of no topic in particular gets all; each of them once, however many topics match."""
    heard: dict[str, list[Any]] = {"all": [], "a": [], "ab": []}
    async with Engine() as engine:
        broker = engine.broker
        broker.register(lambda event: heard["all"].append(event.data["n"]))
        broker.register(lambda event: heard["a"].append(event.data["n"]), "a")

        def both(event: tukio.Event) -> None:
            heard["ab"].append(event.data["n"])

        for topic in ("a", "b", "a"):
            broker.register(both, topic=topic)
        for number, topics in enumerate((None, "a", "b", "zz", ["a", "b"], ("b", "zz"), [])):
            broker.dispatch({"n": number}, topics)
        await settle()

    assert heard == {"all": [0, 1, 2, 3, 4, 5, 6], "a": [1, 4], "ab": [1, 2, 4, 5]}


class Handlers:
    """Handlers of many kinds; each notes what it has heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def method(self, event: tukio.Event) -> None:
        """Be sync."""
        self.heard.append(("method", event.data))

    async def coroutine(self, event: tukio.Event) -> None:
        """Be async."""
        await anyio.sleep(1)
        self.heard.append(("coroutine", event.data))

    async def more(self, word: str, event: tukio.Event) -> None:
        """Take more than the event."""
        self.heard.append((word, event.data))


async def test_a_handler_is_any_callable_sync_or_async() -> None:
    """Methods, and partials of coroutine functions."""
    handlers = Handlers()
    async with Engine() as engine:
        for handler in (
            handlers.method,
            handlers.coroutine,
            functools.partial(handlers.more, "partial"),
        ):
            engine.broker.register(handler, "news")
        engine.broker.dispatch({"n": 1}, "news")
        await anyio.sleep(2)

    assert sorted(handlers.heard) == [
        ("coroutine", {"n": 1}),
        ("method", {"n": 1}),
        ("partial", {"n": 1}),
    ]


@pytest.mark.parametrize("topic", [None, "news"], ids=repr)
async def test_a_handler_that_is_registered_twice_is_called_once(topic: str | None) -> None:
    """And one `unregister` undoes it; a bound method is found by equality."""
    handlers = Handlers()
    async with Engine() as engine:
        for _ in range(2):
            engine.broker.register(handlers.method, topic)
        engine.broker.dispatch({"n": 1}, topic)
        await settle()
        engine.broker.unregister(handlers.method, topic=topic)
        engine.broker.dispatch({"n": 2}, topic)
        await settle()
        with pytest.raises(KeyError):
            engine.broker.unregister(handlers.method, topic)

    assert handlers.heard == [("method", {"n": 1})]


async def test_a_handler_is_removed_from_one_topic_only() -> None:
    """It stays in the others."""
    heard: list[Any] = []
    async with Engine() as engine:
        broker = engine.broker
        for topic in ("a", "b"):
            broker.register(heard.append, topic)
        broker.unregister(heard.append, "a")
        for topic in ("a", "b"):
            broker.dispatch({"topic": topic}, topic)
        await settle()
        for wrong in ("a", "zz", None):
            with pytest.raises(KeyError):
                broker.unregister(heard.append, wrong)

    assert [event.data for event in heard] == [{"topic": "b"}]


async def test_a_handler_gets_everything_or_topics_but_not_both() -> None:
    """Whichever came first; once it is unregistered, it may have the other."""
    heard: list[Any] = []
    async with Engine() as engine:
        broker = engine.broker
        for first, second in ((None, "news"), ("news", None)):
            broker.register(heard.append, first)
            with pytest.raises(ValueError, match="already registered"):
                broker.register(heard.append, second)
            broker.unregister(heard.append, first)
        broker.register(heard.append, "news")
        broker.dispatch({}, "news")
        await settle()

    assert len(heard) == 1


async def test_what_is_no_handler_or_no_topic_is_refused() -> None:
    """By a TypeError."""
    wrong: Any = ["a"]
    async with Engine() as engine:
        with pytest.raises(TypeError):
            engine.broker.register(wrong)
        with pytest.raises(TypeError):
            engine.broker.register(print, wrong)
        with pytest.raises(TypeError):
            engine.broker.dispatch({}, 5)  # type: ignore[arg-type]


async def test_data_that_is_no_dict_is_not_dispatched() -> None:
    """That is a ValueError."""
    heard: list[Any] = []
    wrong: Any = "text"
    async with Engine() as engine:
        engine.broker.register(heard.append, "news")
        with pytest.raises(ValueError, match="data must be a dict or Event"):
            engine.broker.dispatch(wrong, "news")

    assert heard == []


async def test_a_handler_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Nor itself: it gets the next event."""
    heard: list[Any] = []

    def fails(event: tukio.Event) -> None:
        heard.append(("fails", event.data["n"]))
        raise LookupError("mine")

    async def fails_later(event: tukio.Event) -> None:
        heard.append(("fails later", event.data["n"]))
        raise LookupError("mine")

    def is_fine(event: tukio.Event) -> None:
        heard.append(("fine", event.data["n"]))

    async with Engine() as engine:
        for handler in (fails, fails_later, is_fine):
            engine.broker.register(handler, "news")
        for number in (1, 2):
            engine.broker.dispatch({"n": number}, "news")
        await settle()

    assert sorted(heard) == [(kind, n) for kind in ("fails", "fails later", "fine") for n in (1, 2)]
    assert len(caplog.records) == 4


# Events -------------------------------------------------------------------------------------------


async def test_each_handler_gets_an_event_of_its_own() -> None:
    """Its dict, that is; what is nested is shared."""
    nested: list[int] = []
    data = {"n": nested}
    heard: list[Any] = []

    def one(event: tukio.Event) -> None:
        event.data["mine"] = 1
        event.data["n"].append(1)
        heard.append(event.data)

    def other(event: tukio.Event) -> None:
        event.data["mine"] = 2
        heard.append(event.data)

    async with Engine() as engine:
        engine.broker.register(one, "news")
        engine.broker.register(other, "news")
        engine.broker.dispatch(data, "news")
        await settle()

    assert sorted(heard, key=lambda got: got["mine"]) == [
        {"n": [1], "mine": 1},
        {"n": [1], "mine": 2},
    ]
    assert data == {"n": [1]}


async def test_an_event_says_in_which_topics_it_was_dispatched() -> None:
    """As it was said; and who sent it."""
    source = tukio.EventSource("W", "W1")
    heard: list[Any] = []
    several = ["a", "b"]
    async with Engine() as engine:
        engine.broker.register(heard.append)
        engine.broker.dispatch({})
        engine.broker.dispatch({}, "a")
        engine.broker.dispatch({}, several, source)
        engine.broker.dispatch(data={}, topics=("a", "b"), source=source)
        await engine.data_received({}, "a")
        await settle()

    assert [event.topic for event in heard] == [None, ("a",), ["a", "b"], ("a", "b"), "a"]
    assert heard[2].topic is several
    sources = [event.source and event.source.as_dict() for event in heard]
    assert sources == [None, None, source.as_dict(), source.as_dict(), None]


async def test_a_dispatched_event_keeps_its_own_topic_and_source() -> None:
    """What is said beside it only says who gets it."""
    heard: list[Any] = []
    event = tukio.Event({"n": 1}, "own", tukio.EventSource("W"))
    async with Engine() as engine:
        engine.broker.register(heard.append, "news")
        engine.broker.register(heard.append, "own")
        engine.broker.dispatch(event, "news", tukio.EventSource("other"))
        engine.broker.dispatch(event, "zz")
        await settle()

    (got,) = heard
    assert got is not event
    assert (got.data, got.topic, got.source.as_dict()["workflow_template_id"]) == (
        {"n": 1},
        "own",
        "W",
    )


async def test_execution_events_go_to_two_topics(ran: list[str]) -> None:
    """One for all runs, and one for each, which a handler may leave when it is over."""
    heard: list[tuple[str, Any]] = []
    async with Engine() as engine:
        broker = engine.broker
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {"n": 1})
        other: Any = await engine.run_once(flow("b", names={"b": "slow"}), {"n": 1})

        def of_run(event: tukio.Event) -> None:
            heard.append(("run", event))
            if event.data["type"] == "workflow-end":
                broker.unregister(of_run, f"{tukio.EXEC_TOPIC}/{run.uid}")

        broker.register(of_run, topic=f"{tukio.EXEC_TOPIC}/{run.uid}")
        broker.register(lambda event: heard.append(("all", event)), topic=tukio.EXEC_TOPIC)
        await run.wait()
        await other.wait()
        with pytest.raises(KeyError):
            broker.unregister(of_run, f"{tukio.EXEC_TOPIC}/{run.uid}")

    mine = [event for who, event in heard if who == "run"]
    kinds = ["workflow-begin", "task-begin", "task-end", "workflow-end"]
    assert [event.data["type"] for event in mine] == kinds
    assert sorted(event.data["type"] for who, event in heard if who == "all") == sorted(kinds * 2)
    assert {event.topic for event in mine} == {workflow_exec_topics(run.uid)}
    task_id = run.report()["tasks"][0]["exec"]["id"]
    assert [event.data for event in mine] == [
        {"type": "workflow-begin", "content": {"n": 1}},
        {"type": "task-begin", "content": {"n": 1}},
        {"type": "task-end", "content": {"n": 1, "a": 1}},
        {"type": "workflow-end", "content": None},
    ]
    places = [("flow", run.uid, *place) for place in ((None, None), ("a", task_id))]
    sources = [tuple(event.source.as_dict().values()) for event in mine]
    assert sources == [places[0], places[1], places[1], places[0]]


# Brokers ------------------------------------------------------------------------------------------


@as_in_1_x
async def test_a_loop_has_one_broker() -> None:
    """With or without an engine on it."""
    loop = asyncio.get_running_loop()
    broker = get_broker()
    assert isinstance(broker, Broker)
    assert broker is get_broker(loop) is get_broker(loop=loop)
    heard: list[Any] = []
    broker.register(heard.append, "news")
    await Engine().data_received({"n": 1}, "news")
    await settle()
    assert [event.data for event in heard] == [{"n": 1}]


@as_in_1_x
@pytest.mark.parametrize("how", ["nothing", "loop", "loop="])
async def test_a_broker_may_be_made_by_itself(ran: list[str], how: str) -> None:
    """For a loop or the running one, for sync and async handlers, and for a workflow."""
    kind: Any = Broker
    loop = asyncio.get_running_loop()
    broker = {"nothing": kind, "loop": lambda: kind(loop), "loop=": lambda: kind(loop=loop)}[how]()
    handlers = Handlers()
    broker.register(handlers.method, "news")
    broker.register(handlers.coroutine, "news")
    try:
        broker.dispatch({"n": 1}, "news")
        await asyncio.sleep(2)
    finally:
        broker.unregister(handlers.coroutine, "news")
    assert sorted(handlers.heard) == [("coroutine", {"n": 1}), ("method", {"n": 1})]
    heard: list[Any] = []
    broker.register(heard.append, tukio.EXEC_TOPIC)
    run: Any = Workflow(flow("a", names={"a": "quick"}), broker=broker)
    run.run({})
    await run
    await settle()
    assert [event.data["type"] for event in heard][-1] == "workflow-end"
