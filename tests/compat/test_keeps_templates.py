"""What templates of tukio 1.1.2 can do is still there: of workflows, and of tasks.

Nothing here needs an event loop.
"""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from tukio.dag import DAGValidationError
from tukio.task import TaskTemplate, UnknownTaskName
from tukio.utils import Listen
from tukio.workflow import OverrunPolicy, WorkflowRootTaskError, WorkflowTemplate

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT: dict[str, Any] = {
    "id": "W",
    "policy": "start-new",
    "topics": ["news"],
    "timeout": 60,
    "schema": 3,
    "tasks": [
        {"name": "quick", "id": "a", "config": {"n": 1}, "timeout": 5, "topics": None},
        {"name": "quick", "id": "b", "config": {}, "timeout": None, "topics": ["x"]},
        {"name": "quick", "id": "c", "config": {}, "timeout": None, "topics": []},
    ],
    "graph": {"a": ["b", "c"], "b": [], "c": []},
}


def tasks(*ids: str) -> list[dict[str, str]]:
    """Return tasks as data."""
    return [{"id": uid, "name": "quick"} for uid in ids]


def links(template: WorkflowTemplate) -> dict[str, list[str]]:
    """Return the graph of a template, by ids."""
    graph: dict[str, list[str]] = template.as_dict()["graph"]
    return graph


def by_hand() -> tuple[WorkflowTemplate, TaskTemplate, TaskTemplate, TaskTemplate]:
    """Return a -> b, and c, which is not in the template."""
    template = WorkflowTemplate("W")
    a, b, c = (TaskTemplate("quick", uid) for uid in "abc")
    template.add(a)
    template.add(b)
    template.link(a, b)
    return template, a, b, c


# Workflow templates as objects --------------------------------------------------------------------


def test_a_workflow_template_has_defaults() -> None:
    """Everything triggers it, and its id is made up."""
    one, other = WorkflowTemplate(), WorkflowTemplate()
    assert isinstance(one.uid, str)
    assert len(one.uid) == 36
    assert one.uid != other.uid
    assert one.policy is OverrunPolicy.SKIP_UNTIL_UNLOCK
    assert (one.topics, one.timeout, one.schema, one.tasks) == (None, None, 1, [])
    assert one.listen is Listen.everything


def test_a_workflow_template_takes_its_fields_in_order_or_by_name() -> None:
    """As its own class, and the policy as itself or by its value."""
    one = WorkflowTemplate("W", OverrunPolicy.SKIP, ["news"], 60, 3)
    other = WorkflowTemplate(uid="W", policy="skip", topics=["news"], timeout=60, schema=3)
    for template in (one, other):
        assert (template.uid, template.policy) == ("W", OverrunPolicy.SKIP)
        assert (template.topics, template.timeout, template.schema) == (["news"], 60, 3)
    assert WorkflowTemplate(schema=0).schema == 1
    assert str(one) == "<WorkflowTemplate uid=W>"


def test_what_is_no_policy_is_a_value_error() -> None:
    """At once, before there is a template."""
    with pytest.raises(ValueError, match="'zzz' is not a valid OverrunPolicy"):
        WorkflowTemplate(policy="zzz")


def test_topics_are_looked_at_when_someone_asks_what_is_listened_to() -> None:
    """Not before; both kinds of templates."""
    wrong: Any = "x"
    meanings = {None: Listen.everything, (): Listen.nothing, ("x",): Listen.topics}
    for template in (WorkflowTemplate(topics=wrong), TaskTemplate("quick", topics=wrong)):
        with pytest.raises(TypeError, match="'x' is not a list"):
            _ = template.listen
        for topics, meaning in meanings.items():
            template.topics = None if topics is None else list(topics)
            assert template.listen is meaning


def test_tasks_are_added_and_linked() -> None:
    """Each by itself; `tasks` is a list of one's own."""
    template, a, b, c = by_hand()
    assert template.tasks == [a, b]
    template.tasks.clear()
    template.add(c)
    template.link(b, c)
    assert template.tasks == [a, b, c]
    assert links(template) == {"a": ["b"], "b": ["c"], "c": []}
    assert template.root() is a


def test_a_link_is_removed_from_either_end() -> None:
    """Whichever of the two is named first."""
    template, a, b, _ = by_hand()
    template.unlink(a, b)
    assert links(template) == {"a": [], "b": []}
    template.link(a, b)
    template.unlink(b, a)
    assert links(template) == {"a": [], "b": []}


def test_a_task_is_deleted_with_its_links() -> None:
    """Those that lead to it, and those that it leads to."""
    template, a, b, c = by_hand()
    template.add(c)
    template.link(b, c)
    template.delete(b)
    assert template.tasks == [a, c]
    assert links(template) == {"a": [], "c": []}


def test_a_task_is_added_once() -> None:
    """And it has to be a task template."""
    template, a, _, _ = by_hand()
    with pytest.raises(ValueError, match="already exists"):
        template.add(a)
    other: Any = "quick"
    with pytest.raises(TypeError, match="TaskTemplate"):
        template.add(other)
    assert links(template) == {"a": ["b"], "b": []}


STRANGE: dict[str, Callable[[WorkflowTemplate, TaskTemplate, TaskTemplate], None]] = {
    "delete": lambda template, _, stranger: template.delete(stranger),
    "link to it": lambda template, task, stranger: template.link(task, stranger),
    "link from it": lambda template, task, stranger: template.link(stranger, task),
    "unlink": lambda template, task, stranger: template.unlink(task, stranger),
    "unlink it": lambda template, task, stranger: template.unlink(stranger, task),
}


@pytest.mark.parametrize("do", STRANGE.values(), ids=STRANGE)
def test_a_task_that_is_not_in_the_workflow_is_a_key_error(do: Any) -> None:
    """Nothing changes."""
    template, a, _, c = by_hand()
    with pytest.raises(KeyError):
        do(template, a, c)
    assert links(template) == {"a": ["b"], "b": []}


def test_a_link_that_is_not_there_cannot_be_removed() -> None:
    """Though both tasks are."""
    template, a, b, _ = by_hand()
    template.unlink(a, b)
    with pytest.raises(KeyError):
        template.unlink(a, b)


def test_the_root_is_the_one_task_that_none_leads_to() -> None:
    """None or several are an error that says how many there are."""
    with pytest.raises(WorkflowRootTaskError, match="expected one root task, found 0"):
        WorkflowTemplate().root()
    template, a, b, _ = by_hand()
    template.unlink(a, b)
    with pytest.raises(WorkflowRootTaskError, match="expected one root task, found 2"):
        template.root()


def test_a_template_that_is_ready_is_valid(ran: list[str]) -> None:
    """One root, and all names are those of registered tasks."""
    template, _, _, _ = by_hand()
    assert template.validate() is True


def test_a_template_that_is_not_ready_is_not_valid(ran: list[str]) -> None:
    """By the same errors as at `load`."""
    template, a, b, _ = by_hand()
    template.unlink(a, b)
    with pytest.raises(WorkflowRootTaskError, match="found 2"):
        template.validate()
    template.link(a, b)
    b.name = "unheard of"
    with pytest.raises(UnknownTaskName):
        template.validate()
    b.name = "quick"
    assert template.validate() is True


def pickled(template: WorkflowTemplate) -> Any:
    """Return what comes back from a store."""
    return pickle.loads(pickle.dumps(template))  # noqa: S301


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_workflow_template_is_copied_by_the_means_of_python(copied: Any) -> None:
    """With all its fields."""
    template = WorkflowTemplate.from_dict(DOCUMENT)
    assert copied(template).as_dict() == DOCUMENT
    assert copied(template) is not template


def test_a_copy_has_the_id_of_the_original_and_tasks_of_its_own() -> None:
    """So it is loaded in place of the original, and changed apart from it."""
    template, a, b, c = by_hand()
    copied = template.copy()
    assert isinstance(copied, WorkflowTemplate)
    assert (copied.uid, links(copied)) == ("W", {"a": ["b"], "b": []})
    root = copied.root()
    copied.add(c)
    copied.link(root, c)
    assert links(copied) == {"a": ["b", "c"], "b": [], "c": []}
    assert links(template) == {"a": ["b"], "b": []}
    assert template.tasks == [a, b]
    with pytest.raises(KeyError):
        copied.link(a, c)


# Workflow templates as data -----------------------------------------------------------------------


def test_a_workflow_template_is_made_from_data_and_back() -> None:
    """As often as one likes; the keys keep their order."""
    template = WorkflowTemplate.from_dict(DOCUMENT)
    once = template.as_dict()
    assert once == DOCUMENT
    assert list(once) == ["id", "policy", "topics", "timeout", "schema", "tasks", "graph"]
    assert WorkflowTemplate.from_dict(once).as_dict() == once
    assert template.policy is OverrunPolicy.START_NEW
    assert [task.uid for task in template.tasks] == ["a", "b", "c"]


def test_all_keys_of_a_workflow_may_be_left_out() -> None:
    """An empty dict is an empty template."""
    document = WorkflowTemplate.from_dict({}).as_dict()
    assert len(document.pop("id")) == 36
    assert document == {
        "policy": "skip-until-unlock",
        "topics": None,
        "timeout": None,
        "schema": 1,
        "tasks": [],
        "graph": {},
    }


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": ["b"]}, {"a": ["b"], "b": []}),
        ({"a": ("b",), "b": ()}, {"a": ["b"], "b": []}),
        ({"a": ["b", "b"]}, {"a": ["b"], "b": []}),
        ({}, {"a": [], "b": []}),
    ],
    ids=["leaves left out", "tuples", "an edge twice", "no graph"],
)
def test_a_graph_is_written_in_many_ways(graph: Any, expected: Any) -> None:
    """All of which are found in the templates of users."""
    template = WorkflowTemplate.from_dict({"tasks": tasks("a", "b"), "graph": graph})
    assert links(template) == expected


def test_further_keys_are_no_fault() -> None:
    """Neither in the workflow, nor in a task."""
    document = DOCUMENT | {"title": "Title", "mine": 1, "tasks": [{"name": "quick", "mine": 1}]}
    template = WorkflowTemplate.from_dict(document | {"graph": {}})
    assert [task.name for task in template.tasks] == ["quick"]


def test_a_draft_with_several_roots_or_unknown_names_is_made() -> None:
    """It is refused when it is validated or loaded."""
    template = WorkflowTemplate.from_dict(
        {"tasks": [*tasks("a"), {"name": "unheard of", "id": "b"}]}
    )
    assert [task.uid for task in template.tasks] == ["a", "b"]
    with pytest.raises(WorkflowRootTaskError):
        template.validate()


REFUSED: dict[str, tuple[dict[str, Any], tuple[type[Exception], ...]]] = {
    "unknown successor": ({"tasks": tasks("a"), "graph": {"a": ["Z"]}}, (KeyError,)),
    "unknown node": ({"tasks": tasks("a"), "graph": {"Z": ["a"]}}, (KeyError,)),
    "cycle": (
        {"tasks": tasks("a", "b", "c"), "graph": {"a": ["b"], "b": ["c"], "c": ["b"]}},
        (DAGValidationError,),
    ),
    "self loop": ({"tasks": tasks("a"), "graph": {"a": ["a"]}}, (DAGValidationError,)),
    "task without name": ({"tasks": [{"id": "a"}]}, (KeyError,)),
    "no policy": ({"policy": "zzz"}, (ValueError,)),
    "policy in capitals": ({"policy": "SKIP"}, (ValueError,)),
    "policy a number": ({"policy": 5}, (ValueError,)),
    "no list of tasks": ({"tasks": None}, (TypeError, AttributeError)),
    "no graph": ({"tasks": tasks("a"), "graph": None}, (TypeError, AttributeError)),
    "task a text": ({"tasks": ["quick"]}, (TypeError, AttributeError)),
}


@pytest.mark.parametrize(("document", "kinds"), REFUSED.values(), ids=REFUSED)
def test_data_that_describes_no_workflow_is_refused(document: Any, kinds: Any) -> None:
    """By an error that is also of the type that it was."""
    with pytest.raises(kinds):
        WorkflowTemplate.from_dict(document)


# Task templates -----------------------------------------------------------------------------------


def test_a_task_template_has_defaults() -> None:
    """It listens to nothing."""
    one, other = TaskTemplate("quick"), TaskTemplate("quick")
    assert (one.name, one.config, one.timeout, one.topics) == ("quick", {}, None, [])
    assert one.listen is Listen.nothing
    assert len(one.uid) == 36
    assert one.uid != other.uid
    assert one != other


def test_a_task_template_takes_its_fields_in_order_or_by_name() -> None:
    """Name, id, config, time limit, topics."""
    one = TaskTemplate("quick", "a", {"n": 1}, 5, ["x"])
    other = TaskTemplate(name="quick", uid="a", config={"n": 1}, timeout=5, topics=["x"])
    expected = {"name": "quick", "id": "a", "config": {"n": 1}, "timeout": 5, "topics": ["x"]}
    for template in (one, other):
        assert template.as_dict() == expected
        assert list(template.as_dict()) == list(expected)
        assert TaskTemplate.from_dict(template.as_dict()).as_dict() == expected
    assert str(one) == "<TaskTemplate name=quick, uid=a>"


def test_a_task_template_is_made_from_its_name() -> None:
    """That is the one key that is needed."""
    template = TaskTemplate.from_dict({"name": "quick"})
    assert (template.config, template.timeout, template.topics) == ({}, None, [])
    assert len(template.uid) == 36
    assert TaskTemplate.from_dict({"name": "quick", "config": None}).config == {}
    assert TaskTemplate.from_dict({"name": "quick", "topics": None}).listen is Listen.everything
    with pytest.raises(KeyError, match="name"):
        TaskTemplate.from_dict({"id": "a"})
