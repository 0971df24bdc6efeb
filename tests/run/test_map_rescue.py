"""Mapped tasks that are cancelled, suspended, and rescued from a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import kinds, listen, step_of
from support.maps import CALLS, ended, execution, mapped, register_steps, results, seconds

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    register_steps(task)


# What is done to the run


async def test_a_run_that_is_cancelled_takes_the_items_with_it() -> None:
    """The task is over when they have unwound."""
    run = await ended(mapped("stubborn", limit=2), [{}] * 5, lambda run: run.cancel())
    assert seconds(run) == 1.5 + 2
    assert run.state.value == "cancelled"


async def test_a_task_that_is_cancelled_takes_the_items_with_it() -> None:
    """Its branch stops."""

    def cancel(run: Any) -> None:
        step_of(run, "each").cancel()

    run = await ended(mapped(limit=1), [{"takes": 5}] * 2, cancel)
    assert seconds(run) == 1.5
    assert list(run.unhandled) == ["each"]
    assert CALLS == [0]


async def test_what_a_suspension_does() -> None:
    """Items that are over stay so, those at work are run again."""

    def suspend(run: Any) -> None:
        run.suspend()
        run.resume()

    run = await ended(mapped(limit=2), [{"takes": n} for n in (1, 3, 1)], suspend)
    assert CALLS == [0, 1, 2, 1, 2]
    assert results(run) == [{"of": 0}, {"of": 1}, {"of": 2}]
    whole: Any = step_of(run, "each")
    assert whole.ended_at - whole.run.started_at == 4.5


async def test_a_suspended_run_shows_what_is_over() -> None:
    """And goes on with that, also elsewhere."""
    async with tukio.Engine() as engine:
        run = await engine.start(mapped(limit=1, tolerate=1), {"list": [{}, {"bad": 1}, {}, {}]})
        await anyio.sleep(2.5)
        run.suspend()
        await anyio.sleep(9)
        report = run.report()
        items = report["tasks"][0]["exec"]["items"]
        error = {"type": "ValueError", "message": "item 1, attempt 1"}
        done = {"0": {"of": 0}}
        assert items == {"total": 4, "done": done, "failed": {"1": error}, "attempts": {}}
        run.cancel()
    assert execution(run)["items"] == items
    CALLS.clear()
    async with tukio.Engine() as engine:
        again = await engine.rescue(
            mapped(limit=1, tolerate=1), tukio.report_from_json(tukio.report_to_json(report))
        )
        await again.wait()
    assert CALLS == [2, 3]
    assert results(again) == [{"of": 0}, None, {"of": 2}, {"of": 3}]
    assert str(again.errors["each[1]"]) == "ValueError: item 1, attempt 1"
    assert again.ok is True


async def test_the_clock_of_an_attempt_goes_on_over_a_suspension() -> None:
    """What comes due meanwhile begins with the resumption; what does not, when it is due."""
    retry = {"attempts": 2, "initial": 6, "jitter": "none"}

    async def began(pause: float) -> float:
        async with tukio.Engine() as engine:
            template = mapped("page", {"retry": retry})
            run = await engine.start(template, {"list": [{"bad": 1}]})
            await anyio.sleep(2)
            run.suspend()
            await anyio.sleep(pause)
            run.resume()
            await run.wait()
            whole: Any = step_of(run, "each")
            return float(whole.ended_at - whole.run.started_at)

    assert await began(2) == 1 + 6 + 1
    assert await began(7) == 2 + 7 + 1


async def test_attempts_go_on_after_a_rescue() -> None:
    """With the number of those before, when the next one is due."""
    retry = {"attempts": 2, "initial": 6, "jitter": "none"}
    template = mapped("page", {"retry": retry})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": [{"bad": 2}, {"takes": 3}]})
        await anyio.sleep(2)
        report = run.report()
        run.cancel()
    await anyio.sleep(1)
    CALLS.clear()
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        again = await engine.rescue(template, tukio.report_from_json(tukio.report_to_json(report)))
        same = execution(again)["items"]["attempts"]["0"]["attempts"]
        assert [made["delay"] for made in same] == [6]
        await again.wait()
    # The times of a report have microseconds.
    assert round(anyio.current_time() - start, 5) == 1 + 6 + 1 - 3
    assert CALLS == [1, 0]
    group: Any = again.errors["each"]
    [error] = group.exceptions
    assert str(error) == "item 0, attempt 2"


@pytest.mark.parametrize("after", [2, 8], ids=["waits", "at work"])
@pytest.mark.parametrize("is_suspended", [False, True], ids=["", "suspended"])
async def test_attempts_go_on_after_a_rescue_of_a_run_that_was_cancelled(
    after: float, is_suspended: bool
) -> None:
    """As those at any task."""
    retry = {"attempts": 2, "initial": 6, "jitter": "none"}
    template = mapped("page", {"retry": retry})
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": [{"bad": 2, "takes": 1.5}]})
        await anyio.sleep(after)
        if is_suspended:
            run.suspend()
            await anyio.sleep(1)
        run.cancel()
    items = execution(run)["items"]
    assert [len(made["attempts"]) for made in items["attempts"].values()] == [1]
    CALLS.clear()
    async with tukio.Engine() as engine:
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        again = await engine.rescue(template, report)
        await again.wait()
    assert CALLS == [0]
    group: Any = again.errors["each"]
    [error] = group.exceptions
    assert str(error) == "item 0, attempt 2"


async def test_who_waits_for_an_item_waits_over_a_suspension() -> None:
    """For the execution that runs it again."""
    waited: list[Any] = []

    async with anyio.create_task_group() as group:

        async def wait_for(item: Any) -> None:
            waited.append(await item)

        def suspend(run: Any) -> None:
            whole: Any = step_of(run, "each")
            first = next(iter(whole.work.open))
            group.start_soon(wait_for, first)

        async with tukio.Engine() as engine:
            run = await engine.start(mapped(), {"list": [{"takes": 2}]})
            await anyio.sleep(1)
            suspend(run)
            await anyio.sleep(0.5)
            run.suspend()
            await anyio.sleep(1)
            assert waited == []
            run.resume()
    assert waited == [{"of": 0}]


async def test_an_item_cancelled_while_suspended_is_called_off_when_resumed() -> None:
    """It counts as one that went wrong."""
    held: list[Any] = []
    async with tukio.Engine() as engine:
        run = await engine.start(mapped(tolerate=1), {"list": [{"takes": 2}, {}]})
        await anyio.sleep(0.5)
        whole: Any = step_of(run, "each")
        first = next(iter(whole.work.open))
        assert not first.done()
        first.add_done_callback(held.append)
        run.suspend()
        await anyio.sleep(1)
        assert first.cancel() is True
        run.resume()
        await run.wait()
    assert first.cancelled()
    assert held == [first._latest]
    assert results(run) == [None, {"of": 1}]


async def test_who_waits_for_an_item_of_a_suspended_run_is_told_of_its_end() -> None:
    """It was cancelled with the run."""
    held: list[Any] = []
    async with tukio.Engine() as engine:
        run = await engine.start(mapped(), {"list": [{"takes": 2}, {}]})
        await anyio.sleep(0.5)
        whole: Any = step_of(run, "each")
        next(iter(whole.work.open)).add_done_callback(held.append)
        run.suspend()
        await anyio.sleep(1)
        run.cancel()
    assert [item.state.value for item in held] == ["cancelled"]


async def test_a_report_without_data_has_only_the_number() -> None:
    """It is short."""
    seen: list[Any] = []

    def look(run: Any) -> None:
        seen.append(run.report(data=False)["tasks"][0]["exec"]["items"])

    await ended(mapped(limit=1), [{}] * 3, look)
    assert seen == [{"total": 3, "done": 1, "failed": {}, "attempts": {}}]


async def test_again_runs_a_mapped_task_whole() -> None:
    """Whichever of its items went wrong."""
    run = await ended(mapped(), [{}, {"bad": 1, "takes": 2}, {"takes": 3}])
    CALLS.clear()
    async with tukio.Engine() as engine:
        again = await engine.rescue(mapped(tolerate=1), tukio.again(run.report()))
        await again.wait()
    assert CALLS == [0, 1, 2]
    assert results(again) == [{"of": 0}, None, {"of": 2}]


async def test_tolerated_failures_and_limits_are_known_after_a_rescue() -> None:
    """Also of a mapped task that is over."""
    template = mapped(tolerate=1, timeout=2)
    template["tasks"][1] = {"id": "end", "name": "stubborn"}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": [{"bad": 1}, {"takes": 5}]})
        await anyio.sleep(4)
        report = run.report()
        run.cancel()
    template["tasks"][1]["name"] = "fine"
    async with tukio.Engine() as engine:
        again = await engine.rescue(template, tukio.report_from_json(tukio.report_to_json(report)))
        await again.wait()
    assert str(again.errors["each[0]"]) == "ValueError: item 0, attempt 1"
    assert list(again.unhandled) == ["each[1]"]


# Refusals


async def started(items: Any) -> dict[str, Any]:
    """Return the report of a run of which one item is over."""
    async with tukio.Engine() as engine:
        run = await engine.start(mapped(limit=1), {"list": items})
        await anyio.sleep(1.5)
        report: dict[str, Any] = run.report()
        run.cancel()
    return report


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ({"total": 3, "done": {}, "failed": {}}, "'each' has 2 items, and the report tells of 3"),
        ({"total": -1, "done": {}, "failed": {}}, "-1 is no number of items"),
        ({"total": 2, "done": {"2": {}}, "failed": {}}, "'2' is none of its 2 items"),
        ({"total": 2, "done": {"00": {}}, "failed": {}}, "'00' is none of its 2 items"),
        ({"total": 2, "done": {"x": {}}, "failed": {}}, "it is not a whole report"),
        ({"total": 2, "done": [], "failed": {}}, "it is not a whole report"),
        ({"total": 2, "done": {}}, "it is not a whole report"),
        (
            {"total": 2, "done": {"1": {}}, "failed": {"1": {"type": "E", "message": ""}}},
            "items that have failed are done: 1",
        ),
    ],
)
async def test_a_report_with_other_items_is_refused(items: Any, reason: str) -> None:
    """Nothing is made of it."""
    report = await started([{}, {}])
    report["tasks"][0]["exec"]["items"] = items
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.RescueError) as refused:
            await engine.rescue(mapped(limit=1), report)
    assert reason in str(refused.value)


async def test_a_report_whose_list_is_lost_is_refused() -> None:
    """And one of which a result is."""
    async with tukio.Engine() as engine:
        report = await started([{"of": object()}, {}])
        with pytest.raises(tukio.RescueError, match=r"each.inputs.list\[0\].of was lost"):
            await engine.rescue(
                mapped(limit=1), tukio.report_from_json(tukio.report_to_json(report))
            )
        report = await started([{"gives": {"of": 1}}, {}])
        report["tasks"][0]["exec"]["items"]["done"]["0"] = {"of": object()}
        with pytest.raises(tukio.RescueError, match=r"each.items.done.*was lost"):
            await engine.rescue(
                mapped(limit=1), tukio.report_from_json(tukio.report_to_json(report))
            )


async def test_a_task_that_is_not_mapped_any_more_is_run_from_scratch() -> None:
    """Its items are none."""
    report = await started([{}, {}])
    template = mapped()
    template["tasks"][0] = {"id": "each", "name": "fine"}
    async with tukio.Engine() as engine:
        run = await engine.rescue(template, report)
        await run.wait()
    assert run.ok is True
    assert "items" not in execution(run)


# Cuts in odd places


@pytest.mark.parametrize("what", ["task-begin", "task-end"])
async def test_a_run_that_is_cancelled_by_who_hears_of_an_item_begins_no_other(what: str) -> None:
    """Though that would have taken its place; nothing is ready while the run stops."""
    ready: list[int] = []
    async with tukio.Engine() as engine:
        told = listen(engine)

        def cancel(event: tukio.Event) -> None:
            source = event.source
            assert source is not None
            if (event.data["type"], source.task_template_id) == (what, "each[1]"):
                whole: Any = step_of(run, "each")
                [item] = whole.work.open
                item.add_done_callback(lambda _: ready.append(len(run._run.plan.ready)))
                run.cancel()

        engine.broker.register(cancel, tukio.EXEC_TOPIC)
        run = await engine.start(mapped(limit=1), {"list": [{}] * 4})
        await run.wait()
    assert "task-begin each[2]" not in kinds(told)
    assert ready == [0]
    assert run.state.value == "cancelled"


@pytest.mark.parametrize("keys", [{"timeout": 3}, {}], ids=str)
async def test_a_task_is_cut_while_no_item_is_at_work(task: Tasks, keys: dict[str, Any]) -> None:
    """Whatever the function of the items is: one without `await`, that waits for its next turn."""

    @task
    async def prompt(event: tukio.Event) -> None:
        raise ValueError

    retry = {"attempts": 2, "initial": 9, "jitter": "none"}
    template = mapped("prompt", {"retry": retry, **keys})
    run = await ended(template, [0, 1], None if keys else lambda run: step_of(run, "each").cancel())
    assert seconds(run) == keys.get("timeout", 1.5)


async def test_what_was_interrupted_ends_with_its_task() -> None:
    """If that has failed meanwhile, so that the item is not run again."""
    async with tukio.Engine() as engine:
        told = listen(engine)

        def pause(event: tukio.Event) -> None:
            source = event.source
            assert source is not None
            if (event.data["type"], source.task_template_id) == ("task-error", "each[0]"):
                run.suspend()
                run.resume()

        engine.broker.register(pause, tukio.EXEC_TOPIC)
        run = await engine.start(mapped(), {"list": [{"bad": 1}, {"takes": 5}]})
        await run.wait()
    assert kinds(told)[-3:-1] == ["task-cancel each[1]", "task-error each"]
    assert seconds(run) == 0


@pytest.mark.parametrize("item", [{}, {"bad": 1}, {"skips": True}], ids=str)
async def test_who_hears_of_an_end_finds_it_in_the_report(item: dict[str, Any]) -> None:
    """What is over is not run again by a rescue from there."""
    seen: list[Any] = []
    async with tukio.Engine() as engine:

        def look(event: tukio.Event) -> None:
            source = event.source
            assert source is not None
            if source.task_template_id == "each[0]" and event.data["type"] != "task-begin":
                items = execution(run)["items"]
                seen.extend([*items["done"], *items["failed"]])

        engine.broker.register(look, tukio.EXEC_TOPIC)
        run = await engine.start(mapped(), {"list": [item, {"takes": 2}]})
        await run.wait()
    assert seen == ["0"]
