"""What a workflow costs, counted: steadier than time, and red when a change adds an operation.

`sys.setprofile` sees every call. They are counted for some workflows, and for twice as many; the
difference is what each costs. A copy of a dict that no call makes, as in `{**data}`, is counted
by the function that makes it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from tukio._loop.running import running_backend

if TYPE_CHECKING:
    from types import FrameType

    from support.flow import Tasks

ROOT = str(Path(tukio.__file__).parent)
README = {"f1": ["f2"], "f2": ["f3", "f4"], "f3": ["f5"], "f4": ["f6"]}
WIDE = 100
FEW = 5

# What is called, in Python or in C, and what of it is counted.
OPERATIONS = {
    "AsyncioDriver.__init__": "tasks",
    "TrioDriver.__init__": "tasks",
    "CancelScope.__enter__": "scopes",
    "Context.copy": "contexts",
    "dict.copy": "dicts",
    "finished": "dicts",
    "sent_by": "events",
    "Broker.emit_exec_event": "announcements",
    "VirtualTime.call_at": "timers",
    "Loop.call_at": "timers",
    "Deadlines.add": "timers",
}
# On trio the one timer of the watchdog is a task, with scopes that are no run's.
TIMER = {"_call_at", "sleep_until"}


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register tasks that never suspend, that do so once, and that wait for all their siblings."""
    gates: dict[tukio.Workflow, tuple[anyio.Event, list[str]]] = {}

    @task
    async def noop(event: tukio.Event) -> dict[str, Any]:
        return {"n": event.data["n"] + 1}

    @task
    async def pause(event: tukio.Event) -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        return {"n": event.data["n"] + 1}

    @task
    async def together(event: tukio.Event) -> None:
        gate, arrived = gates.setdefault(tukio.current_workflow(), (anyio.Event(), []))
        arrived.append(tukio.current_task().template.uid)
        if len(arrived) == WIDE:
            gate.set()
        await gate.wait()


async def run_all(engine: tukio.Engine, many: int) -> None:
    """Have so many runs done."""
    runs = [run for _ in range(many) for run in await engine.data_received({"n": 0})]
    for run in runs:
        assert await run.wait() is tukio.FutureState.finished
    assert len(runs) == many


async def count(engine: tukio.Engine, many: int) -> Counter[str]:
    """Return how many operations so many runs take."""
    counts: Counter[str] = Counter()

    def hear(frame: FrameType, what: str, called: Any) -> None:
        if what == "call":
            name = frame.f_code.co_qualname
        elif what == "c_call":
            name = getattr(called, "__qualname__", "")
        else:
            return
        caller = frame.f_back
        if caller is not None and caller.f_code.co_name in TIMER:
            return
        if name in OPERATIONS:
            counts[OPERATIONS[name]] += 1

    sys.setprofile(hear)
    try:
        await run_all(engine, many)
    finally:
        sys.setprofile(None)
    return counts


async def cost_of(template: tukio.WorkflowTemplate) -> dict[str, float]:
    """Return how many operations one run of a template takes."""
    if running_backend() == "asyncio":
        asyncio.get_running_loop().set_debug(False)  # ten times as fast
    async with tukio.Engine() as engine:
        await engine.load(template)
        await run_all(engine, FEW)
        once, twice = await count(engine, FEW), await count(engine, FEW * 2)
    return {name: (twice[name] - once[name]) / FEW for name in twice}


def readme(name: str, **fields: Any) -> tukio.WorkflowTemplate:
    """Return the DAG of the README with one task for all steps."""
    ids = [f"f{number}" for number in range(1, 7)]
    return flow(README, names=dict.fromkeys(ids, name), **fields)


@pytest.mark.parametrize(("name", "tasks", "scopes"), [("noop", 1, 0), ("pause", 2, 2)])
async def test_a_workflow_takes_no_more_operations_than_it_needs(
    name: str, tasks: int, scopes: int
) -> None:
    """The DAG of the README: a task of the backend, with its scope, for each step that waits.

    No scope, if none of them has an `await`. Seven events: the one that came in, and one for each
    of six steps; so are the contexts but for the first. Each output is copied once, and serves as
    the input of all that follow.
    """
    found = await cost_of(readme(name))
    assert found.pop("scopes", 0) == scopes
    assert found == {
        "tasks": tasks,
        "contexts": 6,
        "events": 6,
        "dicts": 7 + 6,
    }


@pytest.mark.parametrize(("name", "calls"), [("noop", 216), ("pause", 293)])
async def test_what_is_not_used_costs_no_call(name: str, calls: int) -> None:
    """Six steps and their run, without a policy: what they do not use adds no call to them.

    All are counted that functions of the package are called by, or make in C. Whoever adds one must
    be able to say what every run needs it for.
    """
    if running_backend() == "asyncio":
        asyncio.get_running_loop().set_debug(False)
    async with tukio.Engine() as engine:
        await engine.load(readme(name))
        await run_all(engine, FEW)
        once, twice = await calls_of(engine, FEW), await calls_of(engine, FEW * 2)
    assert (twice - once) / FEW <= calls


async def calls_of(engine: tukio.Engine, many: int) -> int:
    """Return how many calls so many runs take, in the package."""
    count = 0

    def hear(frame: FrameType, what: str, _: object) -> None:
        nonlocal count
        if what in {"call", "c_call"} and frame.f_code.co_filename.startswith(ROOT):
            count += 1

    # What it finds calls whatever waits for that.
    gc.disable()
    sys.setprofile(hear)
    try:
        await run_all(engine, many)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


async def test_who_listens_to_nothing_pays_for_no_execution_event() -> None:
    """They are announced only where someone listens, and made for each who does."""
    async with tukio.Engine() as engine:
        await engine.load(readme("noop"))
        engine.broker.register(lambda _: None, "elsewhere")
        assert (await count(engine, FEW))["announcements"] == 0
        engine.broker.register(lambda _: None, tukio.EXEC_TOPIC)
        # A beginning and an end, of the run and of each step.
        assert (await count(engine, FEW))["announcements"] == FEW * 2 * 7


async def test_a_workflow_that_is_over_is_few_objects() -> None:
    """What the garbage collector has to look at: six steps in a list, the run, and its face."""
    if running_backend() == "asyncio":
        asyncio.get_running_loop().set_debug(False)
    many = 50
    async with tukio.Engine() as engine:
        await engine.load(readme("noop"))
        await run_all(engine, many)
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            runs = [run for _ in range(many) for run in await engine.data_received({"n": 0})]
            for run in runs:
                await run.wait()
            await anyio.lowlevel.checkpoint()
            kept = len(gc.get_objects()) - before
            runs.clear()
            del run
            left = len(gc.get_objects()) - before
        finally:
            gc.enable()
    # And a few that have nothing to do with their number.
    assert kept / many <= 9.5
    assert left / many <= 0.5


@pytest.mark.parametrize(("name", "tasks"), [("noop", 1), ("pause", 2)])
async def test_limits_that_never_fire_take_timers_and_nothing_else(name: str, tasks: int) -> None:
    """A scope serves for all limits; its deadline is set anew for each step."""
    limits = {f"f{number}": 10.0 for number in range(1, 7)}
    found = await cost_of(readme(name, timeout=60, limits=limits))
    # And now and then one for the look at steps that are stuck.
    assert found.pop("timers") <= 6 + tasks + 0.5
    assert found == {"tasks": tasks, "scopes": tasks, "contexts": 6, "events": 6, "dicts": 7 + 6}


async def test_a_wide_fan_out_takes_a_task_for_each_step_that_waits() -> None:
    """A hundred that wait for each other: a task and a scope for each, and none beside."""
    wide = {"root": [f"t{number}" for number in range(WIDE)]}
    names = {"root": "noop", **dict.fromkeys(wide["root"], "together")}
    found = await cost_of(flow(wide, names=names))
    assert (found["tasks"], found["scopes"]) == (WIDE, WIDE)
    assert (found["contexts"], found["events"]) == (WIDE + 1, WIDE + 1)
