"""`retry_if`: a predicate is asked last whether a task that has failed is run again."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, step_of
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Add = Callable[..., Any]

Asked = list[tuple[Any, ...]]


@pytest.fixture
def predicate() -> Iterator[Add]:
    """Return what registers a predicate as `asked`, for this test."""
    home = tukio.TaskRegistry.predicates()
    before = set(home)
    yield tukio.predicate("asked")
    for name in set(home) - before:
        home.remove(name)


@pytest.fixture
def begun(task: Tasks) -> list[int]:
    """Register `work`, which raises what it is given; give a list of its attempts."""
    found: list[int] = []

    @task
    async def work(event: tukio.Event) -> None:
        found.append(tukio.current_task().attempt)
        await anyio.sleep(event.data.get("takes", 0))
        raise event.data["error"]

    @task
    async def after(event: tukio.Event) -> None: ...

    return found


def retried(**words: Any) -> tukio.WorkflowTemplate:
    """Return a chain of a task that is retried if `asked` says so, and one more."""
    template = flow("work after")
    template.tasks[0].retry = {"jitter": "none", "retry_if": "asked", **words}
    return template


async def ended(template: tukio.WorkflowTemplate, error: BaseException, **data: Any) -> Any:
    """Run a workflow to its end."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"error": error, **data})
        await run.wait()
    return run


async def test_it_is_given_the_error_and_the_number_of_the_attempt(
    begun: list[int], predicate: Add
) -> None:
    """The attempts go on for as long as it says so."""
    asked: Asked = []

    @predicate
    def rule(*about: Any) -> bool:
        asked.append(about)
        return len(asked) < 3

    error = OSError("no")
    run = await ended(retried(attempts=9), error)
    assert (begun, asked) == ([1, 2, 3], [(error, 1), (error, 2), (error, 3)])
    assert run.errors == {"work": error}
    assert error.__notes__ == ["after 3 attempts"]


async def test_it_may_take_the_error_alone(begun: list[int], predicate: Add) -> None:
    """And answers by what is true."""
    predicate(lambda error: [error] if isinstance(error, OSError) else [])
    await ended(retried(attempts=2), OSError())
    assert begun == [1, 2]
    begun.clear()
    await ended(retried(attempts=2), ValueError())
    assert begun == [1]


@pytest.mark.parametrize(
    ("words", "error", "times"),
    [
        ({"attempts": 2}, OSError(), 1),
        ({"attempts": 1}, OSError(), 0),
        ({"retry_on": ["ValueError"]}, OSError(), 0),
        ({"give_up_on": ["OSError"]}, OSError(), 0),
        ({"within": 0.5}, OSError(), 0),
        ({}, tukio.GiveUp(), 0),
        ({}, tukio.SkipTask(), 0),
        ({"attempts": 2, "retry_on": ["OSError"]}, ExceptionGroup("two", [OSError()]), 1),
        ({"attempts": 2}, tukio.RetryLater(3), 1),
    ],
    ids=repr,
)
async def test_it_is_asked_last(
    begun: list[int], predicate: Add, words: dict[str, Any], error: BaseException, times: int
) -> None:
    """Where something else says no, it is not asked at all."""
    asked: Asked = []

    @predicate
    def rule(*about: Any) -> bool:
        asked.append(about)
        return True

    await ended(retried(**words), error)
    assert asked == [(error, 1)] * times


async def test_it_is_asked_about_a_limit_too(begun: list[int], predicate: Add) -> None:
    """That is an error like any other under `on_timeout: retry`, and under nothing else."""
    asked: Asked = []

    @predicate
    def rule(*about: Any) -> bool:
        asked.append(about)
        return len(asked) < 2

    template = retried()
    template.tasks[0].timeout, template.tasks[0].on_timeout = 2, "retry"
    run = await ended(template, OSError(), takes=9)
    assert begun == [1, 2]
    assert [type(error).__name__ for error, _ in asked] == ["TaskTimedOut"] * 2
    assert isinstance(run.errors["work"], TimeoutError)
    template.tasks[0].on_timeout = "fail"
    await ended(template, OSError(), takes=9)
    assert len(asked) == 2


async def test_a_predicate_that_raises_is_the_error_of_the_task(
    begun: list[int], predicate: Add
) -> None:
    """It is not run again; what it had raised itself is the cause, and in the report."""

    @predicate
    def broken(error: BaseException) -> NoReturn:
        raise LookupError("which?")

    error = OSError("no")
    run = await ended(retried(), error)
    assert begun == [1]
    kept = run.errors["work"]
    assert (type(kept), kept.__cause__) == (LookupError, error)
    assert "after" not in run.outputs
    assert run.report()["tasks"][0]["exec"]["error"] == {
        "type": "LookupError",
        "message": "which?",
        "cause": {"type": "OSError", "message": "no"},
    }


async def test_the_causes_that_it_has_given_itself_stay(begun: list[int], predicate: Add) -> None:
    """The error of the task is the last of them, once."""
    error, other = OSError("no"), KeyError("x")
    causes: list[BaseException] = [error]

    @predicate
    def broken(_: BaseException) -> NoReturn:
        raise ValueError from causes[0]

    run = await ended(retried(), error)
    assert run.errors["work"].__cause__ is error
    assert error.__cause__ is None
    causes[0] = other
    run = await ended(retried(), error)
    assert (run.errors["work"].__cause__, other.__cause__) == (other, error)


async def test_causes_in_a_circle_are_gone_through_once(begun: list[int], predicate: Add) -> None:
    """The error of the task is not among them then, and harms nobody."""
    one, other = KeyError(1), KeyError(2)
    one.__cause__, other.__cause__ = other, one

    @predicate
    def broken(_: BaseException) -> NoReturn:
        raise one

    run = await ended(retried(), OSError())
    assert run.errors["work"] is one


@pytest.mark.parametrize("raised", [tukio.SkipTask(), tukio.RetryLater(1), GeneratorExit()])
async def test_nothing_that_it_raises_is_a_word(
    begun: list[int], predicate: Add, raised: BaseException
) -> None:
    """Only the task can skip itself, or wait."""

    @predicate
    def broken(_: BaseException) -> NoReturn:
        raise raised

    run = await ended(retried(), OSError())
    assert (begun, run.errors) == ([1], {"work": raised})
    assert step_of(run, "work").state is tukio.FutureState.exception


async def test_an_answer_that_is_to_be_awaited_is_an_error(
    begun: list[int], predicate: Add
) -> None:
    """It would always be true."""

    async def later() -> bool:
        return False

    predicate(lambda error: later())
    run = await ended(retried(), OSError())
    assert (begun, type(run.errors["work"])) == ([1], TypeError)


async def test_a_predicate_that_is_gone_is_an_error(begun: list[int], predicate: Add) -> None:
    """It was there when the template was loaded."""

    @predicate
    def rule(_: BaseException) -> bool:
        tukio.TaskRegistry.predicates().remove("asked")
        return True

    run = await ended(retried(), OSError())
    assert (begun, type(run.errors["work"])) == ([1, 2], LookupError)


async def test_it_may_end_the_run(begun: list[int], predicate: Add) -> None:
    """Nothing begins after that, whatever it answers."""
    runs: list[Any] = []
    predicate(lambda error: runs[0].cancel("enough"))
    async with tukio.Engine() as engine:
        runs.append(await engine.start(retried(), {"error": OSError()}))
        await runs[0].wait()
    assert (begun, runs[0].status) == ([1], "cancelled")
    assert not runs[0]._run.waiting


variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


async def test_what_it_sets_reaches_no_step(begun: list[int], predicate: Add) -> None:
    """It is called in a context of its own."""
    seen: list[int] = []

    @predicate
    def rule(_: BaseException) -> bool:
        seen.append(variable.get())
        variable.set(5)
        return True

    await ended(retried(attempts=4), OSError())
    assert seen == [0, 0, 0]


async def test_it_is_of_the_registry_of_the_engine(predicate: Add) -> None:
    """As tasks are."""
    registry = Registry()
    begun: list[int] = []

    async def work(event: tukio.Event) -> None:
        begun.append(1)
        raise OSError

    async def after(event: tukio.Event) -> None: ...

    registry.register(work, "work")
    registry.register(after, "after")
    predicate(lambda error: False)
    async with tukio.Engine(registry=registry) as engine:
        with pytest.raises(tukio.TemplateError, match="no predicate is called 'asked'"):
            await engine.start(retried(), {})
        tukio.predicate("asked", registry=registry)(lambda error: True)
        run = await engine.start(retried(attempts=2), {})
        await run.wait()
    assert begun == [1, 1]
