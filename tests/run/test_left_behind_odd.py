"""G1, G3, G7: what is left behind in odd places, and by odd means, stays with whoever left it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, states
from support.half_read import close, group_of, half_read, half_read_at_once, limit_of, within
from support.silence import silence
from tukio._model.guard import program_end
from tukio.errors import LeftBehind
from tukio.testing.clock import BACKENDS, is_available, run as run_on

if TYPE_CHECKING:
    from support.flow import Tasks

on_asyncio = pytest.mark.backends("asyncio", "uvloop")

FINISHED = tukio.FutureState.finished


def slow(task: Tasks, seconds: float = 3) -> None:
    """Register a task that takes a while."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(seconds)


def only_left_behind(run: Any, *uids: str) -> bool:
    """Return whether the errors of a run are that these tasks have left something behind."""
    return {uid: type(error) for uid, error in run.errors.items()} == dict.fromkeys(
        uids, LeftBehind
    )


@pytest.mark.parametrize("what", ["limit", "group"])
@pytest.mark.parametrize("cut", ["cancelled", "timeout"])
async def test_g5_a_teardown_that_leaves_something_open_cuts_nobody(
    task: Tasks, what: str, cut: str
) -> None:
    """The step ends as it would, and is named; the run goes on."""
    slow(task)
    generators: list[Any] = []
    story: list[Any] = []

    @task
    class leaky(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(100)

        async def teardown(self) -> None:
            generators.append(await half_read(limit_of(1) if what == "limit" else group_of(story)))

    @task
    async def root(event: tukio.Event) -> None:
        pass

    graph = {"root": ["leaky", "slow"], "leaky": ["slow2"]}
    async with tukio.Engine(cleanup_timeout=2) as engine:
        template = flow(graph, names={"slow2": "slow"}, limits={"leaky": 1})
        run: Any = await engine.run_once(template, {})
        if cut == "cancelled":
            await anyio.sleep(0.5)
            [step] = [step for step in run.tasks if step.template.uid == "leaky"]
            step.cancel()
        assert await run.wait() is FINISHED
        assert anyio.current_time() == (3 if cut == "cancelled" else 4)
    expected = {"root": "finished", "slow": "finished", "leaky": cut}
    assert states(run) == expected | {"slow2": None if cut == "cancelled" else "finished"}
    assert only_left_behind(run, "leaky")
    assert len(story) == (what == "group")
    await close(generators[0])


@pytest.mark.parametrize("cut", ["step", "run", "limit"])
async def test_g1_a_step_that_is_cut_with_a_scope_open_is_cleaned_up_after(
    task: Tasks, cut: str
) -> None:
    """The clean-up has a scope of its own, and brings the driver back into none that was left."""
    generators: list[Any] = []
    drivers: list[Any] = []
    torn: list[float] = []

    @task
    class leaky(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            drivers.append(tukio.current_task().driver)
            generators.append(await half_read(within(anyio.CancelScope)))
            await anyio.sleep(100)

        async def teardown(self) -> None:
            await anyio.sleep(1)
            torn.append(anyio.current_time())

    async with tukio.Engine() as engine:
        limits = {"leaky": 1.0} if cut == "limit" else {}
        run: Any = await engine.run_once(flow("leaky", limits=limits), {})
        await anyio.sleep(1)
        if cut == "step":
            next(iter(run.tasks)).cancel()
        elif cut == "run":
            run.cancel()
        await run.wait()
        # Up to anyio 4.15, a scope with a task that is over never leaves the loop in peace.
        await anyio.sleep(10)
    assert torn == [2]
    assert only_left_behind(run, "leaky")
    [driver] = drivers
    # Elsewhere, a scope knows of no tasks.
    for scope in (driver.scope, *getattr(driver.scope, "_child_scopes", ())):
        assert driver not in getattr(scope, "_tasks", ())
    await close(*generators)


async def test_g7_a_teardown_that_takes_too_long_with_something_open_is_cut(task: Tasks) -> None:
    """Both are told."""
    generators: list[Any] = []

    @task
    class leaky(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(100)

        async def teardown(self) -> None:
            generators.append(await half_read(group_of([])))
            await anyio.sleep(100)

    async with tukio.Engine(cleanup_timeout=2) as engine:
        run: Any = await engine.run_once(flow("leaky"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() == 3
    told = {type(error).__name__ for error in run.errors["leaky"].exceptions}
    assert told == {"LeftBehind", "CleanupTimedOut"}
    await close(generators[0])


async def test_g7_a_step_that_awaits_nothing_leaves_a_scope_open(task: Tasks) -> None:
    """By a generator that is not async; the next step that waits does so elsewhere."""
    slow(task)
    generators: list[Any] = []

    @task
    async def prompt(event: tukio.Event) -> None:
        generators.append(half_read_at_once())

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("prompt slow"), {})
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 3
    assert states(run) == {"prompt": "finished", "slow": "finished"}
    assert only_left_behind(run, "prompt")
    with suppress(RuntimeError):
        generators[0].close()


async def test_g3_a_task_that_a_step_has_left_may_cancel_a_scope_of_the_next(task: Tasks) -> None:
    """A scope knows whose it is, whoever cancels it."""
    scopes: list[anyio.CancelScope] = []
    caught: list[bool] = []

    async def cancels() -> None:
        await anyio.sleep(1)
        scopes[0].cancel()

    async with anyio.create_task_group() as group:

        @task
        async def starter(event: tukio.Event) -> None:
            group.start_soon(cancels)

        @task
        async def inner(event: tukio.Event) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await anyio.sleep(100)
            caught.append(scope.cancelled_caught)

        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("starter inner"), {})
            assert await run.wait() is FINISHED
            assert anyio.current_time() == 1
    assert caught == [True]
    assert run.errors == {}


@on_asyncio
@pytest.mark.parametrize("how", ["limit", "call"])
async def test_g3_what_a_step_left_before_it_was_suspended_does_not_cut_it_afterwards(
    task: Tasks, how: str
) -> None:
    """The same task may run it again, if the run is resumed at once."""
    generators: list[Any] = []

    @task
    async def leaky(event: tukio.Event) -> None:
        if not generators and how == "limit":
            generators.append(await half_read(lambda: asyncio.timeout(2)))
        elif not generators:
            generators.append(None)
            current: Any = asyncio.current_task()
            asyncio.get_running_loop().call_later(2, current.cancel)
        await anyio.sleep(5)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("leaky"), {})
        await anyio.sleep(1)
        assert run.suspend()
        assert run.resume()
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 6
    assert states(run) == {"leaky": "finished"}
    assert only_left_behind(run, "leaky")
    if how == "limit":
        await close(generators[0])


async def test_g1_nobody_waits_for_what_a_step_has_left_but_its_run(task: Tasks) -> None:
    """What is shielded there goes on to its end; steps that are ready begin at once."""
    slow(task)
    generators: list[Any] = []
    story: list[Any] = []

    @task
    async def leaky(event: tukio.Event) -> None:
        generators.append(await half_read(group_of(story, lingers=5, error="late")))
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("leaky slow"), {})
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 6
    assert story == [6]
    [slept] = [step for step in run.report()["tasks"] if step["id"] == "slow"]
    assert (slept["exec"]["end"] - run.report()["exec"]["start"]).total_seconds() == 4
    left, late = run.errors["leaky"].exceptions
    assert isinstance(left, LeftBehind)
    # No error is lost.
    assert repr(late) == "LookupError('late')"
    await close(generators[0])


@pytest.mark.parametrize("backend", [name for name in BACKENDS if is_available(name)])
def test_g7_a_step_that_ends_the_program_with_something_open_starts_nothing(
    task: Tasks, backend: str
) -> None:
    """Though what it has left takes its time to end."""
    begun: list[str] = []
    generators: list[Any] = []
    story: list[Any] = []

    @task
    async def ends(event: tukio.Event) -> None:
        generators.append(await half_read(group_of(story, lingers=5)))
        await anyio.sleep(1)
        raise SystemExit

    @task
    async def waits(event: tukio.Event) -> None:
        begun.append("waits")
        await anyio.sleep(1.5)

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async def program() -> None:
        graph = {"root": ["ends", "waits"], "waits": ["waits2"]}
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow(graph, names={"waits2": "waits"}), {})
            await run.wait()

    with silence(), pytest.raises(BaseException) as caught:
        run_on(program, backend=backend)
    assert isinstance(program_end(caught.value), SystemExit)
    assert begun == ["waits"]
    del generators[:]
