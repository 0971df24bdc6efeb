"""Events: whose data they carry, and who sent them."""

from __future__ import annotations

import copy
import pickle
from collections import Counter, OrderedDict, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.strategies import json_values
from tukio._model.event import Event, EventSource, sent_by

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = EventSource("flow", "run", "a", "step")


class Sender:
    """Something that counts how often it was asked for its source."""

    def __init__(self) -> None:
        self.asked = 0

    @property
    def source(self) -> EventSource:
        """The source of what it sends."""
        self.asked += 1
        return SOURCE


def through_pickle(protocol: int, event: Event) -> Event:
    """Return what comes of an event that was pickled."""
    again: Event = pickle.loads(pickle.dumps(event, protocol))  # noqa: S301 - our own
    return again


# Data


@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_an_event_has_a_copy_of_its_data_one_level_deep(data: dict[str, Any]) -> None:
    """A receiver may change the dict it is given; nested values stay shared."""
    event = Event(data)
    assert event.data == data
    assert event.data is not data
    assert all(event.data[key] is value for key, value in data.items())


class Kind(dict[str, Any]):
    """A dict with a `copy` of its own, and nothing else that works."""

    made: Callable[[Kind], Any]

    def copy(self) -> Any:
        """Return what the test says."""
        return type(self).made(self)

    def broken(self, *_: Any) -> Any:
        """Fail."""
        raise Ends

    keys = items = values = __iter__ = __len__ = __getitem__ = __contains__ = get = broken


class Ends(BaseException):
    """Is no `Exception`."""


def fail(_: object) -> Any:
    """Fail."""
    raise Ends


@pytest.mark.parametrize(
    "made",
    [fail, list, lambda kind: kind, lambda _: None],
    ids=["fails", "a list", "itself", "None"],
)
def test_data_of_any_kind_of_dict_is_copied(made: Any) -> None:
    """One level deep, whatever its methods do: no receiver changes what another one has."""
    kind: Any = type("Kind", (Kind,), {"made": staticmethod(made)})(a=[1])
    for event in (Event(kind), copy.copy(Event(kind)), Event(Event(kind))):
        assert type(event.data) is dict
        assert event.data == {"a": [1]}
        event.data["b"] = 2
    assert dict.copy(dict(dict.items(kind))) == {"a": [1]}


class Once(dict[str, Any]):
    """A dict that makes one good copy, which makes none."""

    def copy(self) -> Any:
        """Return another one, or fail."""
        if "copy" in self:
            raise Ends
        return Once(self, copy=True)


def test_a_copy_that_cannot_be_copied_goes_on_as_a_plain_dict() -> None:
    """Each receiver gets one of its own, also those that an event is copied for."""
    event = Event(Once(a=[1]))
    assert type(event.data) is Once
    for other in (copy.copy(event), sent_by(None, event.data), Event(event)):
        assert type(other.data) is dict
        assert other.data == {"a": [1], "copy": True}
        assert other.data is not event.data


@pytest.mark.parametrize(
    "kind",
    [OrderedDict(a=1), defaultdict(int, a=1), Counter("a")],
    ids=lambda kind: type(kind).__name__,
)
def test_a_dict_that_can_make_a_copy_of_its_kind_keeps_its_kind(kind: Any) -> None:
    """As in 1.x."""
    data = Event(kind).data
    assert (type(data), data) == (type(kind), kind)
    assert data is not kind


def test_an_event_made_from_an_event_takes_its_data_only() -> None:
    """As in 1.x: topic and source are those of the new event."""
    first = Event({"n": 1}, "t", SOURCE)
    second = Event(first)
    second.data["n"] = 2
    assert (second.data, second.topic, second.source) == ({"n": 2}, None, None)
    assert first.data == {"n": 1}


def test_an_event_sent_by_someone_has_a_copy_of_the_data_too() -> None:
    """The short way in for the engine keeps the same promise."""
    data = {"n": [1]}
    event = sent_by(None, data, "t")
    event.data["m"] = 2
    assert data == {"n": [1]}
    assert event.data["n"] is data["n"]
    assert (event.topic, event.source) == ("t", None)


@pytest.mark.parametrize("data", [None, 5, "text", [("n", 1)]])
def test_data_that_is_no_dict_is_refused(data: Any) -> None:
    """With the exception of 1.x, and the type in the message."""
    with pytest.raises(
        ValueError, match=rf"data must be a dict or Event, not {type(data).__name__}"
    ):
        Event(data)


def test_a_source_that_is_no_source_is_refused() -> None:
    """A dict would fail much later, when someone looks at it."""
    source: Any = {"workflow_exec_id": "run"}
    with pytest.raises(ValueError, match="source must be an EventSource, not dict"):
        Event({}, source=source)


@pytest.mark.parametrize("name", ["data", "topic", "source"])
def test_an_event_cannot_be_changed_into_another(name: str) -> None:
    """Several handlers hold the same event."""
    with pytest.raises(AttributeError):
        setattr(Event({}), name, None)


# Source


def test_the_source_is_worked_out_when_someone_looks() -> None:
    """Most events are looked at by nobody, and ids cost time; and it is worked out once."""
    sender = Sender()
    event = sent_by(sender, {})
    assert sender.asked == 0
    assert event.source is SOURCE
    assert event.source is SOURCE
    assert sender.asked == 1


def test_a_copy_is_an_event_with_data_of_its_own() -> None:
    """1.x returned a bare dict here; the source is still worked out late."""
    sender = Sender()
    event = sent_by(sender, {"n": 1}, "t")
    twin = copy.copy(event)
    twin.data["n"] = 2
    assert sender.asked == 0
    assert (event.data, twin.data, twin.topic) == ({"n": 1}, {"n": 2}, "t")
    assert twin.source is SOURCE


def test_a_copy_keeps_a_source_that_is_known() -> None:
    """Also one that was given, for which there is nobody to ask."""
    assert copy.copy(Event({}, "t", SOURCE)).source is SOURCE


@pytest.mark.parametrize(
    "sent",
    [Event({"n": [1]}, "t", SOURCE), sent_by(Sender(), {"n": [1]}, "t"), Event({"n": [1]}, "t")],
    ids=["with a source", "by a sender", "from outside"],
)
@pytest.mark.parametrize(
    "way",
    [copy.deepcopy, *(partial(through_pickle, protocol) for protocol in range(6))],
    ids=["deepcopy", *map(str, range(6))],
)
def test_an_event_is_data(sent: Event, way: Callable[[Event], Event]) -> None:
    """It goes to other processes: with its source, and without whoever sent it."""
    event = way(sent)
    assert (event.data, event.topic, event.source) == (sent.data, sent.topic, sent.source)
    assert event.data["n"] is not sent.data["n"]
    assert event._sender is None
    assert copy.copy(event).source == sent.source


def test_the_words_of_an_event_are_those_of_1_x() -> None:
    """`repr` is the data alone; `str` tells it all."""
    event = Event({"n": 1}, "t", SOURCE)
    assert repr(event) == "{'n': 1}"
    assert str(event) == f"<Event topic=t, data={{'n': 1}}, source={SOURCE!r}>"


def test_a_source_has_four_ids_by_name() -> None:
    """In the order of 1.x, as attributes and as data."""
    ids = {
        "workflow_template_id": "flow",
        "workflow_exec_id": "run",
        "task_template_id": "a",
        "task_exec_id": "step",
    }
    assert SOURCE.as_dict() == ids
    assert list(SOURCE.as_dict()) == list(ids)
    assert {name: getattr(SOURCE, name) for name in ids} == ids


sources = st.builds(EventSource, *[st.sampled_from([None, "a", "b"])] * 4)


@given(sources, sources)
def test_sources_are_equal_when_their_ids_are(one: EventSource, other: EventSource) -> None:
    """They are values: a test or a handler compares them."""
    assert (one == other) is (one.as_dict() == other.as_dict())
    assert one != other or hash(one) == hash(other)
    assert one != one.as_dict()


def test_a_source_shows_the_ids_it_has() -> None:
    """A log line says who spoke."""
    assert repr(EventSource("flow", "run")) == (
        "<EventSource workflow_template_id=flow, workflow_exec_id=run>"
    )
    assert repr(EventSource()) == "<EventSource outside>"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_the_program_while_an_event_is_made_goes_on(error: BaseException) -> None:
    """Although the dict can be copied the next time, as after Ctrl-C."""

    class Once(dict[str, Any]):
        raised = False

        def copy(self) -> dict[str, Any]:
            if not self.raised:
                self.raised = True
                raise error
            return dict(self)

    data = Once(n=1)
    with pytest.raises(type(error)):
        sent_by(None, data)
    assert sent_by(None, data).data == {"n": 1}
