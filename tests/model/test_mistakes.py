"""What users see of ordinary mistakes about templates, tasks, results and reports.

Each text is compared as a whole: what is wrong, where, and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

import tukio
from support.hostile import NASTY, deeds, examples, refusals, spoilt
from tukio._model.documents import as_template
from tukio._model.registry import Registry
from tukio.errors import TemplateError, TemplateGraphError, UnknownTaskName, WorkflowRootTaskError

if TYPE_CHECKING:
    from support.hostile import Deed


async def execute(event: object) -> None:
    """Be a task."""


@pytest.fixture
def registry() -> Registry:
    """Return a registry of the test's own, with one task."""
    own = Registry()
    own.register(execute, "fetch")
    return own


def told(document: Any, registry: Registry | None = None) -> list[str]:
    """Return what is said of a document that describes no template that can run."""
    return [str(fault) for fault in refused(document, registry).faults]


def refused(what: object, registry: Registry | None = None) -> TemplateError:
    """Return the error with which something is refused as a template."""
    with pytest.raises(TemplateError) as refusal:
        as_template(what, registry)
    return refusal.value


# A template where its dict form is wanted, and the other way round


def test_a_template_is_taken_as_it_is(registry: Registry) -> None:
    """It is validated like a document."""
    template = tukio.WorkflowTemplate("w")
    assert isinstance(refused(template), WorkflowRootTaskError)
    template.add(tukio.TaskTemplate("fetch"))
    assert as_template(template, registry) is template


def test_a_document_describes_a_template_that_is_ready_to_run(registry: Registry) -> None:
    """Its names are looked up in the registry of the engine."""
    document = {"id": "w", "tasks": [{"id": "a", "name": "fetch"}]}
    assert as_template(document, registry).as_dict()["id"] == "w"
    assert isinstance(refused(document), UnknownTaskName)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (
            "crawl",
            (
                "expected a template or its dict form, not 'crawl';"
                " an id is for engine.start(...), and text is to be parsed first"
            ),
        ),
        (
            None,
            (
                "expected a template or its dict form, not None;"
                " make one with tukio.WorkflowTemplate.from_dict(...)"
            ),
        ),
        (
            [5],
            (
                "expected a template or its dict form, not [5];"
                " make one with tukio.WorkflowTemplate.from_dict(...)"
            ),
        ),
    ],
    ids=["id", "null", "list"],
)
def test_what_is_no_template_is_refused_as_one(what: Any, words: str) -> None:
    """By an error of this library that is a `TypeError` as well."""
    error = refused(what)
    assert str(error) == words
    assert isinstance(error, TypeError)


def test_all_faults_of_a_document_come_together(registry: Registry) -> None:
    """Also the names that nothing is registered by."""
    document = {"tasks": [{"id": "a", "name": "fetsch", "timeout": "3"}], "graph": {"a": ["b"]}}
    assert told(document, registry) == [
        (
            "tasks[0].timeout: must be a number of seconds or null, not str '3';"
            " null or 0 is no limit"
        ),
        "graph.a[0]: unknown task 'b'; known: a",
        "tasks[0].name: no task is registered as 'fetsch'; did you mean 'fetch'?",
    ]


def test_the_config_of_a_sound_document_is_looked_at_too() -> None:
    """By the holder class."""
    tasks = [
        {"id": "a", "name": "join", "config": {"wait_for": "b"}},
        {"id": "b", "name": "join", "config": {"wait_fr": 1}},
    ]
    assert told({"tasks": tasks, "graph": {"a": ["b"]}}) == [
        (
            "tasks[0].config.wait_for: cannot wait for 'b';"
            " give a number of parents or a list of their ids; parents: "
        ),
        "tasks[1].config.wait_fr: unknown key; did you mean 'wait_for'?",
    ]


def test_a_template_is_not_its_own_dict_form() -> None:
    """Where a dict is asked for by name."""
    template: Any = tukio.WorkflowTemplate("w")
    with pytest.raises(TemplateError) as refusal:
        tukio.WorkflowTemplate.from_dict(template)
    assert str(refusal.value) == (
        "this is a template already; use it as it is, or a copy by its method copy()"
    )
    assert isinstance(refusal.value, TypeError)


SOUND = {
    "id": "all",
    "policy": "skip",
    "timeout": 60,
    "meta": {"a": [1, {"b": None}]},
    "mine": {"c": [True]},
    "tasks": [
        {"id": "a", "name": "fetch", "timeout": 1.5, "topics": None, "also mine": ["d"]},
        {"id": "b", "name": "fetch", "config": {"e": {"f": [0.5]}}, "topics": ["t", "u"]},
    ],
    "graph": {"a": ["b"]},
}


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds(NASTY))
def test_a_document_is_refused_at_once_or_not_at_all(registry: Registry, done: list[Deed]) -> None:
    """For the faults that it has as a template, and no others, whatever is done to it."""
    document = spoilt(SOUND, done)
    with refusals(TemplateError) as at_once:
        as_template(document, registry)
    with refusals(TemplateError) as later:
        tukio.WorkflowTemplate.from_dict(document).validate(registry)
    assert bool(at_once) == bool(later)


# Tasks are missing, or under another key


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"id": "w"}, "tasks: missing; give a list of tasks"),
        (
            {"steps": [{"id": "a", "name": "fetch"}], "graph": {"a": []}},
            "tasks: missing; give a list of tasks; is 'steps' meant to be it?",
        ),
        (
            {"owner": "me", "nodes": {"a": {"name": "fetch"}}, "graph": {"a": ["b"]}},
            "tasks: missing; give a list of tasks; is 'nodes' meant to be it?",
        ),
        (
            {"owner": {"name": "me"}, "empty": [], "graph": {"a": []}},
            "tasks: missing; give a list of tasks",
        ),
        (
            {"tsaks": [{"id": "a", "name": "fetch"}], "graph": {"a": []}},
            (
                "tsaks: unknown key;"
                " did you mean 'tasks'? data of your own go into 'meta', or by another key"
            ),
        ),
        (
            {"task": "fetch", "graph": {"a": []}},
            (
                "task: unknown key;"
                " did you mean 'tasks'? data of your own go into 'meta', or by another key"
            ),
        ),
    ],
    ids=["none", "steps", "nodes", "others", "misspelt", "misspelt text"],
)
def test_missing_tasks_are_said_to_be_missing(
    registry: Registry, document: dict[str, Any], words: str
) -> None:
    """And not the links between them, of which there can be none."""
    assert told(document, registry) == [words]


@pytest.mark.parametrize("key", ["tasks", "steps"])
def test_a_draft_without_tasks_is_told_so_when_it_is_loaded(key: str) -> None:
    """By an error that 1.x code catches."""
    document = {key: [{"id": "a", "name": "fetch"}]} if key == "steps" else {key: []}
    template = tukio.WorkflowTemplate.from_dict(document)
    hint = "; is 'steps' meant to be it?" if key == "steps" else ""
    with pytest.raises(WorkflowRootTaskError) as refusal:
        template.validate()
    assert str(refusal.value) == f"tasks: missing; give a list of tasks{hint}"
    assert refusal.value.count == 0


def test_a_graph_without_tasks_is_caught_as_in_1_x() -> None:
    """There it was the first id that no task had."""
    with pytest.raises(TemplateGraphError) as refusal:
        tukio.WorkflowTemplate.from_dict({"graph": {"a": ["b"]}})
    assert isinstance(refusal.value, KeyError)
    assert str(refusal.value) == "tasks: missing; give a list of tasks"


# The graph has an id that no task has


def test_a_misspelt_id_is_one_fault(registry: Registry) -> None:
    """That the task it means has no parent is not another one."""
    tasks = [{"id": uid, "name": "fetch"} for uid in ("get", "left")]
    assert told({"tasks": tasks, "graph": {"get": ["lfet"]}}, registry) == [
        "graph.get[0]: unknown task 'lfet'; did you mean 'left'?"
    ]


def test_the_name_of_a_task_is_not_its_id(registry: Registry) -> None:
    """A task that is linked needs both."""
    tasks = [{"name": "fetch"}, {"id": "b", "name": "fetch"}]
    assert told({"tasks": tasks, "graph": {"fetch": ["b"]}}, registry) == [
        "graph.fetch: unknown task 'fetch'; give tasks[0], which has this name, an 'id' as well"
    ]


# A name that nothing is registered by


def test_an_unknown_name_asks_for_the_import(registry: Registry) -> None:
    """Nothing else tells of a module that was left out."""
    tasks = [{"id": "a", "name": "etl.extract"}]
    assert told({"tasks": tasks}, registry) == [
        (
            "tasks[0].name: no task is registered as 'etl.extract';"
            " known: fetch, join, trigger; is the module that registers it imported?"
        )
    ]
    with pytest.raises(UnknownTaskName) as refusal:
        registry.get("etl.extract")
    assert str(refusal.value) == (
        "no task is registered as 'etl.extract' - known: fetch, join, trigger;"
        " is the module that registers it imported?"
    )


def test_of_many_known_names_some_are_listed() -> None:
    """Never a page of them."""
    names = [f"n{number:02}" for number in range(30)]
    assert str(UnknownTaskName("etl.extract", names)) == (
        "no task is registered as 'etl.extract' - known: n00, n01, n02, n03, n04, n05, n06, n07,"
        " n08, n09, n10, n11, ... (30 in all); is the module that registers it imported?"
    )
