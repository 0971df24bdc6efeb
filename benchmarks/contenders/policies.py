"""What the policies of tasks cost: those that are never needed, and runs that wait."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import sniffio

import tukio
from benchmarks.contenders.bare import let_settle
from benchmarks.contenders.steps import count, items_of, verify
from benchmarks.meter import kibibytes_each, resident_bytes
from benchmarks.shapes import README, branches, chain
from tukio.flow import flow, task

if TYPE_CHECKING:
    from benchmarks.meter import Meter, Work

RETRY = {"attempts": 3, "retry_on": ["OSError"]}
POLICIES: dict[str, dict[str, Any]] = {"retry": {"retry": RETRY}, "signs": {"idle_timeout": 10.0}}
TRIGGER = {"value": 0}


@tukio.register("benchmark fails")
async def fails(event: tukio.Event) -> None:
    """Fail, so that the task waits for its next attempt."""
    raise ConnectionError(event.data["value"])


def with_policy(policy: dict[str, Any], name: str) -> tukio.WorkflowTemplate:
    """Return the DAG of the README, each task of which has a policy."""
    tasks = [{"id": uid, "name": name, **policy} for uid in README]
    document = {"id": "policies", "policy": "start-new", "tasks": tasks, "graph": README}
    return tukio.WorkflowTemplate.from_dict(document)


async def workflows(meter: Meter, size: int, *, policy: dict[str, Any], name: str) -> None:
    """Run the DAG of the README `size` times at once, with a policy that is never needed."""
    async with tukio.Engine() as engine:
        await engine.load(with_policy(policy, name))
        runs: list[tukio.Workflow] = []
        for number in meter.passes(size):
            runs = []
            for _ in range(number):
                runs += await engine.data_received(TRIGGER)
            for run in runs:
                await run.wait()
        verify(done=all(run.ok for run in runs), what=runs[:1])


def parent(child: dict[str, Any]) -> tukio.WorkflowTemplate:
    """Return a chain of three tasks, of which the one in the middle is described."""
    ends = {uid: {"id": uid, "name": "benchmark untyped"} for uid in ("a", "c")}
    document = {
        "id": "parent",
        "policy": "start-new",
        "tasks": [ends["a"], {"id": "b", **child}, ends["c"]],
        "graph": {"a": ["b"], "b": ["c"]},
    }
    return tukio.WorkflowTemplate.from_dict(document)


def child(name: str) -> dict[str, Any]:
    """Return a task that is a workflow of one task."""
    return {"workflow": {"id": "child", "tasks": [{"id": "only", "name": name}]}}


async def families(meter: Meter, size: int, *, middle: dict[str, Any]) -> None:
    """Run `size` workflows at once, each with a child, or with the task of that in its place."""
    template = parent(middle)
    async with tukio.Engine() as engine:
        runs: list[tukio.Workflow] = []
        for number in meter.passes(size):
            runs = [await engine.start(template, TRIGGER) for _ in range(number)]
            for run in runs:
                await run.wait()
        verify(done=all(run.ok for run in runs), what=runs[:1])


async def back_off(meter: Meter, size: int) -> None:
    """Weigh workflows of one task that has failed, and waits for its next attempt."""
    retry = {"attempts": 2, "initial": 1_000, "max": 1_000, "jitter": "none"}
    document = {
        "policy": "start-new",
        "tasks": [{"id": "a", "name": "benchmark fails", "retry": retry}],
    }
    template = tukio.WorkflowTemplate.from_dict(document)
    async with tukio.Engine() as engine:
        idle = tasks_of_the_loop()
        before = resident_bytes()
        runs = [await engine.start(template, TRIGGER) for _ in range(size)]
        await let_settle(anyio.lowlevel.checkpoint)
        meter.figures["KiB each"] = kibibytes_each(before, size)
        meter.figures["tasks of the loop each"] = (tasks_of_the_loop() - idle) / size
        verify(done={run.status for run in runs} == {"waiting"}, what=runs[:1])
        for run in runs:
            run.cancel()


async def items(meter: Meter, size: int, *, words: dict[str, Any] | None, name: str) -> None:
    """Run a task that is mapped over `size` items; without words, as many tasks side by side."""
    given = {"list": items_of(size), **TRIGGER}
    root, document = {"id": "root", "name": "benchmark untyped"}, {"policy": "start-new"}
    if words is None:
        graph = branches(size)
        tasks = [{"id": uid, "name": name} for uid in graph["root"]]
        template = {**document, "tasks": [root, *tasks], "graph": graph}
    else:
        each = {"id": "each", "name": name, "map": {"over": "$.list", **words}}
        template = {**document, "tasks": [each]}
    made = tukio.WorkflowTemplate.from_dict(template)
    async with tukio.Engine() as engine:
        await engine.load(made)
        run: Any = None
        for _ in meter.passes(1, units=size):
            run = await engine.start(made.uid, given)
            await run.wait()
        verify(done=run.ok, what=run)
        if words is not None:
            results = run.output["each"]["results"]
            verify(done=results == list(map(count, items_of(size))), what=results[:3])


def tasks_of_the_loop() -> int:
    """Return how many tasks the event loop has."""
    if sniffio.current_async_library() == "asyncio":
        return len(asyncio.all_tasks())
    import trio

    return trio.lowlevel.current_statistics().tasks_living


@dataclass
class Count:
    """What the typed tasks hand on."""

    value: int


@task(name="benchmark typed")
async def typed(count: Count) -> Count:
    """Count, without suspending."""
    return Count(count.value + 1)


@task(name="benchmark untyped")
async def untyped(event: tukio.Event) -> dict[str, int]:
    """Count, without suspending."""
    return {"value": event.data["value"] + 1}


async def run_flow(meter: Meter, size: int, *, one: Any) -> None:
    """Run a chain of `size` tasks that is written in code."""
    steps = one.of(id="t0")
    for uid in list(chain(size))[1:]:
        steps = steps >> one.of(id=uid)
    template = flow("typed", steps)
    async with tukio.Engine() as engine:
        run: Any = None
        for _ in meter.passes(1, units=size):
            run = await engine.start(template, TRIGGER)
            await run.wait()
        verify(done=run.ok and len(run.tasks) == size, what=run)


WORKS: dict[str, Work] = {
    **{
        f"{word} {kind}": functools.partial(workflows, policy=policy, name=f"benchmark {kind}")
        for word, policy in POLICIES.items()
        for kind in ("noop", "pause")
    },
    **{
        f"{word} {kind}": functools.partial(items, words=words, name=f"benchmark {kind}")
        for word, words in (("map", {}), ("limited map", {"limit": 50}), ("branches", None))
        for kind in ("noop", "pause")
    },
    "back-off": back_off,
    "child": functools.partial(families, middle=child("benchmark untyped")),
    "no child": functools.partial(families, middle={"name": "benchmark untyped"}),
    "typed chain": functools.partial(run_flow, one=typed),
    "untyped chain": functools.partial(run_flow, one=untyped),
}
