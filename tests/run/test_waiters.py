"""G2: whoever waits for a task is told once, however often it is begun, or if it never is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.loose import loose

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


@pytest.fixture
def slow(task: Tasks) -> None:
    """Register a task that takes two seconds, and one that does nothing."""

    @task
    async def slow(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(2)
        return {"slept": 2}

    @task
    async def quick(event: tukio.Event) -> None:
        """Do nothing."""


async def outcome_of(task: Any) -> object:
    """Return what awaiting a task returns, or the type of what it raises."""
    try:
        return await task
    except Exception as error:  # noqa: BLE001 - that is what is asked for
        return type(error)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda run: run.resume(), {"slept": 2}),
        (lambda run: run.cancel(), tukio.EngineError),
    ],
    ids=["resume", "cancel"],
)
async def test_g2_who_waits_for_a_task_that_was_suspended(
    times: int, end: Callable[[Any], object], expected: object
) -> None:
    """The task that was handed out first is over when the one that was begun last is."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        await anyio.sleep(1)
        [first] = run.tasks
        called: list[Any] = []
        told: list[object] = []
        first.add_done_callback(called.append)
        first.add_done_callback(called.remove)
        assert first.remove_done_callback(called.remove) == 1

        async def wait() -> None:
            told.append(await outcome_of(first))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            for _ in range(times):
                run.suspend()
                await anyio.sleep(1)
                assert not first.done()
                if _ < times - 1:
                    run.resume()
                    await anyio.sleep(1)
            end(run)
            await run.wait()
            await anyio.sleep(1)
            group.cancel_scope.cancel()
        assert (first.done(), len(called), told) == (True, 1, [expected])
        assert first.cancelled() is (expected is tukio.EngineError)
        # Added late, it is called at once.
        first.add_done_callback(called.append)
        assert len(called) == 2


@pytest.mark.usefixtures("slow")
async def test_g2_who_waits_for_a_task_that_never_begins() -> None:
    """It was due when its run was cancelled."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        [due] = run.tasks
        called: list[Any] = []
        due.add_done_callback(called.append)
        run.cancel()
        assert (due.done(), due.cancelled(), len(called)) == (True, True, 1)
        assert await outcome_of(due) is tukio.EngineError
        assert due.as_dict()["end"] is None
        await run.wait()


@pytest.mark.usefixtures("slow")
async def test_g2_a_cancel_reaches_the_task_that_is_at_work_now() -> None:
    """By the handle of the one that was interrupted."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        await anyio.sleep(1)
        [first] = run.tasks
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        await anyio.sleep(1)
        assert first.cancel()
        assert await run.wait() is tukio.FutureState.finished
        assert [step.state.value for step in run.tasks] == ["cancelled"]
        assert first.cancelled()
        assert not first.cancel()


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), GeneratorExit(), BaseException("x"), StopIteration(1)],
    ids=lambda error: type(error).__name__,
)
async def test_g7_a_done_callback_that_raises_changes_nothing(task: Tasks, error: Any) -> None:
    """Whatever it raises: the others are called, and what follows follows."""
    called: list[str] = []

    @task
    async def first(event: tukio.Event) -> None:
        def fail(_: object) -> None:
            raise error

        tukio.current_task().add_done_callback(fail)
        tukio.current_task().add_done_callback(lambda _: called.append("next"))

    @task
    async def second(event: tukio.Event) -> None:
        called.append("second")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("first second"), {})
        assert await run.wait() is tukio.FutureState.finished
    assert called == ["next", "second"]
    assert run.errors == {}


@pytest.mark.parametrize("way", ["cancel", "limit of the task", "limit", "stop"])
async def test_g3_a_step_that_awaits_its_own_run_can_be_cut(task: Tasks, way: str) -> None:
    """As one that awaits anything else; or it and its run would wait for each other for ever."""

    @task
    async def waits(event: tukio.Event) -> None:
        await tukio.current_workflow()

    limits = {"waits": 2} if way == "limit of the task" else None
    async with tukio.Engine() as engine:
        template = flow("waits", limits=limits, timeout=2 if way == "limit" else None)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        if way == "cancel":
            run.cancel()
        elif way == "stop":
            engine.stop(force=True)
        await run.wait()
        assert anyio.current_time() == run._run.ended_at
    # On asyncio, cancelling who awaits a run cancels the run, as in 1.x.
    assert run.state.value in {"cancelled", "timeout", "finished"}


@pytest.mark.backends("asyncio", "uvloop")
async def test_g3_two_steps_that_await_each_others_runs_can_be_cut(task: Tasks) -> None:
    """Cancelling one who awaits a run cancels that, and so on round."""
    runs: list[Any] = []

    @task
    async def waits(event: tukio.Event) -> None:
        await anyio.sleep(1)
        await runs[event.data["other"]]

    async with loose() as engine:
        runs += [await engine.run_once(flow("waits"), {"other": other}) for other in (1, 0)]
        await anyio.sleep(2)
        runs[0].cancel()
        for run in runs:
            assert await run.wait() is tukio.FutureState.cancelled
