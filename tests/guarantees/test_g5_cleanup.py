"""G5: `teardown()` runs once, after the step has unwound, shielded, and within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


def holder(teardown: Callable[[], Any], story: list[str] | None = None) -> type[tukio.TaskHolder]:
    """Return a holder class that waits for ever and cleans up as told."""

    class Waiting(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                if story is not None:
                    story.append("unwound")

        def teardown(self) -> Any:
            return teardown()

    return Waiting


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("reason", ["cancel", "timeout", "step", "run timeout", "stop", "body"])
async def test_g5_teardown_runs_once_after_the_step_has_unwound(
    task: Tasks, kind: str, reason: str
) -> None:
    """Whatever cut the step."""
    story: list[str] = []

    async def slowly() -> None:
        await anyio.sleep(1)
        story.append("torn down")

    task(holder(slowly if kind == "async" else lambda: story.append("torn down"), story))
    limits = {"Waiting": 5} if reason == "timeout" else {}
    template = flow("Waiting", limits=limits, timeout=5 if reason == "run timeout" else None)

    with pytest.raises(ZeroDivisionError) if reason == "body" else anyio.CancelScope():
        async with tukio.Engine() as engine:
            run = await engine.run_once(template, {})
            await anyio.sleep(2)
            if reason == "cancel":
                run.cancel()
                run.cancel()
            elif reason == "step":
                next(iter(run.tasks)).cancel()
            elif reason == "stop":
                engine.stop(force=True)
                engine.stop(force=True)
            elif reason == "body":
                raise ZeroDivisionError

    assert story == ["unwound", "torn down"]
    assert run.errors == {}


async def test_g5_teardown_is_out_of_reach_of_the_caller_s_cancellation(task: Tasks) -> None:
    """It gets the time it needs even when everything around is cancelled."""
    done: list[float] = []

    async def slowly() -> None:
        await anyio.sleep(3)
        done.append(anyio.current_time() - start)

    task(holder(slowly))
    start = anyio.current_time()
    with anyio.move_on_after(1):
        async with tukio.Engine() as engine:
            await engine.run_once(flow("Waiting"), {})

    assert done == [4]


@pytest.mark.parametrize("limit", [None, 2])
async def test_g5_a_teardown_that_hangs_is_cut(task: Tasks, limit: float | None) -> None:
    """After `cleanup_timeout`, 5 s unless set; that is an error of the task."""
    task(holder(anyio.sleep_forever))
    options: dict[str, Any] = {} if limit is None else {"cleanup_timeout": limit}
    start = anyio.current_time()
    async with tukio.Engine(**options) as engine:
        run = await engine.run_once(flow("Waiting"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled

    assert anyio.current_time() - start == 1 + (limit or 5)
    error = run.errors["Waiting"]
    assert isinstance(error, tukio.errors.CleanupTimedOut)
    assert error.limit == (limit or 5)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_g5_a_teardown_that_raises_harms_nobody_else(task: Tasks, kind: str) -> None:
    """Its error is kept; after a timeout the inputs go on all the same."""
    got: list[int] = []

    async def later() -> None:
        await anyio.sleep(1)
        raise LookupError("async")

    def now() -> None:
        raise LookupError("sync")

    task(holder(later if kind == "async" else now))

    @task
    async def after(event: tukio.Event) -> None:
        got.append(event.data["in"])

    async with tukio.Engine() as engine:
        template = flow("Waiting after", limits={"Waiting": 3})
        run = await engine.run_once(template, {"in": 1})
        other = await engine.run_once(template, {"in": 2})

    assert sorted(got) == [1, 2]
    assert isinstance(run.errors["Waiting"], LookupError)
    assert run.state is other.state is tukio.FutureState.finished
    assert "LookupError" in str(run.report()["tasks"][0]["exec"]["error"])


async def test_g5_a_step_that_shields_its_clean_up_is_torn_down_after_it(task: Tasks) -> None:
    """First the step's own `finally`, then `teardown()`."""
    story: list[tuple[float, str]] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(2)
                story.append((anyio.current_time() - start, "unwound"))

        async def teardown(self) -> None:
            await anyio.sleep(1)
            story.append((anyio.current_time() - start, "torn down"))

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.run_once(flow("Careful", timeout=10), {})

    assert story == [(12, "unwound"), (13, "torn down")]


async def test_g5_the_next_task_starts_after_teardown(task: Tasks) -> None:
    """A successor never meets a parent that is still cleaning up."""
    story: list[tuple[float, str]] = []

    async def slowly() -> None:
        await anyio.sleep(2)
        story.append((anyio.current_time() - start, "torn down"))

    task(holder(slowly))

    @task
    async def after(event: tukio.Event) -> None:
        story.append((anyio.current_time() - start, "after"))

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.run_once(flow("Waiting after", limits={"Waiting": 3}), {})

    assert story == [(5, "torn down"), (5, "after")]


async def test_g5_no_teardown_after_an_error_or_a_normal_end(task: Tasks) -> None:
    """As in 1.x: it is for what was cut."""
    story: list[str] = []

    @task
    class Fails(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(1)
            if event.data.get("fail"):
                raise ValueError

        def teardown(self) -> None:
            story.append("torn down")

    async with tukio.Engine() as engine:
        await engine.run_once(flow("Fails"), {"fail": True})
        await engine.run_once(flow("Fails"), {})

    assert story == []


async def test_g5_teardown_knows_its_task(task: Tasks) -> None:
    """`current_task()` is the task that is cleaned up after, and its report still works."""
    seen: list[object] = []

    @task
    class Waiting(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep_forever()

        async def teardown(self) -> None:
            await anyio.lowlevel.checkpoint()
            step = tukio.current_task()
            seen.append((step.template.uid, step.holder is self, step.done()))

    async with tukio.Engine() as engine:
        await engine.run_once(flow("Waiting", timeout=1), {})

    assert seen == [("Waiting", True, False)]


async def test_g5_an_error_while_unwinding_is_kept_and_teardown_still_runs(task: Tasks) -> None:
    """Two things may go wrong with one task; both are kept."""

    @task
    class Clumsy(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("while unwinding")

        def teardown(self) -> None:
            raise LookupError("while cleaning up")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("Clumsy", timeout=1), {})
        assert await run.wait() is tukio.FutureState.timeout

    error = run.errors["Clumsy"]
    assert isinstance(error, BaseExceptionGroup)
    assert {type(one) for one in error.exceptions} == {ValueError, LookupError}


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_g5_the_limit_must_be_positive(value: float) -> None:
    """There is no such thing as an unbounded clean-up by accident."""
    with pytest.raises(ValueError, match="cleanup_timeout"):
        tukio.Engine(cleanup_timeout=value)
