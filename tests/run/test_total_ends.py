"""G2, G7: each step and each run has an end, whatever users' objects do on the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen, step_of
from support.silence import silence
from tukio.testing import no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled


class Broken(LookupError):
    """What users' objects raise."""


class Lazy:
    """An object that works out its class when it is asked for it, and fails."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise Broken


class SkipsOddly(tukio.SkipTask):
    """Its reason is worked out when it is asked for."""

    @property
    def reason(self) -> Any:
        """Raise instead."""
        raise Broken

    @reason.setter
    def reason(self, reason: Any) -> None:
        pass


class FailsOddly(tukio.TukioTaskError):
    """Its output is worked out when it is asked for."""

    @property
    def task_outputs(self) -> Any:
        """Raise instead."""
        raise Broken

    @task_outputs.setter
    def task_outputs(self, outputs: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the log quiet, and see to it that the engine goes on."""
    with no_faults():
        yield


async def test_g7_the_reason_of_a_skip_may_raise(task: Tasks) -> None:
    """The branch goes on, as after any skip."""

    @task
    async def a(event: tukio.Event) -> None:
        raise SkipsOddly("why not")

    @task
    async def b(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a b"), {})
        assert await run.wait() is FINISHED
    assert [kind for kind in kinds(story) if "b" in kind] != []
    assert step_of(run, "a").state is tukio.FutureState.skipped
    assert step_of(run, "b").state is FINISHED


@pytest.mark.parametrize("cut", [False, True])
async def test_g7_the_output_of_an_error_may_raise(task: Tasks, cut: bool) -> None:
    """The step has ended by its error, without an output, and whoever waits for it is told."""
    error = FailsOddly({"code": 1})

    @task
    async def a(event: tukio.Event) -> None:
        try:
            await anyio.sleep(1)
        finally:
            raise error

    called: list[Any] = []
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a"), {})
        await anyio.sleep(0.5)
        step = step_of(run, "a")
        step.add_done_callback(called.append)
        if cut:
            step.cancel()
        await run.wait()
    assert run.errors == {"a": error}
    assert (step.state, step.error) == (tukio.FutureState.exception, error)
    assert called == [step]
    assert [kind for kind in kinds(story) if kind.startswith("task")] == [
        "task-begin a",
        "task-error a",
    ]


@pytest.mark.parametrize("cut", [False, True])
async def test_g2_what_a_step_returns_may_raise_when_it_is_asked_for_its_class(
    task: Tasks, cut: bool
) -> None:
    """It ends as failed, or in time with a clean-up that has no result; never not at all."""

    @task
    async def b(event: tukio.Event) -> None:
        pass

    @task
    class a(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> Any:
            if cut:
                await anyio.sleep(30)
            return Lazy()

        async def teardown(self) -> Any:
            return Lazy()

    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a b", limits={"a": 1}), {})
        with silence():
            await anyio.sleep(2)
            run.cancel()
            await run.wait()
    step = step_of(run, "a")
    assert step.state.value == ("timeout" if cut else "exception")
    assert isinstance(run.errors["a"], Broken)
    assert sum(kind.endswith(" a") for kind in kinds(story)) == 2


@pytest.mark.backends("trio")
async def test_g7_a_scope_left_open_by_a_handler_fails_the_run(task: Tasks) -> None:
    """Where nothing tells who it was, the run has failed, and says by what."""

    @task
    async def a(event: tukio.Event) -> None:
        pass

    @task
    async def waits(event: tukio.Event) -> None:
        await anyio.sleep(1)

    kept: list[Any] = []

    def leaves(event: tukio.Event) -> None:
        if event.data["type"] == "task-end":
            kept.append(anyio.CancelScope())
            kept[-1].__enter__()

    log_of_faults = silence()
    async with tukio.Engine() as engine:
        engine.broker.register(leaves, tukio.EXEC_TOPIC)
        with log_of_faults:
            run: Any = await engine.run_once(flow("waits"), {})
            ending = await run.wait()
    assert ending in {tukio.FutureState.exception, FINISHED}
    assert run.errors or run._run.failure is not None


async def test_g2_nothing_is_told_of_a_run_that_is_over(task: Tasks) -> None:
    """Its terminal event is the last one, whoever has kept a step of it."""

    @task
    async def a(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a"), {})
        await run.wait()
        told = len(story)
        step_of(run, "a").dispatch_progress({})
        step_of(run, "a").dispatch_progress({}, "workflow-end")
        assert len(story) == told


@pytest.mark.parametrize("what", ["returns", "hash"])
async def test_g7_what_a_handler_is_or_returns_harms_nobody_else(task: Tasks, what: str) -> None:
    """Neither whoever sends nor the others that listen."""

    @task
    async def a(event: tukio.Event) -> None:
        pass

    class Handler:
        broken = False

        def __call__(self, event: tukio.Event) -> Any:
            return Lazy() if what == "returns" else self.later()

        async def later(self) -> None:
            await anyio.sleep(1)

        def __hash__(self) -> int:
            if self.broken:
                raise Broken
            return 1

    heard: list[Any] = []
    async with tukio.Engine() as engine:
        await engine.load(flow("a", topics=["t"]))
        for topic in ("t", tukio.EXEC_TOPIC):
            handler = Handler()
            engine.broker.register(handler, topic)
            engine.broker.register(heard.append, topic)
            handler.broken = what == "hash"
        with silence():
            [run] = await engine.data_received({"n": 1}, "t")
            assert await run.wait() is FINISHED
            await anyio.sleep(10)
            handler.broken = False
    assert len(heard) == 1 + 4


async def test_g7_many_errors_of_one_task_are_in_one_group(task: Tasks) -> None:
    """Not in a group in a group, which cannot be looked at when it is too deep."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})
        for n in range(2000):
            run._run.keep_error("a", Broken(n))
        await run.wait()
    error = run.errors["a"]
    assert isinstance(error, ExceptionGroup)
    assert [one.args for one in error.exceptions] == [(n,) for n in range(2000)]


@pytest.mark.parametrize("of", ["step", "run", "result"])
async def test_g10_whoever_looks_at_an_error_leaves_nothing_on_it(task: Tasks, of: str) -> None:
    """Not what was being handled at that time, with all that its frames hold."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise Broken

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", on_error="abort"), {})
        await anyio.sleep(0.5)
        step = step_of(run, "a")
        for _ in range(3):
            try:
                dict[str, int]()["of whoever looks"]
            except KeyError:
                with pytest.raises((Broken, tukio.WorkflowFailed)):
                    if of == "result":
                        await run.wait()
                        step.result()
                    else:
                        await (step if of == "step" else run)
        assert step.error.__context__ is None
        assert run._run.failure.__context__ is None
