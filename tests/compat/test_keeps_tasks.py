"""What tasks of tukio 1.1.2 are, by themselves and in a workflow, they still are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.engine import Engine
from tukio.task import (
    TaskTemplate,
    TimeoutHandle,
    TukioTask,
    TukioTaskError,
    UnknownTaskName,
    new_task,
    tukio_factory,
)
from tukio.utils import FutureState, SkipTask
from tukio.workflow import Workflow

if TYPE_CHECKING:
    from support.flow import Tasks

as_in_1_x = pytest.mark.backends("asyncio", "uvloop")


# Tasks by themselves ------------------------------------------------------------------------------


@as_in_1_x
async def test_a_function_runs_by_itself(task: Tasks) -> None:
    """It is given the data as it is, and never sees the config."""

    @task
    async def work(data: Any) -> Any:
        await asyncio.sleep(1)
        return [data]

    for data in ("text", 5, None, {"n": 1}):
        made = new_task("work", data=data, config={"mine": 1})
        assert isinstance(made, TukioTask)
        assert isinstance(made, asyncio.Task)
        assert await made == [data]
    assert await new_task("work") == [None]
    assert await new_task("work", data=1, loop=asyncio.get_running_loop()) == [1]


@as_in_1_x
async def test_a_holder_runs_by_itself(task: Tasks) -> None:
    """It is made with the config, then given the data; its id is that of the task."""

    @task
    class Work(tukio.TaskHolder):
        async def execute(self, data: Any) -> Any:
            return self.config, data, asyncio.current_task()

    config = {"mine": 1}
    made = new_task("Work", data="data", config=config)
    assert await made == (config, "data", made)
    assert isinstance(made.holder, Work)
    assert made.uid == made.holder.uid
    assert made.queue is made.holder.queue
    assert (await new_task("Work"))[0] is None


@as_in_1_x
async def test_a_task_by_itself_knows_how_it_ran(task: Tasks) -> None:
    """It belongs to no workflow."""

    @task
    async def work(event: tukio.Event) -> dict[str, Any]:
        current: Any = asyncio.current_task()
        assert (current.template, current.workflow) == (None, None)
        assert Workflow.current_workflow() is None
        return {"n": 2}

    made = new_task("work", data=tukio.Event({"n": 1}))
    assert (made.inputs, made.outputs, made.timed_out) == ({"n": 1}, None, False)
    assert FutureState.get(made) is FutureState.pending
    await made
    assert (made.inputs, made.outputs) == ({"n": 1}, {"n": 2})
    assert FutureState.get(made) is FutureState.finished
    assert list(made.as_dict()) == ["id", "start", "end", "state", "inputs", "outputs"]


@as_in_1_x
async def test_a_task_by_itself_may_fail(task: Tasks) -> None:
    """By any error, by one with an output, or by a skip: it is raised to whoever awaits it."""

    @task
    async def work(error: Exception) -> None:
        raise error

    for error, state, outputs in (
        (KeyError("boom"), FutureState.exception, None),
        (TukioTaskError({"code": 3}), FutureState.exception, {"code": 3}),
        (SkipTask("why"), FutureState.skipped, None),
    ):
        made = new_task("work", data=error)
        with pytest.raises(type(error)) as raised:
            await made
        assert raised.value is error
        assert FutureState.get(made) is state
        assert made.outputs == outputs


@as_in_1_x
async def test_a_task_by_itself_has_a_time_limit(task: Tasks) -> None:
    """Zero is none."""
    loop = asyncio.get_running_loop()

    @task
    async def work(event: Any) -> None:
        await asyncio.sleep(10)

    made = new_task("work", timeout=5)
    with pytest.raises(asyncio.TimeoutError):
        await made
    assert (loop.time(), made.timed_out) == (5, True)
    made = new_task("work", timeout=0)
    await made
    assert (loop.time(), made.timed_out) == (15, False)


@as_in_1_x
@pytest.mark.parametrize("by", ["itself", "a TimeoutHandle"])
async def test_a_task_by_itself_is_told_that_its_time_is_up(task: Tasks, by: str) -> None:
    """It is cancelled then; one that is over has nothing to be told."""

    @task
    async def work(event: Any) -> None:
        await asyncio.sleep(10)

    made = new_task("work")
    if by == "itself":
        await asyncio.sleep(5)
        made.timeout()
    else:
        TimeoutHandle(made, 5).start()
    await asyncio.wait([made])
    assert (asyncio.get_running_loop().time(), made.timed_out) == (5, True)
    assert made.cancelled()
    assert FutureState.get(made) is FutureState.timeout
    quick = new_task("work")
    await quick
    quick.timeout()
    assert (quick.timed_out, FutureState.get(quick)) == (False, FutureState.finished)


@as_in_1_x
async def test_a_task_template_starts_a_task_by_itself(task: Tasks) -> None:
    """With its config and its time limit, on the running loop or on that one."""

    @task
    class Adds(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            await asyncio.sleep(event.data["n"])
            return {**event.data, **self.config}

    template = TaskTemplate("Adds", config={"more": 2}, timeout=5)
    made = template.new_task(tukio.Event({"n": 1}))
    assert isinstance(made, TukioTask)
    assert await made == {"n": 1, "more": 2}
    other = template.new_task(tukio.Event({"n": 3}), loop=asyncio.get_running_loop())
    assert await other == {"n": 3, "more": 2}
    with pytest.raises(asyncio.TimeoutError):
        await template.new_task(tukio.Event({"n": 6}))


@as_in_1_x
async def test_a_task_that_cannot_be_made_is_an_error_of_the_call(task: Tasks) -> None:
    """No coroutine is left over."""

    @task
    async def nothing(data: Any = None) -> None:
        """Take no data, once it is registered."""

    async def without() -> None:
        pass

    nothing.__code__ = without.__code__

    @task
    class Broken(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            raise LookupError("no config")

        async def execute(self, data: Any) -> None:
            pass

    with pytest.raises(UnknownTaskName):
        new_task("unheard of", data={})
    with pytest.raises(TypeError):
        new_task("nothing", data={})
    with pytest.raises(LookupError, match="no config"):
        new_task("Broken", data={})


@as_in_1_x
async def test_the_factory_makes_tukio_tasks_of_registered_coroutines(task: Tasks) -> None:
    """Of functions, and of methods of holders; plain tasks of others."""

    @task
    async def work(data: Any) -> Any:
        return data

    @task
    class Work(tukio.TaskHolder):
        async def execute(self, data: Any) -> Any:
            return self, data

    async def plain(data: Any) -> Any:
        return data

    holder = Work({"mine": 1})
    made: list[Any] = [
        tukio_factory(asyncio.get_running_loop(), coro)
        for coro in (work(1), holder.execute(2), plain(3))
    ]
    assert [type(one) for one in made] == [TukioTask, TukioTask, asyncio.Task]
    assert await asyncio.gather(*made) == [1, (holder, 2), 3]
    assert made[1].holder is holder


# In a task of a workflow --------------------------------------------------------------------------


@as_in_1_x
async def test_a_task_is_the_current_asyncio_task_and_knows_its_place(task: Tasks) -> None:
    """Its template, workflow, id, data and queue."""
    seen: list[Any] = []

    @task
    async def first(event: tukio.Event) -> dict[str, Any]:
        return {"n": 1}

    @task
    async def second(event: tukio.Event) -> dict[str, Any]:
        current: Any = asyncio.current_task()
        event.data["changed"] = True
        seen.append(current.as_dict())
        seen.append(
            {
                "task": isinstance(current, TukioTask),
                "template": current.template.uid,
                "workflow": current.workflow is Workflow.current_workflow() is run,
                "holder": current.holder,
                "inputs": current.inputs,
                "outputs": current.outputs,
                "queue": current.queue.qsize(),
                "source": current.event_source.as_dict(),
                "flags": (current.committed, current.timed_out, current.in_progress()),
            }
        )
        return {"n": 2}

    engine = Engine()
    run: Any = await engine.run_once(flow("first second"), {"n": 0})
    await run
    assert run.errors == {}
    now, said = seen
    start = now.pop("start")
    assert isinstance(start, datetime)
    assert start.tzinfo is UTC
    uid = now["id"]
    assert now == {
        "id": uid,
        "end": None,
        "state": "pending",
        "inputs": {"n": 1},
        "outputs": None,
    }
    assert said == {
        "task": True,
        "template": "second",
        "workflow": True,
        "holder": None,
        "inputs": {"n": 1},
        "outputs": None,
        "queue": 0,
        "source": {
            "workflow_template_id": "flow",
            "workflow_exec_id": run.uid,
            "task_template_id": "second",
            "task_exec_id": uid,
        },
        "flags": (True, False, True),
    }


@as_in_1_x
async def test_a_task_puts_an_event_into_its_own_queue(task: Tasks) -> None:
    """`data_received` is a coroutine function; the queue is first in, first out."""

    @task
    async def work(event: tukio.Event) -> dict[str, Any]:
        current: Any = asyncio.current_task()
        for number in range(3):
            await current.data_received(tukio.Event({"n": number}))
        queue = current.queue
        assert (queue.qsize(), queue.empty()) == (3, False)
        got = [(await queue.get()).data["n"], queue.get_nowait().data["n"]]
        await queue.put(tukio.Event({"n": 3}))
        queue.put_nowait(tukio.Event({"n": 4}))
        got += [queue.get_nowait().data["n"] for _ in range(3)]
        assert (queue.qsize(), queue.empty()) == (0, True)
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
        return {"got": got}

    run: Any = await Engine().run_once(flow("work"), {})
    await run
    assert run.errors == {}
    assert run.outputs == {"work": {"got": [0, 1, 2, 3, 4]}}


@as_in_1_x
async def test_a_task_tells_its_progress(task: Tasks) -> None:
    """Any content, of any type of the user's own."""

    @task
    async def work(event: tukio.Event) -> None:
        current: Any = asyncio.current_task()
        current.dispatch_progress({"done": 1})
        current.dispatch_progress("half")
        current.dispatch_progress([1], event_type="contact-progress")

    engine = Engine()
    story = listen(engine)
    run: Any = await engine.run_once(flow("work"), {})
    await run
    assert story[2:-2] == [
        ("task-progress", "work", {"done": 1}),
        ("task-progress", "work", "half"),
        ("contact-progress", "work", [1]),
    ]
    assert kinds(story)[-2:] == ["task-end work", "workflow-end"]


@as_in_1_x
@pytest.mark.parametrize("told", ["TukioTask", "TaskRun"])
async def test_a_task_of_a_workflow_is_told_that_its_time_is_up(task: Tasks, told: str) -> None:
    """Its successor goes on with what its `teardown` returned, as after its own time limit."""
    hosts: list[Any] = []

    @task
    class Lasting(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            hosts.append(asyncio.current_task())
            await asyncio.sleep(10)

        def teardown(self) -> dict[str, Any]:
            return {"partial": 1}

    @task
    async def after(event: tukio.Event) -> dict[str, Any]:
        return event.data

    engine = Engine()
    story = listen(engine)
    run: Any = await engine.run_once(flow("Lasting after"), {})
    await asyncio.sleep(1)
    (step,) = run.tasks
    (hosts[0] if told == "TukioTask" else step).timeout()
    assert await run.wait() is FutureState.finished
    assert ("task-timeout", "Lasting", {"partial": 1}) in story
    assert run.outputs["after"] == {"partial": 1}
    assert (step.timed_out, step.timeout()) == (True, False)
    assert asyncio.get_running_loop().time() == 1


@as_in_1_x
async def test_a_task_has_a_function_called_when_it_is_over(task: Tasks) -> None:
    """With its end known by then."""
    called: list[Any] = []

    @task
    async def work(event: tukio.Event) -> dict[str, Any]:
        current: Any = asyncio.current_task()
        current.add_done_callback(called.append)
        await asyncio.sleep(1)
        return {"n": 1}

    run: Any = await Engine().run_once(flow("work"), {})
    await run
    (over,) = called
    assert (over.done(), over.cancelled(), over.result()) == (True, False, {"n": 1})
    assert (over.template.uid, over.outputs) == ("work", {"n": 1})
