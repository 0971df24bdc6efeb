"""What `Workflow.report()` of tukio 1.1.2 holds is kept: its keys in their order, and their types.

2.0 adds keys only where there is something to say: `chosen`, `error` and `elapsed`.
"""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.task import TukioTaskError
from tukio.testing.clock import settle
from tukio.utils import SkipTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
QUICK = dict.fromkeys("abc", "quick")
KEYS = ["id", "start", "end", "state", "inputs", "outputs"]

DOCUMENT: dict[str, Any] = {
    "id": "W",
    "policy": "start-new",
    "topics": ["news"],
    "timeout": None,
    "schema": 3,
    "tasks": [
        {"name": "quick", "id": "a", "config": {"n": [1]}, "timeout": 5, "topics": None},
        {"name": "slow", "id": "b", "config": {}, "timeout": None, "topics": ["x"]},
        {"name": "quick", "id": "c", "config": {}, "timeout": 60, "topics": []},
    ],
    "graph": {"a": ["b"], "b": ["c"], "c": []},
}


def executions(run: Any) -> dict[str, Any]:
    """Return what the report says of each task, by its id."""
    return {task["id"]: task["exec"] for task in run.report()["tasks"]}


def expected(run: Any, outcomes: list[Any], outcome: Any) -> dict[str, Any]:
    """Return the report of a run of `DOCUMENT`.

    Args:
        run: The run.
        outcomes: For each task, None, or: seconds from the start of the run to its begin and to
            its end (None for one that is not over), state, inputs and outputs.
        outcome: Seconds to the end, or None, and the state.
    """
    report = run.report()
    start, ids = report["exec"]["start"], [step.uid for step in run.tasks]

    def after(seconds: float | None) -> datetime | None:
        return None if seconds is None else start + timedelta(seconds=seconds)

    document: dict[str, Any] = copy.deepcopy(DOCUMENT)
    for task, entry in zip(document["tasks"], outcomes, strict=True):
        task["exec"] = None
        if entry is not None:
            begin, end, *rest = entry
            values = [ids.pop(0), after(begin), after(end), *rest]
            task["exec"] = dict(zip(KEYS, values, strict=True))
    end, state = outcome
    document["exec"] = {"id": run.uid, "start": start, "end": after(end), "state": state}
    return document


# The whole ----------------------------------------------------------------------------------------


async def test_the_report_of_a_run_that_is_over(ran: list[str]) -> None:
    """The template, each task with its execution, then that of the run; in this order."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(DOCUMENT), {"in": 0})
        await run.wait()
        await anyio.sleep(60)

    a, b = {"in": 0, "a": 1}, {"in": 0, "a": 1, "b": 1}
    outcomes = [
        (0, 0, "finished", {"in": 0}, a),
        (0, 10, "finished", a, b),
        (10, 10, "finished", b, {**b, "c": 1}),
    ]
    # As texts, so that the order of the keys counts.
    assert repr(run.report()) == repr(expected(run, outcomes, (10, "finished")))


async def test_the_report_of_a_run_in_progress(ran: list[str]) -> None:
    """What is at work is `pending`, without end and outputs; what is yet to come is None."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(DOCUMENT), {"in": 0})
        await anyio.sleep(3)
        a = {"in": 0, "a": 1}
        outcomes = [(0, 0, "finished", {"in": 0}, a), (0, None, "pending", a, None), None]
        assert repr(run.report()) == repr(expected(run, outcomes, (None, "pending")))


async def test_the_report_of_a_suspended_run(ran: list[str]) -> None:
    """The task that was at work is suspended with it."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(DOCUMENT), {"in": 0})
        await anyio.sleep(3)
        run.suspend()
        await settle()
        a = {"in": 0, "a": 1}
        outcomes = [(0, 0, "finished", {"in": 0}, a), (0, None, "suspended", a, None), None]
        assert repr(run.report()) == repr(expected(run, outcomes, (None, "suspended")))
        run.cancel()


async def test_the_report_of_a_cancelled_run(ran: list[str]) -> None:
    """A cancelled task has an end, where in 1.1.2 it had none."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(DOCUMENT), {"in": 0})
        await anyio.sleep(3)
        run.cancel()
        await run.wait()

    a = {"in": 0, "a": 1}
    outcomes = [(0, 0, "finished", {"in": 0}, a), (0, 3, "cancelled", a, None), None]
    assert repr(run.report()) == repr(expected(run, outcomes, (3, "cancelled")))


async def test_the_report_of_a_run_that_has_not_started(ran: list[str]) -> None:
    """1.1.2 called it suspended; now it is pending, and as there has neither times nor tasks."""
    document = DOCUMENT | {"policy": "abort-running"}
    async with tukio.Engine() as engine:
        await engine.load(tukio.WorkflowTemplate.from_dict(document))
        await engine.trigger("W", {})
        await anyio.sleep(1)
        run: Any = await engine.trigger("W", {})
        report = run.report()
        engine.stop(force=True)

    assert report["exec"] == {"id": run.uid, "start": None, "end": None, "state": "pending"}
    assert [task["exec"] for task in report["tasks"]] == [None, None, None]


async def test_a_report_is_the_same_each_time(ran: list[str]) -> None:
    """Once the run is over, whatever time it is."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(DOCUMENT), {"in": 0})
        await run.wait()
        first = run.report()
        await anyio.sleep(60)
        assert run.report() == first
    assert run.report() == first
    assert run.report() is not first


async def test_a_report_can_be_pickled(ran: list[str]) -> None:
    """As long as what is in it can."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(DOCUMENT), {"in": 0})
        await run.wait()
    report = run.report()
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - our own


# The template in it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"policy": "skip", "topics": None, "timeout": None, "schema": 1},
        {"policy": "start-new", "topics": [], "timeout": None, "schema": 2},
        {"policy": "skip-until-unlock", "topics": ["a", "b"], "timeout": 60, "schema": 1},
        {"policy": "abort-running", "topics": ["a"], "timeout": 0.5, "schema": 9},
    ],
    ids=lambda fields: fields["policy"],
)
async def test_a_report_begins_with_the_template(ran: list[str], fields: dict[str, Any]) -> None:
    """As `as_dict` has it; the policy by its value."""
    template = flow("a b", names=QUICK, **fields)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()
    report = run.report()

    assert list(report) == ["id", "policy", "topics", "timeout", "schema", "tasks", "graph", "exec"]
    assert {key: report[key] for key in fields} == fields
    assert type(report["policy"]) is str
    assert [list(task) for task in report["tasks"]] == [
        ["name", "id", "config", "timeout", "topics", "exec"]
    ] * 2
    del report["exec"]
    for task in report["tasks"]:
        del task["exec"]
    assert repr(report) == repr(template.as_dict())


async def test_a_template_may_have_keys_of_the_users_own(ran: list[str]) -> None:
    """They do not matter to the run; 1.1.2 forgot them, now they are in the report."""
    document: dict[str, Any] = copy.deepcopy(DOCUMENT) | {"title": "Mine", "version": 5}
    document["tasks"][0]["note"] = "first"
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(document), {})
        assert await run.wait() is FINISHED
    report = run.report()

    assert (report["title"], report["version"], report["tasks"][0]["note"]) == ("Mine", 5, "first")
    assert list(report)[-1] == "exec"
    assert list(report)[:7] == list(DOCUMENT)
    assert [list(task)[:5] for task in report["tasks"]] == [list(DOCUMENT["tasks"][0])] * 3


# Executions ---------------------------------------------------------------------------------------


async def test_times_are_aware_and_ids_are_those_of_the_executions(ran: list[str]) -> None:
    """UTC datetimes, and what sources of events and `wf.tasks` say."""
    async with tukio.Engine() as engine:
        template = flow("a b c", names=dict.fromkeys("abc", "slow"))
        before = datetime.now(UTC)
        run: Any = await engine.run_once(template, {})
        await run.wait()
    report = run.report()
    start = report["exec"]["start"]

    entries = [report["exec"], *(task["exec"] for task in report["tasks"])]
    times = [entry[key] for entry in entries for key in ("start", "end")]
    assert {type(time) for time in times} == {datetime}
    assert {time.tzinfo for time in times} == {UTC}
    assert [(time - start).total_seconds() for time in times] == [0, 30, 0, 10, 10, 20, 20, 30]
    assert abs(start - before) < timedelta(minutes=1)
    assert [entry["id"] for entry in entries] == [run.uid, *(step.uid for step in run.tasks)]
    assert {type(entry["id"]) for entry in entries} == {str}
    assert len({entry["id"] for entry in entries}) == 4


ENDS: dict[str, tuple[Callable[[], Any], str, Any]] = {
    "result": (lambda: {"out": 1}, "finished", {"out": 1}),
    "event": (lambda: tukio.Event({"out": 1}), "finished", {"out": 1}),
    "none": (lambda: None, "finished", None),
    "text": (lambda: "text", "finished", "text"),
    "skip": (lambda: SkipTask("why"), "skipped", None),
    "task error": (lambda: TukioTaskError({"code": 3}), "exception", {"code": 3}),
    "task error with text": (lambda: TukioTaskError("text"), "exception", "text"),
    "error": (lambda: KeyError("boom"), "exception", None),
}


@pytest.mark.parametrize(("make", "state", "outputs"), ENDS.values(), ids=ENDS)
async def test_how_a_task_ended(task: Tasks, make: Any, state: str, outputs: Any) -> None:
    """By the value of a `FutureState`; the run is finished in any case."""

    @task
    async def ends(event: tukio.Event) -> Any:
        result = make()
        if isinstance(result, Exception):
            raise result
        return result

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("ends"), {"in": 0})
        await run.wait()
    entry = executions(run)["ends"]

    assert list(entry)[:6] == KEYS
    assert (entry["state"], entry["inputs"], entry["outputs"]) == (state, {"in": 0}, outputs)
    assert run.report()["exec"]["state"] == "finished"


@pytest.mark.parametrize(
    ("limits", "fields", "states"),
    [
        ({"a": 1}, {}, ("timeout", "finished", "finished")),
        ({}, {"timeout": 1}, ("cancelled", None, "timeout")),
    ],
    ids=["of a task", "of the run"],
)
async def test_what_reached_its_limit(
    ran: list[str], limits: dict[str, float], fields: dict[str, Any], states: Any
) -> None:
    """A task, or the run; then its tasks are cancelled."""
    async with tukio.Engine() as engine:
        template = flow("a b", names=QUICK | {"a": "slow"}, limits=limits, **fields)
        run: Any = await engine.run_once(template, {})
        await run.wait()
    a, b = executions(run).values()

    assert (a["state"], b and b["state"], run.report()["exec"]["state"]) == states
    assert (a["end"] - a["start"]).total_seconds() == 1


async def test_a_leaf_has_whatever_it_returned(task: Tasks) -> None:
    """The object itself, if it is of a kind of the user's own."""
    thing = object()

    @task
    async def leaf(event: tukio.Event) -> Any:
        return thing

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("leaf"), {"thing": thing})
        await run.wait()
    entry = executions(run)["leaf"]

    assert entry["outputs"] is thing
    assert entry["inputs"] == {"thing": thing}


async def test_inputs_are_those_a_task_was_given(task: Tasks) -> None:
    """What it did to its event's data since is not in them."""

    @task
    async def spoils(event: tukio.Event) -> dict[str, Any]:
        event.data["spoilt"] = True
        return event.data

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("spoils"), {"in": 0})
        await run.wait()
    entry = executions(run)["spoils"]

    assert (entry["inputs"], entry["outputs"]) == ({"in": 0}, {"in": 0, "spoilt": True})


async def test_a_task_describes_itself_as_its_report_does(task: Tasks) -> None:
    """`as_dict` of what `current_task()` is."""
    seen: list[Any] = []

    @task
    async def looks(event: tukio.Event) -> None:
        seen.append((tukio.current_task().as_dict(), run.report()["tasks"][0]["exec"]))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("looks"), {"in": 0})
        await run.wait()

    ((described, entry),) = seen
    assert list(described) == KEYS
    assert repr(described) == repr(entry)
    (step,) = run.tasks
    assert repr(step.as_dict()) == repr(executions(run)["looks"])


# What holders report ------------------------------------------------------------------------------


async def test_only_holders_with_a_report_have_reporting(task: Tasks, ran: list[str]) -> None:
    """A function and a class without `report` have no such key; by default it is None."""

    @task
    class Plain:
        def __init__(self, config: Any) -> None:
            pass

        async def execute(self, event: tukio.Event) -> None:
            pass

    @task
    class Holder(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            pass

    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "Plain", "c": "Holder"}
        run: Any = await engine.run_once(flow("a b c", names=names), {})
        await run.wait()

    assert {uid: list(entry) for uid, entry in executions(run).items()} == {
        "a": KEYS,
        "b": KEYS,
        "c": [*KEYS, "reporting"],
    }
    assert executions(run)["c"]["reporting"] is None


@pytest.mark.parametrize("base", [object, tukio.TaskHolder])
async def test_a_holder_reports_whatever_it_wants_while_it_runs(task: Tasks, base: Any) -> None:
    """Asked anew for each report, also when the task is over; any class can have one."""

    @task
    class Counts(base):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            self.progress: Any = config["first"]

        async def execute(self, event: tukio.Event) -> None:
            for progress in ("half", ["done"]):
                await anyio.sleep(10)
                self.progress = progress

        def report(self) -> Any:
            return self.progress

    template = flow("Counts")
    template.tasks[0].config = {"first": {"percent": 0}}
    read: list[Any] = []
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        for _ in range(3):
            await anyio.sleep(9)
            read.append(executions(run)["Counts"]["reporting"])

    assert read == [{"percent": 0}, "half", ["done"]]


async def test_a_holder_that_was_cut_still_reports(task: Tasks) -> None:
    """Whatever it had come to."""

    @task
    class Cut(tukio.TaskHolder):
        progress = 0

        async def execute(self, event: tukio.Event) -> None:
            while True:
                await anyio.sleep(1)
                self.progress += 1

        def report(self) -> int:
            return self.progress

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("Cut", limits={"Cut": 4.5}), {})
        await run.wait()

    assert (executions(run)["Cut"]["state"], executions(run)["Cut"]["reporting"]) == ("timeout", 4)


# What 2.0 adds ------------------------------------------------------------------------------------


async def test_what_is_new_in_a_report_is_there_only_when_it_says_something(
    task: Tasks, ran: list[str]
) -> None:
    """Between the keys of 1.1.2 of a task, and after those of the run."""

    @task
    class Router(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            tukio.current_workflow().set_next_tasks(["b"])
            raise KeyError("boom")

    async with tukio.Engine() as engine:
        template = flow({"Router": ["b", "c"]}, names=QUICK, timeout=60)
        run: Any = await engine.run_once(template, {})
        await run.wait()
        limitless: Any = await engine.run_once(flow("a", names=QUICK), {})
        await limitless.wait()

    assert list(executions(run)["Router"]) == [*KEYS, "chosen", "error", "reporting"]
    assert list(run.report()["exec"]) == ["id", "start", "end", "state", "elapsed"]
    assert list(executions(limitless)["a"]) == KEYS
    assert list(limitless.report()["exec"]) == ["id", "start", "end", "state"]
