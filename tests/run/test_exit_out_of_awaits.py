"""GeneratorExit out of what a task awaits: an error of the task, for nothing was closed.

On the real clock, as threads do not live in virtual time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.real_time import run
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from support.flow import Tasks

every_backend = pytest.mark.parametrize("backend", BACKENDS)


def closes() -> None:
    """Raise what closes a generator, in a thread."""
    raise GeneratorExit("mine")


@every_backend
@pytest.mark.parametrize("limit", [None, 5])
def test_a_task_that_awaits_it_has_failed(task: Tasks, backend: str, limit: float | None) -> None:
    """It may clean up, and the run goes on with the next task of its driver."""
    story: list[str] = []

    @task
    async def a(event: tukio.Event) -> None: ...

    @task
    async def b(event: tukio.Event) -> None:
        try:
            await anyio.to_thread.run_sync(closes)
        finally:
            story.append("cleaned up")

    @task
    async def c(event: tukio.Event) -> None:
        await anyio.sleep(0.01)
        story.append("c")

    async def main() -> None:
        limits = None if limit is None else {"b": limit}
        template = flow({"a": ["b", "c"]}, limits=limits)
        with anyio.fail_after(3):
            async with tukio.Engine() as engine:
                it: Any = await engine.run_once(template, {})
                await it.wait()
        assert {name: type(error) for name, error in it.errors.items()} == {"b": GeneratorExit}
        assert sorted(story) == ["c", "cleaned up"]

    run(backend, main)


@every_backend
def test_a_teardown_that_awaits_it_has_failed(task: Tasks, backend: str) -> None:
    """The step is over, and the run."""

    @task
    class a(tukio.TaskHolder):  # noqa: N801 - its name is that of the task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        async def teardown(self) -> None:
            await anyio.to_thread.run_sync(closes)

    async def main() -> None:
        with anyio.fail_after(3):
            async with tukio.Engine() as engine:
                it: Any = await engine.run_once(flow("a"), {})
                await anyio.sleep(0.01)
                it.cancel()
                assert (await it.wait()).value == "cancelled"
        assert {name: type(error) for name, error in it.errors.items()} == {"a": GeneratorExit}

    run(backend, main)


@every_backend
def test_a_task_that_is_cut_may_await_it(task: Tasks, backend: str) -> None:
    """It has failed while it unwound."""

    @task
    async def a(event: tukio.Event) -> None:
        try:
            await anyio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(closes)

    async def main() -> None:
        with anyio.fail_after(3):
            async with tukio.Engine() as engine:
                it: Any = await engine.run_once(flow("a"), {})
                await anyio.sleep(0.01)
                it.cancel()
                assert (await it.wait()).value == "cancelled"
        assert it.done()

    run(backend, main)
