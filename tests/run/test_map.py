"""A mapped task is run once for each item of a list, as one step that waits for its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import states, step_of
from support.maps import CALLS, ended, execution, mapped, register_steps, results, seconds
from tukio.errors import NoItems, TaskCancelled, TaskTimedOut, WorkflowFailed

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    register_steps(task)


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
