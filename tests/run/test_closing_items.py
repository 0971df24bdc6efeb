"""What undoes the items of a mapped task: each that is done, whatever has become of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import kinds, listen, step_of
from support.undone import ONE_TWO_THREE, Undo, ended, ids, of_three, register, taking
from tukio.errors import CleanupTimedOut
from tukio.flow import flow, task as in_code

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture
def undone(task: Tasks) -> list[Undo]:
    """Register what is run; give what is undone."""
    return register(task)


LIST = [{"takes": 2}, {"takes": 1}, {"takes": 3}]


def cancel(run: Any) -> None:
    """Cancel a run."""
    run.cancel()


# Whatever becomes of the whole


async def test_a_map_that_has_finished(undone: list[Undo]) -> None:
    """Its items are undone in reverse order of their ends, one after the other, and not itself."""
    start = anyio.current_time()
    run = await ended(taking(), LIST)
    assert [(one.at - start, one.uid, one.given) for one in undone] == [
        (4, "each[2].compensate", {"of": 2}),
        (5, "each[0].compensate", {"of": 0}),
        (6, "each[1].compensate", {"of": 1}),
    ]
    assert [one.template.uid for one in run.closing] == [one.uid for one in undone]
    assert (run.status, set(run.errors)) == ("failed", {"end"})


async def test_a_map_that_has_failed(undone: list[Undo]) -> None:
    """What has failed, was cut, or never began, has done nothing."""
    items = [*LIST, {"takes": 2.5, "bad": 1}, {"takes": 1.25}]
    run = await ended(taking(limit=4), items)
    assert ids(undone) == ["each[4]", "each[0]", "each[1]"]
    assert set(run.errors) == {"each", "each[3]"}
    undone.clear()
    await ended(taking(limit=3), [*LIST[:2], {"takes": 1.5, "bad": 1}, {}])
    assert ids(undone) == ["each[1]"]


async def test_a_map_that_somebody_provides_for(undone: list[Undo]) -> None:
    """It has failed, and the run went on; an error there does not end it."""
    run = await ended(taking(keys={"on_error": {"output": {}}}), [{}, {"takes": 2, "bad": 1}])
    assert ids(undone) == ["each[0]"]
    assert step_of(run, "end").inputs == {}


async def test_a_map_that_is_cancelled_with_its_run(undone: list[Undo]) -> None:
    """At once, or by its limit, or because its engine is left."""
    start = anyio.current_time()
    run = await ended(taking(limit=2), LIST, cancel)
    assert [(one.at - start, one.uid) for one in undone] == [(2.5, "each[1].compensate")]
    assert run.status == "cancelled"
    undone.clear()
    run = await ended({**taking(limit=2), "timeout": 2.5}, LIST)
    assert ids(undone) == ["each[0]", "each[1]"]
    assert run.status == "timeout"
    undone.clear()
    with anyio.move_on_after(2.5):
        async with tukio.Engine() as engine:
            await engine.start(taking(), {"list": LIST})
            await anyio.sleep_forever()
    assert ids(undone) == ["each[0]", "each[1]"]


async def test_a_map_that_is_cut_alone(undone: list[Undo]) -> None:
    """By its own limit, or by somebody; the run ends later, by another task."""
    late = {"timeout": 2.5}
    await ended(taking(keys=late), LIST)
    assert ids(undone) == ["each[0]", "each[1]"]
    undone.clear()
    await ended(taking(keys={**late, "on_timeout": "fail"}), LIST)
    assert ids(undone) == ["each[0]", "each[1]"]
    undone.clear()


async def test_a_map_that_somebody_has_cancelled(undone: list[Undo]) -> None:
    """The run goes on, and is undone when it is cut by something else."""
    data = ONE_TWO_THREE | {"other": 9}
    template = of_three("fine", timeout=5)
    run = await ended(template, data, lambda run: step_of(run, "each").cancel())
    assert ids(undone) == ["each[0]"]
    assert run.status == "timeout"


async def test_a_suspended_map(undone: list[Undo]) -> None:
    """What is over stays so, before and after; the rest was to be run again."""
    async with tukio.Engine() as engine:
        run = await engine.start(taking(), {"list": LIST})
        await anyio.sleep(1.5)
        run.suspend()
        run.resume()
        await anyio.sleep(2.25)
        run.suspend()
        await anyio.sleep(9)
        run.cancel()
        await run.wait()
    assert ids(undone) == ["each[0]", "each[1]"]


async def test_a_run_that_comes_to_its_end_is_not_undone(undone: list[Undo]) -> None:
    """Nor after an ending that the template leaves out."""
    await ended(taking("fine"), LIST)
    await ended({**taking(), "compensate_on": ["cancelled"]}, LIST)
    assert undone == []


# The order


async def test_items_stand_among_the_other_tasks(undone: list[Undo]) -> None:
    """By their own ends: 1, 2 and 3 are undone as 3, 2 and 1."""
    run = await ended(of_three(), ONE_TWO_THREE)
    assert ids(undone) == ["each[1]", "other", "each[0]"]
    order = ["split", "each[0]", "other", "each[1]", "each", "end"]
    assert run.report()["exec"]["order"] == order


# Which items


async def test_only_what_has_done_its_part(undone: list[Undo]) -> None:
    """At its limit, too; not what has failed, was skipped, or cancelled by somebody."""
    items = [{"takes": 9}, {"bad": 1}, {"skips": True}, {"takes": 4}, {}]

    def one(run: Any) -> None:
        next(item for item in step_of(run, "each").work.open if item.index == 3).cancel()

    run = await ended(taking(tolerate=2, timeout=5), items, one)
    assert ids(undone) == ["each[0]", "each[4]"]
    assert [one.given for one in undone] == [{"takes": 9}, {"of": 4}]
    assert [one.undoes.state.value for one in undone] == ["timeout", "finished"]
    assert run.report()["tasks"][0]["exec"]["items"]["skipped"] == [2]


BEGUN = {"name": "give_back", "begun": True}


async def test_what_has_begun_is_undone_if_asked_for(undone: list[Undo]) -> None:
    """What has failed, and what was cut with the whole; not what never began, nor was skipped."""
    items = [{}, {"takes": 1.5, "bad": 1}, {"skips": True}, {"takes": 9}, {"takes": 9}, {}]
    await ended(taking(undo=BEGUN, limit=3), items)
    # Those that are cut at one instant may unwind in any order.
    assert sorted(ids(undone)[:2]) == ["each[3]", "each[4]"]
    assert ids(undone)[2:] == ["each[1]", "each[0]"]
    states = {one.undoes.index: one.undoes.state.value for one in undone}
    assert (states[1], states[3], states[0]) == ("exception", "cancelled", "finished")
    assert undone[0].given == {"takes": 9}


async def test_what_waited_for_its_next_attempt_has_begun(undone: list[Undo]) -> None:
    """Likewise what was suspended; these are undone first."""
    retry = {"retry": {"attempts": 3, "initial": 60, "jitter": "none"}}
    items = [{}, {"bad": 3}, {"takes": 9}, {}]
    template = taking(undo=BEGUN, keys=retry, limit=3)
    await ended(template, items, cancel, 2.5)
    assert ids(undone) == ["each[1]", "each[2]", "each[3]", "each[0]"]
    undone.clear()

    def suspend(run: Any) -> None:
        run.suspend()

    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": items})
        await anyio.sleep(2.5)
        suspend(run)
        await anyio.sleep(1)
        run.cancel()
    assert sorted(ids(undone)) == ["each[0]", "each[1]", "each[2]", "each[3]"]
    assert ids(undone)[-2:] == ["each[3]", "each[0]"]


# What it knows


async def test_what_it_is_given(undone: list[Undo]) -> None:
    """What a successor would get; the execution that it undoes was made anew from what is kept."""
    items = [{"gives": 5}, {"gives": None}, "text", (1, 2)]
    run = await ended(taking(limit=1), items)
    assert [one.given for one in undone] == [
        {"of": 3},
        {"of": 2},
        {"gives": None},
        {"output": 5},
    ]
    last = undone[0].undoes
    assert (last.template.uid, last.index, last.inputs) == ("each[3]", 3, {"item": (1, 2)})
    assert (last.outputs, last.state.value, last.done()) == ({"of": 3}, "finished", True)
    assert (last.key, last.workflow) == (f"{run.uid}/each[3]", run)
    assert run.closing[0].undoes is last
    assert (last.cancel(), last.result()) == (False, {"of": 3})
    assert repr(last) == "<TaskRun each[3] (page) finished>"


async def test_its_template_answers_like_any_other(undone: list[Undo]) -> None:
    """So does that of an item: what undoes it is its own, and what follows from failure is not."""
    words = {"name": "give_back", "timeout": 7, "retry": {"attempts": 2}}
    run = await ended(taking(undo=words, keys={"on_error": "stop"}), [{}])
    [by] = run.closing
    shown = by.template.as_dict()
    assert shown["id"] == "each[0].compensate"
    assert (shown["name"], shown["timeout"], shown["retry"]) == ("give_back", 7, {"attempts": 2})
    item = undone[0].undoes.template
    assert (item.compensate, item.on_error) == (words, None)
    assert item.as_dict()["compensate"] == words
    assert not {"map", "on_error"} & set(item.as_dict())
    [told] = run.report()["closing"]
    assert (told["id"], told["undoes"]) == ("each[0].compensate", "each[0]")
    assert told["exec"]["inputs"] == {"of": 0}


# As any other


async def test_its_limits_and_attempts(undone: list[Undo]) -> None:
    """An error of one is kept by its id, and the others go on."""
    retry = {"attempts": 2, "initial": 3, "jitter": "none"}
    words = {"name": "unwilling", "retry": retry}
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        told = listen(engine)
        run = await engine.start(taking(undo=words), {"list": LIST})
        await run.wait()
    assert [(one.at - start, one.undoes.index) for one in undone] == [
        (4, 2),
        (8, 2),
        (9, 0),
        (13, 0),
        (14, 1),
        (18, 1),
    ]
    assert set(run.unhandled) == {"end", "each[1].compensate"}
    assert [one.attempt for one in run.closing] == [2, 2, 2]
    assert "task-retry each[2].compensate" in kinds(told)
    assert kinds(told)[-2] == "task-error each[1].compensate"
    assert [one["exec"]["state"] for one in run.report()["closing"]] == [
        "finished",
        "finished",
        "exception",
    ]


async def test_what_had_no_time(undone: list[Undo]) -> None:
    """It is told, by its id; a run that undoes items cannot be suspended."""
    suspended: list[bool] = []
    template = {**taking(), "closing_timeout": 1.5}
    run = await ended(template, LIST, lambda run: suspended.append(run.suspend()), 3.5)
    assert suspended == [False]
    assert ids(undone) == ["each[2]"]
    late = {"each[0].compensate", "each[1].compensate"}
    assert {uid for uid in run.errors if isinstance(run.errors[uid], CleanupTimedOut)} == late
    assert run.errors.keys() == late | {"end"}


def test_in_code() -> None:
    """It is said in the same way."""
    own = tukio.task.Registry()

    @in_code(registry=own)
    async def put_back(event: Any) -> None: ...

    @in_code(registry=own, compensate=put_back.of(timeout=20))
    async def take_out(event: Any) -> None: ...

    pages = flow("pages", take_out.map(over="list", limit=2), on_error="abort")
    [document] = pages.as_dict()["tasks"]
    assert document["compensate"] == {"name": "put_back", "timeout": 20}
    assert document["map"] == {"over": "$.list", "limit": 2}


# What it costs those that do not ask for it


async def test_a_map_without_keeps_nothing(undone: list[Undo]) -> None:
    """Once it is over, its output has the results; with it, its items are known for as long."""
    plain, kept = [await ended(taking("fine", undo), LIST, None) for undo in (None, "give_back")]
    work = [step_of(run, "each").work for run in (plain, kept)]
    assert [len(one.items.results) for one in work] == [0, 3]
    assert "order" not in plain.report()["exec"]
    # The outputs in the report say the rest.
    assert ["items" in run.report()["tasks"][0]["exec"] for run in (plain, kept)] == [False, False]


async def test_its_order_is_kept_only_if_asked_for(undone: list[Undo]) -> None:
    """Also in a run that keeps that of its tasks."""
    template = taking("fine", None)
    template["tasks"][1]["compensate"] = "give_back"
    run = await ended(template, LIST)
    assert run.report()["exec"]["order"] == ["each", "end"]
