"""A workflow that is undone, whatever its end, for the tests of closing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import tukio

from .flow import flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from .flow import Tasks

Story = list[tuple[float, str, Any]]


def register(task: Tasks) -> Story:
    """Register what is run; return when each task has ended, its id, and what it was given."""
    found: Story = []

    def make(name: str, seconds: float, error: Exception | None = None) -> None:
        async def work(event: tukio.Event) -> dict[str, Any]:
            uid = tukio.current_task().template.uid
            try:
                await anyio.sleep(seconds)
            except BaseException:
                found.append((anyio.current_time(), f"{uid} cut", None))
                raise
            found.append((anyio.current_time(), uid, event.data))
            if error is not None:
                raise error
            return {"by": uid}

        work.__name__ = name
        task(work)

    for name, seconds in {"book": 1, "pay": 1, "slow": 50, "undo": 2, "hangs": 1000}.items():
        make(name, seconds)
    make("tell", 1)
    make("ship", 1, OSError("no van"))
    make("bad", 1, KeyError("x"))
    return found


def order(
    last: str = "ship",
    undo: Any = "undo",
    *,
    finals: Any = ({"id": "tell", "name": "tell"},),
    **fields: Any,
) -> tukio.WorkflowTemplate:
    """Return a chain of two tasks that can be undone, and one that decides how the run ends."""
    template = flow(f"book pay {last}", **{"on_error": "abort", "finally": finals} | fields)
    template.tasks[0].compensate = "undo"
    template.tasks[1].compensate = undo
    return template


def since(story: Story, start: float) -> list[tuple[float, str]]:
    """Return when each task has ended after an instant, and its id."""
    return [(at - start, uid) for at, uid, _ in story]


async def ended(
    template: tukio.WorkflowTemplate,
    act: Callable[[Any], object] | None = None,
    after: float = 5,
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"n": 7})
        if act is not None:
            await anyio.sleep(after)
            act(run)
        await run.wait()
    return run
