"""A pipeline that computes in processes, with runs of its own below it, and undoes what it did.

Newton's method stands for a model that is trained until it gets no better.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_process
import pytest

import tukio
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Compute = Callable[..., Awaitable[tuple[float, int]]]

AT_MOST = 50
"""The number of turns after which training is given up."""

FIT = {"id": "fit", "policy": "start-new", "tasks": [{"id": "fit", "name": "fit"}]}

PIPELINE = {
    "id": "pipeline",
    "tasks": [
        {"id": "upload", "name": "upload", "undo": "remove"},
        {"id": "train", "name": "train"},
        {"id": "publish", "name": "publish"},
    ],
    "graph": {"upload": ["train"], "train": ["publish"]},
}
"""What undoes a task is a key of our own."""


def better(square: float, root: float) -> tuple[float, int]:
    """Return a better root, and the process in which it was computed."""
    return (root + square / root) / 2, os.getpid()


async def trained(square: float, compute: Compute) -> dict[str, Any]:
    """Go on until it gets no better."""
    root = square
    for turn in range(1, AT_MOST + 1):
        before, (root, process) = root, await compute(better, square, root)
        if abs(root - before) < 1e-9:
            return {"root": root, "turns": turn, "process": process}
    msg = f"no root of {square} in {AT_MOST} turns"
    raise ArithmeticError(msg)


async def train(event: tukio.Event) -> dict[str, Any]:
    """Train on each square in a run of its own, all side by side."""
    engine, runs = tukio.current_engine(), list[tukio.Workflow]()
    try:
        for square in event.data["squares"]:
            runs.append(await engine.start(FIT, {"square": square}))
        for run in runs:
            await run.wait(check=True)
    finally:
        # They must not outlive this task; those that are over stay as they are.
        for run in runs:
            run.cancel()
    return {"fits": [run.output["fit"] for run in runs]}


def tasks(store: set[str], compute: Compute = anyio.to_process.run_sync) -> Registry:
    """Return the tasks of the pipeline.

    Args:
        store: What is uploaded and published.
        compute: Calls a function with arguments, where it does not hold up the others.
    """
    registry = Registry()

    @registry.task
    async def upload(event: tukio.Event) -> None:
        store.add("samples")

    @registry.task
    async def remove(event: tukio.Event) -> None:
        store.discard("samples")

    registry.register(train, "train")

    @registry.task
    async def fit(event: tukio.Event) -> dict[str, Any]:
        return await trained(event.data["square"], compute)

    @registry.task
    async def publish(event: tukio.Event) -> None:
        if "locked" in store:
            msg = "the store is locked"
            raise PermissionError(msg)
        store.add("model")

    return registry


async def undo(run: tukio.Workflow, registry: Registry) -> None:
    """Undo what the tasks of a run have done, the last first, within ten seconds."""
    with anyio.move_on_after(10, shield=True):
        for task in reversed([*run.tasks]):
            name = task.template.extra.get("undo")
            if name is not None and task.state is tukio.FutureState.finished:
                _, function = registry.get(name)
                await function(tukio.Event(task.inputs))


async def produced(store: set[str], squares: list[float], compute: Compute) -> tukio.Workflow:
    """Return a run that is over, and undone if it did not go well."""
    registry = tasks(store, compute)
    async with tukio.Engine(registry=registry) as engine:
        run = await engine.start(PIPELINE, {"squares": squares})
        await run.wait()
        if not run.ok:
            await undo(run, registry)
    return run


async def for_a_second(function: Callable[..., Any], *args: float) -> Any:
    """Compute here, in a second of virtual time."""
    await anyio.sleep(1)
    return function(*args)


def test_it_computes_in_processes(backend: str) -> None:
    """In real time, for a process has a clock of its own."""
    store, options = set[str](), {"use_uvloop": True} if backend == "uvloop" else {}
    library = "trio" if backend == "trio" else "asyncio"

    async def main() -> tukio.Workflow:
        return await produced(store, [4, 9], anyio.to_process.run_sync)

    run = anyio.run(main, backend=library, backend_options=options)
    fits = run.outputs["train"]["fits"]
    assert [fit["root"] for fit in fits] == [2, 3]
    assert os.getpid() not in {fit["process"] for fit in fits}
    assert store == {"samples", "model"}


async def test_squares_are_trained_side_by_side() -> None:
    """Each for as many turns as it takes."""
    run = await produced(set(), [4, 1_000_000, 9], for_a_second)
    turns = [fit["turns"] for fit in run.outputs["train"]["fits"]]
    assert turns == [6, 15, 7]
    assert anyio.current_time() == max(turns)


async def test_a_failure_below_is_that_of_the_pipeline() -> None:
    """The others below end at once, and what was uploaded is removed."""
    store = set[str]()
    run = await produced(store, [4, -1.5, 1e300], for_a_second)
    assert run.status == "flawed"
    with pytest.raises(tukio.WorkflowFailed) as failure:
        await run.wait(check=True)
    [below] = failure.value.exceptions
    assert isinstance(below, tukio.WorkflowFailed)
    assert str(below.exceptions[0]) == f"no root of -1.5 in {AT_MOST} turns"
    assert anyio.current_time() == AT_MOST
    assert store == set()


async def test_what_was_done_is_undone() -> None:
    """When a later task fails."""
    store = {"locked"}
    run = await produced(store, [4], for_a_second)
    assert isinstance(run.errors["publish"], PermissionError)
    assert store == {"locked"}


async def test_runs_below_end_with_the_pipeline() -> None:
    """Whoever cancels it leaves no run behind."""
    async with tukio.Engine(registry=tasks(set(), for_a_second)) as engine:
        run = await engine.start(PIPELINE, {"squares": [1e300, 1e300]})
        await anyio.sleep(5)
        _, *below = engine.instances
        run.cancel("no longer wanted")
    assert [one.status for one in (run, *below)] == ["cancelled"] * 3
    assert anyio.current_time() == 5
