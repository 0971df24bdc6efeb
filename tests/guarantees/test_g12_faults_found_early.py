"""G12: faults are found early, all of them together, each with its path and the fix."""

from __future__ import annotations

import copy
import json
import math
import pickle
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

import tukio
from support.strategies import any_documents
from tukio._model.template import WorkflowTemplate
from tukio._model.validation import find_faults
from tukio.errors import (
    DAGValidationError,
    Fault,
    TemplateError,
    TemplateGraphError,
    UnknownTaskName,
    WorkflowError,
    WorkflowRootTaskError,
)

if TYPE_CHECKING:
    from support.flow import Tasks

KINDS = (
    DAGValidationError,
    WorkflowRootTaskError,
    UnknownTaskName,
    TemplateGraphError,
    KeyError,
    LookupError,
    ValueError,
    TypeError,
)

ALLOWED = "skip, start-new, skip-until-unlock, abort-running"
ONE_ROOT = "a workflow starts at the single task that no other task leads to"
NO_LIMIT = "null or 0 is no limit"
TOPICS = "null is everything, [] is nothing"


def document(**fields: Any) -> dict[str, Any]:
    """Return a sound document `f1 -> f2`, with some fields replaced."""
    tasks = [{"id": "f1", "name": "x"}, {"id": "f2", "name": "x"}]
    return {"id": "flow", "tasks": tasks, "graph": {"f1": ["f2"]}, **fields}


def with_task(**fields: Any) -> dict[str, Any]:
    """Return a sound document, with some fields of its second task replaced."""
    return document(tasks=[{"id": "f1", "name": "x"}, {"id": "f2", "name": "x", **fields}])


def refuse(wrong: Any) -> TemplateError:
    """Return the error with which a document is refused."""
    with pytest.raises(TemplateError) as refusal:
        WorkflowTemplate.from_dict(wrong)
    return refusal.value


def caught_by(error: Exception) -> set[type]:
    """Return which of the types of 1.x catch an error."""
    return {kind for kind in KINDS if isinstance(error, kind)}


# Each kind of fault alone

GRAPH_KINDS: set[type] = {TemplateGraphError, KeyError, LookupError}

ALONE: dict[str, tuple[Any, str, set[type]]] = {
    "unknown id upstream": (
        document(graph={"f1": ["f2"], "f3": []}),
        "graph.f3: unknown task 'f3'; known: f1, f2",
        GRAPH_KINDS,
    ),
    "unknown id downstream": (
        document(graph={"f1": ["f2", "zzz"]}),
        "graph.f1[1]: unknown task 'zzz'; known: f1, f2",
        GRAPH_KINDS,
    ),
    "unknown id, nearly": (
        with_task(id="resize") | {"graph": {"f1": ["resise"]}},
        "graph.f1[0]: unknown task 'resise'; did you mean 'resize'?",
        GRAPH_KINDS,
    ),
    "id that can be no id": (
        document(graph={"f1": ["f2", ["f2"], 5]}),
        (
            "2 faults in the template:"
            "\n  graph.f1[1]: unknown task ['f2']; known: f1, f2"
            "\n  graph.f1[2]: unknown task 5; known: f1, f2"
        ),
        GRAPH_KINDS,
    ),
    "duplicate id": (
        document(
            tasks=[{"id": "f1", "name": "x"}, {"id": "f2", "name": "x"}, {"id": "f2", "name": "y"}]
        ),
        "tasks[2].id: duplicate task id 'f2', also at tasks[1]; give each task an id of its own",
        {ValueError},
    ),
    "loop": (
        document(graph={"f1": ["f2"], "f2": ["f2"]}),
        "graph: not acyclic: f2 -> f2; remove one of these edges",
        {DAGValidationError},
    ),
    "policy": (
        document(policy="zzz"),
        f"policy: 'zzz' is not one of {ALLOWED}; known: {ALLOWED}",
        {ValueError},
    ),
    "policy, nearly": (
        document(policy="SKIP-until-unlok"),
        f"policy: 'SKIP-until-unlok' is not one of {ALLOWED}; did you mean 'skip-until-unlock'?",
        {ValueError},
    ),
    "policy of another type": (
        document(policy=["skip"]),
        f"policy: ['skip'] is not one of {ALLOWED}; did you mean 'skip'?",
        {ValueError},
    ),
    "error policy": (
        document(on_error="abrt"),
        "on_error: 'abrt' is not one of continue, abort; did you mean 'abort'?",
        {ValueError},
    ),
    "timeout": (
        document(timeout="x"),
        f"timeout: must be a number of seconds or null, not str 'x'; {NO_LIMIT}",
        {TypeError},
    ),
    "timeout true": (
        document(timeout=True),
        f"timeout: must be a number of seconds or null, not bool True; {NO_LIMIT}",
        {TypeError},
    ),
    "negative timeout": (
        document(timeout=-1),
        f"timeout: -1 is not a time limit; {NO_LIMIT}",
        {ValueError},
    ),
    "timeout that is no number": (
        document(timeout=math.nan),
        f"timeout: nan is not a time limit; {NO_LIMIT}",
        {ValueError},
    ),
    "timeout beyond all clocks": (
        document(timeout=10**400),
        f"timeout: <int of 1329 bits> is not a time limit; {NO_LIMIT}",
        {ValueError},
    ),
    "topics": (
        document(topics=5),
        f"topics: must be a list of topics or null, not int; {TOPICS}",
        {TypeError},
    ),
    "topic": (
        document(topics=["t", None]),
        "topics[1]: a topic is a string, not null; leave it out",
        {TypeError},
    ),
    "topic of another type": (
        document(topics=["t", 5]),
        "topics[1]: must be a string, not int; quote it",
        {TypeError},
    ),
    "schema": (
        document(schema="2"),
        "schema: must be an int, not str; leave it out for 1",
        {TypeError},
    ),
    "schema true": (
        document(schema=True),
        "schema: must be an int, not bool; leave it out for 1",
        {TypeError},
    ),
    "id": (document(id=5), "id: must be a string, not int; quote it", {TypeError}),
    "title": (document(title=5), "title: must be a string, not int; quote it", {TypeError}),
    "task id": (
        document(tasks=[{"id": 1, "name": "x"}], graph={}),
        "tasks[0].id: must be a string, not int; quote it",
        {TypeError},
    ),
    "missing name": (
        document(tasks=[{"id": "f1", "name": "x"}, {"id": "f2"}]),
        "tasks[1].name: missing name; say which registered task it runs",
        {KeyError, LookupError},
    ),
    "name": (
        with_task(name=["x"]),
        "tasks[1].name: must be a registered name, not list; use a string",
        {TypeError},
    ),
    "task timeout": (
        with_task(timeout="5"),
        f"tasks[1].timeout: must be a number of seconds or null, not str '5'; {NO_LIMIT}",
        {TypeError},
    ),
    "negative task timeout": (
        with_task(timeout=-0.5),
        f"tasks[1].timeout: -0.5 is not a time limit; {NO_LIMIT}",
        {ValueError},
    ),
    "task topics": (
        with_task(topics="t"),
        f"tasks[1].topics: must be a list of topics or null, not str; {TOPICS}",
        {TypeError},
    ),
    "successors": (
        document(graph={"f1": "f2"}),
        """graph.f1: must be a list of task ids, not str; write ["f2", ...]""",
        {TypeError},
    ),
    "no mapping": (
        ["f1"],
        "a template is a mapping, not list; give it the keys 'tasks' and 'graph'",
        {TypeError},
    ),
    "null": (
        None,
        "a template is a mapping, not null; give it the keys 'tasks' and 'graph'",
        {TypeError},
    ),
}


@pytest.mark.parametrize("case", ALONE)
def test_g12_a_fault_is_named_with_its_path_and_the_fix(case: str) -> None:
    """The whole message, word by word; and what was caught in 1.x is caught now."""
    wrong, words, kinds = ALONE[case]
    error = refuse(wrong)
    assert str(error) == words
    assert caught_by(error) == kinds
    assert isinstance(error, WorkflowError)


def test_g12_a_cycle_is_named_node_by_node() -> None:
    """That a circle has no root is no other fault."""
    error = refuse(document(graph={"f1": ["f2"], "f2": ["f1"]}))
    assert str(error) in [
        f"graph: not acyclic: {cycle}; remove one of these edges"
        for cycle in ("f1 -> f2 -> f1", "f2 -> f1 -> f2")
    ]
    assert caught_by(error) == {DAGValidationError}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            document(graph=[["f1", "f2"]]),
            (
                "graph: must be a mapping of task id to list of task ids, not list;"
                """ write {"f1": ["f2"], ...}"""
            ),
        ),
        (
            document(graph=None),
            (
                "graph: must be a mapping of task id to list of task ids, not null;"
                """ write {"f1": ["f2"], ...}"""
            ),
        ),
        (document(tasks=None, graph={}), "tasks: must be a list, not null; list the tasks"),
        (
            document(tasks={}, graph={}),
            "tasks: must be a list, not dict; list the tasks, each with its 'id'",
        ),
        (
            document(tasks=["f1"], graph={}),
            "tasks[0]: a task is a mapping, not str; give it at least a 'name'",
        ),
    ],
    ids=["graph list", "graph null", "tasks null", "tasks dict", "task string"],
)
def test_g12_a_part_of_the_wrong_type_is_named_alone(wrong: dict[str, Any], words: str) -> None:
    """What follows from it, as the number of roots, is no fault of its own."""
    error = refuse(wrong)
    assert str(error) == words
    assert caught_by(error) == {TypeError}


# The number of roots, and names: looked at when the template must be ready to run


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "tasks: missing; give a list of tasks"),
        (document(graph={}), f"graph: expected one root task, found 2 (f1, f2); {ONE_ROOT}"),
        (
            {"tasks": [{"name": "x"}, {"name": "x", "id": "tasks[0]"}]},
            f"graph: expected one root task, found 2 (tasks[0], tasks[0]); {ONE_ROOT}",
        ),
    ],
    ids=["none", "two", "one of them without id"],
)
def test_g12_a_template_needs_one_root_to_run_but_not_as_a_draft(
    wrong: dict[str, Any], words: str
) -> None:
    """It may be built in steps; `complete` is what `validate` asks for."""
    WorkflowTemplate.from_dict(wrong)
    assert find_faults(wrong, complete=False) == []
    [fault] = find_faults(wrong, complete=True)
    assert str(fault) == words


def test_g12_validate_wants_one_root(task: Tasks) -> None:
    """With the count of 1.x."""

    @task
    async def x(event: object) -> None:
        pass

    template = WorkflowTemplate.from_dict(document(graph={}))
    with pytest.raises(WorkflowRootTaskError) as refusal:
        template.validate()
    assert isinstance(refusal.value, TemplateError)
    assert caught_by(refusal.value) == {WorkflowRootTaskError}
    assert refusal.value.count == 2


def test_g12_an_unknown_task_name_is_named_with_the_nearest(task: Tasks) -> None:
    """Every one of them, and all other faults too."""

    @task
    async def resizer(event: object) -> None:
        pass

    tasks = [
        {"id": "a", "name": "resize"},
        {"id": "b", "name": "resizer"},
        {"id": "c", "name": "resizers"},
        {"id": "d", "name": None},
    ]
    template = WorkflowTemplate.from_dict({"tasks": tasks, "graph": {"a": ["b", "c", "d"]}})
    with pytest.raises(UnknownTaskName) as refusal:
        template.validate()
    error = refusal.value
    assert isinstance(error, TemplateError)
    first, second, third = map(str, error.faults)
    assert first == "tasks[0].name: no task is registered as 'resize'; did you mean 'resizer'?"
    assert second == "tasks[2].name: no task is registered as 'resizers'; did you mean 'resizer'?"
    assert third.startswith("tasks[3].name: no task is registered as None; known: ")
    assert caught_by(error) == {UnknownTaskName, LookupError}
    assert error.name == "resize"
    assert "resizer" in error.known


# All together

ALL_WRONG: dict[str, Any] = {
    "id": 5,
    "policy": "skipp",
    "on_error": "stop",
    "topics": "t",
    "timeout": "x",
    "schema": "1",
    "title": [],
    "tasks": [
        {"id": "f1", "name": "x", "timeout": -1},
        {"id": "f1", "name": {}},
        {"id": 2, "topics": [5]},
        "f3",
    ],
    "graph": {"f1": ["f2", "f1"], "f9": 5},
}

ALL_WORDS = f"""\
18 faults in the template:
  id: must be a string, not int; quote it
  policy: 'skipp' is not one of {ALLOWED}; did you mean 'skip'?
  on_error: 'stop' is not one of continue, abort; known: continue, abort
  topics: must be a list of topics or null, not str; {TOPICS}
  timeout: must be a number of seconds or null, not str 'x'; {NO_LIMIT}
  schema: must be an int, not str; leave it out for 1
  title: must be a string, not list; quote it
  tasks[0].timeout: -1 is not a time limit; {NO_LIMIT}
  tasks[1].name: must be a registered name, not dict; use a string
  tasks[1].id: duplicate task id 'f1', also at tasks[0]; give each task an id of its own
  tasks[2].name: missing name; say which registered task it runs
  tasks[2].id: must be a string, not int; quote it
  tasks[2].topics[0]: must be a string, not int; quote it
  tasks[3]: a task is a mapping, not str; give it at least a 'name'
  graph.f1[0]: unknown task 'f2'; did you mean '2'?
  graph.f9: unknown task 'f9'; known: f1, 2, f3
  graph.f9: must be a list of task ids, not int; write ["f2", ...]
  graph: not acyclic: f1 -> f1; remove one of these edges"""


def test_g12_all_faults_are_reported_together() -> None:
    """In the order of the document: one round of mending, not eighteen."""
    error = refuse(ALL_WRONG)
    assert str(error) == ALL_WORDS
    assert caught_by(error) == set(KINDS) - {UnknownTaskName, WorkflowRootTaskError}


def test_g12_the_error_of_many_faults_survives_pickle_and_copy() -> None:
    """With all its kinds: it may be raised in another process."""
    error = refuse(ALL_WRONG)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert twin.faults == error.faults
        assert str(twin) == str(error)
        assert caught_by(twin) == caught_by(error)


def test_g12_any_mixture_of_kinds_is_one_error() -> None:
    """Whatever the order of the faults: Python refuses some orders of base classes."""
    facts: dict[type[Exception], tuple[object, ...]] = {
        WorkflowRootTaskError: (2,),
        UnknownTaskName: ("a", ["b"]),
    }
    for count in range(len(KINDS) + 1):
        for kinds in permutations(KINDS, min(count, 4)):
            faults = [
                Fault("path", "wrong", "mend it", kind, facts.get(kind, ())) for kind in kinds
            ]
            error = TemplateError(faults)
            assert all(isinstance(error, kind) for kind in kinds)
            assert type(error).__name__ == "TemplateError"
            assert error.faults == tuple(faults)


# Whatever comes


@settings(max_examples=250)
@given(any_documents)
def test_g12_any_document_gives_a_template_or_a_template_error(wrong: Any) -> None:
    """Never another exception; the document is left as it was, and each fault can be read."""
    before = json.dumps(wrong)
    refused: list[TemplateError] = []
    try:
        WorkflowTemplate.from_dict(wrong)
    except TemplateError as error:
        refused.append(error)
    for refusal in refused:
        assert refusal.faults
        assert all(fault.problem and fault.advice for fault in refusal.faults)
        assert str(refusal)
        assert caught_by(refusal) >= {fault.kind for fault in refusal.faults}
    assert json.dumps(wrong) == before


# Nothing is loaded


@pytest.mark.parametrize("call", ["load", "reload"])
async def test_g12_a_refused_template_leaves_nothing_loaded(task: Tasks, call: str) -> None:
    """No event finds it, and what was loaded before stays."""

    @task
    async def x(event: object) -> None:
        pass

    sound = WorkflowTemplate.from_dict(document(id="sound", topics=["t"]))
    wrong = WorkflowTemplate.from_dict(document(topics=["t"], graph={}))
    wrong.tasks[1].name = "nobody"
    wrong.timeout = -1
    async with tukio.Engine() as engine:
        await engine.load(sound)
        with pytest.raises(TemplateError) as refusal:
            await (engine.load(wrong) if call == "load" else engine.reload([wrong]))
        assert [fault.path for fault in refusal.value.faults] == [
            "timeout",
            "graph",
            "tasks[1].name",
        ]
        refused = await engine.trigger("flow", {})
        assert isinstance(refused, tukio.Refusal)
        assert refused.reason is tukio.Reason.UNKNOWN_TEMPLATE
        assert engine.selector.get("flow") is None
        [run] = await engine.data_received({}, "t")
        assert run.template.uid == "sound"
        assert engine.instances == [run]
