"""What tukio 1.1.2 offers as plain names and values is still there: imports, enums, errors, events.

Nothing here needs an event loop.
"""

from __future__ import annotations

import importlib
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from tukio.broker import EXEC_TOPIC, workflow_exec_topics
from tukio.event import Event, EventSource
from tukio.task import TukioTaskError, UnknownTaskName
from tukio.task.factory import TaskExecState
from tukio.utils import FutureState, Listen, SkipTask
from tukio.workflow import (
    OverrunPolicy,
    RescueError,
    TemplateGraphError,
    WorkflowError,
    WorkflowExecState,
    WorkflowRootTaskError,
)

if TYPE_CHECKING:
    import enum

# Names --------------------------------------------------------------------------------------------

NAMES = {
    "tukio": """Engine TaskRegistry TaskHolder JoinTask UnknownTaskName WorkflowTemplate Workflow
        Event EventSource get_broker EXEC_TOPIC""",
    "tukio.engine": "Engine",
    "tukio.event": "Event EventSource",
    "tukio.broker": "Broker TopicManager workflow_exec_topics get_broker EXEC_TOPIC",
    "tukio.dag": "DAG DAGValidationError",
    "tukio.utils": "FutureState SkipTask Listen TimeoutHandle",
    "tukio.workflow": """Workflow WorkflowTemplate WorkflowExecState OverrunPolicy
        OverrunPolicyHandler WorkflowError WorkflowRootTaskError TemplateGraphError RescueError
        new_workflow""",
    "tukio.task": """register new_task TaskRegistry UnknownTaskName TaskHolder JoinTask TaskTemplate
        TukioTask TukioTaskError tukio_factory TimeoutHandle""",
    "tukio.task.task": "TaskRegistry UnknownTaskName register new_task TimeoutHandle",
    "tukio.task.holder": "TaskHolder",
    "tukio.task.join": "JoinTask",
    "tukio.task.factory": "TaskExecState TukioTask TukioTaskError tukio_factory",
    "tukio.task.template": "TaskTemplate",
}
PATHS = [(module, name) for module, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize(("module", "name"), PATHS, ids=[f"{path}.{name}" for path, name in PATHS])
def test_a_name_is_where_it_was(module: str, name: str) -> None:
    """Under every path of 1.x it is one and the same thing."""
    found = getattr(importlib.import_module(module), name)
    others = [other for other, names in NAMES.items() if name in names.split()]
    assert all(found is getattr(importlib.import_module(other), name) for other in others)


def test_what_the_root_exported_is_imported_by_a_star() -> None:
    """All eleven names."""
    assert set(NAMES["tukio"].split()) <= set(tukio.__all__)


def test_the_exec_topics_have_the_same_names() -> None:
    """They are written down in the configurations of other programs."""
    assert EXEC_TOPIC == tukio.EXEC_TOPIC == "__exec_topic__"
    assert workflow_exec_topics("w") == ("__exec_topic__", "__exec_topic__/w")


# Enums --------------------------------------------------------------------------------------------

VALUES: dict[type[enum.Enum], dict[str, str]] = {
    OverrunPolicy: {
        "SKIP": "skip",
        "START_NEW": "start-new",
        "SKIP_UNTIL_UNLOCK": "skip-until-unlock",
        "ABORT_RUNNING": "abort-running",
    },
    Listen: {"everything": "everything", "nothing": "nothing", "topics": "topics"},
    FutureState: {
        "pending": "pending",
        "cancelled": "cancelled",
        "exception": "exception",
        "finished": "finished",
        "skipped": "skipped",
        "suspended": "suspended",
        "timeout": "timeout",
    },
    WorkflowExecState: {
        "BEGIN": "workflow-begin",
        "END": "workflow-end",
        "ERROR": "workflow-error",
        "PROGRESS": "workflow-progress",
        "SUSPEND": "workflow-suspend",
        "RESUME": "workflow-resume",
    },
    TaskExecState: {
        "BEGIN": "task-begin",
        "END": "task-end",
        "ERROR": "task-error",
        "SKIP": "task-skip",
        "PROGRESS": "task-progress",
        "TIMEOUT": "task-timeout",
    },
}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_an_enum_has_its_members_and_values(kind: type[enum.Enum]) -> None:
    """In their order; a member that was added comes after them."""
    members = [(member.name, member.value) for member in kind]
    assert members[: len(VALUES[kind])] == list(VALUES[kind].items())


def test_the_types_of_exec_events_come_as_a_list() -> None:
    """`values()` of both enums."""
    assert WorkflowExecState.values()[:6] == list(VALUES[WorkflowExecState].values())
    assert TaskExecState.values()[:6] == list(VALUES[TaskExecState].values())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SkipTask("why"), TaskExecState.SKIP),
        (TukioTaskError({"code": 3}), TaskExecState.ERROR),
        (KeyError("boom"), TaskExecState.ERROR),
    ],
    ids=repr,
)
def test_an_exception_has_its_exec_event(error: Exception, kind: TaskExecState) -> None:
    """A skip is no error."""
    assert TaskExecState.from_exception(error) is kind


def test_a_policy_is_got_from_itself_its_value_or_nothing() -> None:
    """The default is `skip-until-unlock`; what is no value of a policy is a ValueError."""
    assert OverrunPolicy.get() is OverrunPolicy.get(None) is OverrunPolicy.SKIP_UNTIL_UNLOCK
    assert OverrunPolicy.get_default_policy() is OverrunPolicy.SKIP_UNTIL_UNLOCK
    assert [OverrunPolicy.get(policy) for policy in OverrunPolicy] == list(OverrunPolicy)
    assert [OverrunPolicy.get(policy.value) for policy in OverrunPolicy] == list(OverrunPolicy)
    with pytest.raises(ValueError, match="'SKIP' is not a valid OverrunPolicy"):
        OverrunPolicy.get("SKIP")


def test_topics_say_what_is_listened_to() -> None:
    """None is everything, [] is nothing; anything but a list is a TypeError."""
    assert Listen.get(None) is Listen.everything
    assert Listen.get([]) is Listen.nothing
    assert Listen.get(["a"]) is Listen.topics
    for other in ("a", ("a",), 5):
        wrong: Any = other
        with pytest.raises(TypeError, match="is not a list"):
            Listen.get(wrong)


def test_some_states_are_done() -> None:
    """Those that a rescue does not run again."""
    done = [state.value for state in FutureState if state.done()]
    assert done == ["exception", "finished", "skipped", "timeout"]


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [WorkflowRootTaskError, TemplateGraphError, RescueError])
def test_errors_about_workflows_are_workflow_errors(kind: type[Exception]) -> None:
    """One `except WorkflowError` catches them all."""
    assert issubclass(kind, WorkflowError)
    assert issubclass(WorkflowError, Exception)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WorkflowRootTaskError(2), ["expected one root task, found 2"]),
        (TemplateGraphError("Z"), ["Z"]),
        (RescueError("u1", "too late"), ["u1", "too late"]),
    ],
    ids=["root", "graph", "rescue"],
)
def test_errors_are_made_as_they_were_and_say_what_they_are_about(
    error: Exception, words: list[str]
) -> None:
    """By the same arguments."""
    assert [word for word in words if word not in str(error)] == []


def test_what_tasks_raise_carries_what_they_say() -> None:
    """`reason` of a skip, `task_outputs` of an error with an output."""
    assert SkipTask().reason is None
    assert SkipTask("why").reason == SkipTask(reason="why").reason == "why"
    assert TukioTaskError({"code": 3}).task_outputs == {"code": 3}
    assert TukioTaskError(output=5).task_outputs == 5
    for kind in (SkipTask, TukioTaskError, UnknownTaskName):
        assert issubclass(kind, Exception)


# Events -------------------------------------------------------------------------------------------

IDS = {
    "workflow_template_id": "W",
    "workflow_exec_id": "W1",
    "task_template_id": "T",
    "task_exec_id": "T1",
}


def test_an_event_is_its_data_its_topic_and_its_source() -> None:
    """All but the data may be left out."""
    source = EventSource("W", "W1")
    event: Any = Event({"n": 1}, "news", source)
    named: Any = Event(data={"n": 1}, topic="news", source=source)
    for one in (event, named):
        assert (one.data, one.topic) == ({"n": 1}, "news")
        assert one.source.as_dict() == source.as_dict()
    assert (Event({}).data, Event({}).topic, Event({}).source) == ({}, None, None)


def test_the_data_of_an_event_is_a_copy_one_level_deep() -> None:
    """It can be changed, and nobody else sees it."""
    data: dict[str, Any] = {"n": [1]}
    event = Event(data)
    event.data["more"] = 2
    assert data == {"n": [1]}
    assert event.data == {"n": [1], "more": 2}
    assert event.data["n"] is data["n"]
    assert event.data is event.data


def test_an_event_made_from_an_event_takes_a_copy_of_its_data_but_not_its_topic() -> None:
    """The same with the source."""
    first = Event({"n": 1}, "news", EventSource("W"))
    second = Event(first)
    second.data["n"] = 2
    assert (first.data, second.topic, second.source) == ({"n": 1}, None, None)
    assert Event(first, "other").topic == "other"


@pytest.mark.parametrize("data", [None, "text", 5, [("n", 1)], object], ids=repr)
def test_data_that_is_no_dict_is_a_value_error(data: Any) -> None:
    """As everywhere in the engine."""
    with pytest.raises(ValueError, match="data must be a dict or Event"):
        Event(data)


@pytest.mark.parametrize("source", ["W", {"workflow_exec_id": "W1"}, 5], ids=repr)
def test_a_source_that_is_no_source_is_a_value_error(source: Any) -> None:
    """Ids alone are not enough."""
    with pytest.raises(ValueError, match="source must be an EventSource"):
        Event({}, source=source)


@pytest.mark.parametrize("name", ["data", "topic", "source"])
def test_what_an_event_has_cannot_be_replaced(name: str) -> None:
    """They are properties to read."""
    with pytest.raises(AttributeError):
        setattr(Event({}), name, None)


def test_an_event_shows_its_data_and_says_all_it_has() -> None:
    """`repr` is for logs, `str` for people."""
    source = EventSource(**IDS)
    event = Event({"n": 1}, "news", source)
    assert repr(event) == "{'n': 1}"
    assert str(event) == f"<Event topic=news, data={{'n': 1}}, source={source}>"


def test_events_are_equal_only_to_themselves() -> None:
    """Two messages with the same words are still two."""
    event = Event({"n": 1})
    assert event == event  # noqa: PLR0124 - equality is what is tested
    assert event != Event({"n": 1})
    assert len({event, Event({"n": 1})}) == 2


def test_a_source_is_four_ids() -> None:
    """In this order, by these names, none of them needed."""
    assert EventSource().as_dict() == dict.fromkeys(IDS)
    assert EventSource(**IDS).as_dict() == IDS
    assert list(EventSource(*IDS.values()).as_dict().items()) == list(IDS.items())


def test_a_source_names_the_task_when_there_is_one() -> None:
    """The ids it does have are shown."""
    shown = repr(EventSource(**IDS))
    assert [uid for uid in IDS.values() if uid not in shown] == []
    assert "task_exec_id" not in repr(EventSource("W", "W1"))


def test_events_and_sources_survive_pickle() -> None:
    """Users kept them in stores of their own."""
    event: Any = pickle.loads(pickle.dumps(Event({"n": 1}, "news", EventSource(**IDS))))  # noqa: S301
    assert (event.data, event.topic, event.source.as_dict()) == ({"n": 1}, "news", IDS)
