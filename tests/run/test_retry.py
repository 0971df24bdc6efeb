"""A task that has failed is run again: when, how often, and what cuts that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, listen, step_of

if TYPE_CHECKING:
    from collections.abc import Callable

Began = list[tuple[float, int]]


@pytest.fixture
def began(task: Tasks) -> Began:
    """Register what is run; give a list of when `flaky` has begun, and by which attempt."""
    found: Began = []

    @task
    async def flaky(event: tukio.Event) -> dict[str, Any]:
        me = tukio.current_task()
        found.append((anyio.current_time(), me.attempt))
        await anyio.sleep(event.data.get("takes", 0))
        if me.attempt < event.data.get("good", 99):
            raise event.data.get("error", OSError("no"))
        return {"attempt": me.attempt}

    @task
    async def fine(event: tukio.Event) -> None: ...

    return found


def retried(words: dict[str, Any] | None = None, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a chain of a task that is retried, and one that does nothing."""
    keys = {key: fields.pop(key) for key in ("timeout", "on_timeout") if key in fields}
    template = flow("flaky fine", **fields)
    task = template.tasks[0]
    task.retry = {"jitter": "none", **(words or {})}
    for key, value in keys.items():
        setattr(task, key, value)
    return template


async def ended(
    template: tukio.WorkflowTemplate,
    data: dict[str, Any] | None = None,
    act: Callable[[Any], object] | None = None,
    after: float = 0.5,
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, data or {})
        if act is not None:
            await anyio.sleep(after)
            act(run)
    return run


def since(began: Began) -> list[tuple[float, int]]:
    """Return when each attempt has begun, from the first on."""
    return [(at - began[0][0], number) for at, number in began]


# How often, and when


async def test_it_is_run_again_until_it_goes_well(began: Began) -> None:
    """Then nothing has failed, but the report has what did."""
    run = await ended(retried(), {"good": 3})
    assert since(began) == [(0, 1), (1, 2), (3, 3)]
    assert (run.ok, run.errors, run.outputs["flaky"]) == (True, {}, {"attempt": 3})
    shown = run.report()["tasks"][0]["exec"]
    assert [one["delay"] for one in shown["attempts"]] == [1, 2]
    assert [one["error"] for one in shown["attempts"]] == [{"type": "OSError", "message": "no"}] * 2
    assert "due" not in shown
    assert step_of(run, "flaky").attempts == shown["attempts"]
    assert step_of(run, "flaky").attempt == 3


async def test_it_fails_by_its_last_attempt(began: Began) -> None:
    """With a note of how many there were; its branch stops then, and not before."""
    run = await ended(retried({"attempts": 2}))
    assert since(began) == [(0, 1), (1, 2)]
    error = run.errors["flaky"]
    assert (type(error), error.__notes__) == (OSError, ["after 2 attempts"])
    assert (run.ok, "fine" in run.outputs) == (False, False)


@pytest.mark.parametrize(
    ("words", "waits"),
    [
        ({"attempts": 5, "max": 3}, [0, 1, 3, 6, 9]),
        ({"attempts": 4, "initial": 0.5, "factor": 3}, [0, 0.5, 2, 6.5]),
        ({"attempts": 3, "initial": 0}, [0, 0, 0]),
        ({"attempts": 3, "factor": 1, "initial": 2}, [0, 2, 4]),
        ({"attempts": 1}, [0]),
    ],
)
async def test_the_wait_grows_up_to_a_maximum(
    began: Began, words: dict[str, Any], waits: list[float]
) -> None:
    """By a factor, from the end of each attempt on."""
    await ended(retried(words))
    assert [at for at, _ in since(began)] == waits


async def test_the_wait_is_drawn(began: Began) -> None:
    """From zero on; the same for the same id of the run, so also after a rescue."""
    template = retried({"attempts": 4, "jitter": "full"})
    async with tukio.Engine() as engine:
        for uid in ("one", "one", "two"):
            run = await engine.start(template, {}, id=uid)
            await run.wait()
    first, second, third = (since(began[place : place + 4]) for place in (0, 4, 8))
    assert [round(at, 9) for at, _ in first] == [round(at, 9) for at, _ in second]
    assert first != third
    assert 0 < first[1][0] < 1
    assert first[-1][0] < 7


async def test_the_task_says_when(began: Began) -> None:
    """By `RetryLater`, which counts as an attempt."""
    await ended(retried({"attempts": 3}), {"error": tukio.RetryLater(30)})
    assert [at for at, _ in since(began)] == [0, 30, 60]


async def test_the_task_gives_up(began: Began) -> None:
    """By `GiveUp`, at once."""
    run = await ended(retried(), {"error": tukio.GiveUp("no such order")})
    assert len(began) == 1
    assert isinstance(run.errors["flaky"], tukio.GiveUp)


class Busy(ConnectionError):
    """An error of a user's own."""


@pytest.mark.parametrize(
    ("words", "error", "attempts"),
    [
        ({}, ValueError(), 2),
        ({}, BaseException(), 1),
        ({}, tukio.SkipTask(), 1),
        ({"retry_on": ["OSError"]}, Busy(), 2),
        ({"retry_on": ["builtins.OSError"]}, Busy(), 2),
        ({"retry_on": ["Busy"]}, Busy(), 2),
        ({"retry_on": [f"{__name__}.Busy"]}, Busy(), 2),
        ({"retry_on": ["other.Busy"]}, Busy(), 1),
        ({"retry_on": ["OSError"]}, ValueError(), 1),
        ({"give_up_on": ["OSError"]}, Busy(), 1),
        ({"give_up_on": ["OSError"]}, ValueError(), 2),
        ({"retry_on": ["OSError"], "give_up_on": ["Busy"]}, Busy(), 1),
        ({"retry_on": ["OSError"]}, ExceptionGroup("two", [Busy(), OSError()]), 2),
        ({"retry_on": ["OSError"]}, ExceptionGroup("two", [Busy(), ValueError()]), 1),
        ({"give_up_on": ["ValueError"]}, ExceptionGroup("two", [Busy(), ValueError()]), 1),
    ],
    ids=str,
)
async def test_which_errors_it_is_run_again_after(
    began: Began, words: dict[str, Any], error: BaseException, attempts: int
) -> None:
    """Classes by their names, with or without the module; a group counts by its leaves."""
    await ended(retried({"attempts": 2, **words}), {"error": error})
    assert len(began) == attempts


async def test_a_result_that_cannot_be_passed_on_is_not_tried_again(task: Tasks) -> None:
    """It would be the same the next time."""
    begun: list[int] = []

    @task
    async def text(event: tukio.Event) -> str:
        begun.append(1)
        return "text"

    template = flow("text b", names={"b": "text"})
    template.tasks[0].retry = {"attempts": 3}
    run = await ended(template)
    assert len(begun) == 1
    assert type(run.errors["text"]).__name__ == "InvalidResult"


# What is told


async def test_each_attempt_has_its_events(began: Began) -> None:
    """One begin and one end; the error of all but the last is in `task-retry` alone."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        data = {"error": OSError("no")}
        run = await engine.start(retried({"attempts": 2}), data)
        await run.wait()
    error = run.errors["flaky"]
    told = [(kind, content) for kind, uid, content in story if uid == "flaky"]
    assert told == [
        ("task-begin", data),
        ("task-retry", {"exception": error, "attempt": 1, "delay": 1}),
        ("task-begin", data),
        ("task-error", {"exception": error}),
    ]


async def test_whoever_waits_for_it_waits_for_the_last_attempt(began: Began) -> None:
    """And so do its callbacks."""
    called: list[Any] = []
    async with tukio.Engine() as engine:
        run = await engine.start(retried(), {"good": 2})
        await anyio.sleep(0.5)
        step = step_of(run, "flaky")
        assert not step.done()
        step.add_done_callback(called.append)
        assert await step == {"attempt": 2}
    assert called == [step_of(run, "flaky")]


async def test_its_key_is_the_same_for_all_attempts(task: Tasks) -> None:
    """And after a rescue; ids are written so that no two keys are alike."""
    keys: list[str] = []

    @task
    async def work(event: tukio.Event) -> None:
        keys.append(tukio.current_task().key)
        raise OSError

    template = flow("x", names={"x": "work"})
    template.tasks[0].uid, template.tasks[0].retry = "a/b[%", {"attempts": 2}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {}, id="run/1")
        await run.wait()
    assert keys == ["run%2F1/a%2Fb%5B%25"] * 2


# What cuts it


async def test_while_it_waits_nothing_is_at_work(began: Began) -> None:
    """Its run is over in the instant in which it is cancelled."""
    begun = anyio.current_time()
    run = await ended(retried(), {}, lambda it: it.cancel())
    assert anyio.current_time() - begun == 0.5
    assert (run.status, since(began)) == ("cancelled", [(0, 1)])
    assert step_of(run, "flaky").state is tukio.FutureState.cancelled


async def test_the_limit_of_its_run_cuts_the_wait(began: Began) -> None:
    """No driver keeps it, so an alarm does."""
    begun = anyio.current_time()
    run = await ended(limited(2))
    assert anyio.current_time() - begun == 2
    assert (run.status, len(began)) == ("timeout", 1)


def limited(seconds: float) -> tukio.WorkflowTemplate:
    """Return a workflow with a limit, whose task waits for longer."""
    template = retried({"initial": 100, "max": 100})
    template.timeout = seconds
    return template


async def test_stop_cuts_the_wait_after_its_grace(began: Began) -> None:
    """The engine is left then."""
    begun = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.start(retried({"initial": 100, "max": 100}), {})
        await anyio.sleep(1)
        await engine.stop(grace=2)
    assert anyio.current_time() - begun == 3
    assert run.status == "cancelled"


async def test_the_clock_goes_on_while_it_is_suspended(began: Began) -> None:
    """What comes due meanwhile begins when it is resumed; what does not, when it is due."""

    async def resumed(after: float) -> list[tuple[float, int]]:
        began.clear()
        async with tukio.Engine() as engine:
            run = await engine.start(retried({"initial": 4, "attempts": 2}), {})
            await anyio.sleep(1)
            assert run.suspend()
            await anyio.sleep(after)
            assert run.resume()
            await run.wait()
        return since(began)

    assert await resumed(2) == [(0, 1), (4, 2)]
    assert await resumed(9) == [(0, 1), (10, 2)]


async def test_an_attempt_that_is_suspended_does_not_count(began: Began) -> None:
    """It is run again under the same number."""
    async with tukio.Engine() as engine:
        run = await engine.start(retried({"attempts": 2}), {"takes": 2})
        await anyio.sleep(4)
        run.suspend()
        run.resume()
        await run.wait()
    assert since(began) == [(0, 1), (3, 2), (4, 2)]


async def test_an_attempt_that_is_cancelled_is_the_last(began: Began) -> None:
    """Its branch stops."""
    run = await ended(retried(), {"takes": 2}, lambda it: step_of(it, "flaky").cancel())
    assert len(began) == 1
    assert (run.state, run.errors) == (tukio.FutureState.finished, {})


async def test_what_it_raises_when_it_is_cancelled_is_its_last_error(task: Tasks) -> None:
    """Cancel means cancelled."""
    begun: list[int] = []

    @task
    async def stubborn(event: tukio.Event) -> None:
        begun.append(1)
        try:
            await anyio.sleep(9)
        finally:
            raise OSError

    template = flow("stubborn")
    template.tasks[0].retry = {"attempts": 3}
    run = await ended(template, {}, lambda it: step_of(it, "stubborn").cancel())
    assert len(begun) == 1
    assert isinstance(run.errors["stubborn"], OSError)


async def test_a_task_that_waits_can_be_cancelled_alone(began: Began) -> None:
    """It is over at once."""
    begun = anyio.current_time()
    run = await ended(retried(), {}, lambda it: step_of(it, "flaky").cancel())
    assert anyio.current_time() - begun == 0.5
    assert step_of(run, "flaky").state is tukio.FutureState.cancelled
    assert (run.state, len(began)) == (tukio.FutureState.finished, 1)


async def test_a_sibling_that_fails_cuts_it(began: Began, task: Tasks) -> None:
    """If the workflow says so."""

    @task
    async def fails(event: tukio.Event) -> None:
        await anyio.sleep(0.5)
        raise LookupError

    template = flow({"fine": ["flaky", "fails"]}, on_error="abort")
    template.tasks[1].retry = {"jitter": "none"}
    run = await ended(template)
    assert (run.status, len(began)) == ("failed", 1)


# Time limits


async def test_a_limit_counts_for_each_attempt(began: Began) -> None:
    """`on_timeout: retry` makes it an error like any other."""
    run = await ended(retried({"attempts": 3}, timeout=2, on_timeout="retry"), {"takes": 9})
    assert since(began) == [(0, 1), (3, 2), (7, 3)]
    assert isinstance(run.errors["flaky"], TimeoutError)
    assert step_of(run, "flaky").timed_out


@pytest.mark.parametrize("said", ["fail", "continue", None])
async def test_without_that_a_limit_is_the_end(began: Began, said: str | None) -> None:
    """Whatever `retry` says."""
    run = await ended(retried({"attempts": 3}, timeout=2, on_timeout=said), {"takes": 9})
    assert len(began) == 1
    assert ("fine" in run.outputs) is (said != "fail")


async def test_no_attempt_begins_in_vain(began: Began) -> None:
    """If the next one would begin after `within`, the task gives up at once."""
    begun = anyio.current_time()
    run = await ended(retried({"attempts": None, "within": 5}), {"takes": 1})
    assert since(began) == [(0, 1), (2, 2)]
    assert anyio.current_time() - begun == 3
    assert isinstance(run.errors["flaky"], OSError)


async def test_an_attempt_at_work_is_cut_when_its_time_is_over(began: Began) -> None:
    """It has failed, whatever `on_timeout` says."""
    begun = anyio.current_time()
    run = await ended(retried({"within": 5, "factor": 1}), {"takes": 3})
    assert since(began) == [(0, 1), (4, 2)]
    assert anyio.current_time() - begun == 5
    assert isinstance(run.errors["flaky"], TimeoutError)


async def test_none_begins_late_after_a_suspension(began: Began) -> None:
    """It fails in place of its next attempt."""
    async with tukio.Engine() as engine:
        run = await engine.start(retried({"within": 5}), {})
        await anyio.sleep(0.5)
        run.suspend()
        await anyio.sleep(9)
        run.resume()
        await run.wait()
    assert len(began) == 1
    assert isinstance(run.errors["flaky"], TimeoutError)


async def test_a_first_attempt_that_is_suspended_has_begun(began: Began) -> None:
    """The time for all attempts goes on: it is not given twice."""
    begun = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.start(retried({"within": 5}), {"takes": 9})
        await anyio.sleep(2)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        await run.wait()
    assert since(began) == [(0, 1), (3, 1)]
    assert anyio.current_time() - begun == 5
    assert isinstance(run.errors["flaky"], TimeoutError)


# Rescue


async def test_a_first_attempt_that_is_rescued_has_begun(began: Began) -> None:
    """Its report has for how long it was tried; downtime does not count."""
    template = retried({"within": 5})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"takes": 9})
        await anyio.sleep(2)
        report = run.report()
        run.cancel()
    assert report["tasks"][0]["exec"]["elapsed"] == 2
    await anyio.sleep(100)
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        again: Any = await engine.rescue(template, report)
        await again.wait()
    assert anyio.current_time() - begun == pytest.approx(3)
    assert [number for _, number in began] == [1, 1]
    assert isinstance(again.errors["flaky"], TimeoutError)


@pytest.mark.parametrize("through_json", [False, True])
async def test_a_rescued_run_goes_on_where_it_was(began: Began, through_json: bool) -> None:
    """Attempts are not begun anew, and the next one is due when it was."""
    template = retried({"attempts": 3, "initial": 4, "factor": 1})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"good": 3})
        await anyio.sleep(5)
        report: Any = run.report()
        run.cancel()
    due = report["tasks"][0]["exec"]["due"]
    if through_json:
        report = tukio.report_from_json(tukio.report_to_json(report))
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        again: Any = await engine.rescue(template, report)
        shown = again.report()["tasks"][0]["exec"]
        await again.wait(check=True)
    assert [one["delay"] for one in shown["attempts"]] == [4, 4]
    assert abs((shown["due"] - due).total_seconds()) < 0.001
    assert anyio.current_time() - begun == pytest.approx(3, abs=0.001)
    assert [number for _, number in began] == [1, 2, 3]


async def test_what_is_due_since_long_begins_at_once(began: Began) -> None:
    """The downtime was longer than the wait."""
    template = retried({"attempts": 2})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"good": 2})
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
    report["tasks"][0]["exec"]["due"] -= (
        report["tasks"][0]["exec"]["due"] - report["exec"]["start"]
    ) * 50
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        again: Any = await engine.rescue(template, report)
        await again.wait(check=True)
    assert anyio.current_time() == begun


async def test_no_number_of_rescues_makes_more_attempts(began: Began) -> None:
    """All together, they are as many as one run has."""
    template = retried({"attempts": 4})
    report: Any = None
    for _ in range(9):
        async with tukio.Engine() as engine:
            run: Any
            if report is None:
                run = await engine.start(template, {})
            else:
                run = await engine.rescue(template, report)
            # Never at an instant at which an attempt is due: one in flight is run again.
            await anyio.sleep(0.9)
            report = run.report()
            run.cancel()
    assert [number for _, number in began] == [1, 2, 3, 4]


async def test_downtime_does_not_count_for_within(began: Began) -> None:
    """Only the time in the hands of an engine does."""
    template = retried({"attempts": None, "within": 10, "initial": 4, "factor": 1})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(3)
        report = run.report()
        run.cancel()
    await anyio.sleep(1_000)
    async with tukio.Engine() as engine:
        again: Any = await engine.rescue(template, report)
        await again.wait()
    assert [number for _, number in began] == [1, 2, 3]
