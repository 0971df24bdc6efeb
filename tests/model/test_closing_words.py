"""The words for what a run does at its end: their faults, and their way through both forms."""

from __future__ import annotations

from typing import Any

import pytest

import tukio
from tukio._model.closing import words_of_closing
from tukio._model.registry import Registry
from tukio._model.shape import shape_of
from tukio._model.template import WorkflowTemplate
from tukio._model.validation import find_faults

SHORT = 'write the name of a task, or {"name": "undo", "timeout": 10}'
COMPENSATION = "known: name, config, timeout, retry, begun"


def document(compensate: Any = None, **keys: Any) -> dict[str, Any]:
    """Return a workflow of one task, with something to undo it."""
    return {"id": "x", "tasks": [{"id": "pay", "name": "a", "compensate": compensate}], **keys}


def faults_of(*args: Any, **keys: Any) -> list[Any]:
    """Return path, problem and advice of each fault of a draft."""
    return [fault[:3] for fault in find_faults(document(*args, **keys), complete=False)]


@pytest.mark.parametrize(
    ("words", "path", "problem", "advice"),
    [
        (5, "", "must be a name or an object, not int 5", SHORT),
        ("", "", "must be a name or an object, not str ''", SHORT),
        ({}, ".name", "missing name", "say which registered task it runs"),
        ({"name": 5}, ".name", "must be a registered name, not int", "use a string"),
        ({"name": "a", "map": {}}, ".map", "not a key of such a task", COMPENSATION),
        (
            {"name": "a", "begun": 1},
            ".begun",
            "must be true or false, not 1",
            "true undoes the task, too, if it has begun and not finished",
        ),
        (
            {"name": "a", "timeout": "x"},
            ".timeout",
            "must be a number of seconds or null, not str 'x'",
            "null or 0 is no limit",
        ),
        (
            {"name": "a", "retry": {"attempts": 0}},
            ".retry.attempts",
            "must be a positive number or null, not 0",
            "count the first one, too",
        ),
    ],
    ids=str,
)
def test_faults_of_compensate(words: Any, path: str, problem: str, advice: str) -> None:
    """Each with its path, and what to write."""
    assert faults_of(words) == [(f"tasks[0].compensate{path}", problem, advice)]


@pytest.mark.parametrize(
    ("keys", "path", "problem"),
    [
        ({"finally": {}}, "finally", "must be a list of tasks, not dict"),
        ({"finally": ["a"]}, "finally[0]", "a task is a mapping, not str"),
        ({"finally": [{}]}, "finally[0].name", "missing name"),
        ({"finally": [{"name": "a", "map": 1}]}, "finally[0].map", "not a key of such a task"),
        ({"finally": [{"name": "a", "id": 5}]}, "finally[0].id", "must be a string, not int"),
        ({"closing_timeout": -1}, "closing_timeout", "-1 is not a time limit"),
        ({"compensate_on": "timeout"}, "compensate_on", "must be a list, not str"),
        (
            {"compensate_on": ["timeout", "canceled"]},
            "compensate_on[1]",
            "'canceled' is not one of exception, timeout, cancelled",
        ),
        ({"closing_timeuot": 3}, "closing_timeuot", "unknown key"),
        ({"fin_ally": []}, "fin_ally", "unknown key"),
    ],
    ids=str,
)
def test_faults_of_the_workflow(keys: dict[str, Any], path: str, problem: str) -> None:
    """Each with its path."""
    assert [fault[:2] for fault in faults_of(**keys)] == [(path, problem)]


@pytest.fixture
def registry() -> Registry:
    """Return a registry of one function, and a holder that looks at its config."""
    registry = Registry()

    async def a(event: object) -> None: ...

    class Careful:
        def __init__(self, config: object) -> None: ...

        @staticmethod
        def find_faults(config: Any, parents: list[str]) -> Any:
            if "file" not in config:
                yield "file", "missing", f"name one; parents: {parents}"

        async def execute(self, event: object) -> None: ...

    registry.register(a, "a")
    registry.register(Careful, "careful")
    return registry


@pytest.mark.parametrize(
    ("found", "path", "problem"),
    [
        (document("aa"), "tasks[0].compensate", "no task is registered as 'aa'"),
        (document({"name": "aa"}), "tasks[0].compensate.name", "no task is registered as 'aa'"),
        (
            document(**{"finally": [{"name": "aa"}]}),
            "finally[0].name",
            "no task is registered as 'aa'",
        ),
        (
            document(**{"finally": [{"name": "a", "id": "pay"}]}),
            "finally[0].id",
            "duplicate task id 'pay', also at tasks[0].id",
        ),
        (
            document("a", **{"finally": [{"name": "a", "id": "pay.compensate"}]}),
            "finally[0].id",
            "duplicate task id 'pay.compensate', also at tasks[0].compensate",
        ),
        (
            document(**{"finally": [{"name": "a"}, {"name": "a"}]}),
            "finally[1].id",
            "duplicate task id 'a', also at finally[0].id",
        ),
        (
            document("a", closing_timeout=None),
            "tasks[0].compensate",
            "'a' has no timeout and closing_timeout is null",
        ),
        (
            document(**{"finally": [{"name": "a"}]}, closing_timeout=0),
            "finally[0]",
            "'a' has no timeout and closing_timeout is null",
        ),
        (
            document({"name": "a", "retry": {"retry_if": "is-odd"}}),
            "tasks[0].compensate.retry.retry_if",
            "no predicate is called 'is-odd'",
        ),
        (document("careful"), "tasks[0].compensate.config.file", "missing"),
        (
            document(**{"finally": [{"name": "careful", "config": {"file": 1}}, {"name": "b"}]}),
            "finally[1].name",
            "no task is registered as 'b'",
        ),
    ],
    ids=str,
)
def test_what_is_found_at_load(
    registry: Registry, found: dict[str, Any], path: str, problem: str
) -> None:
    """Names, ids and configs; and tasks that nothing would end."""
    with pytest.raises(tukio.TemplateError) as wrong:
        WorkflowTemplate.from_dict(found).validate(registry)
    assert [fault[:2] for fault in wrong.value.faults] == [(path, problem)]


def test_both_forms(registry: Registry) -> None:
    """What was written comes back as it was; what is as by default is left out."""
    words = {"name": "a", "timeout": 3, "retry": {"attempts": 2}, "begun": True, "config": {"x": 1}}
    found = document(words, **{"finally": [{"name": "a", "id": "z"}]})
    found |= {"closing_timeout": None, "compensate_on": ["timeout"]}
    found["finally"][0]["timeout"] = 4
    template = WorkflowTemplate.from_dict(found)
    assert template.validate(registry)
    written = template.as_dict()
    assert written["tasks"][0]["compensate"] == words
    keys = ("finally", "closing_timeout", "compensate_on")
    assert {key: written[key] for key in keys} == {key: found[key] for key in keys}
    assert WorkflowTemplate.from_dict(written).as_dict() == written
    assert not {*keys} & set(WorkflowTemplate("x").as_dict())


def test_in_code() -> None:
    """By their names; what is changed in place counts for the runs that are made then."""
    finals = [{"name": "a"}]
    template = WorkflowTemplate(
        "x", finally_=finals, closing_timeout=3, compensate_on=["cancelled"]
    )
    template.add(tukio.TaskTemplate("a", uid="pay", compensate="a"))
    before = shape_of(template).closing
    assert before is not None
    finals.append({"name": "b", "id": "c"})
    after = shape_of(template).closing
    assert after is not None
    assert [task.uid for task in before.last] == ["a"]
    assert [task.uid for task in after.last] == ["a", "c"]
    assert after.endings == {"cancelled"}
    assert after.ids == {"pay.compensate", "a", "c"}


def test_nothing_to_close_with() -> None:
    """Then runs pay nothing for it; also if what is said means nothing."""
    template = WorkflowTemplate("x")
    template.add(tukio.TaskTemplate("a"))
    assert words_of_closing(template, template.tasks) is None
    template.tasks[0].compensate = {}
    assert words_of_closing(template, template.tasks) is None


def test_a_task_of_closing_fails_at_its_limit() -> None:
    """Or is tried again, if it has a `retry`."""
    template = WorkflowTemplate("x", finally_=[{"name": "a"}, {"name": "b", "retry": {}}])
    template.add(tukio.TaskTemplate("a", uid="pay"))
    closing = shape_of(template).closing
    assert closing is not None
    assert [task.on_timeout for task in closing.last] == ["fail", "retry"]


def test_an_object_with_tasks_that_are_none(registry: Registry) -> None:
    """All that is wrong is told, and nothing is looked for in there."""
    template = WorkflowTemplate("x", finally_=[5, {"name": 5}])  # type: ignore[list-item]
    template.add(tukio.TaskTemplate("a", uid="pay", compensate={"name": 5}))
    with pytest.raises(tukio.TemplateError) as wrong:
        template.validate(registry)
    assert [fault.path for fault in wrong.value.faults] == [
        "finally[0]",
        "finally[1].name",
        "tasks[0].compensate.name",
    ]
