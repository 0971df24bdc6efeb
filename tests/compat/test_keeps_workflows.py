"""A workflow of 1.1.2 is made, run and awaited as it was, with an engine or without."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.loose import loose
from tukio.engine import Engine
from tukio.task import TimeoutHandle
from tukio.testing.clock import settle
from tukio.utils import FutureState
from tukio.workflow import OverrunPolicy, Workflow

if TYPE_CHECKING:
    from support.flow import Tasks

as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

FINISHED = FutureState.finished

NAMES = {"a": "quick", "b": "slow", "c": "quick"}


def abc(**fields: Any) -> tukio.WorkflowTemplate:
    """Return a -> b -> c, of which `b` takes ten seconds."""
    return flow("a b c", names=NAMES, **fields)


# By itself ----------------------------------------------------------------------------------------


@as_in_1_x
async def test_a_workflow_is_made_and_run_without_an_engine(ran: list[str]) -> None:
    """With or without the loop; it is a future, and its result is the set of its tasks."""
    template = abc()
    loop = asyncio.get_running_loop()
    for run in (
        Workflow(template),
        Workflow(template=template),
        Workflow(template, loop=loop, broker=tukio.get_broker()),
    ):
        assert isinstance(run, asyncio.Future)
        assert (run.template, run.policy) == (template, OverrunPolicy.START_NEW)
        assert (len(run.uid), list(run.tasks)) == (36, [])
        assert (run.committed, run.timed_out, run.done()) == (False, False, False)
        root: Any = run.run({"n": 1})
        assert root.template.uid == "a"
        assert run.committed
        result = await run
        assert isinstance(result, set)
        assert result == set(run.tasks) == run.result()
        assert sorted(step.template.uid for step in result) == ["a", "b", "c"]

    assert ran == ["a", "b", "c"] * 3


@as_in_1_x
async def test_a_workflow_is_run_once(ran: list[str]) -> None:
    """A second time is a RuntimeError, also when it is over."""
    run: Any = Workflow(flow("a", names=NAMES))
    run.run({})
    with pytest.raises(RuntimeError):
        run.run({})
    await run
    with pytest.raises(RuntimeError):
        run.run({})

    assert ran == ["a"]


async def test_a_workflow_has_its_root_task_from_the_start(ran: list[str]) -> None:
    """Before the event loop has turned."""
    async with Engine() as engine:
        run: Any = await engine.run_once(abc(), {"n": 1})
        assert [step.template.uid for step in run.tasks] == ["a"]
        assert run.report()["tasks"][0]["exec"]["inputs"] == {"n": 1}
        assert run.report()["tasks"][1]["exec"] is None


@as_in_1_x
async def test_a_workflow_is_run_with_anything(task: Tasks) -> None:
    """A dict becomes an event; what is no event is handed on as it is."""
    seen: list[Any] = []
    lock = threading.Lock()

    @task
    async def a(given: Any) -> None:
        seen.append(given.data if isinstance(given, tukio.Event) else given)

    # A lock, like many things, cannot be copied.
    for given in ({"n": 1}, tukio.Event({"n": 2}), "text", 5, None, lock):
        run: Any = Workflow(flow("a"))
        run.run(given)
        await run

    assert seen == [{"n": 1}, {"n": 2}, "text", 5, None, lock]


@as_in_1_x
async def test_a_workflow_is_run_with_an_event_that_keeps_its_topic(task: Tasks) -> None:
    """And its source; what happens to the event afterwards is not seen."""
    seen: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append((event.data, event.topic, event.source))

    source = tukio.EventSource("W", "W1")
    run: Any = Workflow(flow("a"))
    event = tukio.Event({"n": 1}, "news", source)
    run.run(event)
    event.data["n"] = 2
    await run
    ((data, topic, sender),) = seen
    assert (data, topic) == ({"n": 1}, "news")
    assert sender is not None
    assert sender.as_dict() == source.as_dict()


@as_in_1_x
async def test_a_workflow_says_when_it_started_and_ended(ran: list[str]) -> None:
    """Beside its own id and that of its template, as its report does."""
    run: Any = Workflow(abc())
    assert (
        str(run)
        == f"<Workflow template.uid=flow, uid={run.uid}, start=None, end=None, state=pending>"
    )
    run.run({})
    await run
    start, end = (run.report()["exec"][key] for key in ("start", "end"))
    times = f"start={start}, end={end}"
    assert str(run) == f"<Workflow template.uid=flow, uid={run.uid}, {times}, state=finished>"


# The current one ----------------------------------------------------------------------------------


async def test_a_task_knows_its_workflow(task: Tasks) -> None:
    """Outside there is none; two at a time are told apart."""
    seen: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        seen.append(Workflow.current_workflow())

    async with Engine() as engine:
        assert Workflow.current_workflow() is None
        runs: list[Any] = [await engine.run_once(flow("a"), {}) for _ in range(2)]
        await runs[0].wait()
        await runs[1].wait()
        assert Workflow.current_workflow() is None

    assert {run.uid for run in seen} == {run.uid for run in runs}
    assert len(seen) == 2


@as_in_1_x
async def test_the_current_workflow_may_be_asked_of_a_loop(task: Tasks) -> None:
    """And is None in what the loop calls outside of tasks."""
    seen: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append(Workflow.current_workflow(loop=asyncio.get_running_loop()))

    asyncio.get_running_loop().call_soon(lambda: seen.append(Workflow.current_workflow()))
    run: Any = await Engine().run_once(flow("a"), {})
    await run
    assert seen == [None, run]


# As a future --------------------------------------------------------------------------------------


@as_in_1_x
async def test_a_workflow_is_a_future_of_its_tasks(task: Tasks, ran: list[str]) -> None:
    """Errors of tasks are not its own: only the tasks have them."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise KeyError("boom")

    async with loose() as engine:
        run: Any = await engine.run_once(flow({"a": ["b", "c"]}, names=NAMES | {"b": "fails"}), {})
        steps = await run

    assert steps == set(run.tasks)
    assert run.result() is steps
    assert run.exception() is None
    errors = {step.template.uid: type(step.exception()) for step in steps}
    assert errors == {"a": type(None), "b": KeyError, "c": type(None)}


@as_in_1_x
@pytest.mark.parametrize("how", ["cancel", "timeout", "the template's limit", "TimeoutHandle"])
async def test_a_workflow_that_is_cut_is_a_cancelled_future(ran: list[str], how: str) -> None:
    """It knows whether it was out of time; nothing of it starts any more."""
    engine = Engine()
    limit = 5 if how == "the template's limit" else None
    run: Any = await engine.run_once(abc(timeout=limit), {})
    called: list[Any] = []
    run.add_done_callback(called.append)
    if how == "TimeoutHandle":
        TimeoutHandle(run, 5).start()
    await asyncio.sleep(5)
    if how == "cancel":
        assert run.cancel() is True
    elif how == "timeout":
        run.timeout()
    with pytest.raises(asyncio.CancelledError):
        await run
    await settle()

    assert run.cancelled()
    assert run.timed_out is (how != "cancel")
    state = "cancelled" if how == "cancel" else "timeout"
    assert run.report()["exec"]["state"] == FutureState.get(run).value == state
    assert called == [run]
    assert ran == ["a", "b"]
    assert asyncio.get_running_loop().time() == 5


@as_in_1_x
async def test_a_timeout_handle_leaves_a_workflow_that_is_in_time(ran: list[str]) -> None:
    """Its timer goes with the workflow."""
    run: Any = await Engine().run_once(abc(), {})
    handle = TimeoutHandle(run, 1000)
    handle.start()
    assert handle.handle is not None
    await run
    await settle()

    assert handle.handle is None
    assert run.timed_out is False


@as_in_1_x
async def test_a_workflow_is_awaited_by_the_means_of_asyncio(ran: list[str]) -> None:
    """`gather`, `wait`, `wait_for` and `shield`."""
    engine = Engine()
    runs: list[Any] = [await engine.run_once(abc(), {}) for _ in range(3)]
    done, pending = await asyncio.wait(runs, timeout=1)
    assert (done, pending) == (set(), set(runs))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(runs[0]), 1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(runs[1], 1)
    results: list[Any] = await asyncio.gather(*runs, return_exceptions=True)

    assert [run.cancelled() for run in runs] == [False, True, False]
    assert isinstance(results[1], asyncio.CancelledError)
    assert [len(results[0]), len(results[2])] == [3, 3]
