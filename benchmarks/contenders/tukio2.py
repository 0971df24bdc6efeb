"""This package, used as its README says: `async with tukio.Engine()`, on any backend."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

import tukio
from benchmarks.contenders import policies
from benchmarks.contenders.bare import let_settle
from benchmarks.contenders.stalls import measure_stalls, without_full_rounds
from benchmarks.contenders.steps import verify
from benchmarks.meter import NotAvailable, kibibytes_each, resident_bytes
from benchmarks.shapes import PARKED, README, Graph, chain, count_parents, fan_out

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from benchmarks.meter import Meter, Work

DISTRIBUTIONS = ("anyio", "trio", "uvloop")
TRIGGER = {"value": 0}
TOPIC = "benchmark"
EVENTS = 10_000


@tukio.register("benchmark noop")
async def noop(event: tukio.Event) -> dict[str, int]:
    """Count, without suspending."""
    return {"value": event.data["value"] + 1}


@tukio.register("benchmark pause")
async def pause(event: tukio.Event) -> dict[str, int]:
    """Count, and let others run once."""
    await anyio.lowlevel.checkpoint()
    return {"value": event.data["value"] + 1}


@tukio.register("benchmark park")
async def park(event: tukio.Event) -> dict[str, int]:
    """Wait until cancelled."""
    await anyio.sleep_forever()
    return event.data


def template_of(
    graph: Graph, name: str, *, parked: tuple[str, ...] = (), limit: float | None = None
) -> tukio.WorkflowTemplate:
    """Return a template of a graph; what several tasks lead to is a join."""
    tasks: list[dict[str, Any]] = []
    for uid, parents in count_parents(graph).items():
        task: dict[str, Any] = {"id": uid, "name": name, "timeout": limit}
        if uid in parked:
            task["name"] = "benchmark park"
        if parents > 1:
            task |= {"name": join_name(), "config": {"wait_for": parents}}
        tasks.append(task)
    return tukio.WorkflowTemplate.from_dict(
        {
            "id": "benchmark",
            "policy": "start-new",
            "timeout": limit and limit * 6,
            "tasks": tasks,
            "graph": graph,
        }
    )


def join_name() -> str:
    """Return the registered name of the join task.

    Raises:
        NotAvailable: This checkout has none.
    """
    try:
        from tukio.task.join import JoinTask
    except ImportError as exc:
        msg = "this checkout has no tukio.task.join.JoinTask"
        raise NotAvailable(msg) from exc
    name: str = JoinTask.TASK_NAME
    return name


async def run_many(engine: tukio.Engine, size: int) -> list[tukio.Workflow]:
    """Start that many runs of what is loaded, wait for each, and return them."""
    runs: list[tukio.Workflow] = []
    for _ in range(size):
        runs += await engine.data_received(TRIGGER)
    for run in runs:
        await run.wait()
    return runs


def verify_runs(runs: list[tukio.Workflow], size: int, tasks: int) -> None:
    """Refuse a measure if so many runs of so many tasks have not all finished."""
    verify(done=len(runs) == size, what=runs[:1])
    for run in runs:
        states = {task.state for task in run.tasks}
        verify(done=states == {tukio.FutureState.finished} and len(run.tasks) == tasks, what=run)


async def workflows(
    meter: Meter, size: int, *, name: str, limit: float | None = None, listeners: int = 0
) -> None:
    """Run the DAG of the README `size` times at once."""
    async with tukio.Engine() as engine:
        await engine.load(template_of(README, name, limit=limit))
        for _ in range(listeners):
            engine.broker.register(Listener().hear, tukio.EXEC_TOPIC)
        runs: list[tukio.Workflow] = []
        for count in meter.passes(size):
            runs = await run_many(engine, count)
        verify_runs(runs, size, len(README))


async def tasks(meter: Meter, size: int, *, graph: Graph, name: str) -> None:
    """Run one workflow, and count its tasks."""
    async with tukio.Engine() as engine:
        await engine.load(template_of(graph, name))
        runs: list[tukio.Workflow] = []
        for _ in meter.passes(1, units=size):
            runs = await run_many(engine, 1)
        verify_runs(runs, 1, len(graph))


async def run_chain(meter: Meter, size: int, *, name: str) -> None:
    """Run `size` tasks one after the other."""
    await tasks(meter, size, graph=chain(size), name=name)


async def run_fan_out(meter: Meter, size: int, *, name: str) -> None:
    """Run `size` tasks side by side, and join them."""
    await tasks(meter, size, graph=fan_out(size), name=name)


# The broker --------------------------------------------------------------------------------------


class Listener:
    """A handler that counts its events; its bound methods are registered, as in 1.x."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self, _event: tukio.Event) -> None:
        """Count an event."""
        self.count += 1

    async def hear_later(self, _event: tukio.Event) -> None:
        """Count an event."""
        self.count += 1


async def dispatch(meter: Meter, size: int, *, later: bool) -> None:
    """Send events to `size` handlers; the sender lets others run after each event."""
    listeners = [Listener() for _ in range(size)]
    async with tukio.Engine() as engine:
        for listener in listeners:
            handler = listener.hear_later if later else listener.hear
            engine.broker.register(handler, TOPIC)
        sent = 0
        for events in meter.passes(EVENTS, units=size * EVENTS):
            for _ in range(events):
                await engine.data_received(TRIGGER, TOPIC)
                await anyio.lowlevel.checkpoint()
            sent += events
            while any(listener.count < sent for listener in listeners):  # noqa: ASYNC110 - an event would weigh on every call
                await anyio.lowlevel.checkpoint()


# Reports and rescue ------------------------------------------------------------------------------


async def report(meter: Meter, size: int) -> None:
    """Report on a finished run of `size` tasks."""
    async with tukio.Engine() as engine:
        await engine.load(template_of(chain(size), "benchmark noop"))
        [run] = await engine.data_received(TRIGGER)
        await run.wait()
        verify_runs([run], 1, size)
        for _ in meter.passes(1, units=size):
            run.report()


async def rescue(meter: Meter, size: int) -> None:
    """Take up a run of `size` tasks from a report made when all but the last had finished."""
    if not hasattr(tukio.Engine, "rescue"):
        msg = "this checkout has no Engine.rescue"
        raise NotAvailable(msg)
    graph = chain(size)
    async with tukio.Engine() as engine:
        await engine.load(template_of(graph, "benchmark noop", parked=(f"t{size - 1}",)))
        runs = await engine.data_received(TRIGGER)
        run: Any = runs[0]
        while len(run.outputs) < size - 1:  # noqa: ASYNC110 - the last task only waits
            await anyio.lowlevel.checkpoint()
        found = run.report()
        run.cancel()
        await run.wait()
        template = template_of(graph, "benchmark noop")
        for _ in meter.passes(1, units=size):
            run = await engine.rescue(template, found)
            await run.wait()
        verify_runs([run], 1, size)


# In flight ---------------------------------------------------------------------------------------


async def memory(meter: Meter, size: int) -> None:
    """Weigh workflows with two branches parked."""
    async with tukio.Engine() as engine:
        await engine.load(template_of(README, "benchmark noop", parked=PARKED))
        before = resident_bytes()
        runs: list[tukio.Workflow] = []
        for _ in range(size):
            runs += await engine.data_received(TRIGGER)
        await let_settle(anyio.lowlevel.checkpoint)
        meter.figures["KiB each"] = kibibytes_each(before, size)
        verify_parked(runs)
        for run in runs:
            run.cancel()


def verify_parked(runs: list[tukio.Workflow]) -> None:
    """Refuse a measure if not every run has come to its parked tasks."""
    for run in runs:
        parked = [task for task in run.tasks if not task.done()]
        verify(done=tuple(task.template.uid for task in parked) == PARKED, what=run)


async def scale(meter: Meter, size: int) -> None:
    """Put `size` workflows in flight in one burst, then cancel them all."""
    async with tukio.Engine() as engine:
        await engine.load(template_of(README, "benchmark noop", parked=PARKED))
        await measure_stalls(meter, size, parked_runs(engine, size))


@asynccontextmanager
async def parked_runs(engine: tukio.Engine, size: int) -> AsyncGenerator[Callable[[], None], None]:
    """Keep `size` runs in flight; at the end of the block cancel them."""
    runs: list[tukio.Workflow] = []
    for _ in range(size):
        runs += await engine.data_received(TRIGGER)
    yield functools.partial(verify_parked, runs)
    for run in runs:
        run.cancel()
    for run in runs:
        await run.wait()


def works() -> Iterator[tuple[str, Work]]:
    """Yield every work that comes in two kinds of step."""
    for kind in ("noop", "pause"):
        name = f"benchmark {kind}"
        yield kind, functools.partial(workflows, name=name)
        yield f"limits {kind}", functools.partial(workflows, name=name, limit=10.0)
        yield f"chain {kind}", functools.partial(run_chain, name=name)
        yield f"fan-out {kind}", functools.partial(run_fan_out, name=name)


WORKS: dict[str, Work] = {
    **dict(works()),
    **{
        f"listeners {count}": functools.partial(workflows, name="benchmark noop", listeners=count)
        for count in (0, 1, 10)
    },
    "dispatch sync": functools.partial(dispatch, later=False),
    "dispatch async": functools.partial(dispatch, later=True),
    "report": report,
    "rescue": rescue,
    "memory": memory,
    "scale": scale,
    "scale, no full rounds": without_full_rounds(scale),
    **policies.WORKS,
}
