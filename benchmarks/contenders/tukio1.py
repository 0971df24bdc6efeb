"""tukio 1.1.2, used as its README says; the same file serves Python 3.9 and newer ones."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import tukio
from benchmarks.contenders.steps import verify
from benchmarks.meter import kibibytes_each, resident_bytes
from benchmarks.shapes import PARKED, README, Graph, chain, count_parents, fan_out
from tukio.broker import EXEC_TOPIC, get_broker
from tukio.task import register

if TYPE_CHECKING:
    from benchmarks.meter import Meter, Work

DISTRIBUTIONS = ("tukio", "uvloop")
TRIGGER = {"value": 0}
TOPIC = "benchmark"
EVENTS = 10_000


@register("benchmark noop")
async def noop(event: Any) -> dict[str, int]:
    """Count, without suspending."""
    return {"value": event.data["value"] + 1}


@register("benchmark pause")
async def pause(event: Any) -> dict[str, int]:
    """Count, and let others run once."""
    await asyncio.sleep(0)
    return {"value": event.data["value"] + 1}


@register("benchmark park")
async def park(event: Any) -> dict[str, int]:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()
    found: dict[str, int] = event.data
    return found


def template_of(
    graph: Graph, name: str, *, parked: tuple[str, ...] = (), limit: float | None = None
) -> Any:
    """Return a template of a graph; what several tasks lead to is a join."""
    tasks: list[dict[str, Any]] = []
    for uid, parents in count_parents(graph).items():
        task: dict[str, Any] = {"id": uid, "name": name, "timeout": limit}
        if uid in parked:
            task["name"] = "benchmark park"
        if parents > 1:
            task.update(name="join", config={"wait_for": parents})
        tasks.append(task)
    document = {"id": "benchmark", "policy": "start-new", "tasks": tasks, "graph": graph}
    return tukio.WorkflowTemplate.from_dict({**document, "timeout": limit and limit * 6})


async def engine_with(template: Any) -> Any:
    """Return an engine that has a template loaded."""
    engine = tukio.Engine(loop=asyncio.get_running_loop())
    await engine.load(template)
    return engine


async def run_many(engine: Any, size: int) -> list[Any]:
    """Start that many runs of what is loaded, wait for all of them, and return them."""
    runs = []
    for _ in range(size):
        runs += await engine.data_received(TRIGGER)
    await asyncio.wait(runs)
    return runs


def verify_runs(runs: list[Any], size: int, tasks: int) -> None:
    """Refuse a measure if so many runs of so many tasks have not all finished."""
    verify(done=len(runs) == size, what=runs[:1])
    for run in runs:
        states = {task["exec"] and task["exec"]["state"] for task in run.report()["tasks"]}
        verify(done=states == {"finished"} and len(run.tasks) == tasks, what=run)


async def workflows(
    meter: Meter, size: int, *, name: str, limit: float | None = None, listeners: int = 0
) -> None:
    """Run the DAG of the README `size` times at once."""
    engine = await engine_with(template_of(README, name, limit=limit))
    for _ in range(listeners):
        get_broker().register(Listener().hear, EXEC_TOPIC)
    runs = []
    for count in meter.passes(size):
        runs = await run_many(engine, count)
    verify_runs(runs, size, len(README))


async def tasks(meter: Meter, size: int, *, shape: Any, name: str) -> None:
    """Run one workflow, and count its tasks."""
    graph = shape(size)
    engine = await engine_with(template_of(graph, name))
    runs = []
    for _ in meter.passes(1, units=size):
        runs = await run_many(engine, 1)
    verify_runs(runs, 1, len(graph))


class Listener:
    """A handler that counts its events."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self, _event: Any) -> None:
        """Count an event."""
        self.count += 1

    async def hear_later(self, _event: Any) -> None:
        """Count an event."""
        self.count += 1


async def dispatch(meter: Meter, size: int, *, later: bool) -> None:
    """Send events to `size` handlers; the sender lets others run after each event."""
    engine = await engine_with(template_of(README, "benchmark noop"))
    await engine.unload("benchmark")
    listeners = [Listener() for _ in range(size)]
    for listener in listeners:
        get_broker().register(listener.hear_later if later else listener.hear, TOPIC)
    sent = 0
    for events in meter.passes(EVENTS, units=size * EVENTS):
        for _ in range(events):
            await engine.data_received(TRIGGER, TOPIC)
            await asyncio.sleep(0)
        sent += events
        while any(listener.count < sent for listener in listeners):  # noqa: ASYNC110 - an event would weigh on every call
            await asyncio.sleep(0)


async def report(meter: Meter, size: int) -> None:
    """Report on a finished run of `size` tasks."""
    engine = await engine_with(template_of(chain(size), "benchmark noop"))
    runs = await engine.data_received(TRIGGER)
    await asyncio.wait(runs)
    verify_runs(runs, 1, size)
    for _ in meter.passes(1, units=size):
        runs[0].report()


async def rescue(meter: Meter, size: int) -> None:
    """Take up a run of `size` tasks from a report made when all but the last had finished."""
    graph = chain(size)
    last = f"t{size - 1}"
    engine = await engine_with(template_of(graph, "benchmark noop", parked=(last,)))
    runs = await engine.data_received(TRIGGER)
    while len(runs[0].tasks) < size:  # noqa: ASYNC110 - the last task only waits
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    found = runs[0].report()
    runs[0].cancel()
    template = template_of(graph, "benchmark noop")
    for _ in meter.passes(1, units=size):
        run = await engine.rescue(template, found)
        # It does not go on by itself, and its `report()` fails.
        run.resume()
        await asyncio.wait([run])
        verify(done=run.exception() is None and len(run.tasks) == size, what=run)


async def memory(meter: Meter, size: int) -> None:
    """Weigh workflows with two branches parked."""
    engine = await engine_with(template_of(README, "benchmark noop", parked=PARKED))
    before = resident_bytes()
    runs = []
    for _ in range(size):
        runs += await engine.data_received(TRIGGER)
    for _ in range(50):
        await asyncio.sleep(0)
    meter.figures["KiB each"] = kibibytes_each(before, size)
    for run in runs:
        run.cancel()


def works() -> dict[str, Work]:
    """Return the works that this version can do."""
    found: dict[str, Work] = {
        "report": report,
        "rescue": rescue,
        "memory": memory,
        "dispatch sync": functools.partial(dispatch, later=False),
        "dispatch async": functools.partial(dispatch, later=True),
    }
    for kind in ("noop", "pause"):
        name = f"benchmark {kind}"
        found[kind] = functools.partial(workflows, name=name)
        found[f"limits {kind}"] = functools.partial(workflows, name=name, limit=10.0)
        found[f"chain {kind}"] = functools.partial(tasks, shape=chain, name=name)
        found[f"fan-out {kind}"] = functools.partial(tasks, shape=fan_out, name=name)
    for number in (0, 1, 10):
        found[f"listeners {number}"] = functools.partial(
            workflows, name="benchmark noop", listeners=number
        )
    return found


WORKS = works()
