"""G9: each run, branch and handler gets a dict of its own; config is copied per run."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, flow, listen
from tukio._step.surroundings import running_step

if TYPE_CHECKING:
    from support.flow import Tasks


async def test_g9_branches_do_not_share_their_data(task: Tasks) -> None:
    """What one branch adds, another does not see; nor does the parent's record change."""
    got: dict[str, Any] = {}

    @task
    async def root(event: tukio.Event) -> tukio.Event:
        event.data["root"] = True
        return event

    async def mark(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        event.data[uid] = True
        await anyio.sleep(1)
        got[uid] = dict(event.data)
        return event.data

    task(mark)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("abc", "mark")
        run = await engine.run_once(flow({"root": ["a", "b"], "a": ["c"]}, names=names), {"in": 1})

    assert got["a"] == {"in": 1, "root": True, "a": True}
    assert got["b"] == {"in": 1, "root": True, "b": True}
    assert got["c"] == {"in": 1, "root": True, "a": True, "c": True}
    inputs = {step.template.uid: step.inputs for step in run.tasks}
    assert inputs["root"] == {"in": 1}
    assert inputs["a"] == inputs["b"] == {"in": 1, "root": True}
    assert run.outputs["root"] == {"in": 1, "root": True}


async def test_g9_a_task_may_go_on_with_the_dict_that_it_has_returned(task: Tasks) -> None:
    """What it was when it was returned is what its successors get, and what is reported."""
    kept = {"n": 1}
    got: list[dict[str, Any]] = []

    @task
    async def a(event: tukio.Event) -> dict[str, Any]:
        return kept

    @task
    async def b(event: tukio.Event) -> None:
        kept["n"] += 1
        got.append(event.data)

    async with tukio.Engine() as engine:
        graph = {"a": ["b", "c"]}
        run = await engine.run_once(flow(graph, names={"c": "b"}), {})

    assert got == [{"n": 1}, {"n": 1}]
    assert run.outputs["a"] == {"n": 1}
    assert kept == {"n": 3}


async def test_g9_runs_of_one_event_do_not_share_their_data(task: Tasks) -> None:
    """Nor does the caller's dict change (B38)."""
    got: list[dict[str, Any]] = []

    @task
    async def mark(event: tukio.Event) -> None:
        event.data[tukio.current_workflow().template.uid] = True
        await anyio.sleep(1)
        got.append(event.data)

    data = {"n": 0}
    async with tukio.Engine() as engine:
        for uid in ("one", "two", "three"):
            await engine.load(flow("mark", id=uid))
        assert len(await engine.data_received(data)) == 3

    assert sorted(map(str, got)) == sorted(
        str({"n": 0, uid: True}) for uid in ("one", "two", "three")
    )
    assert data == {"n": 0}


async def test_g9_handlers_do_not_share_what_they_get(task: Tasks) -> None:
    """A handler that changes an event changes neither another's nor the task's record."""

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        return {"a": 1}

    def vandal(event: tukio.Event) -> None:
        event.data["type"] = "nonsense"
        if isinstance(event.data["content"], dict):
            event.data["content"].clear()

    async with tukio.Engine() as engine:
        engine.broker.register(vandal, tukio.EXEC_TOPIC)
        story = listen(engine)
        run = await engine.run_once(flow("a"), {"in": 1})
        await run.wait()

    assert ("task-begin", "a", {"in": 1}) in story
    assert ("task-end", "a", {"a": 1}) in story
    assert run.outputs == {"a": {"a": 1}}
    assert next(iter(run.tasks)).inputs == {"in": 1}


async def test_g9_config_is_copied_for_each_run(task: Tasks) -> None:
    """Deeply: what a holder does to its config is gone with it (B55)."""
    seen: list[object] = []

    @task
    class Counter(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            self.config["list"].append(1)
            seen.append(list(self.config["list"]))

    template = flow("Counter")
    template.tasks[0].config = {"list": []}
    async with tukio.Engine() as engine:
        for _ in range(3):
            await engine.run_once(template, {})

    assert seen == [[1], [1], [1]]
    assert template.tasks[0].config == {"list": []}


async def test_g9_accessors_hand_out_copies(task: Tasks) -> None:
    """Looking at a run cannot change it."""

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        return {"a": 1}

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", meta={"mine": 1}), {"in": 1})
        await run.wait()

    before = run.report()
    step = next(iter(run.tasks))
    step.inputs.clear()
    step.outputs.clear()
    run.outputs["a"].clear()
    run.errors["x"] = ValueError()
    spoiled = run.report()
    spoiled["tasks"][0]["exec"]["inputs"].clear()
    spoiled["tasks"].clear()
    spoiled["meta"].clear()

    assert run.report() == before
    assert run.template.meta == {"mine": 1}


async def test_g9_context_variables_do_not_leak_between_steps(task: Tasks) -> None:
    """Each step runs in a copy of the context that the run was started in."""
    from contextvars import ContextVar

    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[tuple[str, str]] = []

    async def look(event: tukio.Event) -> None:
        uid = tukio.current_task().template.uid
        seen.append((uid, name.get()))
        name.set(uid)
        if uid in "bc":
            await anyio.sleep(1)
            seen.append((uid, name.get()))

    task(look)
    async with tukio.Engine() as engine:
        name.set("caller")
        names = dict.fromkeys("abcd", "look")
        await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})

    # Before the wait everybody sees the caller's, after it their own.
    assert [pair for pair in seen if pair[0] != pair[1]] == [
        ("a", "caller"),
        ("b", "caller"),
        ("c", "caller"),
        ("d", "caller"),
    ]
    assert {pair for pair in seen if pair[0] == pair[1]} == {("b", "b"), ("c", "c")}


@pytest.mark.parametrize("kind", ["function", "callable", "async function"])
async def test_g9_context_variables_of_a_handler_stay_with_it(task: Tasks, kind: str) -> None:
    """They reach no step, no other handler, nobody who dispatches; nor its next call."""
    from contextvars import ContextVar

    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append(name.get())
        await anyio.sleep(1)
        seen.append(name.get())

    def look(event: tukio.Event) -> None:
        seen.append(name.get())
        name.set("a handler")

    class Look:
        def __call__(self, event: tukio.Event) -> None:
            look(event)

    async def look_later(event: tukio.Event) -> None:
        look(event)

    handlers: dict[str, Any] = {"function": look, "callable": Look(), "async function": look_later}
    async with tukio.Engine() as engine:
        for topic in (tukio.EXEC_TOPIC, "topic"):
            engine.broker.register(handlers[kind], topic)
            engine.broker.register(partial(look), topic)
        run: Any = await engine.run_once(flow("a"), {})
        await engine.data_received({}, "topic")
        await run.wait()
        run.cancel()
        seen.append(name.get())

    assert len(seen) == 2 + 2 * 4 + 2 + 1
    assert set(seen) == {"nobody"}


async def test_g9_a_run_that_waits_for_its_turn_keeps_the_context_of_its_request(
    task: Tasks,
) -> None:
    """Although it starts when another one ends, of another request."""
    from contextvars import ContextVar

    request: ContextVar[int] = ContextVar("request")
    seen: list[tuple[int, int]] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append((event.data["request"], request.get()))
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)

    async with tukio.Engine() as engine:
        await engine.load(flow("a", policy="abort-running"))
        for number in range(3):
            request.set(number)
            await engine.trigger("flow", {"request": number})
            await anyio.sleep(0.25)

    assert seen == [(0, 0), (2, 2)]


async def test_g9_what_an_alarm_leads_to_is_about_no_other_run(task: Tasks) -> None:
    """A step suspends another run, which reaches its limit then."""
    from contextvars import ContextVar

    name: ContextVar[str] = ContextVar("name", default="nobody")
    runs: list[Any] = []
    seen: list[Any] = []

    @task
    async def sleeps(event: tukio.Event) -> None:
        await anyio.sleep(30)

    @task
    async def suspends(event: tukio.Event) -> None:
        name.set("the step")
        runs[0].suspend()
        await anyio.sleep(10)

    def look(event: tukio.Event) -> None:
        if event.data["type"] == "workflow-end" and event.source is not None:
            seen.append((event.source.workflow_template_id, name.get(), running_step()))

    async with tukio.Engine() as engine:
        engine.broker.register(look, tukio.EXEC_TOPIC)
        runs.append(await engine.run_once(flow("sleeps", timeout=5), {}))
        await anyio.sleep(1)
        await engine.run_once(flow("suspends", id="other"), {})
        await runs[0].wait()

    assert seen[0] == ("flow", "nobody", None)


async def test_g9_current_task_is_the_step_s_own(task: Tasks) -> None:
    """On every backend, also in sub-tasks, however many steps are suspended."""
    seen: list[tuple[str, str, bool]] = []

    async def child(uid: str) -> None:
        await anyio.sleep(1)
        step = tukio.current_task()
        seen.append((uid, step.template.uid, tukio.current_workflow() is step.workflow))

    async def look(event: tukio.Event) -> None:
        uid = tukio.current_task().template.uid
        async with anyio.create_task_group() as group:
            group.start_soon(child, uid)
            await child(uid)

    task(look)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("abc", "look")
        await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})

    assert len(seen) == 6
    assert all(uid == seen_uid and same for uid, seen_uid, same in seen)


async def test_g9_outside_a_task_there_is_no_current_one() -> None:
    """The error says where to call it from."""
    for function in (tukio.current_task, tukio.current_workflow):
        with pytest.raises(tukio.EngineError, match="not inside a task"):
            function()


class Broken(dict[str, Any]):
    """A dict that cannot be copied."""

    def copy(self) -> Any:
        """Fail, by what is no `Exception`."""
        raise GeneratorExit


class Shared(dict[str, Any]):
    """A dict whose copy is itself."""

    def copy(self) -> Any:
        """Return itself."""
        return self


@pytest.mark.parametrize("kind", [Broken, Shared, OrderedDict])
async def test_g9_every_kind_of_dict_is_copied(task: Tasks, kind: type[dict[str, Any]]) -> None:
    """From the trigger through steps, joins, progress, errors and handlers; nobody is harmed."""
    got: list[dict[str, Any]] = []
    root_data: list[dict[str, Any]] = []

    @task
    async def keep(event: tukio.Event) -> None:
        root_data.append(event.data)
        event.data["changed"] = 1
        tukio.current_task().dispatch_progress(kind(n=1))

    @task
    async def change(event: tukio.Event) -> dict[str, Any]:
        assert event.data == {"in": 0}
        event.data["changed"] = 1
        return kind(n=1)

    @task
    async def fail(event: tukio.Event) -> None:
        raise tukio.TukioTaskError(kind(n=1))

    def handler(event: tukio.Event) -> None:
        got.append(event.data)
        event.data["seen"] = len(got)

    graph = {"keep": ["change", "fail"], "change": ["j"], "fail": ["j"]}
    tasks = [{"id": uid, "name": uid} for uid in ("keep", "change", "fail")]
    join = {"id": "j", "name": "join", "config": {"wait_for": 1, "collect": "all"}}
    template = flow(graph, tasks=[*tasks, join], topics=["t"])
    async with tukio.Engine() as engine:
        for topic in ("t", tukio.EXEC_TOPIC):
            engine.broker.register(handler, topic)
            engine.broker.register(partial(handler), topic)
        await engine.load(template)
        [run] = await engine.data_received(kind({"in": 0}), "t")
        assert await run.wait() is tukio.FutureState.finished

    assert list(run.errors) == ["fail"]
    assert run.outputs["j"] == {"change": {"n": 1}}
    assert all("seen" in data for data in got)
    assert "seen" not in root_data[0]
    assert execution(run, "keep")["inputs"] == {"in": 0}
