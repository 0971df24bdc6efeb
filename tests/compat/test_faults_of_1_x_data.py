"""Faults of tukio 1.1.2, B36-B38, B55, B56: reports, events, config and order."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished


# Reports ------------------------------------------------------------------------------------------


async def test_b36_a_report_that_fails_harms_neither_its_run_nor_its_reader(
    task: Tasks, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """In 1.1.2 to read it ended the run with that error, and its key was missing.

    The end of a later task with topics then cancelled all the others.
    """

    @task
    class Mute(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, int]:
            await anyio.sleep(10)
            return {"out": 1}

        def report(self) -> None:
            raise LookupError("report")

    template = flow({"a": ["b", "c"]}, names={"a": "Mute", "b": "quick", "c": "slow"})
    template.tasks[1].topics = ["news"]
    read: list[Any] = []
    async with tukio.Engine() as engine:
        story = listen(engine)
        engine.broker.register(lambda _: read.append(run.report()), tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(template, {"in": 0})
        assert await run.wait() is FINISHED

    assert len(story) == 8
    assert kinds(story)[-2:] == ["task-end c", "workflow-end"]
    assert run.errors == {}
    assert run.outputs == {"a": {"out": 1}, "b": {"out": 1, "b": 1}, "c": {"out": 1, "c": 1}}
    first = [report["tasks"][0]["exec"] for report in read]
    # At the begin of the run there is no holder to ask.
    assert [entry.get("reporting", "nobody") for entry in first] == ["nobody", *[None] * 7]
    assert [entry["inputs"] for entry in first] == [{"in": 0}] * 8
    assert {record.getMessage() for record in caplog.records} == {"report() of task 'a' failed"}


@pytest.fixture
def hands(task: Tasks) -> list[Any]:
    """Register `keeper`, which keeps here what it is given, and what it returns."""
    kept: list[Any] = []

    async def keeper(event: tukio.Event) -> dict[str, Any]:
        output = {"out": [1]}
        kept.extend([event.data, event.data["in"], output, output["out"]])
        return output

    task(keeper)
    return kept


def spoil(*containers: Any) -> None:
    """Change some dicts and lists."""
    for container in containers:
        if isinstance(container, dict):
            container["spoilt"] = True
        else:
            container.append("spoilt")


async def test_b37_a_report_is_a_snapshot(hands: list[Any], ran: list[str]) -> None:
    """In 1.1.2 it held the live objects: it changed when the run or its template did."""
    data = {"in": [1]}
    template = flow("keeper slow", topics=["t"])
    template.tasks[0].config = {"list": [1]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        await anyio.sleep(1)
        report = run.report()
        before = deepcopy(report)
        spoil(*hands, data, template.topics, template.tasks[0].config["list"])
        assert run.report() != before

    assert report == before


async def test_b37_to_change_a_report_changes_neither_run_nor_template(
    hands: list[Any], ran: list[str]
) -> None:
    """In 1.1.2 the config and the topics in it were those of the template."""
    template = flow("keeper slow", topics=["t"])
    template.tasks[0].config = {"list": [1]}
    template.tasks[0].topics = ["t"]
    described = template.as_dict()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": [1]})
        await anyio.sleep(1)
        before, report = run.report(), run.report()
        keeper = report["tasks"][0]
        spoil(report["topics"], keeper["topics"], keeper["config"], keeper["config"]["list"])
        spoil(keeper["exec"]["inputs"]["in"], keeper["exec"]["outputs"]["out"], report["graph"])
        assert run.report() == before
        await run.wait()

    assert template.as_dict() == described
    assert run.outputs["slow"] == {"out": [1], "slow": 1}


async def test_b37_a_report_has_a_json_form(task: Tasks) -> None:
    """In 1.1.2 `json.dumps` failed on its datetimes; they are still there before it is a text."""
    at = datetime(2024, 2, 29, tzinfo=UTC)

    @task
    async def odd(event: tukio.Event) -> dict[str, Any]:
        return {"at": at, "set": {1}, "what": object()}

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("odd"), {"in": 1})
        await run.wait()
    report = run.report()
    text = tukio.report_to_json(report)
    execution = report["tasks"][0]["exec"]
    back = tukio.report_from_json(text)["tasks"][0]["exec"]

    assert execution["start"].tzinfo is execution["end"].tzinfo is UTC
    assert json.loads(text)["exec"]["start"] == report["exec"]["start"].isoformat()
    assert datetime.fromisoformat(back["end"]) == execution["end"]
    assert (back["inputs"], back["outputs"]["at"]) == ({"in": 1}, at)
    assert back["outputs"]["set"] == {1}
    assert repr(back["outputs"]["what"]).startswith("<lost: <object object at")


# Data ---------------------------------------------------------------------------------------------


async def test_b38_what_a_handler_does_to_an_event_changes_no_record(ran: list[str]) -> None:
    """In 1.1.2 the content was the task's recorded inputs and outputs themselves."""

    def vandal(event: tukio.Event) -> None:
        if event.data["content"] is not None:
            event.data["content"]["spoilt"] = True
        event.data["type"] = "spoilt"

    async with tukio.Engine() as engine:
        engine.broker.register(vandal, tukio.EXEC_TOPIC)
        story = listen(engine)
        run: Any = await engine.run_once(flow("a b", names={"a": "quick", "b": "slow"}), {"in": 0})
        await run.wait()

    assert story == [
        ("workflow-begin", None, {"in": 0}),
        ("task-begin", "a", {"in": 0}),
        ("task-end", "a", {"in": 0, "a": 1}),
        ("task-begin", "b", {"in": 0, "a": 1}),
        ("task-end", "b", {"in": 0, "a": 1, "b": 1}),
        ("workflow-end", None, None),
    ]
    executions = [task["exec"] for task in run.report()["tasks"]]
    assert [execution["inputs"] for execution in executions] == [{"in": 0}, {"in": 0, "a": 1}]
    assert run.outputs == {"a": {"in": 0, "a": 1}, "b": {"in": 0, "a": 1, "b": 1}}


async def test_b38_workflows_started_by_one_event_do_not_share_it(task: Tasks) -> None:
    """In 1.1.2 all roots got the same event: {'n': 0}, {'n': 0, 'W3': 1}, and so on."""
    got: dict[str, Any] = {}

    @task
    async def mark(event: tukio.Event) -> None:
        uid = tukio.current_workflow().template.uid
        got[uid] = dict(event.data)
        event.data[uid] = 1
        await anyio.sleep(1)

    event = tukio.Event({"n": 0})
    async with tukio.Engine() as engine:
        for uid in ("W1", "W2", "W3"):
            await engine.load(flow("mark", id=uid))
        runs = await engine.data_received(event)

    assert got == {"W1": {"n": 0}, "W2": {"n": 0}, "W3": {"n": 0}}
    assert event.data == {"n": 0}
    assert [next(iter(run.tasks)).inputs for run in runs] == [{"n": 0}] * 3


async def test_b38_each_branch_has_a_dict_of_its_own_one_level_deep(task: Tasks) -> None:
    """As in 1.1.2 what is nested is shared by all, the caller included; now it is documented."""

    async def mark(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        event.data[uid] = 1
        event.data["nested"].append(uid)
        await anyio.sleep(1)
        return event.data

    task(mark)
    data: dict[str, Any] = {"nested": []}
    template = flow({"a": ["b", "c"]}, names=dict.fromkeys("abc", "mark"))
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        await run.wait()

    nested = ["a", "b", "c"]
    assert data == {"nested": nested}
    assert run.outputs == {
        "a": {"nested": nested, "a": 1},
        "b": {"nested": nested, "a": 1, "b": 1},
        "c": {"nested": nested, "a": 1, "c": 1},
    }
    assert "one level deep" in (tukio.Event.__doc__ or "")


async def test_b55_each_run_has_a_config_of_its_own(task: Tasks) -> None:
    """In 1.1.2 it was the template's: {'n': 1}, {'n': 2}, {'n': 3} over three runs."""
    seen: list[Any] = []

    @task
    class Counter(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            self.config["n"] += 1
            self.config["list"].append(1)
            seen.append(self.config)

    config = {"n": 0, "list": [0]}
    template = flow("Counter")
    template.tasks[0].config = config
    async with tukio.Engine() as engine:
        await engine.load(template)
        runs: list[Any] = [await engine.trigger("flow", {}) for _ in range(3)]

    assert seen == [{"n": 1, "list": [0, 1]}] * 3
    assert [run.report()["tasks"][0]["config"] for run in runs] == [{"n": 0, "list": [0]}] * 3
    assert config == {"n": 0, "list": [0]}


async def test_b55_a_task_that_is_run_again_has_a_new_config(task: Tasks) -> None:
    """In 1.1.2 it found what it had left in it."""
    seen: list[Any] = []

    @task
    class Counter(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            seen.append(list(self.config["list"]))
            self.config["list"].append(1)
            await anyio.sleep(10)

    template = flow("Counter")
    template.tasks[0].config = {"list": []}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        run.suspend()
        run.resume()
        assert await run.wait() is FINISHED

    assert seen == [[], []]


@pytest.mark.parametrize("order", ["hcalbkfdjeig", "giejdfkblach"])
@pytest.mark.parametrize("linked", [False, True], ids=["from_dict", "link"])
async def test_b56_successors_start_in_the_order_they_were_declared(
    ran: list[str], order: str, linked: bool
) -> None:
    """In 1.1.2 they were a set of objects hashed by address: any order, another in each run."""
    names = {uid: "slow" if uid in "aceg" else "quick" for uid in ["root", *sorted(order)]}
    graph = {"root": [] if linked else list(order)}
    tasks = [{"id": uid, "name": name} for uid, name in names.items()]
    template = tukio.WorkflowTemplate.from_dict({"tasks": tasks, "graph": graph})
    if linked:
        root, *others = template.tasks
        for uid in order:
            template.link(root, next(one for one in others if one.uid == uid))
    async with tukio.Engine() as engine:
        story = listen(engine)
        for _ in range(5):
            run: Any = await engine.run_once(template, {})
            await run.wait()

    assert ran == ["root", *order] * 5
    assert [uid for kind, uid, _ in story if kind == "task-begin"] == ran
