"""A flow is a template: what it says, that it never changes, and how it is run."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from tukio.flow import Flow, flow, named, task
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C, D = (named(name) for name in "abcd")


def tasks_of(template: tukio.WorkflowTemplate) -> dict[str, dict[str, Any]]:
    """Return the tasks of a template as documents, by id."""
    return {one["id"]: one for one in template.as_dict()["tasks"]}


# What it says


def test_what_new_users_expect_is_written_out() -> None:
    """And nowhere else than where it matters."""
    template = flow("x", A >> (B, named("c", timeout=3)) >> D)
    assert template.policy is tukio.OverrunPolicy.START_NEW
    found = tasks_of(template)
    assert [found[uid].get("join") for uid in "abcd"] == [None, None, None, "all"]
    assert [found[uid].get("on_timeout") for uid in "abcd"] == [None, None, "fail", None]
    assert template.warnings() == []


def test_what_is_said_counts() -> None:
    """Each of it can be said otherwise."""
    template = flow(
        "x",
        A >> (B, named("c", timeout=3, on_timeout="continue")) >> named("d", join="first"),
        policy="skip",
    )
    found = tasks_of(template)
    assert (found["c"]["on_timeout"], found["d"]["join"]) == ("continue", "first")
    assert template.policy is tukio.OverrunPolicy.SKIP


def test_the_task_join_waits_itself() -> None:
    """Beside it, the key would be a fault; and at its limit it goes on with those that came."""
    template = flow("x", A >> (B, C) >> named("join", config={"wait_for": 2}, timeout=3))
    assert {"join", "on_timeout"}.isdisjoint(tasks_of(template)["join"])


def test_what_tasks_take_of_the_defaults_is_written_out_too() -> None:
    """A limit that they have from there is one; what the defaults say of it, is said."""
    limited = A >> named("b", timeout=0) >> named("c", on_timeout="continue") >> named("join")
    template = flow("x", limited, defaults={"timeout": 3})
    found = tasks_of(template)
    assert [found[uid].get("on_timeout") for uid in ("a", "b", "c", "join")] == [
        "fail",
        None,
        "continue",
        None,
    ]
    assert template.as_dict()["defaults"] == {"timeout": 3}
    idle = flow("x", A, defaults={"idle_timeout": 3})
    assert tasks_of(idle)["a"]["on_timeout"] == "fail"
    said = flow("x", named("a", timeout=3), defaults={"on_timeout": "continue"})
    assert "on_timeout" not in tasks_of(said)["a"]


def test_defaults_are_typed_words() -> None:
    """With classes of errors where there are names in data; they are the flow's own."""
    words: dict[str, Any] = {"attempts": 2, "retry_on": ["builtins.OSError"]}
    template = flow("x", A, defaults={"retry": tukio.Retry(attempts=2, retry_on=[OSError])})
    assert template.as_dict()["defaults"] == {"retry": words}
    handed_out = template.defaults
    assert handed_out is not None
    handed_out["retry"]["attempts"] = 9
    assert template.defaults == {"retry": words}
    with pytest.raises(AttributeError):
        template.defaults = None
    assert "defaults" not in flow("x", A, defaults=None).as_dict()  # type: ignore[arg-type]
    with pytest.raises(tukio.TemplateError, match="defaults: must be an object, not int"):
        flow("x", A, defaults=3)  # type: ignore[arg-type]
    with pytest.raises(tukio.TemplateError, match=r"defaults\.timeouts: unknown key"):
        flow("x", A, defaults={"timeouts": 3})  # type: ignore[typeddict-unknown-key]


def test_none_leaves_a_key_out() -> None:
    """As in a document."""
    keys: Any = {"join": None, "on_timeout": None}
    template = flow("x", A >> (B, C) >> named("d", timeout=3, **keys), policy=None)  # type: ignore[arg-type]
    found = tasks_of(template)["d"]
    assert (found["join"], found["on_timeout"]) == ("all", "fail")
    assert template.policy is tukio.OverrunPolicy.START_NEW


def test_all_keys_of_a_workflow_can_be_said() -> None:
    """The words are those of templates; own keys go into `extra`."""
    template = flow(
        "x",
        A,
        policy=tukio.OverrunPolicy.SKIP,
        on_error=tukio.ErrorPolicy.ABORT,
        timeout=3,
        topics=["red"],
        title="X",
        schema=2,
        meta={"n": 1},
        extra={"colour": "red"},
    )
    document = template.as_dict()
    del document["tasks"], document["graph"]
    assert document == {
        "id": "x",
        "policy": "skip",
        "on_error": "abort",
        "timeout": 3,
        "topics": ["red"],
        "title": "X",
        "schema": 2,
        "meta": {"n": 1},
        "colour": "red",
    }


def test_it_goes_through_json_and_back() -> None:
    """As a template, and as a flow."""
    template = flow("x", A >> (B, C) >> D, timeout=3)
    document = json.loads(json.dumps(template.as_dict()))
    assert tukio.WorkflowTemplate.from_dict(document).as_dict() == template.as_dict()
    back = Flow.from_dict(document)
    assert type(back) is Flow
    assert back.as_dict() == template.as_dict()
    with pytest.raises(tukio.TemplateError):
        Flow.from_dict(document | {"timeout": "x"})


# That it never changes

CHANGES: dict[str, Callable[[Any], object]] = {
    "a field": lambda it: setattr(it, "timeout", 3),
    "the id": lambda it: setattr(it, "uid", "y"),
    "the topics": lambda it: setattr(it, "topics", ["red"]),
    "the graph": lambda it: setattr(it, "dag", None),
    "a field of a task": lambda it: setattr(it.tasks[0], "timeout", 3),
    "the config of a task": lambda it: setattr(it.tasks[0], "config", {"n": 1}),
    "a task more": lambda it: it.add(tukio.TaskTemplate("a", "e")),
    "a task less": lambda it: it.delete(it.tasks[0]),
    "a link more": lambda it: it.link(it.tasks[0], it.tasks[3]),
    "a link less": lambda it: it.unlink(it.tasks[0], it.tasks[1]),
    "a field that goes": lambda it: delattr(it, "uid"),
    "a field of a task that goes": lambda it: delattr(it.tasks[0], "name"),
    "another graph": lambda it: setattr(it.dag, "graph", {}),
    "no graph": lambda it: delattr(it.dag, "graph"),
    "the graph anew": lambda it: it.dag.__init__(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_of_it_can_be_changed(change: str) -> None:
    """It says so, and names the way out."""
    template = flow("x", A >> (B, C) >> D, meta={"n": [1]})
    before = template.as_dict()
    with pytest.raises(AttributeError, match=r"change a copy of it, flow.copy\(\)"):
        CHANGES[change](template)
    assert template.as_dict() == before


@pytest.mark.parametrize("change", ["pop", "clear", "popitem"])
def test_its_graph_cannot_be_changed_in_place(change: str) -> None:
    """It is a view, and so is what follows each task."""
    template = flow("x", A >> B)
    graph: Any = template.dag.graph
    for one in (graph, graph[template.tasks[0]]):
        with pytest.raises(AttributeError):
            getattr(one, change)(*([template.tasks[0]] if change == "pop" else []))
    assert template.as_dict()["graph"] == {"a": ["b"], "b": []}


async def test_nothing_of_it_can_be_changed_from_within_a_run(own: Registry) -> None:
    """Later runs are what it says."""

    @task(registry=own)
    async def spoil(event: tukio.Event) -> None:
        template: Any = tukio.current_workflow().template
        template.meta.append(2)
        with pytest.raises(AttributeError):
            template.dag.graph.popitem()
        step: Any = tukio.current_task()
        with pytest.raises(AttributeError):
            step.template.timeout = 3
        with pytest.raises(AttributeError):
            del step.template.timeout

    template = flow("x", spoil, meta=[1])
    before = template.as_dict()
    await template.run()
    await template.run()
    assert template.as_dict() == before
    template.bare_copy().meta.append(2)
    assert template.as_dict() == before


def test_what_it_hands_out_are_copies() -> None:
    """Changing them changes nothing here."""
    template = flow("x", named("a", config={"n": [1]}, topics=["red"]), meta=[1], topics=["blue"])
    before = template.as_dict()
    template.meta.append(2)
    template.topics.append("x")
    template.extra["y"] = 1
    [one] = template.tasks
    one.config["n"].append(2)
    one.topics.append("x")
    one.extra["y"] = 1
    assert template.as_dict() == before


def test_a_copy_of_it_can_be_changed() -> None:
    """It is a template like any other; `copy.copy` and `deepcopy` need make none."""
    template = flow("x", A >> B)
    twin = template.copy()
    assert type(twin) is tukio.WorkflowTemplate
    twin.timeout = 3
    twin.tasks[0].timeout = 4
    twin.unlink(*twin.tasks)
    assert template.timeout is None
    assert tasks_of(template)["a"]["timeout"] is None
    assert copy.copy(template) is copy.deepcopy(template) is template


def test_it_can_be_pickled() -> None:
    """As what it says."""
    template = flow("x", A >> (B, C) >> D, timeout=3)
    back = pickle.loads(pickle.dumps(template))  # noqa: S301 - it is ours
    one = pickle.loads(pickle.dumps(template.tasks[0]))  # noqa: S301 - likewise
    assert (type(one), one.as_dict()) == (tukio.TaskTemplate, template.tasks[0].as_dict())
    assert type(back) is Flow
    assert back.as_dict() == template.as_dict()


def test_it_is_made_by_its_function_only() -> None:
    """The class says so."""
    with pytest.raises(TypeError, match=r"made of chains - write flow\('id', first >> second\)"):
        Flow("x")
    assert repr(flow("x", A)) == str(flow("x", A)) == "<Flow 'x'>"


# Its faults

HERE = __file__


def faults_of(make: Callable[[], object]) -> list[str]:
    """Return the faults that a flow is refused for, as texts."""
    with pytest.raises(tukio.TemplateError) as caught:
        make()
    return [str(fault) for fault in caught.value.faults]


def test_faults_name_where_the_task_stands(own: Registry) -> None:
    """The function, and the call of `of`; of a task by its name, the call of `named`."""

    @task(registry=own)
    async def work(event: tukio.Event) -> None: ...

    first = work.function.__code__.co_firstlineno
    [one, other] = faults_of(
        lambda: flow("x", work.of(timeout=-1) >> named("b", join=2.5))  # type: ignore[arg-type]
    )
    assert one.startswith(
        "tasks[0].timeout: -1 is not a time limit; null or 0 is no limit (work at"
    )
    assert f"{HERE}:{first}, of at {HERE}:{first + 5})" in one
    assert other.startswith("tasks[1].join: 2.5 is not one of first, all, settled")
    assert other.endswith(f"(named at {HERE}:{first + 5})")


def test_two_tasks_of_one_id_must_be_alike() -> None:
    """Both are named, and so is the way out."""
    [fault] = faults_of(lambda: flow("x", A >> B, named("a", timeout=3) >> C))
    assert fault.startswith("tasks: two tasks are called 'a', and are not alike; give one of")
    assert fault.count(f"named at {HERE}:") == 2


def test_a_task_may_be_said_by_itself_and_by_its_name(own: Registry) -> None:
    """If both say the same; what cannot be compared is not alike."""

    @task(registry=own)
    async def a(event: tukio.Event) -> None: ...

    assert flow("x", a >> B, A >> C).registry is own

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("several truths")

        __hash__ = None  # type: ignore[assignment]

    [fault] = faults_of(lambda: flow("x", named("a", config=Odd()), named("a", config=Odd())))
    assert "are not alike" in fault


def test_a_task_that_comes_twice_needs_two_ids() -> None:
    """Else the graph has a cycle."""
    [fault] = faults_of(lambda: flow("x", A >> B >> A))
    assert fault.startswith(
        "graph: not acyclic: a -> b -> a; a task that comes twice in a workflow"
    )
    assert "of(id='...')" in fault
    assert f"named at {HERE}:" in fault
    flow("x", A >> B >> named("a", id="again"))


def test_there_is_one_first_task() -> None:
    """As in any template."""
    [fault] = faults_of(lambda: flow("x", A, B))
    assert "expected one root task, found 2 (a, b)" in fault
    assert f"named at {HERE}:" in fault


def test_names_are_looked_up_when_it_is_used(own: Registry) -> None:
    """Tasks by their name may be registered later; then it is said which are not."""
    template = flow("x", A >> B)
    [one, _] = faults_of(template.validate)
    assert one.startswith("tasks[0].name: no task is registered as 'a'")
    assert f"(named at {HERE}:" in one

    @task(registry=own, name="a")
    async def first(event: tukio.Event) -> None: ...

    @task(registry=own, name="b")
    async def second(event: tukio.Event) -> None: ...

    assert flow("x", A >> B).validate(own)
    assert flow("x", first >> second).validate(own)


def test_tasks_are_of_one_registry(own: Registry) -> None:
    """An engine has one."""

    @task(registry=own)
    async def first(event: tukio.Event) -> None: ...

    @task(registry=Registry())
    async def second(event: tukio.Event) -> None: ...

    with pytest.raises(TypeError, match=r"tasks 'first' and 'second' are in two registries"):
        flow("x", A >> first >> second)
    assert flow("x", A >> first).registry is own
    assert flow("x", A).registry is None


# How it is run


async def test_run_returns_what_came_of_it(own: Registry) -> None:
    """Of one last task what it returned; of several, by their ids."""

    @task(registry=own)
    async def fetch(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(1)
        return {"page": event.data["url"].upper()}

    @task(registry=own)
    async def count(event: tukio.Event) -> int:
        return len(event.data["page"])

    @task(registry=own)
    async def stop(event: tukio.Event) -> dict[str, Any]:
        tukio.current_workflow().set_next_tasks([])
        return {"stopped": True}

    assert await flow("x", fetch >> count).run({"url": "abc"}) == 3
    left, right = count.of(id="left"), count.of(id="right")
    assert await flow("x", fetch >> (left, right)).run({"url": "ab"}) == {"left": 2, "right": 2}
    assert await flow("x", stop >> count).run() == {"stopped": True}


async def test_run_raises_what_went_wrong(own: Registry) -> None:
    """A failure, also if others went on, and a limit."""

    @task(registry=own)
    async def fails(event: tukio.Event) -> None:
        raise LookupError("no such page")

    @task(registry=own)
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    with pytest.raises(tukio.WorkflowFailed) as caught:
        await flow("x", fails).run()
    assert isinstance(caught.value.exceptions[0], LookupError)
    with pytest.raises(tukio.WorkflowFailed) as caught:
        await flow("x", slow.of(timeout=1)).run()
    assert isinstance(caught.value.exceptions[0], TimeoutError)
    with pytest.raises(tukio.WorkflowTimedOut):
        await flow("x", slow, timeout=1).run()
    with pytest.raises(tukio.TemplateError, match="no task is registered as 'a'"):
        await flow("x", A).run()


async def test_to_cancel_run_cancels_all_of_it(own: Registry) -> None:
    """Nothing of it goes on."""
    story: list[str] = []

    @task(registry=own)
    async def slow(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            story.append("cut")

    with anyio.move_on_after(1) as scope:
        await flow("x", slow).run()
    assert scope.cancelled_caught
    assert story == ["cut"]


async def test_engines_load_and_start_it_like_any_template(own: Registry) -> None:
    """By the object, by its id, by data; reports show what it says."""

    @task(registry=own)
    async def work(event: tukio.Event) -> dict[str, Any]:
        return {"n": event.data["n"] + 1}

    template = flow("x", work, topics=["red"])
    async with tukio.Engine(registry=own) as engine:
        await engine.load(template)
        runs = [
            await engine.start(template, {"n": 1}),
            await engine.start("x", {"n": 2}),
            *await engine.data_received({"n": 3}, "red"),
        ]
        for run in runs:
            await run.wait(check=True)
        assert [run.output["work"]["n"] for run in runs] == [2, 3, 4]
        report = runs[0].report()
        assert report["policy"] == "start-new"
        again: Any = await engine.rescue(template, report)
        await again.wait(check=True)
        assert again.output == runs[0].output
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.TemplateError) as caught:
            await engine.load(template)
    assert "no task is registered as 'work'; its tasks are in a registry" in str(caught.value)
