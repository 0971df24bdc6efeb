"""A flow in a chain: a task that runs it as a child."""

from __future__ import annotations

from typing import Any

import pytest

import tukio
from tukio.flow import flow, loaded, named, task

OWN = tukio.task.Registry()
OTHER = tukio.task.Registry()


@task(registry=OWN)
async def one(event: tukio.Event) -> dict[str, Any]:
    """Begin."""
    return {"n": event.data["n"]}


@task(registry=OWN)
async def double(event: tukio.Event) -> dict[str, Any]:
    """Be the task of a child."""
    return {"n": 2 * event.data["n"]}


@task(registry=OWN)
async def add(event: tukio.Event) -> dict[str, Any]:
    """Add up."""
    return {"n": event.data["n"] + 1}


@task(registry=OTHER)
async def foreign(event: tukio.Event) -> dict[str, Any]:
    """Be of another registry."""
    return {}


inner = flow("inner", double >> double.of(id="again"))


async def test_a_flow_is_a_task_in_a_chain() -> None:
    """On either side, by itself, and several times by other ids."""
    chain = flow("chain", one >> inner >> inner.of(id="more") >> add)
    assert await chain.run({"n": 1}) == {"n": 17}
    assert await flow("first", inner >> add).run({"n": 1}) == {"n": 5}
    assert await flow("last", one >> inner).run({"n": 1}) == {"n": 4}
    assert await flow("alone", inner).run({"n": 1}) == {"n": 4}
    assert await flow("two", inner >> inner.of(id="b")).run({"n": 1}) == {"n": 16}


async def test_a_flow_may_run_for_each_item_of_a_list() -> None:
    """As a task does, by `map` or by `of`."""
    chain = flow("chain", inner.map(over="list", limit=1, id="each"))
    assert chain.tasks[0].map == {"over": "$.list", "limit": 1}
    assert (await chain.run({"list": [{"n": 1}, {"n": 2}]}))["results"] == [{"n": 4}, {"n": 8}]
    same = flow("chain", inner.of(id="each", map={"over": "list", "limit": 1}))
    assert same.tasks[0].as_dict() == chain.tasks[0].as_dict()
    assert flow("x", inner.map("list", timeout=3)).tasks[0].on_timeout == "fail"
    with pytest.raises(
        TypeError, match=r"inner.map\(\) got an unknown key 'limits' - did you mean"
    ):
        inner.map("list", limits=3)  # type: ignore[call-arg]


async def test_it_may_stand_in_a_list() -> None:
    """Beside tasks, and beside others."""
    # Type checkers see lists of one kind only: the others say more of it.
    mixed: Any = (inner, inner.of(id="b"))
    fan = flow("fan", one >> mixed >> add)
    assert fan.as_dict()["graph"] == {
        "one": ["inner", "b"],
        "inner": ["add"],
        "b": ["add"],
        "add": [],
    }
    assert await fan.run({"n": 1}) == {"n": 5}
    led = flow("led", inner >> [inner.of(id="l"), add], [inner.of(id="l"), add] >> one)
    assert led.as_dict()["graph"]["inner"] == ["l", "add"]
    many = flow("many", one >> (inner.of(id="a"), inner.of(id="b")) >> inner)
    assert many.as_dict()["graph"]["a"] == ["inner"]
    left: Any = [inner, inner.of(id="b")]
    assert [task.uid for task in flow("x", one >> inner, one >> inner.of(id="b")).tasks]
    assert flow("y", one >> left, left >> inner.of(id="z")).as_dict()["graph"]["b"] == ["z"]


def test_of_says_more_of_it() -> None:
    """What new users expect is written out, as for any task."""
    more = inner.of(id="x", timeout=3, retry=tukio.Retry(attempts=2))
    said = flow("said", one >> more, one >> inner.of(id="y") >> more).as_dict()["tasks"]
    assert said[1] == {
        "id": "x",
        "config": {},
        "timeout": 3,
        "topics": [],
        "on_timeout": "fail",
        "join": "all",
        "retry": {"attempts": 2},
        "workflow": inner.as_dict(),
    }


def test_a_loaded_workflow_is_a_task_by_its_id() -> None:
    """It is looked for when the task begins."""
    tasks = flow("said", named("a") >> loaded("invoice") >> loaded("other", id="b", timeout=1))
    said = [(task["id"], task.get("workflow")) for task in tasks.as_dict()["tasks"]]
    assert said == [("a", None), ("invoice", "invoice"), ("b", "other")]
    for wrong in ("", 3):
        with pytest.raises(TypeError, match="the id of a template is a text"):
            loaded(wrong)  # type: ignore[arg-type]  # that is it
    with pytest.raises(TypeError, match="unknown key 'limits'"):
        loaded("a", limits=3)  # type: ignore[call-arg]  # that is it
    with pytest.raises(TypeError, match="the id of a task is a text"):
        inner.of(id="")


def test_what_cannot_be_beside_it_is_a_fault_with_its_place() -> None:
    """In the file where it is said."""
    with pytest.raises(tukio.TemplateError) as found:
        flow("faulty", one >> inner.of(config={"a": 1}))
    (fault,) = found.value.faults
    assert (fault.path, fault.problem) == ("tasks[1].workflow", "beside 'config'")
    assert "of at " in fault.place
    assert __file__ in fault.place


def test_its_tasks_are_of_the_same_registry() -> None:
    """An engine has one."""
    with pytest.raises(TypeError, match="two registries"):
        flow("mixed", foreign >> inner)
    assert flow("same", one >> inner).registry is OWN
    assert flow("of none", named("a") >> flow("b", named("c"))).registry is None


def test_nothing_else_is_taken_for_a_task() -> None:
    """As before."""
    for wrong in (3, one.function, WRONG):
        with pytest.raises(TypeError, match="expected a task"):
            one >> wrong  # type: ignore[operator]  # that is it
    with pytest.raises(TypeError, match="expected a chain"):
        flow("a", 3)  # type: ignore[arg-type]  # that is it


WRONG = tukio.WorkflowTemplate("a")
"""A template that is no flow: it might change."""
