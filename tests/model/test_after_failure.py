"""The words of `on_error` in a task: their faults, and their way through both forms."""

from __future__ import annotations

from typing import Any

import pytest

import tukio
from tukio._model.after_failure import after_failure
from tukio._model.registry import Registry
from tukio._model.shape import shape_of
from tukio._model.template import WorkflowTemplate
from tukio._model.validation import find_faults


def document(on_error: Any) -> dict[str, Any]:
    """Return a chain whose first task says something."""
    return {
        "id": "x",
        "tasks": [
            {"id": "ship", "name": "a", "on_error": on_error},
            {"id": "ask-a-human", "name": "a"},
        ],
        "graph": {"ship": ["ask-a-human"]},
    }


HOW = """write "stop", "abort", {"output": {...}} or {"to": ["x"]}"""
ONE = 'give one of "output" and "to"'


class Uncopied(dict[str, Any]):
    """Data that cannot be copied."""

    def __deepcopy__(self, memo: object) -> Any:
        raise OSError("no")


@pytest.mark.parametrize(
    ("words", "path", "problem", "advice"),
    [
        (
            "continue",
            "",
            "'continue' could mean either to a task",
            'write "stop" to end this branch, or {"output": {}} to go on without a result',
        ),
        ("abrot", "", "'abrot' is not one of stop, abort", "did you mean 'abort'?"),
        (5, "", "must be a word or an object, not int 5", HOW),
        ({}, "", "says nothing", ONE),
        ({"to": [], "output": {}}, "", "has 'output' and 'to'", ONE),
        ({"outputs": {}}, ".outputs", "unknown key", "did you mean 'output'?"),
        (
            {"output": 5},
            ".output",
            "must be an object, not int",
            "it is what the successors receive",
        ),
        (
            {"output": Uncopied(x=1)},
            ".output",
            "cannot be copied: OSError('no')",
            "a template is made of plain data",
        ),
        (
            {"to": "x"},
            ".to",
            "must be a list of task ids, not str",
            'write ["x"], or [] to stop here',
        ),
        ({"to": [5]}, ".to[0]", "must be a task id, not int", "name a successor"),
    ],
    ids=str,
)
def test_faults(words: Any, path: str, problem: str, advice: str) -> None:
    """Each with its path, and what to write."""
    [fault] = find_faults(document(words), complete=False)
    assert fault[:3] == (f"tasks[0].on_error{path}", problem, advice)


@pytest.mark.parametrize("words", ["stop", "abort", {"output": {}}, {"to": []}, None])
def test_what_is_right(words: Any) -> None:
    """It has no faults, and comes back as it was."""
    template = WorkflowTemplate.from_dict(document(words))
    assert template.tasks[0].on_error == words
    written = template.as_dict()["tasks"][0]
    assert ("on_error" in written) is (words is not None)
    assert written.get("on_error") == words
    assert WorkflowTemplate.from_dict(template.as_dict()).as_dict() == template.as_dict()


def test_what_can_be_said_in_code() -> None:
    """By its name, when the task is made; the data is kept as its own when a run is made."""
    words = {"output": {"x": 1}}
    task = tukio.TaskTemplate("a", on_error=words)
    assert task.as_dict()["on_error"] == words
    template = WorkflowTemplate("x")
    template.add(task)
    kept = shape_of(template).tasks[0]
    words["output"]["x"] = 2
    assert kept.as_dict()["on_error"] == {"output": {"x": 1}}
    assert shape_of(template).tasks[0].as_dict()["on_error"] == words


def test_a_handler_that_is_no_successor() -> None:
    """It is found when the template is complete, with the nearest that is one."""
    registry = Registry()

    async def a(event: object) -> None: ...

    registry.register(a, "a")
    with pytest.raises(tukio.TemplateError) as wrong:
        WorkflowTemplate.from_dict(document({"to": ["ask-a-humn"]})).validate(registry)
    [fault] = wrong.value.faults
    assert fault[:3] == (
        "tasks[0].on_error.to[0]",
        "'ask-a-humn' is not among the successors of 'ship'",
        "did you mean 'ask-a-human'?",
    )
    alone = document({"to": ["x"]}) | {"graph": {}}
    del alone["tasks"][1]
    with pytest.raises(tukio.TemplateError) as wrong:
        WorkflowTemplate.from_dict(alone).validate(registry)
    assert [fault.advice for fault in wrong.value.faults] == ["link the handler to it in 'graph'"]


def test_inputs_that_are_no_dict() -> None:
    """The handler gets the error alone."""
    shape = shape_of(WorkflowTemplate.from_dict(document({"to": ["ask-a-human"]})))
    told = {"task": "ship", "type": "OSError", "message": "no", "attempts": 2}
    assert after_failure(shape, 0, 5, OSError("no"), 2) == ({"error": told}, (1,))
    assert after_failure(shape, 0, {"x": 1}, OSError("no"), 2) == ({"x": 1, "error": told}, (1,))
