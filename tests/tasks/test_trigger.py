"""The task `trigger`, and the loop guard."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow
from tukio._engine.hops import MOST_HOPS


def triggers(**config: Any) -> tukio.WorkflowTemplate:
    """Return a template with one task, a trigger."""
    tasks = [{"id": "trigger", "name": "trigger", "config": config}]
    return tukio.WorkflowTemplate.from_dict({"id": "sender", "topics": [], "tasks": tasks})


def listens(uid: str = "other", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template with the task `slow`, which listens to the topic `ping`."""
    tasks = [{"id": "slow", "name": "slow"}]
    return flow("slow", **{"id": uid, "tasks": tasks, "topics": ["ping"], **fields})


async def test_it_starts_a_run_that_goes_on_alone(ran: list[str]) -> None:
    """The run is the engine's: it has no parent, and its sender does not wait for it."""
    async with tukio.Engine() as engine:
        await engine.load(listens())
        run = await engine.start(triggers(template="other"), {"k": 1})
        await run.wait(check=True)
        (other,) = engine.instances
        assert run.output == {"trigger": {"run_id": other.uid}}
        assert other.parent is None
        await other.wait(check=True)
    assert other.output == {"slow": {"k": 1, "slow": 1}}


async def test_it_sends_data_of_its_own_to_a_topic(ran: list[str]) -> None:
    """Each that listens runs, or refuses, which is told as data."""
    async with tukio.Engine() as engine:
        await engine.load(listens("a"))
        await engine.load(listens("b", policy="skip"))
        sender = triggers(topic="ping", data={"own": 1})
        first = await engine.start(sender, {"k": 1}, policy="start-new")
        await first.wait(check=True)
        ids = first.output["trigger"]["run_ids"]
        assert first.output == {"trigger": {"run_ids": ids, "refused": []}}
        assert [one.uid for one in engine.instances] == ids
        second = await engine.start(sender, {"k": 1}, policy="start-new")
        await second.wait(check=True)
        assert second.output["trigger"]["refused"] == [
            {
                "reason": "SKIPPED",
                "template_id": "b",
                "why": "the overrun policy says to skip it while earlier runs are not over",
            }
        ]
        runs = engine.instances
    outputs = [one.output for one in runs]
    assert outputs == [{"slow": {"own": 1, "slow": 1}}] * 3


async def test_a_refusal_is_data(ran: list[str]) -> None:
    """The task does not fail."""
    async with tukio.Engine() as engine:
        run = await engine.start(triggers(template="other"), {})
        await run.wait(check=True)
    assert run.output["trigger"] == {
        "refused": {
            "reason": "UNKNOWN_TEMPLATE",
            "template_id": "other",
            "why": "no template with this id is loaded",
        }
    }


async def test_its_run_needs_an_engine(ran: list[str], backend: str) -> None:
    """On asyncio there are runs without."""
    if backend == "trio":
        return
    run = tukio.Workflow(triggers(template="other"))
    run.run({})
    await run.wait()
    assert isinstance(run.errors["trigger"], tukio.EngineError)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({}, "template: missing; give the id of a template, or a 'topic' in place of it"),
        ({"template": "a", "topic": "b"}, "topic: beside 'template'; a trigger has one of them"),
        ({"topic": 3}, "topic: must be a string, not int; quote it"),
        ({"topic": "a", "data": 3}, "data: must be an object, not 3; leave it out"),
        ({"topic": "a", "dat": {}}, "dat: unknown key; did you mean 'data'?"),
    ],
)
def test_faults_of_its_config_are_found_early(config: dict[str, Any], fault: str) -> None:
    """Each with its path."""
    with pytest.raises(tukio.TemplateError) as found:
        triggers(**config).validate()
    assert str(found.value).startswith(f"tasks[0].config.{fault}")


# The loop guard -----------------------------------------------------------------------------------


async def test_workflows_that_start_each_other_come_to_an_end(
    task: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """Each run counts those that have led to it; the warning names the template, once."""
    hops: list[int] = []

    @task
    async def look(event: tukio.Event) -> None:
        hops.append(event.hops)

    tasks = [
        {"id": "look", "name": "look"},
        {"id": "again", "name": "trigger", "config": {"template": "loop"}},
    ]
    loop = flow("look again", id="loop", tasks=tasks)
    async with tukio.Engine() as engine:
        await engine.load(loop)
        for _ in range(3):
            hops.clear()
            await engine.start("loop", {})
            await engine._instances.drained()
            assert hops == list(range(MOST_HOPS + 1))
    told = [one.getMessage() for one in caplog.records if "by its own runs" in one.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("workflow loop is started by its own runs, 1 so far refused: ")


async def test_whatever_starts_a_run_is_guarded(task: Tasks) -> None:
    """Each way to start one, from a task, from a handler, and from a child."""
    seen: list[tuple[str, int]] = []
    refused: list[Any] = []

    @task
    async def go(event: tukio.Event) -> None:
        engine = tukio.current_engine()
        seen.append((tukio.current_workflow().template.uid, event.hops))
        loop = tukio.WorkflowTemplate.from_dict({"id": "once", "tasks": [{"name": "go"}]})
        refused.append(await engine.run_once(loop, event))

    async with tukio.Engine() as engine:
        await engine.run_once({"id": "once", "tasks": [{"name": "go"}]}, {})
        await engine._instances.drained()
    assert [hops for _, hops in seen] == list(range(MOST_HOPS + 1))
    assert refused[-1].reason is tukio.Reason.TOO_MANY_HOPS

    seen.clear()
    tasks = [{"id": "sub", "workflow": {"id": "once", "tasks": [{"name": "count"}]}}]
    runs: list[Any] = []

    @task
    async def count(event: tukio.Event) -> None:
        seen.append((tukio.current_workflow().template.uid, event.hops))
        runs.append(await tukio.current_engine().data_received(event, "again"))

    async with tukio.Engine() as engine:
        template = {"id": "p", "topics": ["again"], "policy": "start-new", "tasks": tasks}
        await engine.load(template)
        await engine.data_received({}, "again")
        await engine._instances.drained()
    assert seen == [("once", number) for number in range(MOST_HOPS + 1)]
    assert [one.reason for one in runs[-1].refused] == [tukio.Reason.TOO_MANY_HOPS]


async def test_hops_are_kept_by_copies(ran: list[str]) -> None:
    """And not there for what nobody in a run has sent."""
    event = tukio.Event({"a": 1})
    assert event.hops == 0
    event._hops = 7
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):  # noqa: S301
        assert other.hops == 7
    assert tukio.Event(event).hops == 7
    assert copy.copy(tukio.Event({})).hops == 0


async def test_a_handler_of_what_a_task_has_sent_counts(task: Tasks) -> None:
    """It runs in the context of the task."""
    found: list[int] = []

    @task
    async def sends(event: tukio.Event) -> None:
        tukio.get_broker().dispatch({"x": 1}, "word")

    @task
    async def look(event: tukio.Event) -> None:
        found.append(event.hops)

    async with tukio.Engine() as engine:
        await engine.load(flow("look", id="look", topics=["ping"]))

        async def handler(event: tukio.Event) -> None:
            await engine.data_received(event, "ping")

        engine.broker.register(handler, "word")
        run = await engine.start(flow("sends"), {})
        await run.wait(check=True)
        await anyio.sleep(1)
    assert found == [1]
