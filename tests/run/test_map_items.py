"""What the items of a mapped task see, and how they are tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import kinds, listen
from support.maps import CALLS, ended, execution, mapped, register_steps, results, seconds

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    register_steps(task)


# Attempts


async def test_an_item_that_fails_is_tried_again() -> None:
    """It keeps its place in `limit` meanwhile; the task itself is not run again."""
    retry = {"attempts": 2, "initial": 3, "jitter": "none"}
    run = await ended(mapped("page", {"retry": retry}, limit=1), [{"bad": 1}, {}])
    assert CALLS == [0, 0, 1]
    assert seconds(run) == 1 + 3 + 1 + 1
    assert results(run) == [{"of": 0}, {"of": 1}]
    assert run.errors == {}


async def test_a_task_whose_items_failed_for_good_is_not_tried_again() -> None:
    """The `retry` of a mapped task is that of its items."""
    retry = {"attempts": 2, "initial": 0, "jitter": "none"}
    run = await ended(mapped("page", {"retry": retry}), [{"bad": 2}])
    assert CALLS == [0, 0]
    assert "attempts" not in execution(run)
    [error] = run.errors["each"].exceptions
    assert error.__notes__ == ["after 2 attempts"]


async def test_a_run_whose_items_all_wait_for_their_next_attempts_waits() -> None:
    """That is its status."""
    retry = {"attempts": 2, "initial": 9, "jitter": "none"}
    seen: list[str] = []
    await ended(mapped("page", {"retry": retry}), [{"bad": 1}], lambda run: seen.append(run.status))
    assert seen == ["waiting"]


async def test_the_attempts_at_an_item_are_in_the_report() -> None:
    """With the time at which the next one is due."""
    retry = {"attempts": 2, "initial": 9, "jitter": "none"}
    seen: list[Any] = []

    def look(run: Any) -> None:
        seen.append(execution(run)["items"])

    await ended(mapped("page", {"retry": retry}), [{"bad": 1}, {}], look)
    [items] = seen
    tried = items["attempts"].pop("0")
    assert items == {"total": 2, "done": {"1": {"of": 1}}, "failed": {}, "attempts": {}}
    [made] = tried["attempts"]
    assert made["error"] == {"type": "ValueError", "message": "item 0, attempt 1"}
    assert (tried["due"] - made["end"]).total_seconds() == 9
    assert tried["elapsed"] == 1.5


# What an item sees


async def test_an_item_is_an_execution_of_its_own(task: Tasks) -> None:
    """With its own id, key and template."""
    seen: list[Any] = []

    @task
    async def look(event: tukio.Event) -> None:
        me: Any = tukio.current_task()
        seen.append((me.template.uid, me.key, me.index, me.template.config, me.template.timeout))
        assert event.source.task_template_id == "each/2"
        assert me.template.as_dict()["id"] == me.template.uid
        assert "map" not in me.template.as_dict()
        assert str(me.template) == f"<TaskTemplate name=look, uid={me.template.uid}>"
        with pytest.raises(LookupError, match="not among the successors"):
            me.workflow.set_next_tasks(["end"])
        assert [uid async for uid, _ in me.parents()] == ["each/2"]

    template = mapped("look", {"id": "each/2", "config": {"a": 1}}, timeout=7)
    template["graph"] = {"each/2": ["end"]}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": [0, 1]})
        await run.wait(check=True)
    assert [one[1] for one in seen] == [f"{run.uid}/each%2F2[{n}]" for n in (0, 1)]
    assert [one[0] for one in seen] == ["each/2[0]", "each/2[1]"]
    assert [one[2:] for one in seen] == [(0, {"a": 1}, 7), (1, {"a": 1}, 7)]


async def test_a_plain_task_has_no_index(task: Tasks) -> None:
    """It is no item."""
    seen: list[Any] = []

    @task
    async def alone(event: tukio.Event) -> None:
        me = tukio.current_task()
        assert me is not None
        seen.append(me.index)

    async with tukio.Engine() as engine:
        await engine.start({"tasks": [{"name": "alone"}]}, {})
    assert seen == [None]


async def test_items_get_the_events_of_the_topics(task: Tasks) -> None:
    """Each of them; the task itself reads none."""
    seen: list[Any] = []

    @task
    async def hears(event: tukio.Event) -> None:
        me = tukio.current_task()
        assert me is not None
        seen.append(((await me.queue.get()).data, me.index))

    async with tukio.Engine() as engine:
        run = await engine.start(mapped("hears", {"topics": ["news"]}), {"list": [0, 1]})
        await anyio.sleep(1)
        engine.broker.dispatch({"n": 1}, "news")
        await run.wait()
    assert sorted(place for _, place in seen) == [0, 1]
    assert [data for data, _ in seen] == [{"n": 1}] * 2


async def test_who_listens_hears_of_each_item() -> None:
    """By its own id; the run and the task are told of as any."""
    async with tukio.Engine() as engine:
        told = listen(engine)
        run = await engine.start(mapped(limit=1, tolerate=1), {"list": [{}, {"bad": 1}]})
        await run.wait()
    assert kinds(told)[1:7] == [
        "task-begin each",
        "task-begin each[0]",
        "task-end each[0]",
        "task-begin each[1]",
        "task-error each[1]",
        "task-end each",
    ]


async def test_an_item_that_shows_no_sign_of_life_is_cut() -> None:
    """The `idle_timeout` of a mapped task is that of its items."""
    run = await ended(mapped("page", {"idle_timeout": 2}), [{"takes": 5}, {"takes": 1}])
    assert seconds(run) == 2
    assert results(run) == [{"takes": 5}, {"of": 1}]


async def test_the_time_for_all_attempts_counts_from_the_first_begin() -> None:
    """Over a suspension, too, and over a rescue."""
    retry = {"attempts": None, "within": 5, "jitter": "none"}
    template = mapped("page", {"retry": retry})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": [{"takes": 4}]})
        await anyio.sleep(2)
        run.suspend()
        run.resume()
        await anyio.sleep(1)
        report = run.report()
        await run.wait()
        assert str(run.errors["each"]) == "1 item of 1 of task 'each' failed (1 sub-exception)"
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        again = await engine.rescue(template, tukio.report_from_json(tukio.report_to_json(report)))
        await again.wait()
    assert round(anyio.current_time() - start, 5) == 2


async def test_no_item_becomes_ready_while_the_run_stops() -> None:
    """A handler of the end of an item has cancelled the run whose next item was about to begin."""
    ready: list[int] = []

    def stop(event: tukio.Event) -> None:
        if run._run.ending is not None:
            ready.append(len(run._run.plan.ready))
        elif event.data["type"] == "task-end":
            run.cancel()

    async with tukio.Engine() as engine:
        engine.broker.register(stop, tukio.EXEC_TOPIC)
        run: Any = await engine.start(mapped(limit=1), {"list": [{}] * 3, "keep": 1})
        await run.wait()
    # While the end of the task is told, and that of the run.
    assert ready == [0, 0]
    assert CALLS == [0]


@pytest.mark.parametrize("how", ["cancel", "suspend"])
async def test_no_item_becomes_ready_if_the_begin_of_the_task_ends_that(how: str) -> None:
    """A handler of the begin has cancelled or suspended the run."""
    ready: list[int] = []

    def stop(event: tukio.Event) -> None:
        assert event.source is not None
        if event.data["type"] == "task-begin" and event.source.task_template_id == "each":
            getattr(run, how)()

    async with tukio.Engine() as engine:
        engine.broker.register(stop, tukio.EXEC_TOPIC)
        run: Any = await engine.start(mapped(), {"list": [{}] * 3, "keep": 1})
        for _ in range(20):
            if run._run.plan is not None:
                ready.append(len([one for one in run._run.plan.ready if one.is_item]))
            await anyio.lowlevel.checkpoint()
        run.cancel()
    assert set(ready) == {0}
    assert CALLS == []


async def test_no_item_becomes_ready_while_the_run_is_suspended() -> None:
    """A handler of the end of an item has suspended the run whose next item was about to begin."""

    def suspend(event: tukio.Event) -> None:
        if event.data["type"] == "task-end" and CALLS == [0]:
            run.suspend()

    async with tukio.Engine() as engine:
        engine.broker.register(suspend, tukio.EXEC_TOPIC)
        run: Any = await engine.start(mapped(limit=1), {"list": [{}] * 3, "keep": 1})
        await anyio.sleep(5)
        # The task itself is to be run again, and nothing else.
        assert len(run._run.plan.ready) + len(run._run.waiting.interrupted) == 1
        run.resume()
        await run.wait()
    assert CALLS == [0, 1, 2]
