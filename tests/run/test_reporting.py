"""The report of a run: its form, in every state, and what it says of each way a task can end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio._model.report_json import report_from_json, report_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

SECOND = timedelta(seconds=1)


@pytest.fixture
def steps(task: Tasks) -> None:  # noqa: C901 - a list of tasks
    """Register tasks that do what their names say; `wait` takes 10 s."""

    @task
    async def ok(event: tukio.Event) -> dict[str, Any]:
        return {**event.data, "ok": 1}

    @task
    async def nothing(event: tukio.Event) -> None:
        pass

    @task
    async def text(event: tukio.Event) -> str:
        return "text"

    @task
    async def skip(event: tukio.Event) -> None:
        raise tukio.SkipTask("why")

    @task
    async def fail(event: tukio.Event) -> None:
        raise KeyError("x")

    @task
    async def fail_with_output(event: tukio.Event) -> None:
        raise tukio.TukioTaskError({"code": 3})

    @task
    async def wait(event: tukio.Event) -> None:
        await anyio.sleep(10)

    @task
    async def choose(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["ok"])


def plain(report: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the execution of the run and those of its tasks, with seconds in place of times.

    Ids are left out; that they are texts, and the times aware, is checked here.
    """
    start = report["exec"]["start"]

    def seconds(time: datetime | None) -> float | None:
        assert time is None or time.tzinfo is UTC
        return None if time is None else round((time - start) / SECOND, 4)

    def without_id(execution: Any) -> Any:
        if execution is None:
            return None
        assert isinstance(execution["id"], str)
        assert next(iter(execution)) == "id"
        times = {key: seconds(execution[key]) for key in ("start", "end")}
        return {key: value for key, value in (execution | times).items() if key != "id"}

    executions = {task["id"]: without_id(task["exec"]) for task in report["tasks"]}
    return without_id(report["exec"]), executions


def at(start: float | None, end: float | None, state: str, **fields: Any) -> dict[str, Any]:
    """Return an execution of a task that was given {"in": 0} and returned nothing."""
    return {
        "start": start,
        "end": end,
        "state": state,
        "inputs": {"in": 0},
        "outputs": None,
    } | fields


DOCUMENT = {
    "id": "w",
    "policy": "start-new",
    "topics": ["t"],
    "timeout": 60,
    "schema": 2,
    "tasks": [
        {"name": "ok", "id": "a", "config": {"x": [1]}, "timeout": 5, "topics": ["u"], "mine": 1},
        {"name": "join", "id": "b", "config": {"wait_for": 1}, "timeout": None, "topics": []},
    ],
    "graph": {"a": ["b"], "b": []},
    "title": "A workflow",
    "meta": {"owner": "me"},
    "on_error": "abort",
    "tags": ["x"],
}


@pytest.mark.usefixtures("steps")
async def test_a_report_is_the_template_and_its_executions() -> None:
    """The keys are those of 1.x, in its order; then what is new, and what 1.x dropped."""
    template = tukio.WorkflowTemplate.from_dict(DOCUMENT)
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {"in": 0})
        await run.wait()
    report = run.report()

    assert list(report) == [*list(DOCUMENT), "exec"]
    assert [list(task) for task in report["tasks"]] == [
        ["name", "id", "config", "timeout", "topics", "mine", "exec"],
        ["name", "id", "config", "timeout", "topics", "exec"],
    ]
    assert list(report["exec"]) == ["id", "start", "end", "state", "elapsed", "order"]
    first, second = (task.pop("exec") for task in report["tasks"])
    assert list(first) == ["id", "start", "end", "state", "inputs", "outputs"]
    assert list(second) == ["id", "start", "end", "state", "inputs", "outputs", "reporting"]
    assert report.pop("exec")["id"] == run.uid
    assert [first["id"], second["id"]] == [step.uid for step in run.tasks]
    assert report == DOCUMENT


async def _never_started(engine: tukio.Engine) -> Any:
    """Return a run that waits for another to end, and is cancelled with it."""
    await engine.load(flow("wait ok", policy="abort-running", id="never"))
    await engine.trigger("never", {"in": 0})
    heir: Any = await engine.trigger("never", {"in": 0})
    assert heir.state is tukio.FutureState.pending
    return heir


async def test_a_run_that_has_not_started_is_pending(steps: None) -> None:
    """Nothing is due yet, and no time has come."""
    async with tukio.Engine() as engine:
        heir = await _never_started(engine)
        run, tasks = plain(heir.report())
        assert run == {"start": None, "end": None, "state": "pending"}
        assert tasks == {"wait": None, "ok": None}
        heir.cancel()

    assert heir.report()["exec"]["start"] is None
    assert heir.report()["exec"]["state"] == "cancelled"
    assert isinstance(heir.report()["exec"]["end"], datetime)


async def test_a_run_whose_first_step_is_in_the_queue(steps: None) -> None:
    """It has started; the step has its inputs, and no start of its own."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("ok"), {"in": 0})
        first = run.report()
        await run.wait()

    assert plain(first) == (
        {"start": 0, "end": None, "state": "pending"},
        {"ok": at(None, None, "pending")},
    )
    assert plain(run.report()) == (
        {"start": 0, "end": 0, "state": "finished"},
        {"ok": at(0, 0, "finished", outputs={"in": 0, "ok": 1})},
    )


RUNNING = at(0, None, "pending")


@pytest.mark.parametrize(
    ("act", "fields", "state", "end", "step"),
    [
        (lambda run: None, {}, "pending", None, RUNNING),
        (lambda run: run.suspend(), {}, "suspended", None, at(0, None, "suspended")),
        (lambda run: run.cancel(), {}, "cancelled", 1, at(0, 1, "cancelled")),
        (lambda run: run.timeout(), {}, "timeout", 1, at(0, 1, "cancelled")),
        (lambda run: None, {"timeout": 0.5}, "timeout", 0.5, at(0, 0.5, "cancelled")),
        (lambda run: next(iter(run.tasks)).cancel(), {}, "finished", 1, at(0, 1, "cancelled")),
        (
            lambda run: None,
            {"limits": {"wait": 0.5}},
            "finished",
            0.5,
            at(0, 0.5, "timeout", outputs={"in": 0}),
        ),
    ],
    ids=["running", "suspended", "cancelled", "timed out", "at its limit", "a task", "task limit"],
)
async def test_each_state_of_a_run_and_its_steps(
    steps: None,
    act: Callable[[Any], object],
    fields: Any,
    state: str,
    end: float | None,
    step: dict[str, Any],
) -> None:
    """Two seconds after the start, one after something was done to it."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"wait": []}, **fields), {"in": 0})
        await anyio.sleep(1)
        act(run)
        await anyio.sleep(1)
        execution, tasks = plain(run.report())
        run.cancel()

    execution.pop("elapsed", None)
    assert execution == {"start": 0, "end": end, "state": state}
    assert tasks == {"wait": step}


@pytest.mark.parametrize(
    ("name", "step", "leads_on"),
    [
        ("ok", at(0, 0, "finished", outputs={"in": 0, "ok": 1}), {"in": 0, "ok": 1}),
        ("nothing", at(0, 0, "finished"), {"in": 0}),
        (
            "skip",
            at(0, 0, "skipped", error={"type": "SkipTask", "message": "why"}),
            {"in": 0},
        ),
        (
            "fail",
            at(0, 0, "exception", error={"type": "KeyError", "message": "'x'"}),
            None,
        ),
        (
            "fail_with_output",
            at(
                0,
                0,
                "exception",
                outputs={"code": 3},
                error={"type": "TukioTaskError", "message": "{'code': 3}"},
            ),
            None,
        ),
        (
            "text",
            at(
                0,
                0,
                "exception",
                outputs="text",
                error={
                    "type": "InvalidResult",
                    "message": "task 'first' returned a str, which its successors cannot receive"
                    " - return a dict, an Event, or None to pass the inputs on",
                },
            ),
            None,
        ),
        ("choose", at(0, 0, "finished", chosen=["ok"]), {"in": 0}),
    ],
)
async def test_each_way_a_task_can_end(
    steps: None, name: str, step: dict[str, Any], leads_on: dict[str, Any] | None
) -> None:
    """Its state, what it returned, what it raised and where it led to."""
    template = flow({"first": ["ok", "text"]}, names={"first": name})
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": 0})
        await run.wait()
    _, tasks = plain(run.report())

    assert tasks["first"] == step
    if leads_on is None:
        assert tasks["ok"] is tasks["text"] is None
        return
    assert tasks["ok"]["inputs"] == leads_on
    leaf = at(0, 0, "finished", inputs=leads_on, outputs="text")
    assert tasks["text"] == (None if name == "choose" else leaf)


async def test_a_failed_run_is_reported_with_what_it_cut(steps: None) -> None:
    """With `on_error: abort`, siblings are cancelled; so are steps in the queue."""
    template = flow({"nothing": ["wait", "fail", "ok"], "ok": ["text"]}, on_error="abort")
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": 0})
        assert await run.wait() is tukio.FutureState.exception
    execution, tasks = plain(run.report())

    assert execution == {"start": 0, "end": 0, "state": "exception"}
    assert {uid: known and known["state"] for uid, known in tasks.items()} == {
        "nothing": "finished",
        "wait": "cancelled",
        "fail": "exception",
        "ok": "cancelled",
        "text": None,
    }
    assert tasks["ok"] == at(None, None, "cancelled")


@pytest.mark.parametrize("suspended", [False, True])
async def test_elapsed_is_what_is_used_up_of_the_time_limit(steps: None, suspended: bool) -> None:
    """Time suspended included; it stands still when the run is over."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("wait", timeout=30), {"in": 0})
        assert run.report()["exec"]["elapsed"] == 0
        await anyio.sleep(2)
        if suspended:
            run.suspend()
        await anyio.sleep(2)
        assert run.report()["exec"]["elapsed"] == 4
        run.resume()
        await run.wait()
        last = 14 if suspended else 10
        assert run.report()["exec"]["elapsed"] == last
        await anyio.sleep(100)
        assert run.report()["exec"]["elapsed"] == last


async def test_a_task_says_more_by_the_report_of_its_holder(task: Tasks) -> None:
    """A holder without one adds nothing; the base class says None."""

    @task
    class Talking(tukio.TaskHolder):
        done = False

        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(1)
            self.done = True

        def report(self) -> dict[str, bool]:
            return {"done": self.done}

    @task
    class Silent(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            pass

    @task
    class Foreign:
        def __init__(self, config: dict[str, Any]) -> None:
            pass

        async def execute(self, event: tukio.Event) -> None:
            pass

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"Silent": ["Foreign", "Talking"]}), {})
        await anyio.sleep(0.5)
        silent, foreign, talking = (entry["exec"] for entry in run.report()["tasks"])
        await run.wait()

    assert silent["reporting"] is None
    assert "reporting" not in foreign
    assert talking["reporting"] == {"done": False}
    assert run.report()["tasks"][2]["exec"]["reporting"] == {"done": True}


async def test_a_report_goes_through_json_as_it_is(task: Tasks) -> None:
    """But for `start` and `end`, which stay texts; a join has times of its own."""

    @task
    async def odd(event: tukio.Event) -> dict[str, Any]:
        return {"tuple": (1, {2}), "time": datetime(2026, 1, 2, tzinfo=UTC), "bytes": b"\xff"}

    @task
    async def thing(event: tukio.Event) -> object:
        return Ellipsis

    template = flow(
        {"odd": ["join"], "join": ["thing"]},
        tasks=[
            {"id": "odd", "name": "odd"},
            {"id": "join", "name": "join", "config": {"wait_for": 1}},
            {"id": "thing", "name": "thing"},
        ],
    )
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": 0})
        await run.wait()
    report = run.report()
    back = report_from_json(report_to_json(report))

    for execution in [report["exec"], *(entry["exec"] for entry in report["tasks"])]:
        for key in ("start", "end"):
            execution[key] = execution[key].isoformat()
    assert repr(back["tasks"][2]["exec"].pop("outputs")) == "<lost: Ellipsis>"
    assert report["tasks"][2]["exec"].pop("outputs") is Ellipsis
    assert back == report
    assert isinstance(back["tasks"][1]["exec"]["reporting"]["tasks"][0]["end_time"], datetime)
