"""The public strategies: what they draw is sound and of every kind, and failures shrink."""

from __future__ import annotations

import ast
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, find, given, settings, strategies as st

import tukio
from support.hurry import hurry
from tukio.testing import actors, play
from tukio.testing.clock import run
from tukio.testing.strategies import (
    FAULTS,
    dags,
    faults,
    histories,
    task_templates,
    workflow_templates,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypothesis.strategies import SearchStrategy

    from tukio.testing import Action, Played

    Data = dict[str, Any]
    Graph = dict[str, list[str]]

MOST = 9
HARMLESS = {"handler error", "callback error", "report", "edit"}
DEEDS = {"cancel", "suspend", "resume", "timeout", "cancel task", "stop", "trigger", "event"}


@pytest.fixture(autouse=True)
def stage(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Register the actor, and let its failures out of the log."""
    caplog.set_level(logging.CRITICAL, "tukio")
    with actors():
        yield


def parents_of(graph: Graph, uid: str) -> list[str]:
    """Return those that lead to a task."""
    return [up for up, downs in graph.items() if uid in downs]


@given(dags(max_tasks=MOST))
def test_a_dag_has_one_root_and_no_cycle(graph: Graph) -> None:
    """So that any of them is a workflow."""
    assert 1 <= len(graph) <= MOST
    assert [len(parents_of(graph, uid)) for uid in graph].count(0) == 1
    assert tukio.dag.DAG.from_dict(graph).cycle() == []
    assert all(len(set(downs)) == len(downs) for downs in graph.values())


def is_wide(graph: Graph) -> bool:
    """Say whether one task leads to all others."""
    return any(len(downs) == len(graph) - 1 for downs in graph.values())


def has_shortcut(graph: Graph) -> bool:
    """Say whether a task leads to another both directly and through a third one."""
    return any(far in downs for downs in graph.values() for near in downs for far in graph[near])


SHAPES: dict[str, tuple[Callable[[Graph], bool], int]] = {
    "a single task": (lambda graph: len(graph) == 1, 1),
    "a chain": (lambda graph: len(graph) >= 4 and max(map(len, graph.values())) == 1, 4),
    "a wide one": (lambda graph: len(graph) >= 5 and is_wide(graph), 5),
    "a shortcut": (has_shortcut, 3),
    "a merge of three": (lambda graph: any(len(parents_of(graph, u)) == 3 for u in graph), 4),
    "a root declared last": (
        lambda graph: not parents_of(graph, [*graph][-1]) and len(graph) > 1,
        2,
    ),
    "the most tasks": (lambda graph: len(graph) == MOST, MOST),
}


@pytest.mark.parametrize(("is_one", "size"), SHAPES.values(), ids=SHAPES)
def test_there_are_dags_of_every_shape(is_one: Callable[[Graph], bool], size: int) -> None:
    """And of every size that such a one may have."""
    assert size <= len(find(dags(max_tasks=MOST), is_one)) <= MOST


@given(workflow_templates(), histories())
def test_a_drawn_workflow_is_sound(document: Data, history: list[Action]) -> None:
    """It can be loaded as it is, and survives JSON; what is done to it is in order."""
    template = tukio.WorkflowTemplate.from_dict(document)
    assert template.validate()
    assert ast.literal_eval(repr((document, history))) == (document, history)
    assert history == sorted(history, key=lambda action: action[0])


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_is_drawn(fault: Data) -> None:
    """By itself, and in the task of a workflow."""
    assert find(faults(), lambda drawn: drawn == fault) == fault
    found = find(task_templates("a"), lambda task: fault.items() <= task.get("config", {}).items())
    assert found == {"id": "a", "name": "actor", "config": fault}


@pytest.mark.parametrize("deed", sorted(DEEDS | HARMLESS))
def test_everything_is_done(deed: str) -> None:
    """By itself, at the first instant."""
    history = find(histories(), lambda actions: any(name == deed for _, name, _ in actions))
    assert [(at, name) for at, name, _ in history] == [(0, deed)]


@pytest.mark.parametrize("collect", [None, "merge", "all"])
@pytest.mark.parametrize("wait_for", [3, 2, ["a"], ["b", "c"]], ids=str)
def test_joins_of_every_kind_are_drawn(collect: str | None, wait_for: Any) -> None:
    """However many parents they wait for, and whatever they pass on."""
    config = {"wait_for": wait_for} | ({"collect": collect} if collect else {})
    joins = task_templates("j", parents=["a", "b", "c"])
    found = find(joins, lambda task: task.get("name") == "join" and task["config"] == config)
    assert found == {"id": "j", "name": "join", "config": config}


SAID: dict[str, Callable[[Data], bool]] = {
    "defaults": lambda template: "defaults" in template,
    "a default retry": lambda template: "retry" in template.get("defaults", {}),
    "no limit, said": lambda template: template["tasks"][0].get("timeout") == 0,
    "within": lambda template: "within" in template["tasks"][0].get("retry", {}),
    "retry_if": lambda template: "retry_if" in template["tasks"][0].get("retry", {}),
    "a map": lambda template: "map" in template["tasks"][0],
    "a map, a retry and a handler": lambda template: (
        template["tasks"][0].keys() >= {"map", "retry", "on_error"}
    ),
}


@pytest.mark.parametrize("is_said", SAID.values(), ids=SAID)
def test_what_a_task_says_of_its_limits_is_drawn(is_said: Callable[[Data], bool]) -> None:
    """And what the workflow says for all."""
    assert len(find(workflow_templates(), is_said)["tasks"]) == 1


@pytest.mark.parametrize("until", [None, 3.625, -1])
def test_runs_with_a_deadline_are_drawn(until: float | None) -> None:
    """Past ones, too."""
    deed = ("trigger", until)
    history = find(histories(), lambda actions: any(action[1:] == deed for action in actions))
    assert history == [(0, *deed)]


def own_tasks(uid: str, *, parents: Sequence[str]) -> SearchStrategy[Data]:
    """Draw a task of the user's own."""
    return st.sampled_from(["fetch", "print"]).map(
        lambda name: {"id": uid, "name": name, "config": {"from": parents}}
    )


@given(workflow_templates(tasks=own_tasks))
def test_random_workflows_are_made_of_the_users_own_tasks(document: Data) -> None:
    """Each is drawn for its place."""
    assert {task["name"] for task in document["tasks"]} <= {"fetch", "print"}
    for task in document["tasks"]:
        assert set(task["config"]["from"]) == {*parents_of(document["graph"], task["id"])}


def states(played: Played) -> set[str]:
    """Return the states that the tasks of a play ended in."""
    return {step.state.value for one in played.runs for step in one.tasks}


def play_it(document: Data, history: list[Action]) -> Played:
    """Play on trio, the quickest."""

    async def main() -> Played:
        hurry()
        return await play(document, history)

    return run(main, backend="trio")


PROPERTIES: dict[str, tuple[Callable[[Played], bool], int, int]] = {
    "a task times out": (lambda played: "timeout" in states(played), 2, 0),
    "a second run fails": (
        lambda played: len(played.runs) > 1 and bool(played.runs[1].errors),
        2,
        1,
    ),
}


@pytest.mark.parametrize(("happens", "tasks", "deeds"), PROPERTIES.values(), ids=PROPERTIES)
def test_a_failing_example_is_small_and_can_be_pasted(
    happens: Callable[[Played], bool], tasks: int, deeds: int
) -> None:
    """It is printed as a template and what is done to it; played again, it fails again."""

    @settings(
        max_examples=3000,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(template=workflow_templates(), history=histories())
    def never(template: Data, history: list[Action]) -> None:
        assert not happens(play_it(template, history))

    with pytest.raises(AssertionError) as caught:
        never()
    (printed,) = [note for note in caught.value.__notes__ if "template=" in note]
    call = ast.parse(printed[printed.index("never(") : printed.rindex(")") + 1], mode="eval").body
    assert isinstance(call, ast.Call)
    pasted = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert happens(play_it(pasted["template"], pasted["history"]))
    assert len(pasted["template"]["tasks"]) <= tasks
    assert len(pasted["history"]) <= deeds
