"""What asyncio code does inside a step, and round a run: each a trap the engine could fall into.

A host drives one step after the other, so whatever a step leaves behind on its asyncio task would
hit the next one; and a run is an `asyncio.Future` whose cancellation takes time.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.leaks import no_asyncio_errors
from tukio.task.factory import TukioTask
from tukio.testing.clock import is_available, new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

CANCELLED = tukio.FutureState.cancelled
TIMEOUT = tukio.FutureState.timeout
FINISHED = tukio.FutureState.finished


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def current() -> asyncio.Task[Any]:
    """Return the calling asyncio task."""
    task = asyncio.current_task()
    assert task is not None
    return task


def patient(task: Tasks) -> list[str]:
    """Register a task that waits a second, to see whether it is left in peace."""
    story: list[str] = []

    @task
    async def after(event: tukio.Event) -> None:
        story.append(f"begins with {current().cancelling()}")
        await asyncio.sleep(1)
        await anyio.sleep(1)
        story.append("ends in peace")

    return story


PEACE = ["begins with 0", "ends in peace"]


# What a step leaves behind on its host ------------------------------------------------------------


async def swallow() -> None:
    """Cancel the calling task natively, and take no notice."""
    current().cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)


async def swallow_twice() -> None:
    """Do so two times over."""
    await swallow()
    await swallow()


async def swallow_two_at_once() -> None:
    """Ask for two, get one."""
    current().cancel()
    await swallow()


async def ask_and_return() -> None:
    """Cancel the calling task natively, and leave before it can happen."""
    current().cancel()


async def ask_late_and_return() -> None:
    """Do so after a suspension."""
    await asyncio.sleep(1)
    current().cancel()


async def take_back() -> None:
    """Uncancel, which until Python 3.13 leaves the exception pending."""
    current().cancel()
    current().uncancel()


async def swallow_and_take_back() -> None:
    """Do it by the book."""
    await swallow()
    current().uncancel()


async def swallow_the_cancellation_of_the_step() -> None:
    """The same with the step's own cancellation, which comes again at each await."""
    tukio.current_task().cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)


async def cancel_the_step_and_return() -> None:
    """Cancel the step, and leave before it can happen."""
    tukio.current_task().cancel()


async def be_cancelled_from_outside() -> None:
    """Have another task cancel the host, and take no notice."""
    asyncio.get_running_loop().call_later(1, current().cancel)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)


@pytest.mark.parametrize(
    "act",
    [
        swallow,
        swallow_twice,
        swallow_two_at_once,
        ask_and_return,
        ask_late_and_return,
        take_back,
        swallow_and_take_back,
        swallow_the_cancellation_of_the_step,
        cancel_the_step_and_return,
        be_cancelled_from_outside,
    ],
    ids=lambda act: act.__name__,
)
async def test_what_a_step_made_of_its_cancellation_does_not_reach_the_next_one(
    task: Tasks, act: Callable[[], Awaitable[None]]
) -> None:
    """It came to its end, so it has finished; the next step on the same host starts afresh."""
    story = patient(task)
    hosts: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        hosts.append(current())
        await act()

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a after"), {})
        assert await run.wait() is FINISHED

    assert run.errors == {}
    assert [step.state for step in run.tasks] == [FINISHED, FINISHED]
    assert story == PEACE
    assert len(hosts) == 1


@pytest.mark.parametrize("end", ["cancel", "timeout", "suspend"])
async def test_a_run_may_be_cut_while_its_host_settles_what_a_step_swallowed(
    task: Tasks, end: str
) -> None:
    """It comes about in the one turn that settling takes; the engine must not spin then."""

    @task
    async def a(event: tukio.Event) -> None:
        await swallow()
        asyncio.get_running_loop().call_soon(getattr(run, end))

    @task
    async def b(event: tukio.Event) -> None:
        raise AssertionError

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a b"), {})
        if end == "suspend":
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert run.state is tukio.FutureState.suspended
            run.cancel()
        assert await run.wait() is (TIMEOUT if end == "timeout" else CANCELLED)

    assert [step.state for step in run.tasks] == [FINISHED, CANCELLED]


async def test_a_step_that_cancels_itself_natively_ends_cancelled_and_alone(task: Tasks) -> None:
    """Its branch stops; its siblings, and the run, go on."""

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def bad(event: tukio.Event) -> None:
        current().cancel("enough")
        await asyncio.sleep(5)

    story = patient(task)
    async with tukio.Engine() as engine:
        template = flow({"root": ["bad", "after"], "bad": ["never"]}, names={"never": "bad"})
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert [step.state for step in run.tasks] == [FINISHED, CANCELLED, FINISHED]
    assert story == PEACE


async def test_a_native_cancellation_from_outside_ends_the_step_with_its_clean_up(
    task: Tasks,
) -> None:
    """As when a library that knows only asyncio gives up on the current task."""
    story: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            asyncio.get_running_loop().call_later(1, current().cancel)
            try:
                await asyncio.sleep(5)
            finally:
                story.append("unwound")

        async def teardown(self) -> None:
            await asyncio.sleep(1)
            story.append("torn down")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("Careful"), {})
        await run.wait()

    assert now() == 2
    assert story == ["unwound", "torn down"]
    assert [step.state for step in run.tasks] == [CANCELLED]


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_a_host_that_is_cancelled_before_it_begins_does_not_lose_its_run(
    task: Tasks, turns: int
) -> None:
    """Asyncio would not even start the coroutine; the run ends in good order all the same."""
    begun: list[str] = []

    async def wait(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)
        await asyncio.sleep(30)

    task(wait)
    async with tukio.Engine() as engine:
        story = listen(engine)
        names = dict.fromkeys(["a", "b"], "wait")
        run = await engine.run_once(
            flow({"root": ["a", "b"]}, names=names | {"root": "nothing"}), {}
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        hosts = [other for other in asyncio.all_tasks() if isinstance(other, TukioTask)]
        unbegun = [host for host in hosts if not host.begun]
        assert len(unbegun) == (1 if turns < 2 else 0)
        for host in unbegun:
            assert host.cancel()
            assert host.cancel()
        if turns == 2:
            run.cancel()
        assert await run.wait() is CANCELLED

    assert now() == 0
    assert begun == [[], ["a"], ["a", "b"]][turns]
    assert kinds(story)[-1] == "workflow-end"
    assert kinds(story).count("workflow-end") == 1


@pytest.fixture(autouse=True)
def nothing(task: Tasks) -> None:
    """Register a task that does nothing."""

    @task
    async def nothing(event: tukio.Event) -> None:
        pass


# Asyncio's own tools inside a step ----------------------------------------------------------------


async def sleeper(delay: float, result: Any = None) -> Any:
    """Sleep, and return something."""
    await asyncio.sleep(delay)
    return result


async def in_timeout() -> float:
    """Reach a limit of `asyncio.timeout`."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await asyncio.sleep(5)
    return 2


async def in_wait_for() -> float:
    """Reach a limit of `asyncio.wait_for`, and keep another."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sleeper(5), 2)
    assert await asyncio.wait_for(sleeper(1, "in time"), 2) == "in time"
    return 3


async def in_nested_timeouts() -> float:
    """Reach the outer of two limits of asyncio, within one of anyio."""
    with pytest.raises(TimeoutError), anyio.fail_after(10):
        async with asyncio.timeout(1), asyncio.timeout(3):
            await anyio.sleep(5)
    return 1


async def in_task_group() -> float:
    """Have a child of an `asyncio.TaskGroup` fail, which cancels the parent and its sibling."""
    failed = False
    try:
        async with asyncio.TaskGroup() as group:
            child = group.create_task(sleeper(9))
            group.create_task(failing())
            await asyncio.sleep(9)
    except* LookupError:
        failed = True
    assert failed
    assert child.cancelled()
    return 1


async def failing() -> None:
    """Fail after a second."""
    await asyncio.sleep(1)
    raise LookupError


async def in_gather() -> float:
    """Wait for three at once."""
    assert await asyncio.gather(*(sleeper(delay, delay) for delay in (1, 2, 3))) == [1, 2, 3]
    return 3


async def in_shield() -> float:
    """Give up on something that goes on."""
    inner = asyncio.ensure_future(sleeper(3, "done"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(inner), 1)
    assert await inner == "done"
    return 3


async def in_move_on_after() -> float:
    """Leave a scope of anyio that was cancelled by its deadline."""
    with anyio.move_on_after(2) as scope:
        await asyncio.sleep(5)
    assert scope.cancelled_caught
    return 2


async def in_fail_after() -> float:
    """Reach a limit of anyio."""
    with pytest.raises(TimeoutError), anyio.fail_after(2):
        await asyncio.sleep(5)
    return 2


async def in_anyio_group() -> float:
    """Have a child of an anyio task group fail."""
    failed = False
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(failing)
            await anyio.sleep(9)
    except* LookupError:
        failed = True
    assert failed
    return 1


async def in_cancelled_anyio_group() -> float:
    """Cancel an anyio task group from within."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 9)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    return 1


TOOLS = [
    in_timeout,
    in_wait_for,
    in_nested_timeouts,
    in_task_group,
    in_gather,
    in_shield,
    in_move_on_after,
    in_fail_after,
    in_anyio_group,
    in_cancelled_anyio_group,
]


@pytest.mark.parametrize("use", TOOLS, ids=lambda use: use.__name__)
async def test_the_tools_of_asyncio_and_anyio_work_inside_a_step(
    task: Tasks, use: Callable[[], Awaitable[float]]
) -> None:
    """To the second, after each other on the same host, and the next step notices nothing."""
    story = patient(task)

    @task
    async def a(event: tukio.Event) -> None:
        for _ in range(2):
            start = now()
            took = await use()
            assert now() - start == took

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a after"), {})
        assert await run.wait() is FINISHED

    assert run.errors == {}
    assert story == PEACE


@pytest.mark.parametrize("how", ["the run", "the step", "by its limit"])
@pytest.mark.parametrize("use", TOOLS, ids=lambda use: use.__name__)
async def test_a_step_is_cancelled_through_the_tools_of_asyncio_and_anyio(
    task: Tasks, use: Callable[[], Awaitable[float]], how: str
) -> None:
    """The cancellation is not mistaken for the tool's own, and nothing goes on afterwards."""

    @task
    async def a(event: tukio.Event) -> None:
        await use()

    async with tukio.Engine() as engine:
        limits = {"a": 0.5} if how == "by its limit" else {}
        run = await engine.run_once(flow("a", limits=limits), {})
        await anyio.sleep(0.5)
        if how == "the run":
            run.cancel()
        elif how == "the step":
            for step in run.tasks:
                step.cancel()
        await run.wait()
        assert now() == 0.5
        await anyio.sleep(9)

    assert run.errors == {}
    expected = tukio.FutureState.timeout if how == "by its limit" else CANCELLED
    assert [step.state for step in run.tasks] == [expected]


async def test_a_sub_task_knows_the_step_that_started_it(task: Tasks) -> None:
    """In 1.x `current_workflow()` was an UnboundLocalError there (B44)."""
    seen: list[Any] = []

    async def child() -> None:
        seen.append((tukio.current_task().template.uid, tukio.current_workflow()))

    @task
    async def a(event: tukio.Event) -> None:
        await asyncio.gather(child(), asyncio.create_task(child()))
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        await run.wait()

    assert seen == [("a", run)] * 3


def test_a_worker_thread_used_by_a_step_does_not_outlive_it(task: Tasks, backend: str) -> None:
    """In loose mode anyio ties its threads to the host, the topmost task that it can see."""
    threads: list[threading.Thread] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        threads.append(await anyio.to_thread.run_sync(threading.current_thread))
        return {"n": await anyio.to_thread.run_sync(lambda: 1)}

    loop = new_loop(backend)
    try:
        with no_asyncio_errors():
            engine = tukio.Engine(loop=loop)
            template = flow("a b", names={"b": "a"})
            run: Any = loop.run_until_complete(engine.run_once(template, {}))
            loop.run_until_complete(run)
    finally:
        loop.close()
    for thread in threads:
        thread.join(timeout=5)

    assert run.outputs == {"a": {"n": 1}, "b": {"n": 1}}
    assert [thread.is_alive() for thread in threads] == [False, False]


# A run as a future --------------------------------------------------------------------------------


@pytest.fixture
def unwound(task: Tasks) -> list[float]:
    """Register a task that takes 30 seconds, and 2 to unwind; return when it has unwound."""
    times: list[float] = []

    @task
    async def slow(event: tukio.Event) -> dict[str, int]:
        try:
            await asyncio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(2)
            times.append(now())
        return {"n": 1}

    return times


async def by_await(run: Any) -> Any:
    """Await the run itself."""
    return await run


async def by_wait(run: Any) -> Any:
    """Use `asyncio.wait`."""
    done, pending = await asyncio.wait([run])
    assert (done, pending) == ({run}, set())
    return run.result()


async def by_gather(run: Any) -> Any:
    """Use `asyncio.gather`."""
    (result,) = await asyncio.gather(run)
    return result


async def by_wait_for(run: Any) -> Any:
    """Use `asyncio.wait_for`."""
    return await asyncio.wait_for(run, 100)


async def by_timeout(run: Any) -> Any:
    """Use `asyncio.timeout`."""
    async with asyncio.timeout(100):
        return await run


async def by_shield(run: Any) -> Any:
    """Use `asyncio.shield`."""
    return await asyncio.shield(run)


async def by_as_completed(run: Any) -> Any:
    """Use `asyncio.as_completed`."""
    (first,) = asyncio.as_completed([run])
    return await first


async def by_task_group(run: Any) -> Any:
    """Use an `asyncio.TaskGroup`."""
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(by_await(run))
    return waiter.result()


async def by_ensure_future(run: Any) -> Any:
    """Use `asyncio.ensure_future`, which takes a future as it is."""
    assert asyncio.ensure_future(run) is run
    return await run


WAYS = [
    by_await,
    by_wait,
    by_gather,
    by_wait_for,
    by_timeout,
    by_shield,
    by_as_completed,
    by_task_group,
    by_ensure_future,
]
eager_too = pytest.mark.parametrize(
    ("backend", "eager"),
    [
        ("asyncio", False),
        pytest.param(
            "uvloop",
            False,
            marks=pytest.mark.skipif(not is_available("uvloop"), reason="uvloop is not installed"),
        ),
        # Not every Python's eager factory takes what uvloop hands to it.
        pytest.param(
            "asyncio",
            True,
            marks=pytest.mark.skipif(
                sys.version_info < (3, 12), reason="asyncio has eager tasks since Python 3.12"
            ),
        ),
    ],
    ids=["asyncio", "uvloop", "eager"],
)
"""With tasks that begin in the next turn, and with those of asyncio that begin at once."""


def use_tasks(*, eager: bool) -> None:
    """Have the running loop make such tasks."""
    if sys.version_info >= (3, 12) and eager:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)


WAYS_THAT_CANCEL = [
    by_await,
    by_gather,
    by_wait_for,
    by_timeout,
    by_task_group,
    by_ensure_future,
]


@eager_too
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
async def test_a_run_can_be_waited_for_like_any_future(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """Its result is the set of its tasks."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        assert isinstance(run, asyncio.Future)
        assert await wait(run) == set(run.tasks)
        assert now() == 32
        assert await wait(run) == set(run.tasks)


@eager_too
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
async def test_a_cancelled_run_cancels_those_who_wait_for_it(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """Once it has unwound; with a message or without, as often as one likes."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        waiter = asyncio.ensure_future(wait(run))
        await asyncio.sleep(1)
        assert run.cancel()
        assert run.cancel("enough")
        assert run.cancel(msg="enough")
        assert not run.done()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert now() == 3
        assert run.cancelled()
        assert not run.cancel()

    assert unwound == [3]
    assert run.state is CANCELLED


@eager_too
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
async def test_a_failed_run_raises_in_those_who_wait_for_it(
    task: Tasks, wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """What it failed with is a group of what its tasks raised."""
    use_tasks(eager=eager)

    @task
    async def bad(event: tukio.Event) -> None:
        await asyncio.sleep(1)
        raise LookupError

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("bad", on_error="abort"), {})
        with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
            await wait(run)

    assert run.state is tukio.FutureState.exception


@eager_too
@pytest.mark.parametrize("wait", WAYS_THAT_CANCEL, ids=lambda wait: wait.__name__)
async def test_cancelling_one_who_awaits_a_run_cancels_the_run(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """As with any future; in 1.x it was a TypeError (B31). The waiter waits for it to unwind."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        waiter: asyncio.Future[Any] = asyncio.ensure_future(wait(run))
        await asyncio.sleep(1)
        assert waiter.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert waiter.cancelled()
        assert now() == 3
        assert run.cancelled()

    assert unwound == [3]


@eager_too
@pytest.mark.parametrize("wait", [by_wait, by_shield], ids=lambda wait: wait.__name__)
async def test_cancelling_one_who_only_watches_a_run_leaves_it_alone(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """`asyncio.wait` and `asyncio.shield` are for that; so is the run's own `wait()`."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        waiters = [asyncio.ensure_future(wait(run)), asyncio.ensure_future(run.wait())]
        await asyncio.sleep(1)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        assert now() == 1
        assert [waiter.cancelled() for waiter in waiters] == [True, True]
        assert await run.wait() is FINISHED

    assert unwound == [32]


async def test_awaiting_a_run_in_a_cancelled_scope_does_not_spin(task: Tasks) -> None:
    """Anyio cancels a waiter again in each turn of the loop, for as long as the run unwinds."""
    turns = 200
    began = anyio.Event()

    @task
    async def slow(event: tukio.Event) -> None:
        began.set()
        try:
            await asyncio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(turns):
                    await asyncio.sleep(0)

    loop: Any = asyncio.get_running_loop()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        with anyio.CancelScope() as scope:
            await began.wait()
            loop.call_soon(scope.cancel)
            queued, call_soon = 0, loop.call_soon

            def count(*args: Any, **kwargs: Any) -> Any:
                nonlocal queued
                queued += 1
                return call_soon(*args, **kwargs)

            loop.call_soon = count
            try:
                await run
            finally:
                del loop.call_soon
        assert scope.cancelled_caught
        assert run.cancelled()

    # One for each turn of the step, and few for all the rest.
    assert turns <= queued < turns * 1.2


@eager_too
async def test_a_limit_on_waiting_for_a_run_cancels_it_and_it_is_really_over(
    unwound: list[float], eager: bool
) -> None:
    """In 1.x the limit never fired, or fired while the run went on."""
    use_tasks(eager=eager)

    async def limited_by_wait_for(run: Any) -> None:
        await asyncio.wait_for(run, 10)

    async def limited_by_timeout(run: Any) -> None:
        async with asyncio.timeout(10):
            await run

    async def limited_by_fail_after(run: Any) -> None:
        with anyio.fail_after(10):
            await run

    async with tukio.Engine() as engine:
        for limited in (limited_by_wait_for, limited_by_timeout, limited_by_fail_after):
            start = now()
            run = await engine.run_once(flow("slow"), {})
            with pytest.raises(TimeoutError):
                await limited(run)
            assert now() - start == 12
            assert run.cancelled()
            assert engine.instances == []
            assert unwound.pop() == now()
            assert current().cancelling() == 0


@eager_too
async def test_a_step_that_awaits_another_run_is_cancelled_with_it(
    task: Tasks, unwound: list[float], eager: bool
) -> None:
    """A child workflow as 1.x code starts it: cancelling the outer one ends both."""
    use_tasks(eager=eager)
    children: list[Any] = []

    @task
    async def parent(event: tukio.Event) -> None:
        child: Any = await engine.run_once(flow("slow", id="child"), {})
        children.append(child)
        await child

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("parent"), {})
        await asyncio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED
        assert now() == 3
        assert children[0].cancelled()

    assert unwound == [3]


@eager_too
async def test_a_step_whose_child_run_is_cancelled_ends_cancelled(
    task: Tasks, unwound: list[float], eager: bool
) -> None:
    """As when any future that it awaits is cancelled; nobody cancelled the run itself."""
    use_tasks(eager=eager)

    @task
    async def parent(event: tukio.Event) -> None:
        child: Any = await engine.run_once(flow("slow", id="child"), {})
        asyncio.get_running_loop().call_later(1, child.cancel)
        await child

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("parent"), {})
        assert await run.wait() is FINISHED

    assert [step.state for step in run.tasks] == [CANCELLED]
    assert now() == 3


# Loops, contexts, and fairness --------------------------------------------------------------------


def test_each_run_of_a_runner_may_have_an_engine(task: Tasks, backend: str) -> None:
    """In 1.x the second failed on the factory that the first had left."""
    patient(task)

    async def structured() -> tukio.FutureState:
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("after"), {})
            return await run.wait()

    async def loose() -> set[Any]:
        run: Any = await tukio.Engine().run_once(flow("after"), {})
        return set(await run)

    with asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        for _ in range(2):
            assert runner.run(structured()) is FINISHED
            assert len(runner.run(loose())) == 1


async def test_context_variables_of_a_step_stay_its_own(task: Tasks) -> None:
    """Whichever host drives it: siblings and successors get the context the run was started in."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[tuple[str, str]] = []

    async def work(event: tukio.Event) -> None:
        uid = tukio.current_task().template.uid
        seen.append((uid, variable.get()))
        variable.set(uid)
        await asyncio.sleep(1)
        assert variable.get() == uid
        asked = asyncio.create_task(ask())
        assert await asked == uid
        variable.set(f"{uid} later")

    async def ask() -> str:
        return variable.get()

    task(work)
    variable.set("the run's")
    async with tukio.Engine() as engine:
        graph = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
        run = await engine.run_once(flow(graph, names=dict.fromkeys("abcde", "work")), {})
        variable.set("too late")
        await run.wait()

    assert run.errors == {}
    assert seen == [(uid, "the run's") for uid in "abcde"]
    assert variable.get() == "too late"


async def test_the_clean_up_of_a_step_sees_the_context_of_the_step(task: Tasks) -> None:
    """What the step has set is there when `teardown()` needs it."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            variable.set("mine")
            await asyncio.sleep(30)

        async def teardown(self) -> None:
            seen.append(variable.get())
            await asyncio.sleep(1)
            seen.append(variable.get())

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("Careful", limits={"Careful": 1}), {})
        await run.wait()

    assert seen == ["mine", "mine"]


async def test_steps_that_never_suspend_leave_others_their_turn(task: Tasks) -> None:
    """A long chain of them is no reason to stop the loop, or not to be cancelled."""
    begun: list[str] = []

    async def work(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    task(work)
    chain = [f"s{number}" for number in range(1000)]
    template = flow(" ".join(chain), names=dict.fromkeys(chain, "work"))
    turns: list[int] = []
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {})
        while not run.done():
            await asyncio.sleep(0)
            turns.append(len(begun))
        assert run.state is FINISHED
        gaps = [after - before for before, after in pairwise(turns)]
        assert max(gaps) <= 64
        assert turns[-1] == 1000

        begun.clear()
        run = await engine.run_once(template, {})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        run.cancel()
        reached = len(begun)
        assert await run.wait() is CANCELLED
        await settle()

    assert 0 < len(begun) == reached < 200
