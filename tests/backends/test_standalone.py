"""Registered tasks by themselves, outside a workflow: data, snapshots, limits, cancellation."""

from __future__ import annotations

import asyncio
import functools
import gc
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support.flow import listen
from support.native import current_tukio_task
from tukio.task import TukioTask, new_task
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")


async def test_a_task_can_run_by_itself(task: Tasks) -> None:
    """It has neither template nor workflow; everything else has an answer."""

    @task
    async def double(number: int) -> int:
        assert current_tukio_task().template is None
        assert current_tukio_task().workflow is None
        assert current_tukio_task().holder is None
        assert current_tukio_task().in_progress()
        assert current_tukio_task().committed
        current_tukio_task().dispatch_progress("nobody listens")
        await asyncio.sleep(1)
        return number * 2

    alone = new_task("double", data=4)
    assert isinstance(alone, TukioTask)
    assert await alone == 8
    assert alone.outputs == 8
    assert alone.event_source.as_dict() == {
        "workflow_template_id": None,
        "workflow_exec_id": None,
        "task_template_id": None,
        "task_exec_id": alone.uid,
    }


async def test_a_holder_runs_by_itself_with_its_config_and_a_queue(task: Tasks) -> None:
    """As in a workflow; the id is the holder's."""

    @task
    class Listener(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> Any:
            return self.config, event.data, (await self.queue.get()).data

    alone = new_task("Listener", data=tukio.Event({"n": 1}), config={"c": 2})
    assert alone.holder.queue is alone.queue
    assert alone.uid == alone.holder.uid
    await alone.data_received(tukio.Event({"n": 3}))
    assert await alone == ({"c": 2}, {"n": 1}, {"n": 3})


async def test_a_holder_that_takes_no_queue_runs_by_itself(task: Tasks) -> None:
    """Any class with `__init__(config)` will do; `self` may go by any name."""

    @task
    class Bare:
        __slots__ = ()

        def __init__(self, config: Any) -> None:
            """Need nothing."""

        async def execute(me, event: Any) -> Any:  # noqa: N805 - what the test is about
            return [me for _ in range(1)], event

    alone = new_task("Bare", data="x")
    assert isinstance(alone.holder, Bare)
    assert await alone == ([alone.holder], "x")
    assert alone.inputs == "x"


async def test_a_decorated_task_is_known_by_what_it_is_called_with(task: Tasks) -> None:
    """A decorator's wrapper takes `*args`, whatever the names beneath."""

    def logged(function: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return wrapper

    @task
    class Holder(tukio.TaskHolder):
        @logged
        async def execute(self, event: Any) -> Any:
            return self, event

    alone = new_task("Holder", data={"n": 1})
    assert alone.inputs == {"n": 1}
    assert await alone == (alone.holder, {"n": 1})


async def test_the_snapshot_of_a_task_by_itself_tells_its_times_and_data(task: Tasks) -> None:
    """The inputs are those it was given, whatever it did to them since."""

    @task
    async def a(event: tukio.Event) -> tukio.Event:
        event.data["n"] = 2
        await asyncio.sleep(30)
        return event

    alone = new_task("a", data=tukio.Event({"n": 1}))
    await asyncio.sleep(1)
    before = alone.as_dict()
    assert list(before) == ["id", "start", "end", "state", "inputs", "outputs"]
    assert before["id"] == alone.uid
    assert before["start"].tzinfo is UTC
    assert (before["end"], before["state"]) == (None, "pending")
    assert (before["inputs"], before["outputs"]) == ({"n": 1}, None)

    result = await alone
    after = alone.as_dict()
    assert after["start"] == before["start"]
    assert after["end"] - after["start"] == timedelta(seconds=30)
    assert after["state"] == "finished"
    assert (after["inputs"], after["outputs"]) == ({"n": 1}, {"n": 2})
    assert result.data is not after["outputs"]
    after["outputs"]["n"] = after["inputs"]["n"] = 3
    assert (alone.inputs, alone.outputs) == ({"n": 1}, {"n": 2})


@pytest.mark.parametrize(
    ("error", "state", "outputs"),
    [
        (LookupError("x"), "exception", None),
        (tukio.SkipTask("x"), "skipped", None),
        (tukio.TukioTaskError({"n": 1}), "exception", {"n": 1}),
        (TimeoutError("its own"), "exception", None),
    ],
)
async def test_the_snapshot_of_a_task_that_failed_by_itself(
    task: Tasks, error: Exception, state: str, outputs: Any
) -> None:
    """A `TimeoutError` of the task's own is an ordinary error, whatever its limit."""

    @task
    async def bad(event: Any) -> None:
        await asyncio.sleep(1)
        raise error

    alone = new_task("bad", timeout=5)
    with pytest.raises(type(error)) as raised:
        await alone
    assert raised.value is error
    assert not alone.timed_out
    snapshot = alone.as_dict()
    assert (snapshot["state"], snapshot["outputs"]) == (state, outputs)
    assert tukio.FutureState.get(alone).value == state


async def test_looking_at_a_failed_task_does_not_hide_its_error(task: Tasks) -> None:
    """Asyncio still complains about an error that nobody has taken."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))

    @task
    async def bad(event: Any) -> None:
        raise LookupError

    alone = new_task("bad")
    await asyncio.wait([alone])
    assert alone.as_dict()["state"] == "exception"
    assert alone.state is tukio.FutureState.exception
    del alone
    gc.collect()

    assert [complaint["message"] for complaint in complaints] == [
        "TukioTask exception was never retrieved"
    ]


async def test_the_limit_of_a_task_by_itself_is_a_timeout_error(task: Tasks) -> None:
    """To the second; it has unwound by then."""
    unwound: list[float] = []
    start = asyncio.get_running_loop().time()

    @task
    async def slow(event: Any) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            unwound.append(asyncio.get_running_loop().time() - start)

    alone = new_task("slow", timeout=10)
    with pytest.raises(TimeoutError):
        await alone
    assert unwound == [10]
    assert alone.timed_out
    assert alone.as_dict()["state"] == "timeout"


async def test_a_task_that_keeps_its_limit_is_not_cancelled_later(task: Tasks) -> None:
    """No timer is left behind, and 0 is no limit."""

    @task
    async def quick(event: Any) -> str:
        await asyncio.sleep(1)
        return "done"

    assert await new_task("quick", timeout=10) == "done"
    assert await new_task("quick", timeout=0) == "done"


@pytest.mark.parametrize("limit", [None, 10])
@pytest.mark.parametrize("turns", [0, 1])
async def test_a_task_by_itself_is_cancelled_like_any_asyncio_task(
    task: Tasks, limit: float | None, turns: int
) -> None:
    """Before it begins, too; no coroutine is left that was never awaited."""
    begun: list[str] = []

    @task
    async def slow(event: Any) -> None:
        begun.append("slow")
        await asyncio.sleep(30)

    alone = new_task("slow", timeout=limit)
    for _ in range(turns):
        await asyncio.sleep(0)
    assert alone.cancel("no need")
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert begun == ["slow"] * turns
    assert not alone.timed_out
    assert alone.as_dict()["state"] == "cancelled"


async def test_looking_at_a_result_has_no_side_effects(task: Tasks) -> None:
    """In 1.x each look sent `task-end` again, and moved the end of the task (B34)."""

    @task
    async def a(event: Any) -> dict[str, int]:
        return {"n": 1}

    async with tukio.Engine() as engine:
        story = listen(engine)
        alone = asyncio.get_running_loop().create_task(a({}))
        assert isinstance(alone, TukioTask)
        await alone
        end = alone.as_dict()["end"]
        await asyncio.sleep(5)
        assert alone.result() == alone.result() == await asyncio.wait_for(alone, 1)
        assert list(await asyncio.gather(alone, alone)) == [{"n": 1}, {"n": 1}]
        await settle()

    assert alone.as_dict()["end"] == end
    assert story == []


async def test_an_unknown_task_is_named(task: Tasks) -> None:
    """As when a template is loaded."""
    with pytest.raises(tukio.UnknownTaskName, match="nothing"):
        new_task("nothing")


def test_a_task_by_itself_may_be_made_before_its_loop_runs(task: Tasks, backend: str) -> None:
    """As 1.x code does; without a loop there is an error, and no coroutine left behind."""

    @task
    async def double(number: int) -> int:
        await asyncio.sleep(1)
        return number * 2

    with pytest.raises(RuntimeError, match="no running event loop"):
        new_task("double", data=4)
    loop = new_loop(backend)
    try:
        alone = new_task("double", data=4, timeout=5, loop=loop)
        assert loop.run_until_complete(alone) == 8
    finally:
        loop.close()
