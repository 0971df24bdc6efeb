"""Tasks in threads: a thread is waited for, whatever cuts its step; it can ask whether it was cut.

On the real clock, as threads do not live in virtual time.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import step_of
from support.real_time import LIMIT, run, until
from tukio.flow import flow, task
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tukio.task import Registry

every_backend = pytest.mark.parametrize("backend", BACKENDS)

colour: ContextVar[str] = ContextVar("colour", default="none")


@dataclass
class Job:
    """What tasks take here."""

    n: int = 1


@dataclass
class Stage:
    """A thread at work: when it has begun, when it may end, and how it ended."""

    begun: threading.Event
    may_end: threading.Event
    told: list[str]
    patient: bool = True

    def work(self, job: Job) -> dict[str, Any]:
        """Wait until it may end, or until the step is cut if it is not patient."""
        self.begun.set()
        try:
            limit = time.monotonic() + LIMIT
            while not self.may_end.wait(0.001) and time.monotonic() < limit:
                if not self.patient:
                    tukio.check_cancelled()
        except BaseException:
            self.told.append("cut")
            raise
        self.told.append("done")
        return {"n": job.n}

    async def has_begun(self) -> None:
        """Wait until the thread is at work."""
        await until(self.begun.is_set)


@pytest.fixture
def stage() -> Stage:
    """Give a thread to be."""
    return Stage(threading.Event(), threading.Event(), [])


def on(stage: Stage, own: Registry, **keys: Any) -> tukio.WorkflowTemplate:
    """Return a flow whose first task is on a stage; another one follows."""

    def work(job: Job) -> dict[str, Any]:
        return stage.work(job)

    @task(registry=own)
    async def after(event: tukio.Event) -> dict[str, Any]:
        return {"after": event.data}

    return flow("x", task(registry=own, thread=True, **keys)(work) >> after)


@every_backend
def test_it_runs_in_a_thread_with_the_context_of_the_step(backend: str, own: Registry) -> None:
    """`current_task()` is there, and context variables; the loop goes on meanwhile."""
    threads: list[Any] = []

    @task(registry=own, thread=True)
    def work(job: Job) -> dict[str, Any]:
        here = tukio.current_task().template.uid, tukio.current_workflow().template.uid
        threads.append((threading.get_ident(), *here, colour.get()))
        return {"n": job.n + 1}

    async def main() -> None:
        colour.set("blue")
        assert await flow("x", work).run({"n": 1}) == {"n": 2}
        [found] = threads
        assert found[0] != threading.get_ident()
        assert found[1:] == ("work", "x", "blue")

    run(backend, main)


@every_backend
def test_it_takes_the_event_where_it_says_so(backend: str, own: Registry) -> None:
    """As any task does; and what it raises is its error."""

    @task(registry=own, thread=True)
    def work(event: tukio.Event) -> None:
        raise LookupError(event.data["n"])

    async def main() -> None:
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await flow("x", work).run({"n": 1})
        assert repr(caught.value.exceptions[0]) == "LookupError(1)"

    run(backend, main)


CUTS: dict[str, tuple[Callable[[tukio.Workflow], object], str]] = {
    "the run is cancelled": (lambda it: it.cancel(), "cancelled"),
    "the task is cancelled": (lambda it: step_of(it, "work").cancel(), "finished"),
    "the run is cut as at its limit": (lambda it: it.timeout(), "timeout"),
    "the task is cut as at its limit": (lambda it: step_of(it, "work").timeout(), "finished"),
}


@every_backend
@pytest.mark.parametrize("cut", CUTS)
def test_a_step_that_is_cut_is_over_when_its_thread_is(
    backend: str, cut: str, stage: Stage, own: Registry
) -> None:
    """The thread is never left behind; what it returned counts, as it has ended by itself."""
    act, ends = CUTS[cut]
    template = on(stage, own)

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            it = await engine.start(template, {})
            await stage.has_begun()
            act(it)
            await anyio.sleep(0.05)
            assert stage.told == []
            assert not step_of(it, "work").done()
            stage.may_end.set()
            assert (await it.wait()).value == ends
            assert stage.told == ["done"]
        assert step_of(it, "work").state is tukio.FutureState.finished

    run(backend, main)


@every_backend
@pytest.mark.parametrize("cut", CUTS)
def test_a_thread_can_ask_whether_its_step_was_cut(
    backend: str, cut: str, stage: Stage, own: Registry
) -> None:
    """Then it ends soon, and the step ends as what cut it."""
    act, ends = CUTS[cut]
    template = on(stage, own)
    stage.patient = False

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            it = await engine.start(template, {})
            await stage.has_begun()
            await anyio.sleep(0.01)
            assert stage.told == []
            act(it)
            assert (await it.wait()).value == ends
            assert stage.told == ["cut"]
        state = step_of(it, "work").state.value
        assert state == ("timeout" if "task is cut" in cut else "cancelled")

    run(backend, main)


@every_backend
def test_a_thread_past_the_limit_has_timed_out(backend: str, stage: Stage, own: Registry) -> None:
    """It ends later than its limit; by how much is in the report."""
    template = on(stage, own, timeout=0.05)

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            it = await engine.start(template, {})
            await stage.has_begun()
            await anyio.sleep(0.1)
            stage.may_end.set()
            await it.wait()
        step = step_of(it, "work")
        assert isinstance(it.errors["work"], TimeoutError)
        assert (step.timed_out, "after" in it.outputs) == (True, False)
        assert step.report()["overran"] > 0

    run(backend, main)


@every_backend
def test_a_thread_past_the_limit_that_asks_ends_in_time(
    backend: str, stage: Stage, own: Registry
) -> None:
    """Within moments."""
    template = on(stage, own, timeout=0.05)
    stage.patient = False

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            it = await engine.start(template, {})
            await it.wait()
        assert isinstance(it.errors["work"], TimeoutError)
        assert stage.told == ["cut"]

    run(backend, main)


@every_backend
def test_a_suspended_step_begins_anew_if_its_thread_let_it(
    backend: str, stage: Stage, own: Registry
) -> None:
    """One that did not ask has finished meanwhile, and does not run again."""
    template = on(stage, own)
    stage.patient = False

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            it = await engine.start(template, {})
            await stage.has_begun()
            it.suspend()
            await until(lambda: stage.told == ["cut"])
            stage.patient = True
            stage.begun.clear()
            it.resume()
            await stage.has_begun()
            it.suspend()
            stage.may_end.set()
            await until(lambda: step_of(it, "work").done())
            assert it.ok is None
            it.resume()
            await it.wait(check=True)
        assert stage.told == ["cut", "done"]

    run(backend, main)


@every_backend
@pytest.mark.parametrize("force", [False, True])
def test_an_engine_is_left_when_its_threads_are_over(
    backend: str, force: bool, stage: Stage, own: Registry
) -> None:
    """Whether it waits for its runs, or cancels them."""
    template = on(stage, own)

    async def main() -> None:
        async with anyio.create_task_group() as group, tukio.Engine(registry=own) as engine:
            it = await engine.start(template, {})
            await stage.has_begun()

            async def end() -> None:
                await anyio.sleep(0.05)
                assert it.ok is None
                stage.may_end.set()

            group.start_soon(end)
            await engine.stop(force=force)
            assert it.ok is not None
            assert stage.told == ["done"]

    run(backend, main)


@every_backend
def test_so_many_are_in_threads_at_once_as_its_limiter_lets(backend: str, own: Registry) -> None:
    """A number is for this task, in each loop; a limiter may be shared by several."""
    at_work: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work(job: Job) -> None:
        with lock:
            at_work.append(1)
            most.append(len(at_work))
        time.sleep(0.01)
        with lock:
            at_work.pop()

    numbered = task(registry=own, name="numbered", thread=True, limiter=2)(work)
    limiter = anyio.CapacityLimiter(1)
    shared = task(registry=own, name="shared", thread=True, limiter=limiter)(work)

    @task(registry=own)
    async def start(event: tukio.Event) -> None: ...

    async def main() -> None:
        await flow("x", start >> [numbered.of(id=str(n)) for n in range(6)]).run()
        assert max(most) == 2
        most.clear()
        await flow("x", start >> [shared.of(id=str(n)) for n in range(3)]).run()
        assert max(most) == 1

    run(backend, main)


@every_backend
def test_a_step_that_waits_for_a_slot_can_be_cut(backend: str, stage: Stage, own: Registry) -> None:
    """It has not begun its thread."""
    begun: list[int] = []

    @task(registry=own, thread=True, limiter=1)
    def work(job: Job) -> None:
        begun.append(job.n)
        stage.begun.set()
        stage.may_end.wait(LIMIT)

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            first = await engine.start(flow("x", work), {"n": 1})
            await stage.has_begun()
            second = await engine.start(flow("x", work), {"n": 2})
            await anyio.sleep(0.02)
            second.cancel()
            await second.wait()
            stage.may_end.set()
            await first.wait(check=True)
        assert begun == [1]

    run(backend, main)


def test_where_no_step_waits_nothing_is_asked() -> None:
    """In a test that calls the function, and in the event loop."""
    tukio.check_cancelled()

    async def main() -> None:
        with anyio.CancelScope() as scope:  # noqa: ASYNC100 - it asks, and does not wait
            scope.cancel()
            tukio.check_cancelled()

    anyio.run(main)
