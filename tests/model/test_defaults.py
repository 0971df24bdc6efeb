"""`defaults` of a workflow: what each task takes that says nothing, and the faults in them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

import tukio
from tukio._model.shape import shape_of
from tukio.errors import TemplateError
from tukio.task import Registry


def document(defaults: Any, *tasks: dict[str, Any]) -> dict[str, Any]:
    """Return a chain of tasks, with defaults; of one task if none is given."""
    ids = [f"t{number}" for number in range(len(tasks) or 1)]
    whole = [
        {"id": uid, "name": "x", **task} for uid, task in zip(ids, tasks or ({},), strict=True)
    ]
    graph = {up: [down] for up, down in itertools.pairwise(ids)}
    return {"id": "w", "defaults": defaults, "tasks": whole, "graph": graph}


def faults_of(given: Any) -> list[str]:
    """Return the faults of a document."""
    try:
        tukio.WorkflowTemplate.from_dict(given)
    except TemplateError as error:
        return [str(fault) for fault in error.faults]
    return []


def taken(template: tukio.WorkflowTemplate) -> list[tuple[Any, ...]]:
    """Return what the steps of each task have."""
    return [
        (task.timeout, task.idle_timeout, task.on_timeout, task.retry)
        for task in shape_of(template).tasks
    ]


DEFAULTS: dict[str, Any] = {
    "timeout": 30,
    "idle_timeout": 5,
    "on_timeout": "fail",
    "retry": {"attempts": 4, "initial": 2},
}


def test_each_task_takes_what_it_does_not_say() -> None:
    """Whole: a `retry` is not merged with another one. 0 says that there is no limit."""
    tasks: list[dict[str, Any]] = [
        {},
        {"timeout": 0, "idle_timeout": 0},
        {"timeout": 7, "idle_timeout": 1, "on_timeout": "continue", "retry": {"max": 9}},
        {"timeout": None, "idle_timeout": None, "on_timeout": None, "retry": None},
    ]
    template = tukio.WorkflowTemplate.from_dict(document(DEFAULTS, *tasks))
    whole = tuple(DEFAULTS.values())
    assert taken(template) == [
        whole,
        (0, 0, *whole[2:]),
        (7, 1, "continue", {"max": 9}),
        whole,
    ]


def test_a_template_without_defaults_has_its_tasks_as_they_are() -> None:
    """Nothing is made of them once more."""
    plain = document(None, {"timeout": 3}, {})
    template = tukio.WorkflowTemplate.from_dict(plain)
    assert "defaults" not in template.as_dict()
    assert taken(template) == [(3, None, None, None), (None,) * 4]
    shape = shape_of(template)
    assert list(shape.tasks) == list(shape.template.dag.graph)
    everything = {"timeout": 1, "idle_timeout": 2, "on_timeout": "fail", "retry": {}}
    shape = shape_of(tukio.WorkflowTemplate.from_dict(document(DEFAULTS, everything)))
    [task], [of_edition] = shape.tasks, shape.template.dag.graph
    assert task is of_edition


def test_they_come_back_as_they_were_said() -> None:
    """Apart from the tasks, which are not written out; through JSON, and in copies."""
    said = document(DEFAULTS, {}, {"timeout": 1})
    template = tukio.WorkflowTemplate.from_dict(said)
    found = template.as_dict()
    assert found["defaults"] == DEFAULTS
    assert [task["timeout"] for task in found["tasks"]] == [None, 1]
    assert "retry" not in found["tasks"][0]
    again = tukio.WorkflowTemplate.from_dict(json.loads(json.dumps(found)))
    assert again.as_dict() == template.copy().as_dict() == found
    found["defaults"]["retry"]["attempts"] = 9
    said["defaults"]["retry"]["attempts"] = 9
    assert template.as_dict()["defaults"]["retry"]["attempts"] == 4


def test_an_edition_says_what_was_said() -> None:
    """Also if nobody has the template any more, and a twin is made."""
    shape = shape_of(tukio.WorkflowTemplate.from_dict(document(DEFAULTS, {})))
    found, tasks = shape.edition.describe()
    assert found["defaults"] == DEFAULTS
    assert tasks[0]["timeout"] is None
    twin = shape.edition.original
    assert twin.as_dict()["tasks"][0]["timeout"] is None
    assert twin.defaults == DEFAULTS


def test_a_task_of_a_run_is_equal_to_that_of_the_template() -> None:
    """And passes on what is assigned to it."""
    template = tukio.WorkflowTemplate.from_dict(document(DEFAULTS, {}))
    [task] = shape_of(template).tasks
    assert task == template.tasks[0]
    assert hash(task) == hash(template.tasks[0])
    task.timeout = 3
    assert (task.timeout, template.tasks[0].timeout) == (30, 3)


def test_they_may_be_changed_at_any_time() -> None:
    """This counts for the runs that are made from then on; in place, too."""
    template = tukio.WorkflowTemplate("w", defaults={"retry": tukio.Retry(attempts=2)})
    template.add(tukio.TaskTemplate("x", uid="t0"))
    assert template.as_dict()["defaults"] == {"retry": {"attempts": 2}}
    assert taken(template) == [(None, None, None, {"attempts": 2})]
    before = shape_of(template)
    template.defaults = {"timeout": 3}
    assert taken(template) == [(3, None, None, None)]
    template.defaults["timeout"] = 4
    assert taken(template) == [(4, None, None, None)]
    template.defaults = None
    assert taken(template) == [(None,) * 4]
    assert "defaults" not in template.as_dict()
    assert before.tasks[0].retry == {"attempts": 2}


FAULTS: list[tuple[Any, str]] = [
    (3, 'defaults: must be an object, not int; write {"timeout": 30}'),
    (["timeout"], 'defaults: must be an object, not list; write {"timeout": 30}'),
    ({"timeouts": 3}, "defaults.timeouts: unknown key; did you mean 'timeout'?"),
    ({"topics": []}, "defaults.topics: unknown key; "),
    ({"config": {}}, "defaults.config: unknown key; "),
    ({3: 4}, "defaults.3: unknown key; "),
    ({"timeout": "3"}, "defaults.timeout: must be a number of seconds or null, not str '3'; "),
    ({"idle_timeout": -1}, "defaults.idle_timeout: -1 is not a time limit; "),
    ({"on_timeout": "ignore"}, "defaults.on_timeout: 'ignore' is not one of continue, fail, retry"),
    ({"retry": 3}, "defaults.retry: must be an object, not int; "),
    ({"retry": {"attempts": 0}}, "defaults.retry.attempts: must be a positive number or null"),
    ({"retry": {"attempt": 2}}, "defaults.retry.attempt: unknown key; did you mean 'attempts'?"),
    ({"retry": {"retry_if": 3}}, "defaults.retry.retry_if: must be the name of a predicate, not 3"),
    ({"on_timeout": "retry"}, "defaults.on_timeout: there is nothing to retry by; give 'retry'"),
]


@pytest.mark.parametrize(("defaults", "words"), FAULTS, ids=repr)
def test_each_fault_is_told_once(defaults: Any, words: str) -> None:
    """However many tasks take it."""
    [fault] = faults_of(document(defaults, {}, {}))
    assert fault.startswith(words)


def test_all_faults_are_told_together() -> None:
    """One hides no other; nor those of tasks."""
    defaults = {"timeout": -1, "idle_timeout": "x", "retry": {"max": -1}, "tineout": 3}
    found = faults_of(document(defaults, {"timeout": -2}))
    assert [fault.partition(":")[0] for fault in found] == [
        "defaults.tineout",
        "defaults.timeout",
        "defaults.idle_timeout",
        "defaults.retry.max",
        "tasks[0].timeout",
    ]


def test_a_retry_may_be_of_the_task_and_the_word_of_the_defaults() -> None:
    """Or the other way round."""
    retry: dict[str, Any] = {"attempts": 2}
    assert faults_of(document({"on_timeout": "retry"}, {"retry": retry})) == []
    assert faults_of(document({"on_timeout": "retry"}, {"on_timeout": "fail"})) == []
    assert faults_of(document({"retry": retry}, {"on_timeout": "retry"})) == []
    [fault] = faults_of(document({"timeout": 3}, {"on_timeout": "retry"}))
    assert fault.startswith("tasks[0].on_timeout: there is nothing to retry by")


def test_a_misspelt_key_of_the_workflow_is_read_as_it_is_meant() -> None:
    """Mended, it has no further faults."""
    whole = document({"retry": {"attempts": 2}}, {"on_timeout": "retry"})
    whole["default"] = whole.pop("defaults")
    [fault] = faults_of(whole)
    assert fault.startswith("default: unknown key; did you mean 'defaults'?")
    whole["default"] = 3
    assert len(faults_of(whole)) == 2


def test_what_tasks_cannot_be_is_a_fault_alone() -> None:
    """The defaults are looked at all the same."""
    found = faults_of({"defaults": {"on_timeout": "retry"}, "tasks": 3})
    assert [fault.partition(":")[0] for fault in found] == ["tasks"]
    found = faults_of({"defaults": {"on_timeout": "retry"}, "tasks": [3]})
    assert [fault.partition(":")[0] for fault in found] == ["tasks[0]"]


def test_a_predicate_of_theirs_is_looked_up() -> None:
    """When the template is loaded."""
    registry = Registry()

    async def x(event: tukio.Event) -> None: ...

    registry.register(x, "x")
    template = tukio.WorkflowTemplate.from_dict(document({"retry": {"retry_if": "p"}}))
    with pytest.raises(TemplateError, match=r"defaults\.retry\.retry_if: no predicate is called"):
        template.validate(registry)
    tukio.predicate("p", registry=registry)(bool.__call__)
    assert template.validate(registry)


class Odd(dict[Any, Any]):
    """A kind of dict whose keys are of kinds of their own."""


class Text(str):
    """A kind of text."""

    __slots__ = ()


def test_what_was_not_validated_is_taken_as_far_as_it_goes() -> None:
    """Kinds of dicts and of texts are as good as plain ones."""
    template = tukio.WorkflowTemplate("w")
    template.add(tukio.TaskTemplate("x", uid="t0"))
    anything: list[Any] = [3, "timeout", ["timeout"], {3: 4, "own": 5}]
    for value in anything:
        template.defaults = value
        assert taken(template) == [(None,) * 4]
        assert template.as_dict()["defaults"] == value
    template.defaults = Odd({Text("timeout"): 3})
    assert taken(template) == [(3, None, None, None)]
