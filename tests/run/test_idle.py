"""A task with an `idle_timeout` shows signs of life, or is cut as one past its limit."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

import tukio
from support.flow import flow, listen, step_of
from support.real_time import run as run_in_real_time
from tukio.errors import TaskTimedOut
from tukio.testing import registered
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""

    @task
    async def beats(event: tukio.Event) -> dict[str, Any]:
        for pause in event.data["pauses"]:
            await anyio.sleep(pause)
            tukio.heartbeat()
        return {"beats": len(event.data["pauses"])}

    @task
    async def stubborn(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(4)
            raise

    @task
    async def fine(event: tukio.Event) -> None: ...


def watched(name: str = "beats", idle: float | None = 2, **keys: Any) -> dict[str, Any]:
    """Return a chain of a task that must show signs of life, and one that does nothing."""
    task = {"id": "a", "name": name, "idle_timeout": idle, **keys}
    tasks = [task, {"id": "b", "name": "fine"}]
    return {"id": "watched", "tasks": tasks, "graph": {"a": ["b"]}}


async def ended(
    template: dict[str, Any],
    pauses: list[float],
    act: Callable[[Any], object] | None = None,
    after: float = 1,
) -> Any:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"pauses": pauses})
        if act is not None:
            await anyio.sleep(after)
            act(run)
    return run


def lasted(run: Any, uid: str = "a") -> float:
    """Return how long a task has taken."""
    step: Any = step_of(run, uid)
    assert step is not None
    seconds: float = step.ended_at - step.started_at
    return seconds


async def test_signs_of_life_keep_it_going() -> None:
    """However long it takes in all."""
    run = await ended(watched(), [1.5] * 20)
    assert (run.ok, lasted(run)) == (True, 30)


@pytest.mark.parametrize(
    ("pauses", "end"),
    [([10.0], 2.0), ([1, 10], 3.0), ([1.5, 1.5, 1.75, 10], 6.75), ([1, 2.5], 3.0)],
)
async def test_it_is_cut_when_there_is_none_for_too_long(pauses: list[float], end: float) -> None:
    """Exactly so long after the last one; the first is its begin."""
    run = await ended(watched(), pauses)
    [a, b] = run.tasks
    assert (a.state, a.timed_out, lasted(run)) == (tukio.FutureState.timeout, True, end)
    assert b.state is tukio.FutureState.finished
    assert (run.ok, run.status) == (False, "flawed")
    error = run.unhandled["a"]
    assert str(error) == "task 'a' has shown no sign of life for 2 s"
    assert (error.idle, error.limit) == (True, 2)


async def test_a_sign_at_the_very_instant_counts() -> None:
    """A sign comes in time, or the cut does: both at one instant, and nothing is lost."""
    run = await ended(watched(), [2, 1])
    assert lasted(run) in {2, 3}


@pytest.mark.parametrize("idle", [None, 0])
async def test_without_a_limit_nobody_looks(idle: float | None) -> None:
    """No alarm, and a heartbeat does nothing."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(watched(idle=idle), {"pauses": [100]})
        await anyio.sleep(1)
        assert len(run._run.backend.alarms) == 0
    assert (run.ok, lasted(run)) == (True, 100)


async def test_one_alarm_looks_however_many_signs_there_are() -> None:
    """A sign of life moves no deadline: fifty in a hundred seconds take fifty looks, not more."""
    looks = 0
    async with tukio.Engine() as engine:
        run: Any = await engine.start(watched(idle=2.5), {"pauses": [2] * 50})
        await anyio.sleep(1)
        alarms = run._run.backend.alarms
        assert len(alarms) == 1
        step: Any = step_of(run, "a")
        look = type(step)._look

        def counted(self: Any) -> None:
            nonlocal looks
            looks += 1
            look(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(step), "_look", counted)
            await run.wait()
            assert looks <= 50
            assert len(alarms) == 0
    assert run.ok


@pytest.mark.parametrize("how", ["fail", "retry"])
async def test_on_timeout_decides(how: str) -> None:
    """As for any other limit."""
    policy = {"attempts": 3, "jitter": "none"}
    retry: dict[str, Any] = {"retry": policy} if how == "retry" else {}
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(watched(on_timeout=how, **retry), {"pauses": [1, 10]})
        with pytest.raises(tukio.WorkflowFailed):
            await run.wait(check=True)
    error: Any = run.errors["a"]
    assert isinstance(error, TaskTimedOut)
    assert error.idle
    again = [kind for kind, *_ in story].count("task-retry")
    assert again == (2 if how == "retry" else 0)


async def test_a_limit_and_signs_of_life() -> None:
    """The earlier one cuts, and the error says which."""
    run = await ended(watched(timeout=5, on_timeout="fail"), [1] * 10)
    assert (lasted(run), run.errors["a"].idle) == (5, False)
    run = await ended(watched(timeout=5, on_timeout="fail"), [1, 9])
    assert (lasted(run), run.errors["a"].idle) == (3, True)


async def test_suspended_it_begins_anew(task: Tasks) -> None:
    """Nobody looks while it is suspended, and it has the whole time again."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(watched(), {"pauses": [1.5, 10]})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(100)
        assert len(run._run.backend.alarms) == 0
        begun = anyio.current_time()
        run.resume()
        await run.wait()
        assert anyio.current_time() == begun + 3.5
    assert step_of(run, "a").timed_out


async def test_nobody_looks_while_it_unwinds() -> None:
    """Cut for another reason, it owes no signs of life: it is run again, and not out of time."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(watched("stubborn"), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(10)
        assert step_of(run, "a").state is tukio.FutureState.suspended
        run.cancel()
    assert run.state is tukio.FutureState.cancelled


@pytest.mark.parametrize(
    ("limit", "state"), [(1, "finished"), (3, "cancelled")], ids=["silent after", "silent before"]
)
async def test_cut_with_its_run_it_owes_no_more_signs(
    task: Tasks, limit: float, state: str
) -> None:
    """What it returns then is its result, unless it was silent for too long before."""

    @task
    async def closes(event: tukio.Event) -> dict[str, Any]:
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(4)
        return {"closed": True}

    run = await ended(watched("closes") | {"timeout": limit}, [])
    assert step_of(run, "a").state.value == state
    assert lasted(run) == min(limit, 2) + 4
    assert run.state.value == "timeout"


async def test_cancelled_it_is_cancelled() -> None:
    """A task that is cancelled alone, and unwinds for longer than its limit, was cancelled."""
    run = await ended(watched("stubborn"), [], lambda run: step_of(run, "a").cancel())
    assert step_of(run, "a").state is tukio.FutureState.cancelled
    assert lasted(run) == 5


@pytest.mark.parametrize("act", ["cancel", "suspend"])
async def test_no_alarm_is_left(act: str) -> None:
    """Whatever the end: leaving the engine takes no time."""
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        run: Any = await engine.start(watched(idle=1_000), {"pauses": [5_000]})
        await anyio.sleep(1)
        getattr(run, act)()
        await anyio.sleep(1)
        assert step_of(run, "a").extras.signs.call_off is None
        run.cancel()
    assert anyio.current_time() == begun + 2


async def test_rescued_it_has_the_whole_time_again() -> None:
    """A step in progress is run again, with a clock of its own; one that is over stays so."""
    async with tukio.Engine() as engine:
        run: Any = await engine.start(watched(on_timeout="fail"), {"pauses": [1.5, 1, 9]})
        await anyio.sleep(2)
        report = run.report()
        run.cancel()
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        again: Any = await engine.rescue(watched(on_timeout="fail"), report)
        await again.wait()
        assert anyio.current_time() == begun + 4.5
        over = again.report()
    async with tukio.Engine() as engine:
        last: Any = await engine.rescue(watched(on_timeout="fail"), over)
        await last.wait()
    assert step_of(last, "a").timed_out


async def test_a_report_tells_of_a_step_that_was_silent() -> None:
    """Of a step that is over before a rescue, what is known is said."""
    report = (await ended(watched(), [10])).report()
    async with tukio.Engine() as engine:
        again: Any = await engine.rescue(watched(), report)
        await again.wait()
    assert again.unhandled["a"].idle


async def test_outside_of_tasks_it_does_nothing() -> None:
    """A function is tested without an engine."""
    tukio.heartbeat()


def test_its_error_can_be_pickled() -> None:
    """With all that it says."""
    error = TaskTimedOut("a", 2, idle=True)
    same = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was made here
    assert (str(same), same.idle, same.limit) == (str(error), True, 2)
    # A TimeoutError is an OSError, which would take it for the name of a file.
    assert (repr(same), same.filename) == ("TaskTimedOut('a', 2, True)", None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_thread_shows_signs_of_life(backend: str) -> None:
    """In real time, from the thread that the task waits for."""

    def work() -> None:
        for _ in range(6):
            time.sleep(0.1)
            tukio.heartbeat()

    async def main() -> None:
        with registered({"works": works}):
            async with tukio.Engine() as engine:
                run = await engine.start(watched("works", idle=0.4), {})
                await run.wait(check=True)

    async def works(event: tukio.Event) -> None:
        await anyio.to_thread.run_sync(work)

    run_in_real_time(backend, main)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2", "must be a number of seconds or null, not str '2'"),
        (-1, "-1 is not a time limit"),
        (True, "must be a number of seconds or null, not bool True"),
    ],
)
def test_its_faults(value: object, problem: str) -> None:
    """As those of any limit."""
    with pytest.raises(tukio.TemplateError) as caught:
        tukio.WorkflowTemplate.from_dict(watched(idle=value))  # type: ignore[arg-type]
    [fault] = caught.value.faults
    assert (fault.path, fault.problem) == ("tasks[0].idle_timeout", problem)


def test_it_is_in_the_dict_form_if_it_is_set() -> None:
    """And only then: 1.x does not know it."""
    template = tukio.WorkflowTemplate.from_dict(watched())
    assert template.as_dict()["tasks"][0]["idle_timeout"] == 2
    assert "idle_timeout" not in flow("a b").as_dict()["tasks"][0]
