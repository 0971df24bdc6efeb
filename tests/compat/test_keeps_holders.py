"""Task holders do what they did in tukio 1.1.2: they are made, asked and torn down as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from tukio.engine import Engine
from tukio.task import TukioTaskError
from tukio.task.holder import TaskHolder
from tukio.utils import FutureState, SkipTask

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = FutureState.finished


def test_a_holder_has_a_config_an_id_and_later_a_queue() -> None:
    """Its report and its teardown say nothing, unless they are overridden."""
    config = {"n": 1}
    one, other = TaskHolder(config), TaskHolder()
    assert one.config is config
    assert other.config is None
    assert isinstance(one.uid, str)
    assert len(one.uid) == 36
    assert one.uid == one.uid != other.uid
    assert TaskHolder.TASK_NAME is None
    answers: list[Any] = [one.queue, one.report(), one.teardown()]
    assert answers == [None, None, None]


def test_a_holder_that_is_derived_may_have_slots_or_not() -> None:
    """The base has them."""

    class Slots(TaskHolder):
        __slots__ = ("mine",)

    class Free(TaskHolder):
        pass

    for kind in (Slots, Free):
        holder: Any = kind({"n": 1})
        holder.mine = 1
        assert (holder.mine, holder.config) == (1, {"n": 1})
    with pytest.raises(AttributeError):
        Slots().other = 1  # type: ignore[attr-defined]


async def test_a_holder_is_made_for_each_execution(task: Tasks) -> None:
    """With the config of its template; in the task, it has its queue and the id of the task."""
    seen: list[Any] = []

    @task
    class Work(TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            current = tukio.current_task()
            seen.append(self)
            assert current.holder is self
            assert current.uid == self.uid
            assert current.queue is self.queue
            assert self.config == {"n": 1}

    template = flow({"a": ["b"]}, names=dict.fromkeys("ab", "Work"))
    for one in template.tasks:
        one.config = {"n": 1}
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()

    assert run.errors == {}
    assert [step.holder for step in run.tasks] == seen
    assert [step["exec"]["id"] for step in run.report()["tasks"]] == [one.uid for one in seen]
    assert len({one.uid for one in seen}) == 2


async def test_any_class_that_is_made_with_a_config_will_do(task: Tasks) -> None:
    """It gets a queue; without `report` there is no `reporting`."""

    @task
    class Work:
        def __init__(self, config: Any) -> None:
            self.config = config
            self.queue: Any = None

        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            return {"config": self.config, "queue": self.queue is tukio.current_task().queue}

    async with Engine() as engine:
        run: Any = await engine.run_once(flow("Work"), {})
        await run.wait()

    assert run.outputs == {"Work": {"config": {}, "queue": True}}
    assert "reporting" not in run.report()["tasks"][0]["exec"]


async def test_a_holder_may_have_no_room_for_a_queue_and_no_self(task: Tasks) -> None:
    """1.1.2 failed the workflow for the one, and did not know the holder for the other."""

    @task
    class Work:
        __slots__ = ()

        def __init__(self, config: Any) -> None:
            pass

        async def execute(this, event: tukio.Event) -> dict[str, Any]:  # noqa: N805 - see above
            current = tukio.current_task()
            return {"known": current.holder is this, "queue": current.queue.qsize()}

    async with Engine() as engine:
        run: Any = await engine.run_once(flow("Work"), {})
        await run.wait()

    assert run.outputs == {"Work": {"known": True, "queue": 0}}


async def test_a_holder_may_choose_the_id_of_its_task(task: Tasks) -> None:
    """In events and in reports."""
    ids: list[str | None] = []

    @task
    class Work(TaskHolder):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.uid = "mine"

        async def execute(self, event: tukio.Event) -> None:
            pass

    def note(event: tukio.Event) -> None:
        ids.append((event.source or tukio.EventSource()).as_dict()["task_exec_id"])

    async with Engine() as engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("Work"), {})
        await run.wait()

    assert ids == [None, "mine", "mine", None]
    assert run.report()["tasks"][0]["exec"]["id"] == "mine"


async def test_a_holder_reports_at_any_time(task: Tasks) -> None:
    """While it runs, and when it is over."""

    @task
    class Work(TaskHolder):
        done = 0

        async def execute(self, event: tukio.Event) -> None:
            for _ in range(2):
                await anyio.sleep(10)
                self.done += 1

        def report(self) -> dict[str, int]:
            return {"done": self.done}

    @task
    class Silent(TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            pass

    def reporting() -> list[Any]:
        return [step["exec"] and step["exec"]["reporting"] for step in run.report()["tasks"]]

    async with Engine() as engine:
        run: Any = await engine.run_once(flow("Work Silent"), {})
        await anyio.sleep(5)
        assert reporting() == [{"done": 0}, None]
        await anyio.sleep(10)
        assert reporting() == [{"done": 1}, None]
        await run.wait()
        assert reporting() == [{"done": 2}, None]


# Teardown -----------------------------------------------------------------------------------------


@pytest.fixture
def torn_down(task: Tasks) -> list[Any]:
    """Register `Lasting`, which notes when it has unwound and what it knows in its teardown."""
    story: list[Any] = []

    @task
    class Lasting(TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            try:
                await anyio.sleep(10)
            finally:
                story.append("unwound")
            if "error" in event.data:
                raise event.data["error"]
            return event.data

        def teardown(self) -> Any:
            story.append(("teardown", tukio.current_task().timed_out))
            return self.config.get("partial")

    @task
    async def after(event: tukio.Event) -> None:
        story.append(("after", event.data))

    return story


@pytest.mark.parametrize(
    ("partial", "output"),
    [({"partial": 1}, {"partial": 1}), (None, {"n": 1})],
    ids=["data", "None"],
)
async def test_after_a_time_limit_the_teardown_says_what_goes_on(
    torn_down: list[Any], partial: Any, output: Any
) -> None:
    """Or the inputs do; the task has the state `timeout`."""
    template = flow("Lasting after", limits={"Lasting": 5})
    template.tasks[0].config = {"partial": partial}
    async with Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, {"n": 1})
        assert await run.wait() is FINISHED

    assert torn_down == ["unwound", ("teardown", True), ("after", output)]
    assert ("task-timeout", "Lasting", output) in story
    step = run.report()["tasks"][0]["exec"]
    assert (step["state"], step["inputs"], step["outputs"]) == ("timeout", {"n": 1}, output)


async def test_a_cancelled_workflow_tears_down_what_runs(torn_down: list[Any]) -> None:
    """What it returns is of no use to anybody."""
    template = flow("Lasting after")
    template.tasks[0].config = {"partial": {"partial": 1}}
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {"n": 1})
        await anyio.sleep(1)
        assert run.cancel() is True
        assert await run.wait() is FutureState.cancelled

    assert sorted(map(str, torn_down)) == ["('teardown', False)", "unwound"]
    assert run.report()["tasks"][0]["exec"]["outputs"] is None


@pytest.mark.parametrize(
    "error", [None, KeyError("boom"), SkipTask("why"), TukioTaskError(1)], ids=repr
)
async def test_a_task_that_ends_by_itself_is_not_torn_down(
    torn_down: list[Any], error: Exception | None
) -> None:
    """However it does."""
    async with Engine() as engine:
        run: Any = await engine.run_once(flow("Lasting"), {"error": error} if error else {})
        await run.wait()

    assert torn_down == ["unwound"]
