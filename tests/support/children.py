"""Runs that have children, for tests."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

import tukio
from support.flow import step_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

Begun: TypeAlias = list[tuple[float, str]]


def register(task: Tasks) -> Begun:
    """Register tasks; return a list of when each task of any run has begun, from 0 on."""
    found: Begun = []

    def note() -> None:
        found.append((anyio.current_time(), tukio.current_task().template.uid))

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        note()
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def nap(event: tukio.Event) -> dict[str, Any]:
        note()
        await anyio.sleep(event.data.get("takes", 1))
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def boom(event: tukio.Event) -> None:
        note()
        raise ValueError(event.data.get("say", "boom"))

    @task
    async def flaky(event: tukio.Event) -> dict[str, Any]:
        note()
        if len(found) < event.data["good"]:
            raise OSError("no")
        return {}

    @task
    async def shields(event: tukio.Event) -> None:
        note()
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(event.data.get("unwinds", 4))

    return found


def inner(chain: str = "in nap", **fields: Any) -> dict[str, Any]:
    """Return the document of a child: a chain of tasks, `in` one that ends at once."""
    ids = chain.split()
    names = {"in": "quick", "out": "quick"}
    tasks = [{"id": uid, "name": names.get(uid, uid)} for uid in ids]
    graph = {up: [down] for up, down in pairwise(ids)}
    return {"id": "inner", "tasks": tasks, "graph": graph, **fields}


def outer(workflow: Any = "inner", *, more: Any = None, **keys: Any) -> tukio.WorkflowTemplate:
    """Return a chain `first`, `sub` and `last`; `sub` is a child."""
    tasks = [
        {"id": "first", "name": "quick"},
        {"id": "sub", "workflow": workflow, **keys},
        {"id": "last", "name": "quick"},
    ]
    document = {
        "id": "outer",
        "policy": "start-new",
        "tasks": tasks,
        "graph": {"first": ["sub"], "sub": ["last"]},
        **(more or {}),
    }
    return tukio.WorkflowTemplate.from_dict(document)


async def ended(
    template: tukio.WorkflowTemplate,
    data: dict[str, Any] | None = None,
    act: Callable[[tukio.Workflow, tukio.Workflow], object] | None = None,
    after: float = 0.5,
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it and to its child after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, data or {}, id="run")
        await anyio.sleep(after)
        if act is not None:
            act(run, the_child(engine))
    return run


def the_child(engine: tukio.Engine) -> tukio.Workflow:
    """Return the innermost child that is there."""
    return [run for run in engine.instances if run.parent is not None][-1]


def child_in(report: dict[str, Any]) -> Any:
    """Return the report of the child that a report has; None if it has none."""
    return report["tasks"][1]["exec"].get("child")


def since(begun: Begun) -> Begun:
    """Return when each task has begun, from the first on."""
    return [(at - begun[0][0], uid) for at, uid in begun]


CUTS: dict[str, Callable[[tukio.Workflow, tukio.Workflow], object]] = {
    "the run": lambda run, _: run.cancel("why"),
    "the task": lambda run, _: step_of(run, "sub").cancel(),
}
"""What cuts the task `sub`, given the run and the child."""
