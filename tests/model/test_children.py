"""The key `workflow`: its form, its faults, and what reports have of children."""

from __future__ import annotations

from typing import Any

import pytest

import tukio
from support.flow import flow
from tukio._model.children import (
    FEW,
    document_of,
    has_begun,
    id_of,
    too_deep,
    without_data,
)
from tukio._model.shape import shape_of

CHILD = {"id": "child", "tasks": [{"id": "x", "name": "join", "config": {"wait_for": 1}}]}


def template(**keys: Any) -> tukio.WorkflowTemplate:
    """Return a template with a task `a`, of which something is said."""
    return tukio.WorkflowTemplate.from_dict({"id": "t", "tasks": [{"id": "a", **keys}]})


def faults(**keys: Any) -> list[str]:
    """Return the faults of a template with a task of which something is said."""
    try:
        template(**keys)
    except tukio.TemplateError as error:
        return [str(fault) for fault in error.faults]
    return []


def test_it_comes_back_as_it_was() -> None:
    """An id as an id, a template with an id for each task."""
    assert template(workflow="child").as_dict()["tasks"] == [
        {"id": "a", "config": {}, "timeout": None, "topics": [], "workflow": "child"}
    ]
    document = {"id": "child", "tasks": [{"id": "x", "name": "n"}]}
    assert template(workflow=document).as_dict()["tasks"][0]["workflow"] == document
    [task] = template(workflow={"tasks": [{"workflow": {"tasks": [{"name": "n"}]}}]}).tasks
    made: Any = task.workflow
    middle: Any = made["tasks"][0]
    last = middle["workflow"]
    assert len({made["id"], middle["id"], last["id"], last["tasks"][0]["id"]}) == 4
    assert task.workflow == made


def test_a_template_is_taken_by_its_dict_form() -> None:
    """As an object, too; what it is later does not count."""
    inner = flow("n", id="child")
    task = tukio.TaskTemplate(uid="a", workflow=inner)
    assert task.workflow == inner.as_dict()
    task.workflow = "other"
    assert (task.workflow, repr(task)) == ("other", "<TaskTemplate workflow='other', uid=a>")
    assert repr(tukio.TaskTemplate(uid="a", workflow=inner)).startswith("<TaskTemplate workflow='")
    assert document_of(3) == 3
    assert id_of({"id": "x"}) == "x"
    assert document_of({"tasks": 3, "id": "x"}) == {"tasks": 3, "id": "x"}
    assert document_of({"tasks": [3], "id": "x"}) == {"tasks": [3], "id": "x"}


def test_what_cannot_be_beside_it_is_told() -> None:
    """Each by itself; what says nothing is no fault."""
    beside = {"name": "n", "config": {"a": 1}, "topics": ["t"], "idle_timeout": 3}
    told = faults(workflow="child", **beside)
    assert [one.split(";")[0] for one in told] == [
        f"tasks[0].workflow: beside {key!r}" for key in beside
    ]
    assert faults(workflow="child", config={}, topics=[], idle_timeout=0, name=None) == []


@pytest.mark.parametrize(
    ("workflow", "fault"),
    [
        (3, "workflow: must be the id of a template, or a template, not int; quote the id"),
        ("", "workflow: an empty id; give the id of a loaded template"),
        ({"tasks": 3}, "workflow.tasks: must be a list, not int"),
        ({"tasks": [{"id": "x"}]}, "workflow.tasks[0].name: missing name"),
        ({"tasks": [{"workflow": ""}]}, "workflow.tasks[0].workflow: an empty id"),
        ({"tasks": []}, "workflow.tasks: missing; give a list of tasks"),
    ],
)
def test_faults_of_it_have_their_path(workflow: Any, fault: str) -> None:
    """Those of a template within, after its own."""
    assert faults(workflow=workflow)[0].startswith(f"tasks[0].{fault}")


def test_a_misspelt_key_is_told_and_no_missing_name() -> None:
    """What is meant is seen."""
    (fault,) = faults(workflo="child")
    assert fault.startswith("tasks[0].workflo: unknown key; did you mean 'workflow'?")


def test_names_configs_and_counts_within_are_looked_at() -> None:
    """When the template is to be ready to run."""
    with pytest.raises(
        tukio.TemplateError, match=r"tasks\[0\].workflow.tasks\[0\].config.wait_for"
    ):
        template(workflow=CHILD).validate()
    unknown = {"tasks": [{"id": "x", "name": "nobody"}]}
    with pytest.raises(tukio.UnknownTaskName):
        template(workflow=unknown).validate()
    waits = {"tasks": [{"id": "x", "name": "join", "join": 3}]}
    with pytest.raises(tukio.TemplateError, match="the task 'join' waits for its parents itself"):
        template(workflow=waits)
    assert template(workflow="later").validate()


def test_the_template_of_a_child_is_made_once_for_each_state() -> None:
    """Runs share it; a change of the task makes another one."""
    parent = template(workflow={"id": "child", "tasks": [{"id": "x", "name": "n"}]})
    shape = shape_of(parent)
    child = shape.child(0)
    assert isinstance(child, tukio.WorkflowTemplate)
    assert shape_of(parent).child(0) is child
    parent.tasks[0].workflow = "other"
    assert shape_of(parent).child(0) == "other"
    assert shape.child(0) is child


def test_a_chain_that_is_too_deep_is_named_at_both_ends() -> None:
    """And not whole."""
    text = str(too_deep([f"w{number}" for number in range(34)]))
    assert "'w0' > 'w1' > 'w2' > ... > 'w31' > 'w32' > 'w33'" in text
    assert text.count("'") == 4 * FEW


def test_a_report_without_data() -> None:
    """At any depth; what is there is not touched."""
    step: dict[str, Any] = {"state": "pending", "inputs": 1, "outputs": 2, "reporting": 3}
    inner: dict[str, Any] = {"tasks": [{"exec": {**step}}, {"exec": None}], "exec": {}}
    report = {"tasks": [{"id": "a", "exec": {**step, "child": inner}}], "exec": {}}
    short = without_data(report)
    assert short["tasks"][0]["exec"]["child"]["tasks"][0]["exec"] == {"state": "pending"}
    assert inner["tasks"][0]["exec"] == step


def test_whether_a_report_is_of_a_run_that_has_begun() -> None:
    """What is no report is looked at later."""
    begun: list[Any] = [{"exec": {"start": "2026"}}, {"exec": {}}, {"exec": 3}, {}]
    assert all(has_begun(one) for one in begun)
    assert not has_begun({"exec": {"start": None}})


def test_a_report_without_data_has_none_of_items() -> None:
    """At any depth; of results their number stays."""
    inner = {"exec": {"id": "r/a[0]/1"}, "tasks": [{"id": "x", "exec": {"id": "i", "outputs": 1}}]}
    items = {"total": 2, "failed": {}, "done": {"1": "secret"}, "children": {"0": inner}}
    report = {"exec": {"id": "r"}, "tasks": [{"id": "a", "exec": {"inputs": 3, "items": items}}]}
    bare = without_data(report)
    assert bare["tasks"][0]["exec"] == {
        "items": {
            "total": 2,
            "failed": {},
            "done": 1,
            "children": {"0": {**inner, "tasks": [{"id": "x", "exec": {"id": "i"}}]}},
        }
    }
    assert items["done"] == {"1": "secret"}
