"""A mapped task is run once for each item of a list, as one step that waits for its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution as execution_of, kinds, listen, states, step_of
from tukio.errors import NoItems, TaskCancelled, TaskTimedOut, WorkflowFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

CALLS: list[int] = []


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    CALLS.clear()

    @task
    async def page(event: tukio.Event) -> Any:
        """Take `takes` seconds, and then do as the item says."""
        me = tukio.current_task()
        assert me is not None
        assert me.index is not None
        CALLS.append(me.index)
        await anyio.sleep(event.data.get("takes", 1))
        if event.data.get("bad", 0) >= me.attempt:
            msg = f"item {me.index}, attempt {me.attempt}"
            raise ValueError(msg)
        if event.data.get("skips"):
            raise tukio.SkipTask
        return event.data.get("gives", {"of": me.index})

    @task
    async def at_once(event: tukio.Event) -> dict[str, Any]:
        return {"n": event.data["item"]}

    @task
    async def stubborn(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    @task
    async def fine(event: tukio.Event) -> None: ...


def mapped(name: str = "page", keys: dict[str, Any] | None = None, **words: Any) -> dict[str, Any]:
    """Return a mapped task, and one that gets what it passes on."""
    task = {"id": "each", "name": name, "map": {"over": "$.list", **words}, **(keys or {})}
    tasks = [task, {"id": "end", "name": "fine"}]
    return {"id": "mapped", "tasks": tasks, "graph": {"each": ["end"]}}


async def ended(
    template: dict[str, Any],
    items: Any,
    act: Callable[[Any], object] | None = None,
    after: float = 1.5,
) -> Any:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": items, "keep": 1})
        if act is not None:
            await anyio.sleep(after)
            act(run)
    return run


def results(run: Any, into: str = "results") -> Any:
    """Return what the mapped task has passed on for its items."""
    return step_of(run, "end").inputs[into]


def execution(run: Any) -> Any:
    """Return what the report shows of the mapped task."""
    return execution_of(run, "each")


def seconds(run: Any, uid: str = "each") -> float:
    """Return how long a task has taken."""
    step: Any = step_of(run, uid)
    return float(step.ended_at - step.started_at)


# Results


async def test_items_run_beside_each_other_and_give_a_list_in_their_order() -> None:
    """The task passes on what it was given, and the results."""
    run = await ended(mapped(), [{"takes": 3}, {"takes": 1}, {"takes": 2}])
    assert run.output["end"] is None
    assert set(step_of(run, "end").inputs) == {"list", "keep", "results"}
    assert results(run) == [{"of": 0}, {"of": 1}, {"of": 2}]
    assert seconds(run) == 3
    assert run.ok is True


async def test_no_items_are_no_results_at_once() -> None:
    """The task is not skipped: it has an empty list."""
    run = await ended(mapped(), [])
    assert results(run) == []
    assert seconds(run) == 0
    assert CALLS == []


async def test_the_list_may_be_elsewhere_and_the_results_too() -> None:
    """By the path, and by `into`."""
    run = await ended(mapped(over="$.list.of.pages", into="found"), {"of": {"pages": ({}, {})}})
    assert results(run, "found") == [{"of": 0}, {"of": 1}]


async def test_an_item_is_given_itself_or_item() -> None:
    """A dict as it is, anything else by the key `item`."""
    run = await ended(mapped("at_once"), [1, None, "x"])
    assert results(run) == [{"n": 1}, {"n": None}, {"n": "x"}]


async def test_what_an_item_gives() -> None:
    """What it returns; its inputs if that is nothing, or if it was skipped."""
    items = [{"gives": None}, {"gives": 5}, {"skips": True}]
    run = await ended(mapped(), items)
    assert results(run) == [{"gives": None}, 5, {"skips": True}]
    assert run.ok is True


async def test_an_item_past_its_limit_gives_its_inputs() -> None:
    """As any task; and the run has not gone well, unless the template says so."""
    items = [{"takes": 1}, {"takes": 4}]
    run = await ended(mapped(timeout=2), items)
    assert results(run) == [{"of": 0}, {"takes": 4}]
    assert seconds(run) == 2
    assert str(run.unhandled["each[1]"]) == "task 'each[1]' has reached its time limit of 2 s"
    assert isinstance(run.unhandled["each[1]"], TaskTimedOut)
    assert execution(run)["items"] == {"total": 2, "failed": {}, "timed_out": [1]}
    said = await ended(mapped("page", {"on_timeout": "continue"}, timeout=2), items)
    assert said.ok is True


async def test_an_item_past_its_limit_fails_if_the_template_says_so() -> None:
    """It counts as any that has failed."""
    run = await ended(mapped("page", {"on_timeout": "fail"}, timeout=2, tolerate=1), [{"takes": 4}])
    assert results(run) == [None]
    assert type(run.errors["each[0]"]) is TaskTimedOut
    assert run.ok is True


async def test_a_limit_of_the_task_is_one_of_all() -> None:
    """What is at work then is cut, and what has not begun never does."""
    run = await ended(mapped("page", {"timeout": 3.5}, limit=1), [{}] * 9)
    assert CALLS == [0, 1, 2, 3]
    assert seconds(run) == 3.5
    assert run.outputs["each"] == {"list": [{}] * 9, "keep": 1}


# How many at once


async def test_at_most_so_many_are_at_work_at_once() -> None:
    """The next one begins as soon as one is over."""
    begun: list[float] = []
    async with tukio.Engine() as engine:
        start = anyio.current_time()

        def note(event: tukio.Event) -> None:
            if event.data["type"] == "task-begin":
                begun.append(anyio.current_time() - start)

        engine.broker.register(note, tukio.EXEC_TOPIC)
        run = await engine.start(mapped(limit=2), {"list": [{"takes": n} for n in (3, 1, 1, 5, 1)]})
        await run.wait()
    assert begun == [0, 0, 0, 1, 2, 3, 7]


async def test_items_that_await_nothing_give_way() -> None:
    """Thousands of them do not keep the others from their turns."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.lowlevel.checkpoint()
            ticks += 1

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        run = await ended(mapped("at_once", limit=3), list(range(1_000)))
        group.cancel_scope.cancel()
    assert results(run) == [{"n": n} for n in range(1_000)]
    assert ticks > 10


# Failures


async def test_one_failure_fails_the_task_and_cuts_the_rest() -> None:
    """With one group of all errors so far; items that are not begun never do."""
    run = await ended(mapped(limit=3), [{"takes": 5}, {"bad": 1}, {"takes": 7}, {}, {}])
    error = run.errors["each"]
    assert str(error) == "1 item of 5 of task 'each' failed (1 sub-exception)"
    assert type(error) is ExceptionGroup
    assert [str(one) for one in error.exceptions] == ["item 1, attempt 1"]
    assert set(run.unhandled) == {"each"}
    assert run.errors["each[1]"] is error.exceptions[0]
    assert seconds(run) == 1
    assert CALLS == [0, 1, 2]
    assert states(run)["end"] is None


async def test_the_task_is_over_when_its_items_have_unwound() -> None:
    """Also those that take their time."""
    run = await ended(mapped("stubborn", {"timeout": 3}), [{}])
    assert seconds(run) == 5


@pytest.mark.parametrize(
    ("tolerate", "bad", "is_well"),
    [
        (0, 1, False),
        (1, 1, True),
        (1, 2, False),
        ("10%", 1, True),
        ("10%", 2, False),
        ("0%", 1, False),
        ("all", 10, True),
        ("100%", 10, True),
    ],
)
async def test_so_many_failures_are_tolerated(tolerate: Any, bad: int, is_well: bool) -> None:
    """They stay in `errors`, have null in the results, and the run has gone well."""
    run = await ended(mapped(tolerate=tolerate), [{"bad": 1}] * bad + [{}] * (10 - bad))
    assert run.ok is is_well
    assert ("each" in run.errors) is not is_well
    if is_well:
        assert set(run.errors) == {f"each[{place}]" for place in range(bad)}
        assert results(run)[:bad] == [None] * bad
        assert execution(run)["items"]["failed"].keys() == {str(place) for place in range(bad)}
        await run.wait(check=True)


async def test_a_tolerated_failure_aborts_nothing() -> None:
    """The `on_error` of the template is that of the task."""
    template = {**mapped(tolerate=1), "on_error": "abort"}
    run = await ended(template, [{"bad": 1}, {}])
    assert run.state.value == "finished"
    run = await ended(template, [{"bad": 1}, {"bad": 1}])
    assert run.state.value == "exception"
    with pytest.raises(WorkflowFailed) as failed:
        await run.wait(check=True)
    [group] = failed.value.exceptions
    assert str(group) == "2 items of 2 of task 'each' failed (2 sub-exceptions)"


async def test_a_run_that_is_aborted_by_another_task_does_not_count_tolerated_failures() -> None:
    """What a template tolerates is none of its failures."""
    template = {**mapped(tolerate=1), "on_error": "abort"}
    template["tasks"].append({"id": "bad", "name": "page", "map": {"over": "$.keep"}})
    run = await ended({**template, "graph": {"each": ["end", "bad"]}}, [{"bad": 1}])
    with pytest.raises(WorkflowFailed) as failed:
        await run.wait(check=True)
    assert [type(one) for one in failed.value.exceptions] == [NoItems]


async def test_an_item_that_is_cancelled_counts_as_one_that_went_wrong() -> None:
    """As a task that is cancelled makes its run one that has not gone well."""

    def cancel(run: Any) -> None:
        whole: Any = step_of(run, "each")
        second = [*whole.work.open][1]
        assert second.cancel() is True

    run = await ended(mapped(tolerate=1), [{"takes": 3}] * 3, cancel)
    assert results(run) == [{"of": 0}, None, {"of": 2}]
    assert run.ok is True
    run = await ended(mapped(), [{"takes": 3}] * 3, cancel)
    [error] = run.errors["each"].exceptions
    assert (type(error), error.task_id) == (TaskCancelled, "each[1]")


async def test_thousands_of_failures_are_kept_without_what_was_there() -> None:
    """A traceback has the frames of all that was at work."""
    run = await ended(mapped("page", tolerate="all"), [{"bad": 1, "takes": 0}] * 150)
    with_frames = [error for error in run.errors.values() if error.__traceback__ is not None]
    assert (len(run.errors), len(with_frames)) == (150, 100)


async def test_a_list_that_is_none_fails_the_task() -> None:
    """With the path, and what is there."""
    run = await ended(mapped(), "pages")
    assert str(run.errors["each"]) == "task 'each' has no items: $.list is no list, but <a str>"
    run = await ended(mapped(over="$.lst"), [])
    problem = "$.lst leads to nothing: $ has no 'lst' - did you mean 'list'?"
    assert str(run.errors["each"]) == f"task 'each' has no items: {problem}"
    assert type(run.errors["each"]) is NoItems


async def test_too_many_items_fail_the_task_at_once() -> None:
    """None of them begins."""
    run = await ended(mapped("at_once"), [0] * 100_001)
    expected = "task 'each' has no items: $.list has 100,001 items, and 100,000 at most"
    assert str(run.errors["each"]) == expected


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
