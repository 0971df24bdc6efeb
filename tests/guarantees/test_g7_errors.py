"""G7: no error is lost."""

from __future__ import annotations

import gc
import logging
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, flow, kinds, listen, step_of

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED, EXCEPTION = tukio.FutureState.finished, tukio.FutureState.exception


async def test_g7_a_failing_task_stops_its_branch_and_the_others_go_on(task: Tasks) -> None:
    """The default, as in 1.x; but the error is in plain sight."""
    begun: list[str] = []
    boom = ValueError("boom")

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def bad(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise boom

    async def note(event: tukio.Event) -> None:
        await anyio.sleep(2)
        begun.append(tukio.current_task().template.uid)

    task(note)
    names = {"after_bad": "note", "good": "note"}
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(
            flow({"root": ["bad", "good"], "bad": ["after_bad"]}, names=names), {}
        )
        assert await run.wait() is FINISHED

    assert begun == ["good"]
    assert run.errors == {"bad": boom}
    assert ("task-error", "bad", {"exception": boom}) in story
    report = run.report()["tasks"][1]["exec"]
    assert report["state"] == "exception"
    assert report["error"] == {"type": "ValueError", "message": "boom"}


@pytest.mark.parametrize("on_error", ["continue", "abort"])
@pytest.mark.parametrize("delay", [None, 0, 1])
async def test_g7_two_branches_that_fail_at_once_are_both_kept(
    task: Tasks, on_error: str, delay: float | None
) -> None:
    """Whether they fail without suspending, in one turn of the loop, or in one instant."""
    begun: set[str] = set()

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def bad(event: tukio.Event) -> None:
        begun.add(tukio.current_task().template.uid)
        try:
            if delay is not None:
                await anyio.sleep(delay)
        finally:
            # Also when the other's failure cancels this one.
            raise LookupError(tukio.current_task().template.uid)

    async with tukio.Engine() as engine:
        template = flow({"root": ["b", "c"]}, names={"b": "bad", "c": "bad"}, on_error=on_error)
        run = await engine.run_once(template, {})
        ending = await run.wait()

    if on_error == "continue" or delay == 1:
        assert begun == {"b", "c"}
    assert ending is (EXCEPTION if on_error == "abort" else FINISHED)
    assert {uid: str(error) for uid, error in run.errors.items()} == {uid: uid for uid in begun}


async def test_g7_abort_cancels_the_siblings_and_fails_the_run(task: Tasks) -> None:
    """`on_error: abort`: the run ends `exception`, with every error in one group."""
    begun: list[str] = []

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def bad(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise ValueError("bad")

    @task
    async def sibling(event: tukio.Event) -> None:
        await anyio.sleep(30)

    @task
    async def after(event: tukio.Event) -> None:
        begun.append("after")

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        story = listen(engine)
        template = flow({"root": ["bad", "sibling"], "sibling": ["after"]}, on_error="abort")
        run = await engine.run_once(template, {})
        assert run
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await run
        assert await run.wait() is EXCEPTION

    assert anyio.current_time() - start == 1
    assert begun == []
    assert caught.value.exceptions == (run.errors["bad"],)
    kind, uid, content = story[-1]
    assert (kind, uid) == ("workflow-error", None)
    assert isinstance(content, tukio.WorkflowFailed)
    assert [step.state.value for step in run.tasks] == ["finished", "exception", "cancelled"]


@pytest.mark.parametrize("error", [TimeoutError(), TimeoutError("inner")])
async def test_g7_a_timeout_error_of_the_task_s_own_is_an_ordinary_error(
    task: Tasks, error: TimeoutError
) -> None:
    """It is not mistaken for the task's time limit, with a limit or without."""
    torn: list[str] = []

    @task
    class a(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(1)
            raise error

        async def teardown(self) -> None:
            torn.append("down")

    async with tukio.Engine() as engine:
        for limits in ({}, {"a": 30}):
            run = await engine.run_once(flow("a", limits=limits), {})
            assert await run.wait() is FINISHED
            assert run.errors == {"a": error}
            [step] = run.tasks
            assert (step.state, step.timed_out) == (EXCEPTION, False)
    assert torn == []


async def test_g7_fail_after_inside_a_task_is_an_ordinary_error(task: Tasks) -> None:
    """The task's own deadline is its own affair."""

    @task
    async def a(event: tukio.Event) -> None:
        with anyio.fail_after(1):
            await anyio.sleep(30)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", limits={"a": 10}), {})
        await run.wait()

    assert isinstance(run.errors["a"], TimeoutError)


async def test_g7_a_holder_that_cannot_be_made_is_an_error_of_its_task(task: Tasks) -> None:
    """Whatever it raises; later triggers and other runs are unharmed (B07, B08)."""
    failures: list[type[BaseException]] = [KeyError, ValueError, StopIteration, AttributeError]

    @task
    class Bad(tukio.TaskHolder):
        def __init__(self, config: object = None) -> None:
            raise failures[0]("init")

        async def execute(self, event: tukio.Event) -> None: ...

    async with tukio.Engine() as engine:
        story = listen(engine)
        while failures:
            run = await engine.run_once(flow("Bad"), {})
            assert await run.wait() is FINISHED
            error = run.errors["Bad"]
            expected = RuntimeError if failures[0] is StopIteration else failures[0]
            assert type(error) is expected
            failures.pop(0)
        assert engine.instances == []

    assert kinds(story)[:4] == [
        "workflow-begin",
        "task-begin Bad",
        "task-error Bad",
        "workflow-end",
    ]


async def test_g7_a_task_called_with_the_wrong_arguments_fails(task: Tasks) -> None:
    """A `TypeError` of the call is the task's error: it may have come to need more by now."""

    @task
    async def a(event: object, more: int = 0) -> None: ...

    a.__defaults__ = None
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        await run.wait()

    assert isinstance(run.errors["a"], TypeError)


@pytest.mark.parametrize("result", ["text", 5, ["list"], object()])
async def test_g7_a_result_that_cannot_be_passed_on_is_an_error(
    task: Tasks, result: object
) -> None:
    """It used to hang the workflow (B02); a leaf may return anything."""

    async def give(event: tukio.Event) -> object:
        return result

    task(give)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"a": "give", "b": "give"}), {})
        assert await run.wait() is FINISHED
        leaf = await engine.run_once(flow("give"), {})
        await leaf.wait()

    assert isinstance(run.errors["a"], tukio.errors.InvalidResult)
    assert "'a' returned a" in str(run.errors["a"])
    assert leaf.errors == {}
    assert leaf.outputs == {"give": result}


async def test_g7_an_exception_group_of_a_task_is_kept_whole(task: Tasks) -> None:
    """A task group inside a task fails as one error."""

    async def fail(error: Exception) -> None:
        raise error

    @task
    async def a(event: tukio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail, ValueError("one"))
            group.start_soon(fail, LookupError("two"))

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        await run.wait()

    error = run.errors["a"]
    assert isinstance(error, ExceptionGroup)
    assert {type(one) for one in error.exceptions} == {ValueError, LookupError}


@pytest.fixture
def fails_unwinding(task: Tasks) -> None:
    """Register `a`: a task group of 30 s, whose child fails when it is cancelled."""

    async def fail() -> None:
        try:
            await anyio.sleep(30)
        finally:
            raise ValueError("while unwinding")

    @task
    async def a(event: tukio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await anyio.sleep(30)


@pytest.mark.usefixtures("fails_unwinding")
async def test_g7_errors_beside_a_cancellation_are_kept() -> None:
    """A cancelled task group whose children fail while they unwind."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", timeout=1), {})
        assert await run.wait() is tukio.FutureState.timeout

    error = run.errors["a"]
    assert isinstance(error, ExceptionGroup)
    assert [str(one) for one in error.exceptions] == ["while unwinding"]


@pytest.mark.usefixtures("fails_unwinding")
async def test_g7_errors_beside_the_caller_s_cancellation_are_kept() -> None:
    """The same when the cancellation comes from outside of the engine."""
    with anyio.move_on_after(1):
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("a"), {})

    assert run.state is tukio.FutureState.cancelled
    assert isinstance(run.errors["a"], ExceptionGroup)


async def test_g7_a_base_exception_is_an_error_like_others(task: Tasks) -> None:
    """Only those that end the program go further (B60)."""

    class Odd(BaseException):
        pass

    @task
    async def a(event: tukio.Event) -> None:
        if event.data.get("suspend"):
            await anyio.sleep(1)
        raise Odd

    async with tukio.Engine() as engine:
        story = listen(engine)
        for data in ({}, {"suspend": True}):
            run = await engine.run_once(flow("a"), data)
            assert await run.wait() is FINISHED
            assert isinstance(run.errors["a"], Odd)
            assert story[-2][0] == "task-error"
        aborted = await engine.run_once(flow("a", on_error="abort"), {})
        assert aborted
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await aborted

    assert isinstance(caught.value.exceptions[0].__cause__, Odd)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_g7_what_ends_the_program_goes_out(
    task: Tasks, kind: type[BaseException], backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`KeyboardInterrupt` and `SystemExit` in a task are recorded, and go on outwards."""
    from tukio.testing.clock import run as run_virtually

    # With a record of the log, pytest would keep the error and all that its traceback leads to.
    caplog.set_level(logging.CRITICAL, "tukio")
    runs: list[tukio.Workflow] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise kind

    async def main() -> None:
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("a b", names={"b": "a"}), {})
            assert run
            runs.append(run)

    with pytest.raises(BaseException) as caught:
        run_virtually(main, backend=backend)

    error: BaseException | None = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, kind)
    assert isinstance(runs[0].errors["a"], kind)
    assert len(runs[0].tasks) == 1
    # asyncio complains of the task whose exception has just ended the program: now, not later.
    runs.clear()
    del caught, error
    gc.collect()


async def test_g7_a_failing_report_or_callback_or_handler_harms_nobody(
    task: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """User code that the engine calls on the side may fail; it is logged."""

    @task
    class Bad(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            def callback(step: tukio.TaskRun) -> None:
                raise LookupError("callback")

            tukio.current_task().add_done_callback(callback)
            await anyio.sleep(1)

        def report(self) -> object:
            raise LookupError("report")

    def handler(event: tukio.Event) -> None:
        raise LookupError("handler")

    async with tukio.Engine() as engine:
        engine.broker.register(handler, tukio.EXEC_TOPIC)
        engine.broker.register(handler, "topic")
        run = await engine.run_once(flow("Bad"), {})
        await engine.data_received({}, "topic")
        await anyio.sleep(0.5)
        assert run.report()["tasks"][0]["exec"]["reporting"] is None
        assert await run.wait() is FINISHED

    assert run.errors == {}
    for word in ("callback", "report", "handler"):
        assert f"LookupError: {word}" in caplog.text


async def test_g7_a_skipped_task_passes_its_inputs_on(task: Tasks) -> None:
    """It is no error."""
    got: list[object] = []

    @task
    async def a(event: tukio.Event) -> None:
        event.data["changed"] = True
        raise tukio.SkipTask("nothing to do")

    @task
    async def b(event: tukio.Event) -> None:
        got.append(event.data)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b"), {"in": 1})
        await run.wait()

    assert got == [{"in": 1}]
    assert run.errors == {}
    assert [step.state.value for step in run.tasks] == ["skipped", "finished"]


async def test_g7_a_task_error_carries_its_output(task: Tasks) -> None:
    """`TukioTaskError(output)`: the branch stops, the report has the output."""

    @task
    async def a(event: tukio.Event) -> None:
        raise tukio.TukioTaskError({"code": 3})

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a"), {})
        await run.wait()

    assert ("task-error", "a", {"code": 3}) in story
    assert next(iter(run.tasks)).outputs == {"code": 3}
    assert isinstance(run.errors["a"], tukio.TukioTaskError)


async def test_g7_a_report_names_the_causes_and_not_their_wrapper(task: Tasks) -> None:
    """What happened in a task group, and in a step and its `teardown()`, each with its text."""

    @task
    async def group(event: tukio.Event) -> None:
        async def fail(error: Exception) -> None:
            raise error

        async with anyio.create_task_group() as outer:
            outer.start_soon(fail, ValueError("one"))
            outer.start_soon(fail, LookupError("two"))

    @task
    class twice(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep(30)
            finally:
                raise ValueError("the first")

        def teardown(self) -> None:
            raise KeyError("the second")

    @task
    async def chained(event: tukio.Event) -> None:
        raise RuntimeError("wrapper") from ValueError("cause")

    template = flow({"root": ["group", "twice", "chained"]}, limits={"twice": 1})

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        rescued: Any = await engine.rescue(template, report)
        await rescued.wait()

    told = {uid: execution(run, uid).get("error") for uid in ("root", "group", "twice", "chained")}
    leaves = {uid: error.get("leaves") for uid, error in told.items() if error is not None}
    assert sorted((leaf["type"], leaf["message"]) for leaf in leaves["group"]) == [
        ("LookupError", "two"),
        ("ValueError", "one"),
    ]
    assert [(leaf["type"], leaf["message"]) for leaf in leaves["twice"]] == [
        ("KeyError", "'the second'"),
        ("ValueError", "the first"),
    ]
    assert told["chained"]["cause"] == {"type": "ValueError", "message": "cause"}
    for uid, error in told.items():
        assert execution(rescued, uid).get("error") == error
    assert [leaf.message for leaf in rescued.errors["group"].leaves] == [
        leaf["message"] for leaf in leaves["group"]
    ]


class Hostile(Exception):
    """Raises whatever it is asked for its text."""

    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__


@pytest.mark.parametrize("on_error", ["continue", "abort"])
async def test_g7_an_error_that_raises_whatever_it_is_asked_is_an_error(
    task: Tasks, on_error: str
) -> None:
    """The run ends by it, and its report says as much as can be said."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise Hostile

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", on_error=on_error), {})
        ending = await run.wait()

    assert ending is (EXCEPTION if on_error == "abort" else FINISHED)
    assert execution(run, "a")["error"]["message"] == "<a Hostile that cannot be shown>"


async def test_g7_a_traceback_does_not_grow_with_those_who_look(task: Tasks) -> None:
    """Nor keeps alive what they hold; it is that of the failure, with nothing of it lost."""
    boom = ValueError("boom")

    def length(error: BaseException) -> int:
        return len(traceback.extract_tb(error.__traceback__))

    @task
    async def bad(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise boom

    @task
    async def looks(event: tukio.Event) -> None:
        [other] = [step for step in tukio.current_workflow().tasks if step.template.uid == "bad"]
        await other

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        template = flow({"root": ["bad", "looks"]}, on_error="continue")
        run: Any = await engine.run_once(template, {})
        await run.wait()

    lengths = set()
    for _ in range(5):
        for step in (step_of(run, "bad"), step_of(run, "looks")):
            with pytest.raises(ValueError, match="boom"):
                step.result()
            with pytest.raises(ValueError, match="boom"):
                await step
        assert "raise boom" in "".join(traceback.format_exception(boom))
        lengths.add(length(boom))
    assert len(lengths) == 1


async def test_g7_the_traceback_of_a_failed_run_does_not_grow_either(task: Tasks) -> None:
    """The same group is raised to everybody who awaits the run."""

    @task
    async def bad(event: tukio.Event) -> None:
        raise ValueError

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("bad", on_error="abort"), {})
        await run.wait()
    lengths = set()
    for _ in range(5):
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await run
        lengths.add(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(lengths) == 1
