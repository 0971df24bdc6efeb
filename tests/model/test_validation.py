"""The search for faults: what is sound has none, and what was spoilt is reported, no more, no less.

What the user is told of them is G12, in tests/guarantees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from support.strategies import json_values, sound_documents
from tukio._model.template import WorkflowTemplate
from tukio._model.validation import find_faults
from tukio.errors import TemplateError, WorkflowRootTaskError

if TYPE_CHECKING:
    from support.flow import Tasks


# The config of tasks, of which their holder classes know


def with_join(config: Any) -> WorkflowTemplate:
    """Return a template in which `a` and `b` lead to a join."""
    tasks = [
        {"id": "root", "name": "x"},
        {"id": "a", "name": "x"},
        {"id": "b", "name": "x"},
        {"id": "j", "name": "join", "config": config},
    ]
    graph = {"root": ["a", "b"], "a": ["j"], "b": ["j"]}
    return WorkflowTemplate.from_dict({"tasks": tasks, "graph": graph})


def test_g12_a_config_fault_is_reported_with_the_others(task: Tasks) -> None:
    """A join that waits for a task that is no parent hung for ever in 1.x."""

    @task
    async def x(event: object) -> None:
        pass

    assert with_join({"wait_for": ["b", "a"]}).validate()
    template = with_join({"wait_for": ["a", "zzz"], "collect": "last"})
    template.timeout = -1
    template.tasks[1].name = ["y"]
    with pytest.raises(TemplateError) as refusal:
        template.validate()
    assert [fault.path for fault in refusal.value.faults] == [
        "timeout",
        "tasks[1].name",
        "tasks[3].config.collect",
        "tasks[3].config.wait_for[1]",
    ]


@pytest.fixture
def x(task: Tasks) -> None:
    """Register a task that does nothing."""

    @task
    async def x(event: object) -> None:
        pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    json_values
    | st.fixed_dictionaries(
        {"wait_for": st.integers(-1, 3) | st.lists(st.sampled_from("abz") | json_values)},
        optional={"collect": st.sampled_from(["first", "merge", "all"]) | json_values},
    )
)
def test_g12_any_config_of_a_join_is_accepted_or_refused(x: None, config: Any) -> None:
    """Never with another exception; and what is accepted can be met."""
    template = with_join(config)
    refused: list[TemplateError] = []
    try:
        template.validate()
    except TemplateError as error:
        refused.append(error)
    wait_for = config.get("wait_for") if isinstance(config, dict) else None
    can_be_met = wait_for in (1, 2) or (
        isinstance(wait_for, list) and wait_for in (["a"], ["b"], ["a", "b"], ["b", "a"])
    )
    for refusal in refused:
        paths = {fault.path for fault in refusal.faults}
        assert not can_be_met or paths == {"tasks[3].config.collect"}
    assert refused or can_be_met


@given(sound_documents())
def test_g12_a_sound_document_has_no_fault(sound: dict[str, Any]) -> None:
    """As a draft; and ready to run if it has one root."""
    assert find_faults(sound, complete=False) == []
    reached = {uid for downs in sound["graph"].values() for uid in downs}
    has_one_root = len(set(sound["graph"]) - reached) == 1
    assert (find_faults(sound, complete=True) == []) is has_one_root


SPOILS: dict[str, Any] = {
    "policy": "zzz",
    "on_error": "zzz",
    "topics": 5,
    "timeout": -1,
    "schema": "x",
    "title": 5,
    "id": 5,
}
TASK_SPOILS: dict[str, Any] = {"timeout": "x", "topics": 5, "name": []}


@given(sound_documents(), st.sets(st.sampled_from(sorted(SPOILS))), st.data())
def test_g12_exactly_what_was_spoilt_is_reported(
    sound: dict[str, Any], spoilt: set[str], data: st.DataObject
) -> None:
    """No fault hides another one, and none is invented."""
    for field in spoilt:
        sound[field] = SPOILS[field]
    expected = set(spoilt)
    for number, task in enumerate(sound["tasks"]):
        for field in data.draw(st.sets(st.sampled_from(sorted(TASK_SPOILS)))):
            task[field] = TASK_SPOILS[field]
            expected.add(f"tasks[{number}].{field}")
    faults = find_faults(sound, complete=False)
    found = [fault.path for fault in faults if fault.kind is not WorkflowRootTaskError]
    assert sorted(found) == sorted(expected)
