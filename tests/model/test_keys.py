"""G12: a key that is nearly one of ours is a fault; any other is data of the user's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

import tukio
from tukio._model.keys import TASK_KEYS, WORKFLOW_KEYS
from tukio.errors import TemplateError

LETTERS = "abcdefghijklmnopqrstuvwxyz_"


def document(task: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    """Return a template, and a task, with further keys."""
    return {"id": "w", "tasks": [{"id": "a", "name": "a"} | (task or {})], "graph": {}} | own


def faults_of(given: dict[str, Any]) -> list[str]:
    """Return the faults of a document."""
    try:
        tukio.WorkflowTemplate.from_dict(given)
    except TemplateError as error:
        return [str(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("timout", "timeout"),
        ("timeot", "timeout"),
        ("timeouts", "timeout"),
        ("tiemout", "timeout"),
        ("confg", "config"),
        ("topic", "topics"),
        ("nmae", "name"),
        ("di", "id"),
    ],
)
def test_f4_a_misspelt_key_of_a_task_is_a_fault(key: str, known: str) -> None:
    """With its path and the key that was meant."""
    [fault] = faults_of(document({key: 1}))
    assert fault.startswith(f"tasks[0].{key}: unknown key; did you mean {known!r}?")


@pytest.mark.parametrize(
    ("key", "known"),
    [("on_eror", "on_error"), ("polcy", "policy"), ("grpah", "graph"), ("task", "tasks")],
)
def test_f4_a_misspelt_key_of_a_template_is_a_fault(key: str, known: str) -> None:
    """Likewise."""
    [fault] = faults_of(document() | {key: None})
    assert fault.startswith(f"{key}: unknown key; did you mean {known!r}?")


@pytest.mark.parametrize("key", ["names", "nam", "game", "ids", "i", "metal", "owner", "team", "x"])
def test_f4_other_keys_are_the_user_s_own(key: str) -> None:
    """Short ones, too, which are nearly one of ours by chance."""
    template = tukio.WorkflowTemplate.from_dict(document({key: 1}, **{key: 2}))
    assert template.extra == {key: 2}
    assert template.tasks[0].extra == {key: 1}


@st.composite
def slips(draw: st.DrawFn, keys: frozenset[str]) -> tuple[str, str]:
    """Draw a known key, and what one slip of the fingers makes of it."""
    known = draw(st.sampled_from(sorted(keys)))
    place = draw(st.integers(0, len(known) - 1))
    letter = draw(st.sampled_from(LETTERS))
    some = [known[:place] + known[place + 1 : place + 2] + known[place] + known[place + 2 :]]
    if len(known) > 4:
        some += [
            known[:place] + letter + known[place:],
            known[:place] + known[place + 1 :],
            known[:place] + letter + known[place + 1 :],
        ]
    return known, draw(st.sampled_from(some))


@given(slips(TASK_KEYS), slips(WORKFLOW_KEYS))
def test_every_slip_is_found(of_task: tuple[str, str], of_template: tuple[str, str]) -> None:
    """One letter more, less or other, or two that are swapped."""
    for (known, slip), keys, given_ in (
        (of_task, TASK_KEYS, document({of_task[1]: None})),
        (of_template, WORKFLOW_KEYS, document() | {of_template[1]: None}),
    ):
        if slip not in keys:
            found = [fault for fault in faults_of(given_) if "unknown key" in fault]
            assert len(found) == 1
            assert "did you mean" in found[0]
            assert known


def test_f4_an_unknown_key_of_a_join_is_a_fault() -> None:
    """Its config has no keys of the user's own."""
    tasks = [{"id": "a", "name": "join", "config": {"wait_for": 1, "colect": "all"}}]
    given = {"id": "w", "tasks": [*tasks, {"id": "r", "name": "join"}], "graph": {"r": ["a"]}}
    template = tukio.WorkflowTemplate.from_dict(given)
    with pytest.raises(TemplateError) as refusal:
        template.validate()
    texts = [str(fault) for fault in refusal.value.faults]
    assert "tasks[0].config.colect: unknown key; did you mean 'collect'?" in texts
