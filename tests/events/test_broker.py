"""The broker: who gets what is dispatched, what it refuses, and any history of both."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

import tukio
from support.flow import flow, kinds, listen
from support.handlers import notes, slow_notes
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


# Who gets what ------------------------------------------------------------------------------------


async def test_each_handler_is_called_once_and_in_order() -> None:
    """Those of every topic first, then topic by topic as they were registered."""
    story: list[Any] = []
    both, second, first = notes(story, "both"), notes(story, "second"), notes(story, "first")
    async with tukio.Engine() as engine:
        broker = engine.broker
        broker.register(second, "b")
        broker.register(both, "b")
        broker.register(both, "a")
        broker.register(both, "a")
        broker.register(first, "a")
        broker.register(notes(story, "global"))
        for n, topics in enumerate(["a", ["a", "b"], ("b", "a", "b"), "c", None, [], {"b"}]):
            broker.dispatch({"n": n}, topics)

    assert story == [
        *[("global", 0), ("both", 0), ("first", 0)],
        *[("global", 1), ("both", 1), ("first", 1), ("second", 1)],
        *[("global", 2), ("second", 2), ("both", 2), ("first", 2)],
        *[("global", n) for n in (3, 4, 5)],
        *[("global", 6), ("second", 6), ("both", 6)],
    ]


class Listener:
    """An object whose call is async, and whose method is."""

    def __init__(self, story: list[Any]) -> None:
        self.story = story

    async def __call__(self, event: tukio.Event) -> None:
        """Take a second."""
        await anyio.sleep(1)
        self.story.append(event.data["n"])

    async def hear(self, event: tukio.Event) -> None:
        """Take a second."""
        await self(event)


def async_handlers(story: list[Any]) -> dict[str, Callable[[tukio.Event], object]]:
    """Return handlers that are async, each in another way."""
    note = slow_notes(story)

    async def with_option(option: str, event: tukio.Event) -> None:
        assert option == "option"
        await note(event)

    return {
        "function": note,
        "partial": partial(with_option, "option"),
        "lambda": lambda event: with_option("option", event),
        "callable": Listener(story),
        "method": Listener(story).hear,
    }


@pytest.mark.parametrize("kind", ["function", "partial", "lambda", "callable", "method"])
async def test_whatever_a_handler_returns_to_be_awaited_is_awaited(kind: str) -> None:
    """In 1.1.2 only coroutine functions were (B42); the sender does not wait."""
    story: list[Any] = []
    handler = async_handlers(story)[kind]
    async with tukio.Engine() as engine:
        engine.broker.register(handler, "a")
        for n in range(3):
            engine.broker.dispatch({"n": n}, "a")
        assert anyio.current_time() == 0
        await anyio.sleep(2.5)
        assert story == [0, 1]

    assert story == [0, 1, 2]
    assert anyio.current_time() == 3


def test_a_bound_method_is_the_same_handler_each_time() -> None:
    """Although Python makes a new object of it whenever it is looked up."""
    story: list[Any] = []
    broker = tukio.Engine().broker
    broker.register(story.append, "a")
    broker.register(story.append, "b")
    broker.dispatch({}, ["a", "b"])
    broker.unregister(story.append, "a")
    broker.unregister(story.append, "b")
    broker.dispatch({}, ["a", "b"])
    assert len(story) == 1


async def test_each_handler_has_an_event_of_its_own() -> None:
    """One that scribbles in its event changes nobody else's, nor the sender's data."""
    events: list[tukio.Event] = []

    def scribble(event: tukio.Event) -> None:
        event.data["scribbled"] = len(events)
        events.append(event)

    async def scribble_later(event: tukio.Event) -> None:
        scribble(event)

    source, data = tukio.EventSource("flow", "run"), {"n": 1}
    async with tukio.Engine() as engine:
        for handler in (scribble, partial(scribble), scribble_later):
            engine.broker.register(handler, "a")
        engine.broker.dispatch(data, "a", source)

    assert [event.data for event in events] == [{"n": 1, "scribbled": n} for n in range(3)]
    assert [(event.topic, event.source) for event in events] == [(("a",), source)] * 3
    assert data == {"n": 1}


async def test_an_event_keeps_its_topic_and_source_when_it_is_dispatched() -> None:
    """The topics of the call only say who gets it."""
    got: list[tukio.Event] = []
    source, other = tukio.EventSource("flow", "run"), tukio.EventSource("other")
    async with tukio.Engine() as engine:
        engine.broker.register(got.append, "a")
        engine.broker.dispatch(tukio.Event({"n": 1}, "own", source), ["a", "b"], other)
        await engine.data_received({"n": 2}, "a")
        engine.broker.dispatch({"n": 3}, ["a", "b"], other)

    assert [(event.data["n"], event.topic, event.source) for event in got] == [
        (1, "own", source),
        (2, "a", None),
        (3, ["a", "b"], other),
    ]


async def test_who_listens_to_runs_is_known_until_the_last_one_has_left() -> None:
    """Topics count, not their readers: otherwise events were made for nobody, or for too few."""
    topics = [tukio.EXEC_TOPIC, f"{tukio.EXEC_TOPIC}/a"]
    handlers: list[Any] = [lambda _: 1, lambda _: 2]
    async with tukio.Engine() as engine:
        broker = engine.broker
        pairs = [(handler, topic) for handler in handlers for topic in topics]
        for handler, topic in pairs:
            broker.register(handler, topic)
        broker.register(handlers[0], "t")
        for handler, topic in pairs:
            assert broker.has_listeners
            broker.unregister(handler, topic)
        assert not broker.has_listeners


async def test_execution_events_are_for_those_who_ask(task: Tasks) -> None:
    """A handler of every topic gets none of them (B41); one run has a topic of its own."""
    everything: list[Any] = []
    one: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        tukio.current_task().dispatch_progress({"n": event.data["n"]}, "half-way")

    async with tukio.Engine() as engine:
        engine.broker.register(everything.append)
        runs: list[Any] = [await engine.run_once(flow("a"), {"n": n}) for n in range(2)]
        engine.broker.register(
            lambda event: one.append(event.data), f"{tukio.EXEC_TOPIC}/{runs[1].uid}"
        )
        story = listen(engine)

    assert everything == []
    words = ["workflow-begin", "task-begin a", "half-way a", "task-end a", "workflow-end"]
    assert sorted(kinds(story)) == sorted(words * 2)
    assert [data["type"] for data in one] == [word.split()[0] for word in words]
    assert one[2] == {"type": "half-way", "content": {"n": 1}}


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [None, "text", 5, {}, object()])
async def test_what_cannot_be_called_is_no_handler(handler: Any) -> None:
    """Said when it is registered, not when the first event comes."""
    async with tukio.Engine() as engine:
        with pytest.raises(TypeError, match="is not callable"):
            engine.broker.register(handler, "a")
        with pytest.raises(KeyError):
            engine.broker.unregister(Listener([]), "a")


@pytest.mark.parametrize("topic", [5, b"a", ("a",), ["a"], {}])
@pytest.mark.parametrize("registered", [False, True])
async def test_a_handler_s_topic_is_a_string(topic: Any, registered: bool) -> None:
    """A bad one changes nothing."""
    story: list[Any] = []
    note = notes(story)
    async with tukio.Engine() as engine:
        if registered:
            engine.broker.register(note, "a")
        with pytest.raises(TypeError, match="topic must be a string or None"):
            engine.broker.register(note, topic)
        engine.broker.dispatch({"n": 1}, "a")
        if not registered:
            engine.broker.register(note)
            engine.broker.dispatch({"n": 1}, "b")

    assert story == [1]


async def test_a_handler_is_for_every_topic_or_for_some() -> None:
    """Which of both must be undone first; a refusal changes nothing."""
    story: list[Any] = []
    note = notes(story)
    async with tukio.Engine() as engine:
        broker = engine.broker
        with pytest.raises(KeyError, match="not registered for every topic"):
            broker.unregister(note)
        broker.register(note)
        with pytest.raises(ValueError, match="as global handler"):
            broker.register(note, "a")
        with pytest.raises(KeyError, match="not registered for topic 'a'"):
            broker.unregister(note, "a")
        broker.dispatch({"n": 1}, "a")
        broker.unregister(note)
        broker.register(note, "a")
        with pytest.raises(ValueError, match="with topics"):
            broker.register(note)
        with pytest.raises(KeyError):
            broker.unregister(note)
        broker.dispatch({"n": 2}, ["a", "b"])
        broker.unregister(note, "a")
        with pytest.raises(KeyError):
            broker.unregister(note, "a")

    assert story == [1, 2]


@pytest.mark.parametrize(
    ("data", "topics", "error"),
    [
        *[(data, "a", ValueError) for data in (None, "text", 5, [("n", 1)])],
        ({"n": 1}, 5, TypeError),
        ({"n": 1}, [["a"]], TypeError),
    ],
)
@pytest.mark.parametrize("heard", [False, True])
async def test_bad_data_is_refused_whether_or_not_anybody_listens(
    data: Any, topics: Any, error: type[Exception], heard: bool
) -> None:
    """In 1.1.2 it was silent if nobody did."""
    story: list[Any] = []
    async with tukio.Engine() as engine:
        if heard:
            engine.broker.register(notes(story))
        with pytest.raises(error):
            engine.broker.dispatch(data, topics)

    assert story == []


@pytest.mark.backends("trio")
async def test_an_async_handler_needs_an_engine_that_runs() -> None:
    """An event that comes too early is an error in the call, and does the handler no harm."""
    story: list[Any] = []
    note = slow_notes(story)
    engine = tukio.Engine()
    engine.broker.register(note, "a")
    with pytest.raises(tukio.EngineError, match=r"async with tukio\.Engine"):
        engine.broker.dispatch({"n": 1}, "a")
    async with engine:
        engine.broker.dispatch({"n": 2}, "a")
        await anyio.sleep(5)
        engine.broker.unregister(note, "a")

    assert story == [2]


# Any history --------------------------------------------------------------------------------------

TOPICS = ("a", "b", "c")
SYNC, ASYNC = ("s0", "s1", "s2"), ("a0", "a1")

actions = st.one_of(
    st.tuples(
        st.sampled_from(["register", "unregister"]),
        st.sampled_from(SYNC + ASYNC),
        st.sampled_from([None, *TOPICS]),
    ),
    st.tuples(
        st.just("dispatch"), st.none(), st.lists(st.sampled_from([*TOPICS, "unheard"]), max_size=3)
    ),
    st.tuples(st.just("wait"), st.none(), st.none()),
)


@dataclass
class Model:
    """What a broker should do: who is where, what each has got, what the async ones will get."""

    places: dict[str, list[str | None]] = field(default_factory=dict)
    got: dict[str, list[int]] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)

    def register(self, name: str, topic: str | None) -> type[Exception] | None:
        """Add a place; return what is raised."""
        places = self.places.setdefault(name, [])
        if places and (topic is None) != (None in places):
            return ValueError
        places += [topic] if topic not in places else []
        return None

    def unregister(self, name: str, topic: str | None) -> type[Exception] | None:
        """Remove a place; return what is raised."""
        places = self.places.setdefault(name, [])
        if topic not in places:
            return KeyError
        places.remove(topic)
        if not places:
            self.waiting.pop(name, None)
        return None

    def dispatch(self, n: int, topics: list[str]) -> None:
        """Give an event to whoever is in one of the topics, or in all."""
        for name, places in self.places.items():
            if None in places or set(topics) & set(places):
                (self.waiting if name in ASYNC else self.got).setdefault(name, []).append(n)

    def wait(self) -> None:
        """Let the async ones get what waits for them."""
        for name, numbers in self.waiting.items():
            self.got.setdefault(name, []).extend(numbers)
        self.waiting.clear()


@settings(max_examples=60)
@given(history=st.lists(actions, max_size=25))
async def test_every_subscriber_gets_exactly_its_events_in_order(history: list[Any]) -> None:
    """Whatever is registered, unregistered and dispatched; compared with a simple model."""
    model, got = Model(), dict[str, list[int]]()
    handlers: dict[str, Any] = {}
    for name in SYNC:
        handlers[name] = notes(got.setdefault(name, []))
    for name in ASYNC:
        handlers[name] = slow_notes(got.setdefault(name, []), seconds=0)
    async with tukio.Engine() as engine:
        for n, (action, name, topic) in enumerate(history):
            if action == "dispatch":
                model.dispatch(n, topic)
                engine.broker.dispatch({"n": n}, topic)
                continue
            # Of an async one that stays in other topics, another test says what it still gets.
            if action == "wait" or (name in ASYNC and len(model.places.get(name, ())) > 1):
                model.wait()
                await settle()
            if action != "wait":
                error = getattr(model, action)(name, topic)
                with pytest.raises(error) if error else nullcontext():
                    getattr(engine.broker, action)(handlers[name], topic)
        model.wait()

    assert {name: numbers for name, numbers in got.items() if numbers} == model.got
