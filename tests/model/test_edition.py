"""The copy of a template that its runs execute, and what is noticed of changes of the template.

How a run stays what it was started from is in tests/run/test_template_changes.py.
"""

from __future__ import annotations

import pydoc
import threading
from typing import Any

import pytest

from support.flow import flow
from tukio._model.changes import own
from tukio._model.edition import is_same
from tukio._model.shape import shape_of
from tukio._model.task_template import TaskTemplate
from tukio._model.template import WorkflowTemplate


class Undecided:
    """Is neither true nor false, as what comes of comparing two arrays."""

    def __bool__(self) -> bool:
        raise ValueError("of which element?")


class Array:
    """Compares as the arrays of many libraries do: element by element."""

    def __eq__(self, other: object) -> Any:
        return Undecided()

    __hash__ = None  # type: ignore[assignment]  # as those of arrays


def test_data_that_cannot_be_compared_is_not_the_same() -> None:
    """Whatever it raises when it is asked."""
    assert is_same([{"n": [1]}], [{"n": [1]}])
    assert not is_same([{"n": [1]}], [{"n": [2]}])
    assert not is_same([Array()], [Array()])


@pytest.mark.parametrize("make", [Array, threading.Lock], ids=["array", "lock"])
def test_data_that_cannot_be_compared_or_copied_is_shared_with_the_runs(make: Any) -> None:
    """Nobody can tell whether it has changed: no shape is made anew for each run."""
    template, data = flow("a b"), make()
    template.meta = data
    shape = shape_of(template)

    assert shape_of(template) is shape
    assert shape.template.meta is data
    template.tasks[0].config["n"] = 1
    assert shape_of(template) is not shape
    assert shape_of(template) is shape_of(template)


@pytest.mark.parametrize("name", ["author", "color", "zone"])
def test_an_attribute_of_the_user_s_own_is_that_of_later_runs(name: str) -> None:
    """Whatever its name is; runs that were made before keep what it was."""
    template: Any = type("Own", (WorkflowTemplate,), {})("crawl")
    template.add(TaskTemplate("a"))
    setattr(template, name, "old")
    shape: Any = shape_of(template)
    setattr(template, name, "new")

    assert getattr(shape.template, name) == "old"
    assert getattr(shape_of(template).template, name) == "new"


def test_data_that_cannot_be_copied_is_kept_as_it_is() -> None:
    """A template that was not validated may have any."""
    lock = threading.Lock()
    config = {"a": [1]}
    copy = own(config)

    assert own(lock) is lock
    assert own([lock])[0] is lock
    assert copy == config
    assert copy["a"] is not config["a"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (WorkflowTemplate, ["topics", "meta", "extra"]),
        (TaskTemplate, ["config", "topics", "extra"]),
    ],
)
def test_the_fields_are_there_on_the_class_as_well(kind: type[Any], fields: list[str]) -> None:
    """Where `help`, and tools that make documents, look for them."""
    text = pydoc.plain(pydoc.render_doc(kind))

    for field in fields:
        assert getattr(kind, field) is vars(kind)[field]
        assert f"\n |  {field}" in text
