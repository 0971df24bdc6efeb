"""The model by itself: what it tells of simple runs, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from .launches import Launch
from .model import HORIZON, Run
from .parts import Outcome
from .timeline import Diverged

DATA = {"in": 0}


def template(graph: dict[str, list[str]], tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a template in its dict form."""
    described = [
        {"id": uid, "name": "join" if "wait_for" in tasks.get(uid, {}) else "actor"}
        | {"config": tasks.get(uid, {}), "timeout": tasks.get(uid, {}).get("limit")}
        for uid in graph
    ]
    return {"id": "flow", "tasks": described, "graph": graph} | fields


def play(described: dict[str, Any], *orders: Any, data: dict[str, Any] | None = None) -> Outcome:
    """Play a template in the way in which nothing is put off."""
    return Run(described, DATA if data is None else data, orders).play()


def told(outcome: Outcome) -> list[str]:
    """Return a story in words, with the instants."""
    return [
        f"{at:g} {kind} {uid}" if uid else f"{at:g} {kind}" for at, kind, uid, _ in outcome.story
    ]


CHAIN = {"a": ["b"], "b": []}
DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}


def test_a_chain_is_told_from_its_begin_to_its_end() -> None:
    """Each task gets what the one before returned."""
    outcome = play(template(CHAIN, {"a": {"seconds": 2}}))

    assert outcome.story == [
        (0, "workflow-begin", None, {"in": 0}),
        (0, "task-begin", "a", {"in": 0}),
        (2, "task-end", "a", {"in": 0, "a": "dict"}),
        (2, "task-begin", "b", {"in": 0, "a": "dict"}),
        (2, "task-end", "b", {"in": 0, "a": "dict", "b": "dict"}),
        (2, "workflow-end", None, None),
    ]
    assert (outcome.state, outcome.end, outcome.errors) == ("finished", 2, {})


@pytest.mark.parametrize(
    ("ends", "state", "output", "passed_on"),
    [
        ("dict", "finished", {"in": 0, "a": "dict"}, {"in": 0, "a": "dict"}),
        ("event", "finished", {"in": 0, "a": "event"}, {"in": 0, "a": "event"}),
        ("none", "finished", None, {"in": 0}),
        ("skip", "skipped", None, {"in": 0}),
        ("text", "exception", "text", None),
        ("error", "exception", None, None),
        ("task error", "exception", {"code": "a"}, None),
    ],
)
def test_what_a_task_passes_on(ends: str, state: str, output: Any, passed_on: Any) -> None:
    """The rows of the data flow of 1.x."""
    outcome = play(template(CHAIN, {"a": {"ends": ends}}))

    assert (outcome.tasks["a"]["state"], outcome.tasks["a"]["outputs"]) == (state, output)
    assert (outcome.tasks["b"] and outcome.tasks["b"]["inputs"]) == passed_on


def test_a_merge_begins_once_with_its_first_parent() -> None:
    """It does not wait for the other."""
    outcome = play(template(DIAMOND, {"b": {"seconds": 2}, "c": {"seconds": 1}}))

    assert outcome.tasks["d"]["inputs"] == {"in": 0, "a": "dict", "c": "dict"}
    assert told(outcome).count("1 task-begin d") == 1


@pytest.mark.parametrize(
    ("c", "ended"), [({"seconds": 3}, 3), ({"seconds": 3, "ends": "error"}, 3), ({}, 1)]
)
def test_a_join_waits_for_those_that_can_come(c: dict[str, Any], ended: float) -> None:
    """Be it that they fail."""
    outcome = play(template(DIAMOND, {"b": {"seconds": 1}, "c": c, "d": {"wait_for": 2}}))

    assert (outcome.tasks["d"]["status"], outcome.tasks["d"]["end"]) == ("done", ended)


def test_past_its_limit_a_task_leads_on() -> None:
    """With what its teardown returned, when that is done."""
    a = {"seconds": 9, "limit": 2, "teardown": "dict", "cleans": 1}
    outcome = play(template(CHAIN, {"a": a}))

    assert outcome.tasks["a"]["state"] == "timeout"
    assert outcome.tasks["b"]["inputs"] == {"a": "torn down"}
    assert outcome.tasks["b"]["start"] == 3


def test_a_teardown_without_an_end_is_cut() -> None:
    """After five seconds; that is an error of the task."""
    outcome = play(template(CHAIN, {"a": {"seconds": 9, "limit": 2, "cleans": 7}}))

    assert outcome.end == 7
    assert outcome.errors == {"a": ["CleanupTimedOut"]}


@pytest.mark.parametrize(
    ("order", "state"), [("cancel", "cancelled"), ("timeout", "timeout"), ("stop", "cancelled")]
)
def test_a_run_that_is_cut_starts_nothing_more(order: str, state: str) -> None:
    """It is over when the task at work has unwound."""
    outcome = play(template(CHAIN, {"a": {"seconds": 9, "shields": 2}}), (1.5, order, None))

    assert told(outcome)[2:] == ["3.5 task-cancel a", "3.5 workflow-end"]
    assert outcome.state == state
    assert outcome.tasks["b"] is None


def test_a_suspended_task_is_run_again_from_its_begin() -> None:
    """And the resume is told after that."""
    orders = [(1.5, "suspend", None), (4.5, "resume", None)]
    outcome = play(template(CHAIN, {"a": {"seconds": 2}}), *orders)

    assert told(outcome)[2:6] == [
        "1.5 workflow-suspend",
        "4.5 task-begin a",
        "4.5 workflow-resume",
        "6.5 task-end a",
    ]


def test_a_failure_aborts_the_run_if_so_told() -> None:
    """The others are cancelled."""
    tasks = {"b": {"seconds": 1, "ends": "error"}, "c": {"seconds": 5}}
    outcome = play(template(DIAMOND, tasks, on_error="abort"))

    assert (outcome.state, outcome.end) == ("exception", 1)
    assert outcome.tasks["c"]["state"] == "cancelled"
    assert outcome.story[-1][1:] == ("workflow-error", None, "WorkflowFailed")


def test_what_a_tree_of_runs_does_at_its_end_has_one_limit() -> None:
    """It counts from the stop: what a child takes to unwind is not for its parent any more."""
    config = {"seconds": 9, "shields": 2}
    child = {"id": "child", "tasks": [{"id": "x", "name": "actor", "config": config}]}
    described = template(CHAIN, {}, closing_timeout=5)
    described["tasks"][0]["compensate"] = {"name": "actor", "config": {"seconds": 4}}
    described["tasks"][1] = {"id": "b", "workflow": child}
    outcome = play(described, (1, "cancel", None))

    assert outcome.story[-2:] == [
        (6, "task-error", "a.compensate", {"exception": "CleanupTimedOut"}),
        (6, "workflow-end", None, {"cancel": True}),
    ]


def test_a_run_that_is_never_resumed_ends_at_the_horizon() -> None:
    """So that every run has an end."""
    assert play(template(CHAIN, {"a": {"seconds": 2}}), (0.5, "suspend", None)).end == HORIZON


def test_what_happens_at_one_instant_may_happen_in_any_order() -> None:
    """Two tasks that end together: each may be the one that begins the merge."""
    described = template(DIAMOND, {"b": {"seconds": 1}, "c": {"seconds": 1}})
    ways = list(Launch(0, DATA, []).ways(described))

    assert all(isinstance(way, Outcome) for way in ways)
    inputs = [way.tasks["d"]["inputs"] for way in ways if isinstance(way, Outcome)]
    assert {tuple(data) for data in inputs} == {("in", "a", "b"), ("in", "a", "c")}


def test_a_story_is_found_or_refused() -> None:
    """A way that tells something else is given up at that place."""
    described = template(CHAIN, {"a": {"seconds": 1}})
    story = play(described).story

    (found,) = Launch(0, DATA, []).ways(described, story)
    (refused,) = Launch(0, DATA, []).ways(described, [*story[:3], story[-1]])
    (cut_short,) = Launch(0, DATA, []).ways(described, [*story, story[-1]])
    assert isinstance(found, Outcome)
    assert isinstance(refused, Diverged)
    assert refused.args[0] == 3
    assert isinstance(cut_short, Diverged)
