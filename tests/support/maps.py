"""Mapped tasks for tests: what they run, and short ways to look at them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import strategies as st

import tukio
from support.flow import execution as execution_of, step_of
from tukio.testing.children import WORKFLOWS
from tukio.testing.maps import MAPS
from tukio.testing.strategies import workflow_templates

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from support.flow import Tasks

NOT_BESIDE_WORKFLOW = ("name", "config", "topics", "idle_timeout")
"""What a task with a `workflow` does not say."""

LIST: list[Any] = [{"n": 0}, 1, {"n": 2}]
"""The items of random mapped tasks, in tests."""

CALLS: list[int] = []
"""The places of the items that the task `page` was called for, in that order."""


def register_steps(task: Tasks) -> None:
    """Register what is run."""
    CALLS.clear()

    @task
    async def page(event: tukio.Event) -> Any:
        """Take `takes` seconds, and then do as the item says."""
        me = tukio.current_task()
        assert me is not None
        assert me.index is not None
        CALLS.append(me.index)
        await anyio.sleep(event.data.get("takes", 1))
        if event.data.get("bad", 0) >= me.attempt:
            msg = f"item {me.index}, attempt {me.attempt}"
            raise ValueError(msg)
        if event.data.get("skips"):
            raise tukio.SkipTask
        return event.data.get("gives", {"of": me.index})

    @task
    async def at_once(event: tukio.Event) -> dict[str, Any]:
        return {"n": event.data["item"]}

    @task
    async def stubborn(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    @task
    async def fine(event: tukio.Event) -> None: ...


def mapped(name: str = "page", keys: dict[str, Any] | None = None, **words: Any) -> dict[str, Any]:
    """Return a mapped task, and one that gets what it passes on."""
    task = {"id": "each", "name": name, "map": {"over": "$.list", **words}, **(keys or {})}
    tasks = [task, {"id": "end", "name": "fine"}]
    return {"id": "mapped", "tasks": tasks, "graph": {"each": ["end"]}}


async def ended(
    template: dict[str, Any],
    items: Any,
    act: Callable[[Any], object] | None = None,
    after: float = 1.5,
) -> Any:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": items, "keep": 1})
        if act is not None:
            await anyio.sleep(after)
            act(run)
    return run


def results(run: Any, into: str = "results") -> Any:
    """Return what the mapped task has passed on for its items."""
    return step_of(run, "end").inputs[into]


def execution(run: Any) -> Any:
    """Return what the report shows of the mapped task."""
    return execution_of(run, "each")


def seconds(run: Any, uid: str = "each") -> float:
    """Return how long a task has taken."""
    step: Any = step_of(run, uid)
    return float(step.ended_at - step.started_at)


def mapped_templates(*, max_tasks: int = 6) -> SearchStrategy[dict[str, Any]]:
    """Draw random templates whose tasks are all mapped, but for joins; some to workflows alone."""
    templates = workflow_templates(max_tasks=max_tasks)
    workflows = st.sampled_from([None, None, *WORKFLOWS])
    return st.builds(_all_mapped, templates, st.sampled_from(MAPS), workflows)


def _all_mapped(template: dict[str, Any], words: dict[str, Any], workflow: Any) -> dict[str, Any]:
    tasks = [_mapped(task, words, workflow) for task in template["tasks"]]
    return template | {"tasks": tasks}


def _mapped(task: dict[str, Any], words: dict[str, Any], workflow: Any) -> dict[str, Any]:
    if task.get("name") == "join":
        return task
    if workflow is not None and "workflow" not in task:
        task = {key: word for key, word in task.items() if key not in NOT_BESIDE_WORKFLOW}
        task |= {"workflow": workflow}
    return deepcopy(words | task)
