"""Templates: as objects, as data, and back."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.strategies import any_documents, json_values, sound_documents
from tukio._model.listen import Listen
from tukio._model.policy import ErrorPolicy, OverrunPolicy
from tukio._model.task_template import TaskTemplate
from tukio._model.template import WorkflowTemplate
from tukio.errors import TemplateError, WorkflowRootTaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

WITH_EVERYTHING: dict[str, Any] = {
    "id": "flow",
    "policy": "abort-running",
    "topics": ["t"],
    "timeout": 30,
    "schema": 2,
    "tasks": [
        {"name": "x", "id": "a", "config": {"n": [1]}, "timeout": 5, "topics": None, "x-y": [3]},
        {"name": "x", "id": "c", "config": {}, "timeout": None, "topics": [], "x-y": [3]},
        {"name": "x", "id": "b", "config": {}, "timeout": None, "topics": ["t"]},
    ],
    "graph": {"a": ["b", "c"], "c": [], "b": []},
    "title": "A flow",
    "meta": {"owner": ["me"]},
    "on_error": "abort",
    "x-version": [7],
}


def links(template: WorkflowTemplate) -> dict[str, list[str]]:
    """Return the graph of a template by ids."""
    graph = template.dag.graph
    return {task.uid: [next_.uid for next_ in successors] for task, successors in graph.items()}


def two_tasks() -> tuple[WorkflowTemplate, TaskTemplate, TaskTemplate]:
    """Return a template with two tasks, not linked."""
    template, a, b = WorkflowTemplate("flow"), TaskTemplate("x", "a"), TaskTemplate("x", "b")
    template.add(a)
    template.add(b)
    return template, a, b


# The dict form


@given(sound_documents())
def test_a_document_comes_back_as_it_was(document: dict[str, Any]) -> None:
    """Unknown keys and declared order included: nothing of the user's is lost."""
    template = WorkflowTemplate.from_dict(document)
    # As text, because NaN is not equal to itself; sorted, because keys of our own come first.
    assert json.dumps(template.as_dict(), sort_keys=True) == json.dumps(document, sort_keys=True)
    assert [task.uid for task in template.tasks] == [task["id"] for task in document["tasks"]]


@given(any_documents)
def test_what_a_template_says_of_itself_describes_it(document: Any) -> None:
    """Whatever it was made from, it is made again from its own dict form."""
    try:
        template = WorkflowTemplate.from_dict(document)
    except TemplateError:
        return
    once = template.as_dict()
    assert json.dumps(WorkflowTemplate.from_dict(once).as_dict()) == json.dumps(once)


def test_every_field_comes_back() -> None:
    """The keys of 1.x first and in its order, then what was set."""
    template = WorkflowTemplate.from_dict(WITH_EVERYTHING)
    assert template.as_dict() == WITH_EVERYTHING
    assert list(template.as_dict()) == list(WITH_EVERYTHING)
    assert template.policy is OverrunPolicy.ABORT_RUNNING
    assert template.on_error is ErrorPolicy.ABORT
    assert template.extra == {"x-version": [7]}
    assert [task.extra for task in template.tasks] == [{"x-y": [3]}, {"x-y": [3]}, {}]
    assert [task.listen for task in template.tasks] == [
        Listen.everything,
        Listen.nothing,
        Listen.topics,
    ]


def test_an_empty_document_is_an_empty_template() -> None:
    """All keys are optional; defaults are those of 1.x."""
    template = WorkflowTemplate.from_dict({})
    assert template.as_dict() == {
        "id": template.uid,
        "policy": "skip-until-unlock",
        "topics": None,
        "timeout": None,
        "schema": 1,
        "tasks": [],
        "graph": {},
    }
    assert template.uid != WorkflowTemplate.from_dict({}).uid


def test_a_task_needs_only_a_name() -> None:
    """It gets an id of its own, no limit, and listens to nothing."""
    [task] = WorkflowTemplate.from_dict({"tasks": [{"name": "x"}]}).tasks
    assert task.as_dict() == {
        "name": "x",
        "id": task.uid,
        "config": {},
        "timeout": None,
        "topics": [],
    }
    [other] = WorkflowTemplate.from_dict({"tasks": [{"name": "x"}]}).tasks
    assert task.uid != other.uid


def test_an_empty_id_is_none() -> None:
    """As in 1.x, it is made up; so nothing can be linked to it."""
    document: dict[str, Any] = {
        "id": "",
        "tasks": [{"name": "x", "id": ""}, {"name": "x", "id": ""}],
    }
    template = WorkflowTemplate.from_dict(document)
    assert template.uid
    assert all(task.uid for task in template.tasks)
    with pytest.raises(TemplateError, match=r"graph\.: unknown task ''"):
        WorkflowTemplate.from_dict(document | {"graph": {"": []}})


def test_leaves_may_be_left_out_of_the_graph_and_edges_may_come_twice() -> None:
    """As in 1.x; a tuple, a set and the keys of a dict are lists of ids too."""
    tasks = [{"name": "x", "id": uid} for uid in "abcd"]
    graph: dict[str, Any] = {"a": ("c", "b", "c"), "b": {"d"}, "c": {"d": None}}
    template = WorkflowTemplate.from_dict({"tasks": tasks, "graph": graph})
    assert links(template) == {"a": ["c", "b"], "b": ["d"], "c": ["d"], "d": []}


def test_successors_that_can_be_read_only_once_are_refused() -> None:
    """They would be gone after the check, and the links with them."""
    tasks = [{"name": "x", "id": uid} for uid in "ab"]
    with pytest.raises(TemplateError, match=r"graph\.a: must be a list of task ids, not generator"):
        WorkflowTemplate.from_dict({"tasks": tasks, "graph": {"a": (uid for uid in "b")}})


def test_nothing_is_shared_with_the_document_it_was_made_from() -> None:
    """Nor with the one that it returns (1.x handed out live objects)."""
    document = copy.deepcopy(WITH_EVERYTHING)
    template = WorkflowTemplate.from_dict(document)
    for given_or_returned in (document, template.as_dict()):
        _spoil(given_or_returned)
    assert template.as_dict() == WITH_EVERYTHING


def test_a_copy_is_equal_in_everything_and_shares_nothing() -> None:
    """1.x lost policy, topics, timeout and schema here."""
    template = WorkflowTemplate.from_dict(WITH_EVERYTHING)
    twin = template.copy()
    assert twin.as_dict() == WITH_EVERYTHING
    a, c, b = twin.tasks
    assert not {a, b, c} & set(template.tasks)
    twin.link(c, b)
    twin.unlink(a, b)
    a.config["n"].append(2)
    a.extra["x-y"].append(4)
    twin.meta["owner"].append("you")
    twin.extra["x-version"].append(8)
    assert twin.topics is not None
    twin.topics.append("u")
    assert template.as_dict() == WITH_EVERYTHING


@given(sound_documents())
def test_pickle_keeps_everything(document: dict[str, Any]) -> None:
    """A template may cross to another process."""
    template = WorkflowTemplate.from_dict(document)
    twin = pickle.loads(pickle.dumps(template))  # noqa: S301 - our own bytes
    assert json.dumps(twin.as_dict()) == json.dumps(template.as_dict())


def _spoil(value: Any) -> None:
    """Change everything that can be changed, to the last list."""
    inner = list(value.values()) if isinstance(value, dict) else list(value)
    for element in inner:
        if isinstance(element, dict | list):
            _spoil(element)
    value.clear()


# Fields


def test_the_default_topics_are_not_shared() -> None:
    """In 1.x one task that listened made all of them listen."""
    one, other = TaskTemplate("x"), TaskTemplate("x")
    assert one.topics == []
    assert one.topics is not other.topics
    assert one.config is not other.config


@pytest.mark.parametrize(
    ("topics", "listen"),
    [(None, Listen.everything), ([], Listen.nothing), (["t"], Listen.topics)],
    ids=["None", "empty", "topics"],
)
def test_topics_say_what_is_listened_to(topics: list[str] | None, listen: Listen) -> None:
    """The same three cases for workflows and tasks."""
    assert Listen.get(topics) is listen
    assert TaskTemplate("x", topics=topics).listen is listen
    assert WorkflowTemplate(topics=topics).listen is listen


@pytest.mark.parametrize("topics", ["t", 5, ("t",), {"t": 1}])
def test_topics_that_are_no_list_are_refused(topics: Any) -> None:
    """A string would be taken for its letters, a tuple for the default."""
    template = WorkflowTemplate(topics=topics)
    task = TaskTemplate("x", topics=topics)
    for listener in (template, task):
        with pytest.raises(TypeError, match="is not a list"):
            _ = listener.listen


def test_a_template_made_by_hand_has_the_defaults_of_1_x() -> None:
    """Falsy values too: schema 0 is 1."""
    template = WorkflowTemplate(schema=0)
    assert (template.schema, template.timeout, template.topics) == (1, None, None)
    assert template.policy is OverrunPolicy.SKIP_UNTIL_UNLOCK
    assert template.on_error is ErrorPolicy.CONTINUE
    assert (template.title, template.meta, template.extra) == (None, None, {})


@pytest.mark.parametrize("fields", [{"policy": "zzz"}, {"on_error": "zzz"}])
def test_a_policy_that_does_not_exist_is_refused_at_once(fields: dict[str, Any]) -> None:
    """With a `ValueError`, as in 1.x."""
    with pytest.raises(ValueError, match="'zzz' is not a valid"):
        WorkflowTemplate(**fields)


def test_a_policy_may_be_set_later_by_its_value(task: Tasks) -> None:
    """After validation it is as good as one given at first."""

    @task
    async def x(event: object) -> None:
        pass

    template = WorkflowTemplate.from_dict({"tasks": [{"name": "x"}]})
    late: Any = template
    late.policy, late.on_error = "skip", "abort"
    assert (late.as_dict()["policy"], late.as_dict()["on_error"]) == ("skip", "abort")
    assert template.validate()
    assert (template.policy, template.on_error) == (OverrunPolicy.SKIP, ErrorPolicy.ABORT)


def test_a_policy_that_is_set_later_and_does_not_exist_is_a_fault(task: Tasks) -> None:
    """It is found by the check, together with all else that is wrong."""

    @task
    async def x(event: object) -> None:
        pass

    template = WorkflowTemplate.from_dict({"tasks": [{"name": "x"}]})
    late: Any = template
    late.policy, late.on_error, late.timeout = "skipp", 5, -1
    assert (late.as_dict()["policy"], late.as_dict()["on_error"]) == ("skipp", 5)
    with pytest.raises(TemplateError) as refusal:
        template.validate()
    assert [fault.path for fault in refusal.value.faults] == ["policy", "on_error", "timeout"]


def test_a_task_is_equal_to_itself_alone() -> None:
    """Two of the same content are two nodes of a graph; something else has its own say."""

    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]  # it is equal to all

    task = TaskTemplate("x", "a")
    assert task == task  # noqa: PLR0124 - that is what this is about
    assert task != TaskTemplate("x", "a")
    assert task != "a"
    assert task == Anything()


def test_templates_show_their_ids() -> None:
    """The words of 1.x."""
    assert str(WorkflowTemplate("flow")) == repr(WorkflowTemplate("flow"))
    assert str(WorkflowTemplate("flow")) == "<WorkflowTemplate uid=flow>"
    assert str(TaskTemplate("x", "a")) == "<TaskTemplate name=x, uid=a>"
    assert str(TaskTemplate("x", "a")) == repr(TaskTemplate("x", "a"))


# Building by hand


def test_tasks_are_added_and_linked_in_order() -> None:
    """The declared order is the order of the calls."""
    template, a, b = two_tasks()
    c = TaskTemplate("x", "c")
    template.add(c)
    template.link(a, c)
    template.link(a, b)
    assert template.tasks == [a, b, c]
    assert links(template) == {"a": ["c", "b"], "b": [], "c": []}
    assert template.root() is a


def test_a_deleted_task_takes_its_links_along() -> None:
    """The other tasks stay."""
    template, a, b = two_tasks()
    template.link(a, b)
    template.delete(b)
    assert links(template) == {"a": []}


def test_unlink_works_in_either_direction() -> None:
    """As in 1.x, the caller need not know which comes first."""
    template, a, b = two_tasks()
    for one, other in ((a, b), (b, a)):
        template.link(a, b)
        template.unlink(one, other)
        assert links(template) == {"a": [], "b": []}


def test_unlink_takes_the_named_direction_first() -> None:
    """In a draft that is a circle for now, only one of the two links goes."""
    template, a, b = two_tasks()
    template.link(a, b)
    template.link(b, a)
    template.unlink(b, a)
    assert links(template) == {"a": ["b"], "b": []}


STRANGER = TaskTemplate("x", "z")


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda template: template.add(template.tasks[0]), ValueError),
        (lambda template: template.add("a"), TypeError),
        (lambda template: template.delete(STRANGER), KeyError),
        (lambda template: template.link(template.tasks[0], STRANGER), KeyError),
        (lambda template: template.link(STRANGER, template.tasks[0]), KeyError),
        (lambda template: template.unlink(*template.tasks), KeyError),
        (lambda template: template.unlink(STRANGER, template.tasks[0]), KeyError),
    ],
    ids=[
        "add twice",
        "add a string",
        "delete a stranger",
        "link to a stranger",
        "link a stranger",
        "unlink what is not linked",
        "unlink a stranger",
    ],
)
def test_a_mistake_in_building_is_refused_and_changes_nothing(
    act: Callable[[WorkflowTemplate], object], error: type[Exception]
) -> None:
    """The exceptions of 1.x."""
    template, *_ = two_tasks()
    with pytest.raises(error):
        act(template)
    assert links(template) == {"a": [], "b": []}


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_template_without_a_single_root_says_how_many_it_has(count: int) -> None:
    """The words of 1.x, and what a root is."""
    template = WorkflowTemplate()
    for _ in range(count):
        template.add(TaskTemplate("x"))
    with pytest.raises(WorkflowRootTaskError, match=f"expected one root task, found {count} - "):
        template.root()


# Validation of objects


def test_a_sound_template_is_valid(task: Tasks) -> None:
    """`validate` says True, as in 1.x."""

    @task
    async def x(event: object) -> None:
        pass

    assert WorkflowTemplate.from_dict(WITH_EVERYTHING).validate()


def test_objects_are_checked_like_documents(task: Tasks) -> None:
    """What 1.x accepted and failed on later: equal ids, circles, fields set afterwards."""

    @task
    async def x(event: object) -> None:
        pass

    template, a, b = two_tasks()
    for _ in range(2):
        template.add(TaskTemplate("x", "c"))
    template.link(a, b)
    template.link(b, a)
    late: Any = template
    late.timeout = "x"
    late.topics = 5
    with pytest.raises(TemplateError) as refusal:
        template.validate()
    assert [(fault.path, fault.problem) for fault in refusal.value.faults] == [
        ("topics", "must be a list of topics or null, not int"),
        ("timeout", "must be a number of seconds or null, not str 'x'"),
        ("tasks[3].id", "duplicate task id 'c', also at tasks[2]"),
        ("graph", "not acyclic: a -> b -> a"),
    ]


@given(st.dictionaries(st.text(max_size=4), json_values, min_size=1), json_values)
def test_meta_and_extras_need_no_shape(extra: dict[str, Any], meta: Any) -> None:
    """They are the user's."""
    extra = {f"x-{key}": value for key, value in extra.items()}
    template = WorkflowTemplate.from_dict({**extra, "meta": meta})
    assert json.dumps(template.extra) == json.dumps(extra)
    assert json.dumps(template.meta) == json.dumps(meta)
